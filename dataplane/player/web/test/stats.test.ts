import { describe, expect, it } from 'vitest';
import { ServerClock, unixMillis } from '../src/clock';
import { digest, type Entry, FrameAges } from '../src/stats';

const now = Date.UTC(2026, 0, 2, 3, 4, 5);
const ntp = (unix: number) => unix + 2_208_988_800_000;

function report(change: Partial<Entry> = {}, audio: Partial<Entry> = {}): Entry[] {
  return [
    {
      id: 'V', type: 'inbound-rtp', kind: 'video', timestamp: now, transportId: 'T', codecId: 'C', frameWidth: 1280, frameHeight: 720,
      bytesReceived: 1_000_000, packetsReceived: 900, packetsLost: 0, framesDecoded: 100, jitterBufferDelay: 2, jitterBufferEmittedCount: 100,
      freezeCount: 0, ...change,
    },
    { id: 'A', type: 'inbound-rtp', kind: 'audio', timestamp: now, transportId: 'T', bytesReceived: 0, packetsReceived: 100, packetsLost: 0, ...audio },
    { id: 'C', type: 'codec', timestamp: now, mimeType: 'video/H264' },
    { id: 'T', type: 'transport', timestamp: now, selectedCandidatePairId: 'P', srtpCipher: 'AEAD_AES_128_GCM' },
    { id: 'P', type: 'candidate-pair', timestamp: now, localCandidateId: 'L', remoteCandidateId: 'R', currentRoundTripTime: 0.02 },
    { id: 'L', type: 'local-candidate', timestamp: now, protocol: 'udp', candidateType: 'prflx' },
    { id: 'R', type: 'remote-candidate', timestamp: now, candidateType: 'host' },
  ];
}

describe('digest', () => {
  it('has no rates at first, then those of the time between', () => {
    const clock = new ServerClock();
    const first = digest(report(), undefined, now, clock);
    expect(first.stats.fps).toBeUndefined();
    expect(first.stats).toMatchObject({ width: 1280, height: 720, video: 'H264', transport: 'UDP host', cipher: 'AEAD_AES_128_GCM', roundTripMs: 20 });

    const second = report({
      bytesReceived: 1_500_000, packetsReceived: 1290, packetsLost: 10, framesDecoded: 150, jitterBufferDelay: 3, jitterBufferEmittedCount: 150,
    });
    const { stats } = digest(second, first.totals, now + 2000, clock);
    expect(stats.fps).toBe(25);
    expect(stats.bitrateKbps).toBe(2000);
    expect(stats.lossPercent).toBeCloseTo(2.5);
    expect(stats.bufferMs).toBeCloseTo(20);
  });

  it('takes latency from the playout time, whichever epoch the browser counts from', () => {
    for (const estimatedPlayoutTimestamp of [now - 120, ntp(now - 120)]) {
      const { stats } = digest(report({ estimatedPlayoutTimestamp }), undefined, now, new ServerClock());
      expect(stats.latencyMs).toBe(120);
    }
  });

  it('corrects the clock of a viewer that is an hour behind', () => {
    const viewer = now - 3_600_000;
    const entries = report({ estimatedPlayoutTimestamp: ntp(now - 120) });
    const sender: Entry = { id: 'S', type: 'remote-outbound-rtp', kind: 'video', timestamp: viewer, remoteTimestamp: now - 10 };
    expect(digest(entries, undefined, viewer, new ServerClock()).stats.latencyMs).toBeUndefined();
    expect(digest([...entries, sender], undefined, viewer, new ServerClock()).stats.latencyMs).toBe(120);
  });

  it('prefers what frames tell of their age', () => {
    const entries = report({ estimatedPlayoutTimestamp: ntp(now - 120) });
    expect(digest(entries, undefined, now, new ServerClock(), 80).stats.latencyMs).toBe(80);
  });

  it('survives an empty report', () => {
    const { stats } = digest([], undefined, now, new ServerClock());
    expect(stats).toMatchObject({ packetsLost: 0, framesDecoded: 0, video: '', transport: '' });
  });
});

describe('ServerClock', () => {
  it('believes the report that met the least queueing', () => {
    const clock = new ServerClock();
    clock.report(1000, 1080, 0);
    clock.report(2000, 2010, 0);
    clock.report(3000, 3055, 0);
    expect(clock.ahead).toBe(-10);
  });

  it('forgets old reports', () => {
    const clock = new ServerClock(2);
    clock.report(1000, 1000, 0);
    clock.report(2000, 2040, 0);
    clock.report(3000, 3050, 0);
    expect(clock.ahead).toBe(-40);
  });
});

it('unixMillis tells the epochs apart', () => {
  expect(unixMillis(ntp(now))).toBe(now);
  expect(unixMillis(now)).toBe(now);
});

describe('FrameAges', () => {
  it('is the mean of each frame once, since the last look', () => {
    const ages = new FrameAges();
    expect(ages.take()).toBeUndefined();
    ages.add({ timestamp: now + 10, rtpTimestamp: 1, captureTimestamp: ntp(now) });
    ages.add({ timestamp: now + 10, rtpTimestamp: 1, captureTimestamp: ntp(now) });
    ages.add({ timestamp: now + 50, rtpTimestamp: 2, captureTimestamp: ntp(now + 10) });
    expect(ages.take()).toBe(25);
    expect(ages.take()).toBeUndefined();
  });

  it('does without frames that do not tell', () => {
    const ages = new FrameAges();
    ages.add(undefined);
    ages.add({ timestamp: now, rtpTimestamp: 1 });
    expect(ages.take()).toBeUndefined();
  });
});
