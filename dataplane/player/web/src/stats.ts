import { type ServerClock, unixMillis } from './clock';

/** One entry of a getStats report, as far as it is read here. Every field may be missing in some browser. */
export interface Entry {
  id: string;
  type: string;
  timestamp: number;
  kind?: string;
  mimeType?: string;
  codecId?: string;
  transportId?: string;
  selectedCandidatePairId?: string;
  localCandidateId?: string;
  remoteCandidateId?: string;
  protocol?: string;
  candidateType?: string;
  srtpCipher?: string;
  currentRoundTripTime?: number;
  estimatedPlayoutTimestamp?: number;
  remoteTimestamp?: number;
  jitterBufferDelay?: number;
  jitterBufferEmittedCount?: number;
  bytesReceived?: number;
  packetsReceived?: number;
  packetsLost?: number;
  framesDecoded?: number;
  framesDropped?: number;
  framesReceived?: number;
  keyFramesDecoded?: number;
  framesPerSecond?: number;
  frameWidth?: number;
  frameHeight?: number;
  freezeCount?: number;
  totalFreezesDuration?: number;
  nackCount?: number;
  pliCount?: number;
  retransmittedPacketsReceived?: number;
  concealedSamples?: number;
  totalSamplesReceived?: number;
}

/** What the overlay shows and tests read. Undefined means that the browser does not tell. */
export interface Stats {
  /** From the server's ingest to the picture on this screen, in ms. */
  latencyMs?: number;
  /** Mean time that frames of the last second waited in the jitter buffer, in ms. */
  bufferMs?: number;
  roundTripMs?: number;
  fps?: number;
  width?: number;
  height?: number;
  bitrateKbps?: number;
  /** Share of packets of the last second that did not come, in per cent. */
  lossPercent?: number;
  framesDecoded: number;
  framesDropped: number;
  video: string;
  audio: string;
  transport: string;
  // Of RTS alone.
  packetsLost?: number;
  nacks?: number;
  retransmitted?: number;
  keyFrameRequests?: number;
  keyFrames?: number;
  freezes?: number;
  frozenMs?: number;
  audioConcealedPercent?: number;
  /** Packets of sound; a stream without sound may have a few. */
  audioPackets?: number;
  cipher?: string;
}

/** Whether the stream has sound, as far as it is known. */
export function hasSound(stats: Stats | null): boolean {
  if (!stats) return false;
  // The server sends a few packets of silence where a stream has no sound.
  return stats.audioPackets === undefined ? stats.audio !== '' : stats.audioPackets > 20;
}

/** The running totals of a report, from which the next one makes rates. */
export interface Totals {
  at: number;
  bytes: number;
  received: number;
  lost: number;
  decoded: number;
  bufferDelay: number;
  bufferEmitted: number;
  concealed: number;
  samples: number;
}

/**
 * Makes the figures of one report, with rates since the report before it.
 * @param age from the server's ingest, by its clock, to the picture, by the viewer's clock, in ms; undefined when frames do not tell
 */
export function digest(
  report: Iterable<Entry>,
  before: Totals | undefined,
  now: number,
  clock: ServerClock,
  age?: number,
): { stats: Stats; totals: Totals } {
  const byId = new Map<string, Entry>();
  for (const entry of report) byId.set(entry.id, entry);
  const all = [...byId.values()];
  const inbound = (kind: string) => all.find((e) => e.type === 'inbound-rtp' && e.kind === kind);
  const get = (id: string | undefined) => (id === undefined ? undefined : byId.get(id));

  const video = inbound('video');
  const audio = inbound('audio');
  const transport = get(video?.transportId ?? audio?.transportId);
  const pair = get(transport?.selectedCandidatePairId);
  const remote = get(pair?.remoteCandidateId);
  const local = get(pair?.localCandidateId);
  const roundTrip = pair?.currentRoundTripTime === undefined ? undefined : pair.currentRoundTripTime * 1000;

  for (const sender of all) {
    if (sender.type === 'remote-outbound-rtp' && sender.kind === 'video' && sender.remoteTimestamp)
      clock.report(unixMillis(sender.remoteTimestamp), sender.timestamp, roundTrip ?? 0);
  }

  const sum = (field: 'bytesReceived' | 'packetsReceived' | 'packetsLost') => (video?.[field] ?? 0) + (audio?.[field] ?? 0);
  const totals: Totals = {
    at: now,
    bytes: sum('bytesReceived'),
    received: sum('packetsReceived'),
    lost: sum('packetsLost'),
    decoded: video?.framesDecoded ?? 0,
    bufferDelay: video?.jitterBufferDelay ?? 0,
    bufferEmitted: video?.jitterBufferEmittedCount ?? 0,
    concealed: audio?.concealedSamples ?? 0,
    samples: audio?.totalSamplesReceived ?? 0,
  };
  const since = before && before.at < now ? before : undefined;
  const seconds = since ? (now - since.at) / 1000 : 0;
  const rate = (field: keyof Totals) => (since ? Math.max(0, totals[field] - since[field]) / seconds : undefined);
  const share = (part: keyof Totals, whole: keyof Totals, alsoPart: boolean) => {
    if (!since) return undefined;
    const p = Math.max(0, totals[part] - since[part]);
    const w = totals[whole] - since[whole] + (alsoPart ? p : 0);
    return w > 0 ? p / w : undefined;
  };
  const percent = (value: number | undefined) => (value === undefined ? undefined : value * 100);
  const wait = share('bufferDelay', 'bufferEmitted', false);
  const bytes = rate('bytes');

  const stats: Stats = {
    latencyMs: latency(video, now, clock, age),
    bufferMs: wait === undefined ? undefined : wait * 1000,
    roundTripMs: roundTrip,
    fps: rate('decoded'),
    width: video?.frameWidth,
    height: video?.frameHeight,
    bitrateKbps: bytes === undefined ? undefined : (bytes * 8) / 1000,
    lossPercent: percent(share('lost', 'received', true)),
    packetsLost: totals.lost,
    nacks: video?.nackCount ?? 0,
    retransmitted: video?.retransmittedPacketsReceived ?? 0,
    keyFrameRequests: video?.pliCount ?? 0,
    framesDecoded: totals.decoded,
    framesDropped: video?.framesDropped ?? 0,
    keyFrames: video?.keyFramesDecoded ?? 0,
    freezes: video?.freezeCount ?? 0,
    frozenMs: (video?.totalFreezesDuration ?? 0) * 1000,
    audioConcealedPercent: percent(share('concealed', 'samples', false)),
    audioPackets: audio?.packetsReceived ?? 0,
    video: codecName(get(video?.codecId)),
    audio: codecName(get(audio?.codecId)),
    transport: [local?.protocol?.toUpperCase(), remote?.candidateType].filter(Boolean).join(' '),
    cipher: transport?.srtpCipher ?? '',
  };
  return { stats, totals };
}

/**
 * From the server's ingest to the picture here. Frames tell it themselves where the browser passes abs-capture-time on; else the playout time of
 * the picture does, which browsers derive from sender reports when the stream has sound. The time at the server's end is by its clock, so the
 * viewer's is corrected to it.
 */
function latency(video: Entry | undefined, now: number, clock: ServerClock, age: number | undefined): number | undefined {
  const played = video?.estimatedPlayoutTimestamp;
  const raw = age ?? (played ? now - unixMillis(played) : undefined);
  if (raw === undefined) return undefined;
  const ms = raw + (clock.ahead ?? 0);
  // A clock that is hours off and no sender report to correct it: nothing is better than nonsense.
  return ms > -1000 && ms < 60_000 ? Math.max(0, ms) : undefined;
}

/** A frame's source as RTCRtpReceiver.getSynchronizationSources tells it. Browsers without abs-capture-time leave captureTimestamp out. */
export interface FrameSource {
  timestamp: number;
  rtpTimestamp: number;
  captureTimestamp?: number;
}

/** FrameAges collects how old frames were when they were shown, and gives their mean. */
export class FrameAges {
  private sum = 0;
  private count = 0;
  private last: number | undefined;

  add(source: FrameSource | undefined): void {
    if (!source?.captureTimestamp || source.rtpTimestamp === this.last) return;
    this.last = source.rtpTimestamp;
    this.sum += source.timestamp - unixMillis(source.captureTimestamp);
    this.count++;
  }

  /** The mean since the last call, in ms; undefined when no frame told its age. */
  take(): number | undefined {
    const mean = this.count ? this.sum / this.count : undefined;
    this.sum = this.count = 0;
    return mean;
  }
}

function codecName(codec: Entry | undefined): string {
  return codec?.mimeType?.replace(/^(video|audio)\//i, '') ?? '';
}
