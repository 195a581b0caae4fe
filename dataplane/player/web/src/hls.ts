import type Hls from 'hls.js';
import type { ErrorData } from 'hls.js';
import { canFeed, FileLink } from './file';
import type { Opened } from './link';
import { judge } from './outcome';

const mime = 'application/vnd.apple.mpegurl';

/** Asks for a stream by low-latency HLS: by hls.js, which is loaded when it is needed first, or by the browser itself. */
export async function openHLS(url: string): Promise<Opened> {
  if (canFeed()) {
    const { default: library } = await import('hls.js');
    if (library.isSupported()) return new ByLibrary(library, url);
  }
  if (document.createElement('video').canPlayType(mime)) return new ByBrowser(url);
  return { kind: 'unplayable', title: 'This stream cannot be played here', detail: 'This browser does not play HLS.' };
}

class ByLibrary extends FileLink {
  readonly protocol = 'LL-HLS';
  private hls: Hls | undefined;

  constructor(
    private readonly library: typeof Hls,
    private readonly url: string,
  ) {
    super();
  }

  protected feed(video: HTMLVideoElement): void {
    const hls = new this.library({ lowLatencyMode: true, enableWorker: false, backBufferLength: 10 });
    this.hls = hls;
    hls.on(this.library.Events.ERROR, (_event: unknown, data: ErrorData) => {
      if (!data.fatal) return;
      const status = data.response?.code ?? 0;
      const outcome = judge(status, {}, 0);
      if (status >= 400 && outcome.kind !== 'playing') this.lose({ why: 'refused', outcome });
      else this.lose({ why: 'broken', detail: data.details });
    });
    hls.loadSource(this.url);
    hls.attachMedia(video);
  }

  protected end(): void {
    this.hls?.destroy();
    this.hls = undefined;
  }

  protected override latencyMs(): number | undefined {
    return this.hls?.latency ? this.hls.latency * 1000 : undefined;
  }

  protected override codecs(): { video: string; audio: string } {
    const level = this.hls?.levels[0];
    return { video: level?.videoCodec ?? '', audio: level?.audioCodec ?? '' };
  }
}

class ByBrowser extends FileLink {
  readonly protocol = 'LL-HLS';

  constructor(private readonly url: string) {
    super();
  }

  protected feed(video: HTMLVideoElement): void {
    video.addEventListener('error', () => this.lose({ why: 'broken', detail: video.error?.message ?? '' }), { once: true });
    video.src = this.url;
    video.play().catch(() => undefined);
  }

  protected end(): void {
    this.video?.removeAttribute('src');
    this.video?.load();
  }
}
