import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { pictures, watchPictures } from './pictures.mjs';

// The unmodified files of the npm packages, by the version that the SDK says of itself.
const files = {
  '2.0.0': 'aliyun-rts-sdk-2.0.0/dist/aliyun-rts-sdk.js',
  '2.2.7': 'aliyun-rts-sdk-2.2.7/dist/aliyun-rts-sdk.js',
  '2.7.2': 'aliyun-aliplayer/build/rts/aliyun-rts-sdk.js',
};

/**
 * Opens a page of another origin, as sites have, with an official SDK and as many video elements as are asked for.
 *
 * step: { version, page: "http" | "https", senses }; report is what the page can call. Gives { page, posts }: posts are the answers to offers so far.
 */
export async function sdkPage(browser, step, say, videos, report) {
  const file = files[step.version];
  if (!file) throw new Error(`no SDK ${step.version}; there are ${Object.keys(files).join(', ')}`);
  const source = readFileSync(new URL(`./node_modules/${file}`, import.meta.url));
  const origin = `${step.page}://player.page.test`;
  const html = `<!doctype html><meta charset="utf-8"><title>SDK</title>${'<video muted autoplay playsinline></video>'.repeat(videos)}<script src="/sdk.js"></script>`;

  // Many pages are drawn by the CPU that everything else runs on: a small window costs least.
  const page = await browser.newPage({ width: 320, height: 180 });
  const posts = [];
  try {
    await page.route(`${origin}/**`, (route) => {
      const { pathname } = new URL(route.request().url());
      if (pathname === '/sdk.js') return route.fulfill({ contentType: 'text/javascript', body: source });
      return route.fulfill({ contentType: 'text/html', body: html });
    });
    page.on('response', (response) => {
      if (response.request().method() !== 'POST') return;
      posts.push({ at: Date.now(), status: response.status() });
      say('post', { status: response.status() });
    });
    page.on('pageerror', (error) => say('pageerror', { message: error.message }));
    await page.exposeFunction('report', report);
    if (step.senses) await page.addInitScript({ path: fileURLToPath(new URL('./senses.js', import.meta.url)) });
    await page.goto(`${origin}/`);
  } catch (error) {
    await page.close().catch(() => {});
    throw error;
  }
  return { page, posts };
}

/**
 * Plays an artc:// URL with an official SDK, on a page of another origin, as sites do.
 *
 * step: { version, url, page: "http" | "https", watchSeconds, waitEnded, limitSeconds, settleSeconds, senses, calibrate }
 * Lines: "sdk" for each event of the SDK, "playing" when frames are decoded.
 * Result: { playing, ended, error, width, height, framesDecoded, firstFrameMs, sdkVersion, posts, gaps, worstGapMs, sinceLastMs, senses }
 * senses adds what senses.js sees and hears, and calibrate how late it does by itself; they need a page of https.
 * enough ends the watching early.
 */
export async function runSDK(browser, step, say, signal, enough) {
  let events = 0;
  const seen = { ended: 0, error: null };
  const { page, posts } = await sdkPage(browser, step, say, 1, (event) => {
    events++;
    say('sdk', event);
    if (event.name === 'onPlayEvent' && event.play === 'ended') seen.ended ||= event.at;
    if ((event.name === 'onError' || event.name === 'rejected') && !seen.error) seen.error = event;
  });
  try {
    const picture = async () => (await page.evaluate(pictures))[0];
    await page.evaluate(watchPictures);
    const sdkVersion = await page.evaluate(start, step.url);

    const until = Date.now() + (step.limitSeconds ?? 20) * 1000;
    const wait = async (done) => {
      while (!signal.aborted && Date.now() < until) {
        if (await done()) return true;
        await sleep(25);
      }
      return false;
    };
    const playing = await wait(async () => (await picture()).playing || (step.stopOnError !== false && seen.error));
    let view = await picture();
    const result = { sdkVersion, playing: view.playing, ended: 0, error: null, posts, firstFrameMs: view.firstFrameMs };
    if (playing && result.playing) {
      say('playing', view);
      await sleep((step.watchSeconds ?? 2) * 1000, undefined, { signal: AbortSignal.any([signal, enough]) }).catch(() => {});
      view = await picture();
      say('watched', view);
      if (step.waitEnded) await wait(() => seen.ended > 0);
    } else if (step.settleSeconds) {
      await sleep(step.settleSeconds * 1000, undefined, { signal }).catch(() => {});
    }
    const senses = step.senses ? await page.evaluate('window.senses.result()') : null;
    if (step.calibrate) Object.assign(senses, await page.evaluate('window.senses.own()'));
    return { ...result, ...view, senses, ended: seen.ended, error: seen.error, events };
  } finally {
    await page.close().catch(() => {});
  }
}

// This runs in the page.

async function start(url) {
  const { AliRTS } = window;
  const client = AliRTS.createClient();
  const video = document.querySelector('video');
  const plain = (value) => {
    const { errorCode, message, traceId, status } = value ?? {};
    return { errorCode, message: message === undefined ? undefined : String(message).slice(0, 300), traceId, status };
  };
  client.on('onError', (error) => window.report({ name: 'onError', at: Date.now(), ...plain(error) }));
  client.on('connectStatusChange', (event) => window.report({ name: 'connectStatusChange', at: Date.now(), status: event?.status }));
  client.on('onPlayEvent', (event) => {
    if (event.event === 'media') return;
    window.report({ name: 'onPlayEvent', at: Date.now(), play: event.event });
  });
  client
    .isSupport({ isReceiveVideo: true })
    .then(() => {
      window.views[0].startedAt = performance.now();
      return client.subscribe(url);
    })
    .then((stream) => {
      window.report({ name: 'subscribed', at: Date.now(), traceId: stream.traceId });
      stream.play(video);
    })
    .catch((error) => window.report({ name: 'rejected', at: Date.now(), ...plain(error) }));
  return client.getVersion ? client.getVersion() : '';
}
