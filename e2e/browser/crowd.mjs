import { setTimeout as sleep } from 'node:timers/promises';
import { sdkPage } from './sdk.mjs';

/**
 * Many clients of an official SDK in one page, each with a video element and a connection of its own: viewers that cost little beside what they
 * decode.
 *
 * step: { version, url, page: "http" | "https", clients, delaySeconds, watchSeconds, limitSeconds }
 * They ask one after the other, the first after the delay, and again when they are refused.
 * Line "playing": all have decoded frames.
 * Result: { posts, clients: [{ playing, width, height, frames, gaps, worstGapMs, sinceLastMs, error }] }
 * enough ends the watching early.
 */
export async function runCrowd(browser, step, say, signal, enough) {
  await sleep((step.delaySeconds ?? 0) * 1000, undefined, { signal }).catch(() => {});
  const { page, posts } = await sdkPage(browser, step, say, step.clients, (event) => say('sdk', event));
  try {
    await page.evaluate(prepare);
    const started = page.evaluate(start, step.url);
    started.catch(() => {}); // pictures tell more
    const until = Date.now() + (step.limitSeconds ?? 60) * 1000;
    for (;;) {
      const playing = await page.evaluate('window.views.filter(({ frames }) => frames >= 5).length');
      if (playing === step.clients) {
        say('playing', { clients: playing });
        await sleep((step.watchSeconds ?? 2) * 1000, undefined, { signal: AbortSignal.any([signal, enough]) }).catch(() => {});
        break;
      }
      if (signal.aborted || Date.now() > until) throw new Error(`${playing} of ${step.clients} clients play: ${JSON.stringify(await page.evaluate(views)).slice(0, 2000)}`);
      await sleep(100);
    }
    return { posts, clients: await page.evaluate(views) };
  } finally {
    await page.close().catch(() => {});
  }
}

// The functions below run in the page.

function prepare() {
  const videos = [...document.querySelectorAll('video')];
  window.views = videos.map(() => ({ frames: 0, gaps: [], last: 0, worst: 0, error: null }));
  // Times without a new picture: decoded frames are counted by a timer, for callbacks may be left out of hidden windows.
  setInterval(() => {
    const now = Date.now();
    for (const [i, video] of videos.entries()) {
      const view = window.views[i];
      const { totalVideoFrames = 0 } = video.getVideoPlaybackQuality();
      if (totalVideoFrames === view.frames) continue;
      const again = totalVideoFrames < view.frames; // a new stream in the same element is counted from its own beginning
      view.frames = totalVideoFrames;
      if (again) continue;
      if (view.last && now - view.last >= 300) view.gaps.push({ at: now, ms: now - view.last });
      if (view.last) view.worst = Math.max(view.worst, now - view.last);
      view.last = now;
    }
  }, 40);
}

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

function views() {
  return [...document.querySelectorAll('video')].map((video, i) => {
    const { frames, gaps, worst, last, error } = window.views[i];
    const sinceLastMs = last ? Date.now() - last : null;
    return { playing: frames >= 5, width: video.videoWidth, height: video.videoHeight, frames, gaps, worstGapMs: worst, sinceLastMs, error };
  });
}
