import { ServerClock } from './clock';
import { eachFrame, type Events, type Link, type Opened } from './link';
import { digest, type Entry, FrameAges, type FrameSource, type Stats, type Totals } from './stats';
import { join, leave, onLost, type Session } from './whep';

const disconnectedPatience = 4_000;

/** Asks for a stream by WHEP. */
export async function openRTS(url: string, signal: AbortSignal): Promise<Opened> {
  const { session, outcome } = await join(url, signal);
  if (!session) return outcome;
  if (signal.aborted) leave(session);
  return new RTS(session);
}

class RTS implements Link {
  readonly protocol = 'RTS';
  private readonly closed = new AbortController();
  private readonly clock = new ServerClock();
  private readonly ages = new FrameAges();
  private totals: Totals | undefined;

  constructor(private readonly session: Session) {}

  get notice(): string {
    return this.session.notice;
  }

  get askedAt(): number {
    return this.session.offeredAt;
  }

  attach(video: HTMLVideoElement, events: Events): void {
    onLost(this.session, disconnectedPatience, (why) => {
      if (!this.closed.signal.aborted) events.lost(why === 'ended' ? { why } : { why: 'broken', detail: why });
    });
    video.srcObject = this.session.stream;
    eachFrame(video, this.closed.signal, () => {
      this.ages.add(this.newestFrame());
      events.frame();
    });
  }

  async measure(): Promise<{ stats: Stats; moved: boolean }> {
    const report = await this.session.pc.getStats();
    const entries: Entry[] = [];
    report.forEach((entry: Entry) => entries.push(entry));
    this.ages.add(this.newestFrame());
    const { stats, totals } = digest(entries, this.totals, Date.now(), this.clock, this.ages.take());
    // Frame callbacks do not come while the page is hidden or the stream has no picture; the totals grow all the same.
    const what = this.session.picture ? 'decoded' : 'received';
    const moved = totals[what] > (this.totals?.[what] ?? 0);
    this.totals = totals;
    return { stats, moved };
  }

  close(): void {
    this.closed.abort();
    leave(this.session);
  }

  private newestFrame(): FrameSource | undefined {
    const video = this.session.pc.getReceivers().find((r) => r.track.kind === 'video');
    return video?.getSynchronizationSources?.()[0] as FrameSource | undefined;
  }
}
