/** Asks for stereo Opus (RFC 7587, section 7.1), which browsers do not do by themselves. Other lines stay as they are. */
export function preferStereo(sdp: string): string {
  const payloads = new Set([...sdp.matchAll(/^a=rtpmap:(\d+) opus\/48000\/2\r?$/gim)].map((m) => m[1]));
  return sdp.replace(/^a=fmtp:(\d+) (.*?)(\r?)$/gm, (line, pt: string, params: string, end: string) =>
    payloads.has(pt) && !/\bstereo=/.test(params) ? `a=fmtp:${pt} ${params};stereo=1${end}` : line,
  );
}
