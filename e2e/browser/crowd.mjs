import { setTimeout as sleep } from 'node:timers/promises';
import { pictures, watchPictures } from './pictures.mjs';
import { sdkPage } from './sdk.mjs';

/**
 * Many clients of an official SDK in one page, each with a video element and a connection of its own: viewers that cost little beside what they
 * decode.
 *
 * step: { version, url, page: "http" | "https", clients, delaySeconds, watchSeconds, limitSeconds }
 * They ask one after the other, the first after the delay, and again when they are refused.
 * Line "playing": all have decoded frames.
 * Result: { posts, clients } with what pictures() says of each client.
 * enough ends the watching early.
 */
export async function runCrowd(browser, step, say, signal, enough) {
  await sleep((step.delaySeconds ?? 0) * 1000, undefined, { signal }).catch(() => {});
  const { page, posts } = await sdkPage(browser, step, say, step.clients, (event) => say('sdk', event));
  try {
    await page.evaluate(watchPictures);
    const started = page.evaluate(start, step.url);
    started.catch(() => {}); // pictures tell more
    const until = Date.now() + (step.limitSeconds ?? 60) * 1000;
    for (;;) {
      const clients = await page.evaluate(pictures);
      const playing = clients.filter((client) => client.playing).length;
      if (playing === step.clients) {
        say('playing', { clients: playing });
        await sleep((step.watchSeconds ?? 2) * 1000, undefined, { signal: AbortSignal.any([signal, enough]) }).catch(() => {});
        break;
      }
      if (signal.aborted || Date.now() > until) throw new Error(`${playing} of ${step.clients} clients play: ${JSON.stringify(clients).slice(0, 2000)}`);
      await sleep(100);
    }
    return { posts, clients: await page.evaluate(pictures) };
  } finally {
    await page.close().catch(() => {});
  }
}

// This runs in the page.
async function start(url) {
  for (const [i, video] of [...document.querySelectorAll('video')].entries()) {
    video.style.width = '16px';
    for (let attempt = 0; attempt < 5; attempt++) {
      const client = window.AliRTS.createClient();
      const fail = (error) => {
        window.views[i].error = { errorCode: error?.errorCode, message: String(error?.message ?? error).slice(0, 300) };
        window.report({ name: 'error', at: Date.now(), client: i, ...window.views[i].error });
      };
      client.on('onError', fail);
      try {
        await client.isSupport({ isReceiveVideo: true });
        const stream = await client.subscribe(url);
        stream.play(video);
        break;
      } catch (error) {
        fail(error);
        await new Promise((resolve) => setTimeout(resolve, 1000));
      }
    }
  }
}
