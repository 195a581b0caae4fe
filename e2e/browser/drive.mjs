// Runs one scenario in a new headless Chromium and prints what happened as JSON lines.
//
//   node drive.mjs scenario.json     (or "-" to read the scenario from standard input)
//
// A scenario: { httpPort, httpsPort, timeoutSeconds, chromium, tieToStdin, steps: [ { kind: "sdk" | "crowd" | "page" | "join" | "standard", ... } ] }.
// Every line has "event", "at" (ms since 1970) and, inside of a step, "step" (its place in the list). The last line of a step is its
// "result" or its "failure", the last line of all is "done". Exit status: 0 when every step had a result, 1 when one failed, 2 when the
// scenario did not run.
import { readFileSync } from 'node:fs';
import { open } from './browser.mjs';
import { runCrowd } from './crowd.mjs';
import { runJoin } from './join.mjs';
import { runPage } from './page.mjs';
import { runSDK } from './sdk.mjs';
import { runStandard } from './standard.mjs';

const kinds = { sdk: runSDK, crowd: runCrowd, page: runPage, join: runJoin, standard: runStandard };

function emit(event, fields = {}) {
  process.stdout.write(`${JSON.stringify({ event, at: Date.now(), ...fields })}\n`);
}

async function main() {
  const scenario = JSON.parse(readFileSync(process.argv[2] === '-' ? 0 : process.argv[2], 'utf8'));
  const stop = new AbortController();
  const enough = new AbortController();
  const limit = setTimeout(() => stop.abort(new Error('the time of the scenario is over')), (scenario.timeoutSeconds ?? 120) * 1000);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => stop.abort(new Error(signal)));
  if (scenario.tieToStdin) {
    // Whoever started this keeps the other end of standard input open for as long as it lives.
    process.stdin.on('end', () => stop.abort(new Error('the starter has gone')));
    // One line says that all have watched for long enough.
    process.stdin.on('data', () => enough.abort());
  }
  const stopped = new Promise((_, reject) => stop.signal.addEventListener('abort', () => reject(stop.signal.reason)));
  stopped.catch(() => {});

  const browser = await open(scenario);
  let failed = 0;
  try {
    emit('ready', { browser: browser.version });
    const run = async (step, index) => {
      const say = (event, fields) => emit(event, { step: index, ...fields });
      try {
        const kind = kinds[step.kind];
        if (!kind) throw new Error(`no step kind ${step.kind}; there are ${Object.keys(kinds).join(', ')}`);
        say('result', { result: await Promise.race([kind(browser, step, say, stop.signal, enough.signal), stopped]) });
      } catch (error) {
        failed++;
        say('failure', { message: String(error?.message ?? error) });
      }
    };
    if (scenario.parallel) await Promise.all(scenario.steps.map(run));
    else for (const [index, step] of scenario.steps.entries()) await run(step, index);
  } finally {
    clearTimeout(limit);
    await browser.close();
  }
  emit('done', { failed });
  process.exit(failed ? 1 : 0);
}

main().catch((error) => {
  emit('failure', { message: String(error?.stack ?? error) });
  process.exit(2);
});
