import type { Snapshot } from './player';
import { hasSound, type Stats } from './stats';

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
  const all: [string, string][] = [
    ['Protocol', snapshot.protocol],
    ['Latency', ms(s.latencyMs)],
    ['Buffer', ms(s.bufferMs)],
    ['First picture', ms(snapshot.firstFrameMs)],
    ['Resolution', size],
    ['Frame rate', s.fps === undefined ? '–' : `${s.fps.toFixed(1)} fps`],
    ['Dropped frames', String(s.framesDropped)],
    ['Video', s.video || '–'],
    ['Audio', (hasSound(s) && s.audio) || '–'],
    ['Transport', s.transport || '–'],
  ];
  if (snapshot.protocol !== 'RTS') return all;
  return [
    ...all,
    ['Round trip', ms(s.roundTripMs)],
    ['Bit rate', bitrate(s.bitrateKbps)],
    ['Loss', `${loss} (${s.packetsLost})`],
    ['Asked again', `${s.nacks} (${s.retransmitted} came)`],
    ['Freezes', `${s.freezes} (${ms(s.frozenMs)})`],
    ['Key frames', `${s.keyFrames} (${s.keyFrameRequests} asked)`],
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
