import { Backoff } from './backoff';
import { openFLV } from './flv';
import { openHLS } from './hls';
import type { Protocol, Way } from './how';
import type { Link, Loss, Opened } from './link';
import type { Outcome } from './outcome';
import { openRTS } from './rts';
import type { Stats } from './stats';

/** Where the player is. Only "playing" shows a running picture; "stalled" keeps the connection and waits for the publisher. */
export type State = 'connecting' | 'playing' | 'stalled' | 'waiting' | 'reconnecting' | 'denied' | 'unplayable' | 'unsupported' | 'stopped';

/** Everything that the page shows of the player. */
export interface Snapshot {
  state: State;
  title: string;
  detail: string;
  notice: string;
  /** By what the stream plays, or played last; empty before the first picture. */
  protocol: Protocol | '';
  stats: Stats | null;
  /** From asking for the stream to its first picture, of the present session, in ms. */
  firstFrameMs: number | null;
  /** How many times a stream was asked for since the page was loaded. */
  offers: number;
  /** How many sessions showed a picture. */
  sessions: number;
}

type Refusal = Exclude<Outcome, { kind: 'playing' }>;

const firstFramePatience = 10_000;
/** Where there is another way to play, less time is lost with one that shows nothing. */
const firstFramePatienceBeforeAnother = 5_000;
const stallAfter = 2_500;
const statsEvery = 1_000;
const unplayableRetry = 30_000;
/** A connection that has failed after this time is made again at once, for a server that drains ends it so; in ms, as is how soon. */
const steadyAfter = 5_000;
const atOnce = 100;

const open: Record<Protocol, (url: string, signal: AbortSignal) => Promise<Opened>> = { RTS: openRTS, FLV: openFLV, 'LL-HLS': openHLS };

/**
 * Player keeps a stream playing in a video element: it waits for it, plays it by the best way that works, and comes back when it is lost. Every
 * round begins with the best way.
 */
export class Player {
  private link: Link | null = null;
  private round: AbortController | null = null;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private poll: ReturnType<typeof setInterval> | undefined;
  private lastProgress = 0;
  /** The way of the present try, and why the best one did not play in this round. */
  private at = 0;
  private verdict: Refusal | null = null;
  private readonly ways: Way[];
  private readonly backoff = new Backoff({ first: 800, most: 10_000, factor: 1.6 });
  private snapshot: Snapshot = {
    state: 'connecting',
    title: '',
    detail: '',
    notice: '',
    protocol: '',
    stats: null,
    firstFrameMs: null,
    offers: 0,
    sessions: 0,
  };

  constructor(
    ways: Way[],
    private readonly video: HTMLVideoElement,
    private readonly changed: (snapshot: Readonly<Snapshot>) => void,
  ) {
    const webrtc = typeof RTCPeerConnection !== 'undefined';
    this.ways = ways.filter((way) => webrtc || way.protocol !== 'RTS');
  }

  get current(): Readonly<Snapshot> {
    return this.snapshot;
  }

  /** Joins at once by the best way, whatever the player was doing. */
  start(): void {
    if (this.ways.length === 0) {
      this.show({ state: 'unsupported', title: 'This browser cannot play live video', detail: 'It has no WebRTC, or WebRTC is switched off.' });
      return;
    }
    this.verdict = null;
    this.tryWay(0);
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

  private tryWay(at: number): void {
    this.drop();
    this.at = at;
    const round = new AbortController();
    this.round = round;
    const way = this.ways[at];
    if (way) void this.connect(way, round);
  }

  private async connect(way: Way, round: AbortController): Promise<void> {
    const again = this.snapshot.sessions > 0;
    // While the stream is awaited the page stays calm: no flicker between "not live yet" and "connecting".
    if (this.snapshot.state !== 'waiting' && this.snapshot.state !== 'unplayable')
      this.show({ state: again ? 'reconnecting' : 'connecting', title: again ? 'Reconnecting' : 'Connecting', detail: '' });
    this.show({ offers: this.snapshot.offers + 1 });
    try {
      const opened = await open[way.protocol](way.url, round.signal);
      if (round.signal.aborted) return;
      if ('kind' in opened) this.refused(opened);
      else this.play(opened, round);
    } catch (error) {
      if (round.signal.aborted) return;
      console.warn(`${way.protocol} failed`, error);
      this.failed('The server cannot be reached. Trying again.');
    }
  }

  /** The server, or the browser, says why this way does not play. */
  private refused(outcome: Refusal): void {
    // A stream that is not live is live by no way; a link that has expired is good for none. All else may be better elsewhere.
    if (outcome.kind === 'waiting' && outcome.offline) {
      this.verdict = null;
      this.drop();
      this.show({ state: 'waiting', ...this.words(outcome), stats: null });
      this.later(this.backoff.next(outcome.retryAfter));
      return;
    }
    // What the best way says is what the viewer reads when none plays.
    this.verdict ??= outcome;
    if ((outcome.kind === 'denied' && this.at === 0) || !this.another()) this.conclude(this.verdict);
  }

  /** This way brings no picture, and nobody says why. */
  private failed(detail: string): void {
    if (this.another()) return;
    if (this.verdict) this.conclude(this.verdict);
    else this.lost(detail);
  }

  /** Goes on with the next way of this round; false when there is none. */
  private another(): boolean {
    if (this.at + 1 >= this.ways.length) return false;
    console.info(`${this.ways[this.at]?.protocol} does not play, trying ${this.ways[this.at + 1]?.protocol}`);
    this.tryWay(this.at + 1);
    return true;
  }

  private conclude(outcome: Refusal): void {
    this.drop();
    this.show({ state: outcome.kind, title: outcome.title, detail: outcome.detail, stats: null });
    if (outcome.kind === 'waiting') this.later(this.backoff.next(outcome.retryAfter));
    else if (outcome.kind === 'unplayable') this.later(this.backoff.next(unplayableRetry));
  }

  /** To a viewer who has seen the stream, "not live yet" is "ended". */
  private words({ title, detail }: { title: string; detail: string }): { title: string; detail: string } {
    if (this.snapshot.sessions === 0) return { title, detail };
    return { title: 'The stream has ended', detail: 'It goes on here when the publisher is back.' };
  }

  private play(link: Link, round: AbortController): void {
    this.link = link;
    this.lastProgress = performance.now();
    this.show({ notice: link.notice, firstFrameMs: null, stats: null });
    link.attach(this.video, {
      frame: () => {
        if (this.link === link) this.progress(link);
      },
      lost: (loss) => {
        if (!round.signal.aborted) this.over(loss);
      },
    });
    this.poll = setInterval(() => void this.measure(link), statsEvery);
  }

  private over(loss: Loss): void {
    if (loss.why === 'refused') return this.refused(loss.outcome);
    console.info('Connection lost', loss.why, loss.why === 'broken' ? loss.detail : '');
    if (loss.why === 'broken' && this.snapshot.firstFrameMs === null) this.failed('The connection was lost.');
    else if (loss.why === 'ended') this.lost('The stream has stopped.');
    else {
      const steady = this.link !== null && performance.now() - this.link.askedAt > steadyAfter;
      this.lost('The connection was lost.', loss.detail === 'failed' && steady ? Math.random() * atOnce : undefined);
    }
  }

  private async measure(link: Link): Promise<void> {
    const { stats, moved } = await link.measure();
    if (this.link !== link) return;
    this.show({ stats });
    if (moved) this.progress(link);

    const quiet = performance.now() - this.lastProgress;
    if (this.snapshot.firstFrameMs === null) {
      const patience = this.at + 1 < this.ways.length ? firstFramePatienceBeforeAnother : firstFramePatience;
      if (quiet > patience) this.failed('No picture came. Trying again.');
    } else if (this.snapshot.state === 'playing' && quiet > stallAfter)
      this.show({ state: 'stalled', title: 'The publisher is away', detail: 'The picture goes on when it is back.' });
  }

  private progress(link: Link): void {
    this.lastProgress = performance.now();
    if (this.snapshot.firstFrameMs === null)
      this.show({ firstFrameMs: this.lastProgress - link.askedAt, sessions: this.snapshot.sessions + 1, protocol: link.protocol });
    if (this.snapshot.state === 'playing') return;
    this.backoff.reset();
    this.show({ state: 'playing', title: '', detail: '' });
  }

  private lost(detail: string, soon?: number): void {
    this.drop();
    this.show({ state: 'reconnecting', title: 'Reconnecting', detail, stats: null });
    this.later(soon ?? this.backoff.next());
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
    // The last picture stays until the next one comes, unless there is no next one.
    this.link?.close();
    this.link = null;
  }

  private show(change: Partial<Snapshot>): void {
    this.snapshot = { ...this.snapshot, ...change };
    this.changed(this.snapshot);
  }
}
