/** The ways to play a stream. RTS is WebRTC with a latency of well below a second, FLV and LL-HLS are by HTTP with one of about a second or two. */
export type Protocol = 'RTS' | 'FLV' | 'LL-HLS';

/** One way to play the page's stream. */
export interface Way {
  protocol: Protocol;
  /** Where: the play URL itself for RTS, that of the .flv or .m3u8 otherwise, with the signature. */
  url: string;
}

const suffixes: Record<string, { protocol: Protocol; suffix: string }> = {
  FLV: { protocol: 'FLV', suffix: '.flv' },
  HLS: { protocol: 'LL-HLS', suffix: '.m3u8' },
};

/**
 * Reads how the page may play, best first.
 * @param how as the server words it, "RTS FLV,HLS@main.example.com": any of the two parts may be missing
 * @param page the page's URL, with the signature of the stream in its query or path
 */
export function ways(how: string, page: string): Way[] {
  const out: Way[] = [];
  for (const part of how.split(' ')) {
    if (part === 'RTS') {
      out.push({ protocol: 'RTS', url: page });
      continue;
    }
    const [names = '', host = ''] = part.split('@');
    for (const name of names.split(',')) {
      const known = suffixes[name];
      if (known && host) out.push({ protocol: known.protocol, url: file(page, host, known.suffix) });
    }
  }
  return out;
}

/** The URL of a file of the stream. The signature is that of the path without suffix, and rts_degrade=on says so. */
function file(page: string, host: string, suffix: string): string {
  const url = new URL(page);
  url.hostname = host;
  url.pathname += suffix;
  const query = url.search.replace(/^\?/, '');
  if (!query.split('&').includes('rts_degrade=on')) url.search = query ? `${query}&rts_degrade=on` : 'rts_degrade=on';
  return url.href;
}
