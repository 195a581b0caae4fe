import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { distribution } from './figures.mjs';

const probe = readFileSync(new URL('./probe.js', import.meta.url), 'utf8');

/**
 * Joins a stream again and again at random times with the player page, and measures each join from outside of the player.
 *
 * step: { url, joins, warm, concurrent, gapSeconds: [least, most], earlySeconds, lateSeconds, spanSeconds, settleSeconds, limitSeconds, allFrames }
 * Latency is read from the barcode of the pictures in two spans, around earlySeconds and around lateSeconds after the offer. The decode
 * rate and freezes are those from settleSeconds after the offer to the end of the late span. allFrames reads every frame instead.
 * warm: first of all one join that is told apart, since the processes, caches and codecs of a browser come up with its first page.
 * Lines: "warm" for that, "join" for each join. Result: { warm, joins: [...] }, joins in the order of their beginning.
 */
export async function runJoin(browser, step, say, signal) {
  const { joins = 1, concurrent = 1, gapSeconds = [0.2, 1.5] } = step;
  const results = new Array(joins);
  const running = new Set();
  let warm = null;
  if (step.warm) {
    const { samples, ...short } = await joinOnce(browser, { ...step, lateSeconds: (step.earlySeconds ?? 2) + 2 }, signal);
    warm = short;
    say('warm', short);
  }
  for (let i = 0; i < joins && !signal.aborted; i++) {
    if (i > 0) await sleep((gapSeconds[0] + Math.random() * (gapSeconds[1] - gapSeconds[0])) * 1000);
    while (running.size >= concurrent) await Promise.race(running);
    const task = joinOnce(browser, step, signal)
      .catch((error) => ({ error: String(error?.message ?? error) }))
      .then((result) => {
        results[i] = result;
        running.delete(task);
        const { samples, ...short } = result;
        say('join', { join: i, ...short });
      });
    running.add(task);
  }
  await Promise.all(running);
  return { warm, joins: results };
}

async function joinOnce(browser, step, signal) {
  const { earlySeconds = 2, lateSeconds = 30, spanSeconds = 1, settleSeconds = 1, limitSeconds = 15, allFrames = false } = step;
  const spans = [earlySeconds, lateSeconds].map((middle) => [middle - spanSeconds / 2, middle + spanSeconds / 2]);
  const page = await browser.newPage(step.viewport ?? { width: 320, height: 180 });
  try {
    await page.addInitScript(`window.probeLoopMs = ${step.loopMs ?? 0};\nwindow.probeWindows = ${allFrames ? 'null' : JSON.stringify(spans)};\n${probe}`);
    await page.goto(step.url);
    try {
      await page.waitForFunction(() => window.probe.firstCalledMs !== null, undefined, {
        timeout: limitSeconds * 1000,
        polling: 50,
      });
    } catch {
      const state = await page.evaluate(() => ({ state: window.millrace.state, title: window.millrace.title, detail: window.millrace.detail }));
      return { error: `no picture within ${limitSeconds} s: ${JSON.stringify(state)}` };
    }
    // Sleeping is done here, not in the page, and the page's own clock says how much of it has passed.
    const at = async (seconds) => {
      const elapsed = await page.evaluate(() => (performance.now() - window.probe.offeredAt) / 1000);
      await sleep(Math.max(0, seconds - elapsed) * 1000, undefined, { signal }).catch(() => {});
      return page.evaluate(async () => {
        const v = await window.probe.inbound();
        const elapsed = performance.now() - window.probe.offeredAt;
        return { ...v, elapsed };
      });
    };
    const settled = await at(settleSeconds);
    const end = await at(spans[1][1]);
    const seen = await page.evaluate(() => {
      const { pcs, inbound, readBarcode, longestGaps, ...plain } = window.probe;
      return { ...plain, gaps: longestGaps(), player: { ...window.millrace.stats } };
    });
    const within = ([from, to]) => seen.samples.filter((s) => s.since >= from && s.since < to);
    const latency = (samples) => ({
      called: distribution(samples.map((s) => s.called)),
      presented: distribution(samples.map((s) => s.presented)),
      received: distribution(samples.map((s) => s.received)),
    });
    const early = latency(within(spans[0]));
    const late = latency(within(spans[1]));
    const result = {
      answeredMs: seen.answeredMs,
      connectedMs: seen.connectedMs,
      firstPacketMs: seen.firstPacketMs,
      firstReceivedMs: seen.firstReceivedMs,
      firstDecodeMs: seen.firstDecodeMs,
      firstPresentedMs: seen.firstPresentedMs,
      firstCalledMs: seen.firstCalledMs,
      firstAgeMs: seen.firstAgeMs,
      offers: seen.offers,
      fps: ((end.framesDecoded - settled.framesDecoded) * 1000) / (end.timestamp - settled.timestamp),
      framesDecoded: end.framesDecoded,
      framesDropped: end.framesDropped,
      freezes: end.freezeCount,
      frozenMs: (end.totalFreezesDuration ?? 0) * 1000,
      gaps: seen.gaps,
      stallMs: seen.stallMs,
      packetsLost: end.packetsLost,
      nacks: end.nackCount,
      keyFrameRequests: end.pliCount,
      unread: seen.samples.filter((s) => s.drawn === null).length,
      early,
      late,
      playerLatencyMs: seen.player.latencyMs ?? null,
      playerBufferMs: seen.player.bufferMs ?? null,
      width: end.frameWidth,
      height: end.frameHeight,
    };
    if (allFrames) result.samples = seen.samples;
    return result;
  } finally {
    await page.close().catch(() => {});
  }
}
