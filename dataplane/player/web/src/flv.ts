import type Mpegts from 'mpegts.js';
import { canFeed, FileLink } from './file';
import type { Opened } from './link';
import { judge } from './outcome';

/** Asks for a stream by HTTP-FLV. The library is loaded when it is needed first. */
export async function openFLV(url: string): Promise<Opened> {
  const { default: mpegts } = await import('mpegts.js');
  if (!canFeed() || !mpegts.getFeatureList().mseLivePlayback)
    return { kind: 'unplayable', title: 'This stream cannot be played here', detail: 'This browser does not play live FLV.' };
  mpegts.LoggingControl.enableAll = false;
  return new FLV(mpegts, url);
}

class FLV extends FileLink {
  readonly protocol = 'FLV';
  private player: Mpegts.Player | undefined;

  constructor(
    private readonly mpegts: typeof Mpegts,
    private readonly url: string,
  ) {
    super();
  }

  protected feed(video: HTMLVideoElement): void {
    const { mpegts } = this;
    const player = mpegts.createPlayer(
      { type: 'flv', isLive: true, url: this.url },
      // Without a stash each tag goes on as it comes. What comes in a burst, like the newest GOP at the start, is played faster until it is gone.
      { enableWorker: false, enableStashBuffer: false, liveSync: true, liveSyncMaxLatency: 0.9, liveSyncTargetLatency: 0.4, autoCleanupSourceBuffer: true },
    );
    this.player = player;
    player.on(mpegts.Events.ERROR, (_type: string, detail: string, info?: { code?: number }) => {
      if (detail === mpegts.ErrorDetails.NETWORK_STATUS_CODE_INVALID && info?.code) {
        const outcome = judge(info.code, {}, 0);
        if (outcome.kind !== 'playing') this.lose({ why: 'refused', outcome });
      } else this.lose({ why: 'broken', detail });
    });
    player.on(mpegts.Events.LOADING_COMPLETE, () => this.lose({ why: 'ended' }));
    player.attachMediaElement(video);
    player.load();
    // Whether sound may play is asked by the page.
    Promise.resolve(player.play()).catch(() => undefined);
  }

  protected end(): void {
    this.player?.destroy();
    this.player = undefined;
  }

  protected codecs(): { video: string; audio: string } {
    const info = this.player?.mediaInfo as { videoCodec?: string; audioCodec?: string } | undefined;
    return { video: info?.videoCodec ?? '', audio: info?.audioCodec ?? '' };
  }
}
