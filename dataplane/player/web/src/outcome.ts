/** What an answer to the WHEP offer means for the viewer. */
export type Outcome =
  | { kind: 'playing' }
  | { kind: 'waiting'; title: string; detail: string; retryAfter: number; offline: boolean }
  | { kind: 'denied'; title: string; detail: string }
  | { kind: 'unplayable'; title: string; detail: string };

/** The error body of the server: every field may be missing. */
export interface ErrorBody {
  code?: number;
  reason?: string;
  message?: string;
}

const longestRetryAfter = 60_000;
const longestText = 500;

/** Reads a Retry-After header (RFC 9110, section 10.2.3: seconds or a date) as milliseconds from now; 0 when absent or unusable. */
export function retryAfter(header: string | null, now: number): number {
  if (!header) return 0;
  const text = header.trim();
  // Date.parse takes "-3" for the year 2001; a date of HTTP begins with the day's name.
  const date = /^[A-Z][a-z]+, /.test(text) ? Date.parse(text) - now : Number.NaN;
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : date;
  return Number.isFinite(ms) ? Math.min(Math.max(ms, 0), longestRetryAfter) : 0;
}

/** Reads the body of an error: JSON when it is JSON, else its first line; never longer than a viewer would read. */
export function errorBody(contentType: string | null, text: string): ErrorBody {
  if (/\bjson\b/i.test(contentType ?? '')) {
    try {
      const value: unknown = JSON.parse(text);
      if (typeof value === 'object' && value !== null) {
        const body = value as Record<string, unknown>;
        return {
          code: typeof body.code === 'number' ? body.code : undefined,
          reason: typeof body.reason === 'string' ? body.reason.slice(0, longestText) : undefined,
          message: typeof body.message === 'string' ? body.message.slice(0, longestText) : undefined,
        };
      }
    } catch {
      // A proxy in between may label its own page as JSON: the status still says what happened.
    }
    return {};
  }
  if (/\btext\/plain\b/i.test(contentType ?? '')) {
    return { message: text.split('\n', 1)[0]?.trim().slice(0, longestText) };
  }
  return {};
}

/** Judges a response by its status; the body's message, when there is one, is shown as the detail. */
export function judge(status: number, body: ErrorBody, wait: number): Outcome {
  const detail = body.message ?? '';
  switch (status) {
    case 200:
    case 201:
      return { kind: 'playing' };
    case 401:
    case 403:
      return {
        kind: 'denied',
        title: 'This link has expired or is not allowed',
        detail: detail || 'Ask whoever sent it to you for a new one.',
      };
    case 404:
    case 409:
      return { kind: 'waiting', title: 'The stream is not live yet', detail: detail || 'It starts here by itself.', retryAfter: wait, offline: true };
    case 408:
    case 429:
    case 500:
    case 502:
    case 503:
    case 504:
      return { kind: 'waiting', title: 'The server is busy', detail: detail || 'Trying again shortly.', retryAfter: wait, offline: false };
    default:
      return {
        kind: 'unplayable',
        title: 'This stream cannot be played here',
        detail: detail || `The server answered with status ${status}.`,
      };
  }
}
