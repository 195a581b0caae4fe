import type { Protocol } from './how';
import type { Outcome } from './outcome';
import type { Stats } from './stats';

/** Why a link is no more: it ended as streams end, it broke, or the server refused it. */
export type Loss = { why: 'ended' } | { why: 'broken'; detail: string } | { why: 'refused'; outcome: Exclude<Outcome, { kind: 'playing' }> };

/** What a link reports while it plays. */
export interface Events {
  /** A picture was shown. */
  frame(): void;
  /** The link is no more; told once. */
  lost(loss: Loss): void;
}

/** A stream that is being played by one protocol. */
export interface Link {
  readonly protocol: Protocol;
  /** What the server wants the viewer to know about the source; empty for nothing. */
  readonly notice: string;
  /** When the stream was asked for, by performance.now(). */
  readonly askedAt: number;
  /** Shows the stream in the video element. */
  attach(video: HTMLVideoElement, events: Events): void;
  /** The figures since the last call, and whether the stream moved meanwhile. */
  measure(): Promise<{ stats: Stats; moved: boolean }>;
  close(): void;
}

/** What became of asking for a stream: a link, or the reason why there is none. */
export type Opened = Link | Exclude<Outcome, { kind: 'playing' }>;

/** Calls back for each picture that the element shows, until the signal aborts. */
export function eachFrame(video: HTMLVideoElement, signal: AbortSignal, frame: () => void): void {
  // Browsers without the callback are served by the decoded frames of the statistics, a second later.
  if (!('requestVideoFrameCallback' in video)) return;
  const next = () => {
    if (signal.aborted) return;
    frame();
    video.requestVideoFrameCallback(next);
  };
  video.requestVideoFrameCallback(next);
}
