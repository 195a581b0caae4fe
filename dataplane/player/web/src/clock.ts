const ntpToUnix = 2_208_988_800_000;

/**
 * Turns a timestamp of getStats into milliseconds since 1970. Browsers disagree about the epoch of NTP-derived values; one that counts from 1900
 * lies more than 68 years ahead of one that counts from 1970, so the size tells them apart.
 */
export function unixMillis(timestamp: number): number {
  return timestamp > ntpToUnix ? timestamp - ntpToUnix : timestamp;
}

/**
 * ServerClock estimates how far the server's clock is ahead of the viewer's, from sender reports: the fastest report of the last ones is the one
 * that met the least queueing, and half a round trip is the rest.
 */
export class ServerClock {
  private readonly samples: number[] = [];
  private newest = 0;

  constructor(private readonly keep = 30) {}

  /**
   * Takes one sender report.
   * @param sent when the server sent it, by the server's clock (ms since 1970)
   * @param arrived when it came, by the viewer's clock (ms since 1970)
   * @param roundTrip the round-trip time in ms, 0 when unknown
   */
  report(sent: number, arrived: number, roundTrip: number): void {
    if (sent === this.newest) return;
    this.newest = sent;
    this.samples.push(sent + roundTrip / 2 - arrived);
    if (this.samples.length > this.keep) this.samples.shift();
  }

  /** The server's clock minus the viewer's in ms; undefined before the first report. */
  get ahead(): number | undefined {
    return this.samples.length ? Math.max(...this.samples) : undefined;
  }
}
