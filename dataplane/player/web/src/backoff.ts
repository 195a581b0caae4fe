/** Limits of a back-off, in milliseconds. */
export interface BackoffLimits {
  first: number;
  most: number;
  factor: number;
}

/**
 * Backoff tells how long to wait before the next try. Each wait is drawn at random from the upper half of a window that grows with every
 * try, so that viewers who lost the stream at the same moment do not come back at the same moment.
 */
export class Backoff {
  private tries = 0;

  constructor(
    private readonly limits: BackoffLimits,
    private readonly random: () => number = Math.random,
  ) {}

  /** The number of waits handed out since the last reset. */
  get attempts(): number {
    return this.tries;
  }

  /** The next wait in milliseconds, never shorter than the server asked for. */
  next(atLeast = 0): number {
    const { first, most, factor } = this.limits;
    const window = Math.min(most, first * factor ** this.tries);
    this.tries++;
    const wait = window * (0.5 + this.random() / 2);
    // The server's wish is spread as well: everyone got the same number from it.
    return Math.round(Math.max(wait, atLeast * (1 + this.random() / 4)));
  }

  reset(): void {
    this.tries = 0;
  }
}
