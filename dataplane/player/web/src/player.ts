import { Backoff } from './backoff';
import { ServerClock } from './clock';
import { digest, type Entry, FrameAges, type FrameSource, type Stats, type Totals } from './stats';
import { join, leave, onLost, type Session } from './whep';

/** Where the player is. Only "playing" shows a running picture; "stalled" keeps the connection and waits for the publisher. */
export type State = 'connecting' | 'playing' | 'stalled' | 'waiting' | 'reconnecting' | 'denied' | 'unplayable' | 'unsupported' | 'stopped';

/** Everything that the page shows of the player. */
export interface Snapshot {
  state: State;
  title: string;
  detail: string;
  notice: string;
  stats: Stats | null;
  /** From the offer of the present session to its first picture, in ms. */
  firstFrameMs: number | null;
  /** How many offers were sent since the page was loaded. */
  offers: number;
  /** How many sessions showed a picture. */
  sessions: number;
}

const disconnectedPatience = 4_000;
const firstFramePatience = 10_000;
const stallAfter = 2_500;
const statsEvery = 1_000;
const unplayableRetry = 30_000;

/** Player keeps one play URL playing in a video element: it waits for the stream, joins it, and comes back when it is lost. */
export class Player {
  private session: Session | null = null;
  private round: AbortController | null = null;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private poll: ReturnType<typeof setInterval> | undefined;
  private totals: Totals | undefined;
  private clock = new ServerClock();
  private ages = new FrameAges();
  private lastProgress = 0;
  private readonly backoff = new Backoff({ first: 800, most: 10_000, factor: 1.6 });
  private snapshot: Snapshot = {
    state: 'connecting',
    title: '',
    detail: '',
    notice: '',
    stats: null,
    firstFrameMs: null,
    offers: 0,
    sessions: 0,
  };

  constructor(
    private readonly url: string,
    private readonly video: HTMLVideoElement,
    private readonly changed: (snapshot: Readonly<Snapshot>) => void,
  ) {}

  get current(): Readonly<Snapshot> {
    return this.snapshot;
  }

  /** Joins at once, whatever the player was doing. */
  start(): void {
    if (typeof RTCPeerConnection === 'undefined') {
      this.show({ state: 'unsupported', title: 'This browser cannot play live video', detail: 'It has no WebRTC, or WebRTC is switched off.' });
      return;
    }
    this.drop();
    const round = new AbortController();
    this.round = round;
    void this.connect(round);
  }

  /** Ends the session and stays still until start is called. */
  stop(): void {
    this.drop();
    this.show({ state: 'stopped', title: '', detail: '', stats: null });
  }

  /** Cuts a wait short, for instance because the network is back. */
  hurry(): void {
    const { state } = this.snapshot;
    if (this.retry !== undefined && (state === 'waiting' || state === 'reconnecting' || state === 'unplayable')) this.start();
  }

  private async connect(round: AbortController): Promise<void> {
    const again = this.snapshot.sessions > 0;
    // While the stream is awaited the page stays calm: no flicker between "not live yet" and "connecting".
    if (this.snapshot.state !== 'waiting' && this.snapshot.state !== 'unplayable')
      this.show({ state: again ? 'reconnecting' : 'connecting', title: again ? 'Reconnecting' : 'Connecting', detail: '' });
    this.show({ offers: this.snapshot.offers + 1 });
    try {
      const { session, outcome } = await join(this.url, round.signal);
      if (round.signal.aborted) {
        if (session) leave(session);
        return;
      }
      if (session) {
        this.play(session, round);
        return;
      }
      switch (outcome.kind) {
        case 'waiting':
          this.show({ state: 'waiting', ...this.words(outcome) });
          this.later(this.backoff.next(outcome.retryAfter));
          return;
        case 'denied':
          this.show({ state: 'denied', title: outcome.title, detail: outcome.detail });
          return;
        case 'unplayable':
          this.show({ state: 'unplayable', title: outcome.title, detail: outcome.detail });
          this.later(this.backoff.next(unplayableRetry));
      }
    } catch (error) {
      if (round.signal.aborted) return;
      console.warn('Join failed', error);
      this.lost('The server cannot be reached. Trying again.');
    }
  }

  /** To a viewer who has seen the stream, "not live yet" is "ended". */
  private words({ title, detail, offline }: { title: string; detail: string; offline: boolean }): { title: string; detail: string } {
    if (!offline || this.snapshot.sessions === 0) return { title, detail };
    return { title: 'The stream has ended', detail: 'It goes on here when the publisher is back.' };
  }

  private play(session: Session, round: AbortController): void {
    this.session = session;
    this.totals = undefined;
    this.clock = new ServerClock();
    this.ages = new FrameAges();
    this.lastProgress = performance.now();
    this.show({ notice: session.notice, firstFrameMs: null, stats: null });

    onLost(session, disconnectedPatience, (why) => {
      if (round.signal.aborted) return;
      console.info('Connection lost', why);
      this.lost(why === 'ended' ? 'The stream has stopped.' : 'The connection was lost.');
    });
    this.video.srcObject = session.stream;
    this.watchFrames(session);
    this.poll = setInterval(() => void this.measure(session), statsEvery);
  }

  private watchFrames(session: Session): void {
    const onFrame = () => {
      if (this.session !== session) return;
      this.ages.add(newestFrame(session));
      this.progress(session);
      this.video.requestVideoFrameCallback(onFrame);
    };
    // Browsers without the callback are served by the decoded frames of the statistics, a second later.
    if ('requestVideoFrameCallback' in this.video) this.video.requestVideoFrameCallback(onFrame);
  }

  private async measure(session: Session): Promise<void> {
    const report = await session.pc.getStats();
    if (this.session !== session) return;
    const entries: Entry[] = [];
    report.forEach((entry: Entry) => entries.push(entry));
    this.ages.add(newestFrame(session));
    const { stats, totals } = digest(entries, this.totals, Date.now(), this.clock, this.ages.take());
    // Frame callbacks do not come while the page is hidden or the stream has no picture; the totals grow all the same.
    const moved = session.picture ? totals.decoded > (this.totals?.decoded ?? 0) : totals.received > (this.totals?.received ?? 0);
    this.totals = totals;
    this.show({ stats });
    if (moved) this.progress(session);

    const quiet = performance.now() - this.lastProgress;
    if (this.snapshot.firstFrameMs === null) {
      if (quiet > firstFramePatience) this.lost('No picture came. Trying again.');
    } else if (this.snapshot.state === 'playing' && quiet > stallAfter)
      this.show({ state: 'stalled', title: 'The publisher is away', detail: 'The picture goes on when it is back.' });
  }

  private progress(session: Session): void {
    this.lastProgress = performance.now();
    if (this.snapshot.firstFrameMs === null)
      this.show({ firstFrameMs: this.lastProgress - session.offeredAt, sessions: this.snapshot.sessions + 1 });
    if (this.snapshot.state === 'playing') return;
    this.backoff.reset();
    this.show({ state: 'playing', title: '', detail: '' });
  }

  private lost(detail: string): void {
    this.drop();
    this.show({ state: 'reconnecting', title: 'Reconnecting', detail, stats: null });
    this.later(this.backoff.next());
  }

  private later(ms: number): void {
    clearTimeout(this.retry);
    this.retry = setTimeout(() => this.start(), ms);
  }

  private drop(): void {
    clearTimeout(this.retry);
    this.retry = undefined;
    clearInterval(this.poll);
    this.round?.abort();
    this.round = null;
    if (this.session) leave(this.session);
    // The last picture stays until the next one comes, unless there is no next one.
    this.session = null;
  }

  private show(change: Partial<Snapshot>): void {
    this.snapshot = { ...this.snapshot, ...change };
    this.changed(this.snapshot);
  }
}

function newestFrame(session: Session): FrameSource | undefined {
  const video = session.pc.getReceivers().find((r) => r.track.kind === 'video');
  return video?.getSynchronizationSources?.()[0] as FrameSource | undefined;
}
