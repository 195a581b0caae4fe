import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { distribution } from './figures.mjs';

const read = (path) => readFileSync(new URL(path, import.meta.url), 'utf8');
const probe = read('./probe.js');

// The unmodified files of the npm packages, and how a page that wants little delay sets them. Both begin muted, as browsers ask.
const players = {
  'mpegts.js': { file: 'mpegts.js/dist/mpegts.js', start: startMpegts },
  'hls.js': { file: 'hls.js/dist/hls.js', start: startHls },
};

const html = '<!doctype html><meta charset="utf-8"><title>Standard play</title><video muted autoplay playsinline></video><script src="/player.js"></script>';

/**
 * Plays a URL of a standard play domain with mpegts.js or hls.js, on a blank page of another origin, as sites do, again and again.
 *
 * step: { player, url, page: "http" | "https", joins, gapSeconds: [least, most], watchSeconds, waitEnded, limitSeconds, allFrames, viewport }
 * Lines: "playing" at the first picture of each, "watched" after watchSeconds, "player" for what a player complains about, "join" at its end.
 * Result: { plays: [...] }, see play below. enough ends the watching early.
 */
export async function runStandard(browser, step, say, signal, enough) {
  const player = players[step.player];
  if (!player) throw new Error(`no player ${step.player}; there are ${Object.keys(players).join(', ')}`);
  const { joins = 1, gapSeconds = [0.2, 1.5] } = step;
  const plays = [];
  for (let i = 0; i < joins && !signal.aborted; i++) {
    if (i > 0) await sleep((gapSeconds[0] + Math.random() * (gapSeconds[1] - gapSeconds[0])) * 1000);
    const one = await play(browser, step, player, say, AbortSignal.any([signal, enough]));
    plays.push(one);
    const { samples, ...short } = one;
    say('join', { join: i, ...short });
  }
  return { plays };
}

/**
 * One page from the player's load() on. Times are in ms from there. ended: the video element has played to the end of the stream; complete: the
 * player has said that nothing more will come; lastDrawn: with waitEnded, the time code of the last picture that it has, ms since 1970.
 */
async function play(browser, step, player, say, stop) {
  const { page: scheme = 'http', watchSeconds = 2, limitSeconds = 20, allFrames = false } = step;
  const origin = `${scheme}://player.page.test`;
  const source = read(`./node_modules/${player.file}`);
  const page = await browser.newPage(step.viewport ?? { width: 320, height: 180 });
  try {
    await page.route(`${origin}/**`, (route) => {
      const { pathname } = new URL(route.request().url());
      if (pathname === '/player.js') return route.fulfill({ contentType: 'text/javascript', body: source });
      return route.fulfill({ contentType: 'text/html', body: html });
    });
    page.on('pageerror', (error) => say('pageerror', { message: error.message }));
    await page.exposeFunction('report', (problem) => say('player', { message: problem }));
    // Without allFrames the time code of the first picture is read, and of the last.
    await page.addInitScript(`window.probeWindows = ${allFrames ? 'null' : '[]'};\n${probe}`);
    await page.goto(`${origin}/`);
    // From here on no request goes through the driver: that would take time.
    await page.unrouteAll();
    await page.evaluate(player.start, step.url);

    const wait = (condition) =>
      page.waitForFunction(condition, undefined, { timeout: limitSeconds * 1000, polling: 50 }).then(
        () => true,
        () => false,
      );
    await wait(() => window.probe.firstCalledMs !== null || window.standard.error);
    const playing = await page.evaluate(() => window.probe.firstCalledMs !== null);
    if (playing) {
      say('playing', await page.evaluate(() => ({ firstPresentedMs: window.probe.firstPresentedMs })));
      await sleep(watchSeconds * 1000, undefined, { signal: stop }).catch(() => {});
      say('watched');
      if (step.waitEnded) await wait(() => window.standard.complete && document.querySelector('video').ended);
    }
    const seen = await page.evaluate(look);
    return {
      ...seen,
      lastDrawn: playing && step.waitEnded ? await page.evaluate(lastPicture) : null,
      error: playing || seen.error ? seen.error : `no picture within ${limitSeconds} s`,
      age: distribution(seen.samples.map((s) => s.presented)),
      unread: seen.samples.filter((s) => s.drawn === null).length,
      samples: allFrames ? seen.samples : undefined,
    };
  } finally {
    await page.close().catch(() => {});
  }
}

// The functions below run in the page.

function startMpegts(url) {
  const { mpegts, probe } = window;
  const video = document.querySelector('video');
  window.standard = { complete: false, error: '', version: mpegts.version, waits: 0 };
  video.addEventListener('waiting', () => window.standard.waits++);
  const player = mpegts.createPlayer(
    { type: 'flv', isLive: true, url },
    {
      enableWorker: false,
      enableStashBuffer: false, // tags go on as they come
      lazyLoad: false,
      // What is older than the live edge by more than this is caught up with by playing faster.
      liveSync: true,
      liveSyncMaxLatency: 0.6,
      liveSyncTargetLatency: 0.3,
      liveSyncPlaybackRate: 1.5,
    },
  );
  player.on(mpegts.Events.LOADING_COMPLETE, () => (window.standard.complete = true));
  player.on(mpegts.Events.ERROR, (type, detail, info) => {
    const problem = `${type} ${detail} ${info?.code ?? ''} ${info?.msg ?? ''}`;
    window.standard.error ||= problem;
    window.report(problem);
  });
  player.attachMediaElement(video);
  probe.offeredAt = performance.now();
  player.load();
  video.play();
}

function startHls(url) {
  const { Hls, probe } = window;
  const video = document.querySelector('video');
  window.standard = { complete: false, error: '', version: Hls.version, waits: 0 };
  video.addEventListener('waiting', () => window.standard.waits++);
  // hls.js does not catch up unless it is told how fast it may play.
  const player = new Hls({ lowLatencyMode: true, maxLiveSyncPlaybackRate: 1.5 });
  player.on(Hls.Events.BUFFER_EOS, () => (window.standard.complete = true));
  player.on(Hls.Events.ERROR, (_, { type, details, fatal, response, error }) => {
    const problem = `${type} ${details} ${response?.code ?? ''} ${error?.message ?? ''}`;
    if (fatal) window.standard.error ||= problem;
    window.report(problem);
  });
  player.attachMedia(video);
  probe.offeredAt = performance.now();
  player.loadSource(url);
  video.play();
}

function look() {
  const { probe, standard } = window;
  const video = document.querySelector('video');
  const { totalVideoFrames = 0, droppedVideoFrames = 0 } = video.getVideoPlaybackQuality();
  return {
    ...standard,
    ended: video.ended,
    firstPresentedMs: probe.firstPresentedMs,
    firstCalledMs: probe.firstCalledMs,
    firstAgeMs: probe.firstAgeMs,
    freezes: probe.freezes,
    gaps: probe.longestGaps(),
    stallMs: probe.stallMs,
    seconds: video.currentTime,
    width: video.videoWidth,
    height: video.videoHeight,
    frames: totalVideoFrames,
    framesDropped: droppedVideoFrames,
    samples: probe.samples,
  };
}

// A machine with too much to do shows the last pictures of a stream too late to be seen, so the element is asked for the very last.
async function lastPicture() {
  const video = document.querySelector('video');
  const { buffered } = video;
  if (!buffered.length) return null;
  const sought = new Promise((resolve) => video.addEventListener('seeked', resolve, { once: true }));
  video.currentTime = buffered.end(buffered.length - 1) - 0.001;
  await sought;
  for (let i = 0; i < 2; i++) await new Promise((resolve) => requestAnimationFrame(resolve)); // now it is on the screen
  return window.probe.readBarcode(video);
}
