import type { Snapshot } from './player';
import type { Stats } from './stats';

const ms = (value: number | null | undefined) => (value === undefined || value === null ? '–' : `${Math.round(value)} ms`);

function bitrate(kbps: number | undefined): string {
  if (kbps === undefined) return '–';
  return kbps >= 1000 ? `${(kbps / 1000).toFixed(2)} Mbit/s` : `${Math.round(kbps)} kbit/s`;
}

/** The lines of the statistics overlay: a name and a value each. */
export function lines(snapshot: Snapshot): [string, string][] {
  const s: Stats | null = snapshot.stats;
  if (!s) return [['State', snapshot.state]];
  const size = s.width && s.height ? `${s.width} × ${s.height}` : '–';
  const loss = s.lossPercent === undefined ? '–' : `${s.lossPercent.toFixed(2)} %`;
  return [
    ['Latency', ms(s.latencyMs)],
    ['Buffer', ms(s.bufferMs)],
    ['Round trip', ms(s.roundTripMs)],
    ['First picture', ms(snapshot.firstFrameMs)],
    ['Resolution', size],
    ['Frame rate', s.fps === undefined ? '–' : `${s.fps.toFixed(1)} fps`],
    ['Bit rate', bitrate(s.bitrateKbps)],
    ['Loss', `${loss} (${s.packetsLost})`],
    ['Asked again', `${s.nacks} (${s.retransmitted} came)`],
    ['Freezes', `${s.freezes} (${ms(s.frozenMs)})`],
    ['Dropped frames', String(s.framesDropped)],
    ['Key frames', `${s.keyFrames} (${s.keyFrameRequests} asked)`],
    ['Video', s.video || '–'],
    ['Audio', (s.audioPackets > 20 && s.audio) || '–'],
    ['Transport', s.transport || '–'],
    ['Cipher', s.cipher || '–'],
  ];
}

/** Writes the lines into the overlay. Text goes in as text: nothing here is markup. */
export function render(into: HTMLElement, snapshot: Snapshot): void {
  const list = document.createElement('dl');
  for (const [name, value] of lines(snapshot)) {
    const term = document.createElement('dt');
    const data = document.createElement('dd');
    term.textContent = name;
    data.textContent = value;
    list.append(term, data);
  }
  into.replaceChildren(list);
}
