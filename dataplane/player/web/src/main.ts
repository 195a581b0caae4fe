import { ways } from './how';
import { Page } from './page';
import { Player, type Snapshot } from './player';

/** What tests and support staff can read in the console. */
export interface Handle extends Readonly<Snapshot> {
  /** States in order, with the time since the page was loaded in ms; the last 100. */
  readonly history: readonly { at: number; state: string; detail: string }[];
  start(): void;
  stop(): void;
}

declare global {
  interface Window {
    millrace: Handle;
  }
}

const page = new Page(streamName(location.pathname));
const history: { at: number; state: string; detail: string }[] = [];

// The fragment never goes to the server; the query carries the signature and must go as it is.
const url = new URL(location.href);
url.hash = '';

const how = document.querySelector<HTMLMetaElement>('meta[name="millrace-how"]')?.content ?? '';
const player = new Player(ways(how, url.href), document.getElementById('video') as HTMLVideoElement, (snapshot) => {
  const newest = history[history.length - 1];
  if (newest?.state !== snapshot.state || newest.detail !== snapshot.detail) {
    history.push({ at: Math.round(performance.now()), state: snapshot.state, detail: snapshot.detail });
    if (history.length > 100) history.shift();
  }
  page.show(snapshot);
});
page.attach(player);

window.millrace = Object.freeze(
  Object.defineProperties({} as Handle, {
    ...Object.fromEntries(
      Object.keys(player.current).map((key) => [key, { enumerable: true, get: () => player.current[key as keyof Snapshot] }]),
    ),
    history: { enumerable: true, get: () => history },
    start: { value: () => player.start() },
    stop: { value: () => player.stop() },
  }),
);

addEventListener('pagehide', () => player.stop());
addEventListener('pageshow', (event) => {
  if (event.persisted) player.start();
});
addEventListener('online', () => player.hurry());
document.addEventListener('visibilitychange', () => {
  if (!document.hidden) player.hurry();
});

player.start();

function streamName(path: string): string {
  const name = path.replace(/^\/+/, '');
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}
