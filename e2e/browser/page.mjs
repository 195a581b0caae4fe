import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Opens a play URL as a viewer does and reads what the player says of itself.
 *
 * step: { url, watchSeconds, waitState, limitSeconds, keys, viewport, screenshot }
 * Lines: "state" for each new state, "playing" at the first picture. waitState names the state to wait for (default "playing").
 * Result: the player's snapshot, its history, the status of the page and what the console said.
 */
export async function runPage(browser, step, say, signal) {
  const page = await browser.newPage(step.viewport);
  const messages = [];
  try {
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') messages.push(message.text().slice(0, 300));
    });
    page.on('pageerror', (error) => messages.push(`error: ${error.message}`));
    const response = await page.goto(step.url);
    const want = step.waitState ?? 'playing';
    const until = Date.now() + (step.limitSeconds ?? 20) * 1000;

    let told = 0;
    const look = async () => {
      const handle = await page.evaluate(() => ({ ...window.millrace, history: [...window.millrace.history] }));
      for (const entry of handle.history.slice(told)) say('state', { state: entry.state, detail: entry.detail, sinceLoadMs: entry.at });
      told = handle.history.length;
      return handle;
    };
    const wait = async (state) => {
      let handle = await look();
      while (handle.state !== state && !signal.aborted && Date.now() < until) {
        await sleep(25);
        handle = await look();
      }
      return handle;
    };
    let handle = await wait(want);
    if (handle.state === 'playing') say('playing', { firstFrameMs: handle.firstFrameMs });
    for (const key of step.keys ?? []) await page.keyboard.press(key);
    await sleep((step.watchSeconds ?? 2) * 1000, undefined, { signal }).catch(() => {});
    // A second state, for instance what comes after the publisher has gone.
    if (step.thenState) {
      say('awaiting', { state: step.thenState });
      await wait(step.thenState);
    }
    handle = await look();
    if (step.screenshot) await page.screenshot({ path: step.screenshot });
    const text = await page.locator('main').innerText();
    const muted = await page.evaluate(() => document.querySelector('video').muted);
    return { ...handle, muted, status: response?.status() ?? 0, csp: response?.headers()['content-security-policy'] ?? '', text, messages };
  } finally {
    await page.close().catch(() => {});
  }
}
