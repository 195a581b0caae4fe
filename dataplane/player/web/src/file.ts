import type { Protocol } from './how';
import { eachFrame, type Events, type Link, type Loss } from './link';
import type { Stats } from './stats';

/** FileLink is what FLV and HLS have in common: a media element that is fed by a library. */
export abstract class FileLink implements Link {
  abstract readonly protocol: Protocol;
  readonly notice = '';
  readonly askedAt = performance.now();
  protected video: HTMLVideoElement | undefined;
  private readonly closed = new AbortController();
  private events: Events | undefined;
  private before = { at: 0, frames: 0, time: 0 };

  attach(video: HTMLVideoElement, events: Events): void {
    this.video = video;
    this.events = events;
    video.srcObject = null;
    this.before = { at: performance.now(), frames: this.quality()?.totalVideoFrames ?? 0, time: video.currentTime };
    eachFrame(video, this.closed.signal, () => events.frame());
    video.addEventListener('ended', () => this.lose({ why: 'ended' }), { signal: this.closed.signal });
    this.feed(video);
  }

  async measure(): Promise<{ stats: Stats; moved: boolean }> {
    const video = this.video;
    const quality = this.quality();
    const now = { at: performance.now(), frames: quality?.totalVideoFrames ?? 0, time: video?.currentTime ?? 0 };
    const seconds = (now.at - this.before.at) / 1000;
    const stats: Stats = {
      bufferMs: video ? ahead(video) * 1000 : undefined,
      latencyMs: this.latencyMs(),
      fps: seconds > 0 ? Math.max(0, now.frames - this.before.frames) / seconds : undefined,
      width: video?.videoWidth || undefined,
      height: video?.videoHeight || undefined,
      framesDecoded: now.frames,
      framesDropped: quality?.droppedVideoFrames ?? 0,
      video: this.codecs().video,
      audio: this.codecs().audio,
      transport: 'HTTP',
    };
    const moved = now.time > this.before.time;
    this.before = now;
    return { stats, moved };
  }

  close(): void {
    this.closed.abort();
    this.end();
    this.video = undefined;
  }

  /** Starts the library. */
  protected abstract feed(video: HTMLVideoElement): void;

  /** Ends the library; it may not have been started. */
  protected abstract end(): void;

  /** From the server's edge to the picture, where the protocol tells it, in ms. */
  protected latencyMs(): number | undefined {
    return undefined;
  }

  protected codecs(): { video: string; audio: string } {
    return { video: '', audio: '' };
  }

  protected lose(loss: Loss): void {
    if (!this.closed.signal.aborted) this.events?.lost(loss);
  }

  private quality(): VideoPlaybackQuality | undefined {
    return this.video?.getVideoPlaybackQuality?.();
  }
}

/** Whether a page may feed a media element by itself. */
export function canFeed(): boolean {
  return 'MediaSource' in window || 'ManagedMediaSource' in window;
}

/** How much of the stream is there behind the present picture, in s. */
function ahead(video: HTMLVideoElement): number {
  const { buffered, currentTime } = video;
  return buffered.length ? Math.max(0, buffered.end(buffered.length - 1) - currentTime) : 0;
}
