import { render } from './overlay';
import type { Player, Snapshot, State } from './player';
import { hasSound } from './stats';

const idleAfter = 2_600;

const badges: Record<State, string> = {
  connecting: 'Connecting',
  playing: 'Live',
  stalled: 'On hold',
  waiting: 'Offline',
  reconnecting: 'Reconnecting',
  denied: 'Not allowed',
  unplayable: 'Unplayable',
  unsupported: 'Unsupported',
  stopped: 'Stopped',
};

/** The page around the video: it shows the player's state and turns clicks and keys into actions. */
export class Page {
  private readonly root = element('player');
  private readonly video = element<HTMLVideoElement>('video');
  private readonly stats = element('stats');
  private idle: ReturnType<typeof setTimeout> | undefined;
  private dismissed = '';
  private last: Snapshot | null = null;
  private player: Player | null = null;
  /** Whether the viewer has chosen about sound: then nobody asks again. */
  private soundChosen = false;

  constructor(title: string) {
    element('title').textContent = title;
    document.title = title;
    this.video.addEventListener('volumechange', () => this.showSound());
    this.video.addEventListener('click', () => this.tapped());
    document.addEventListener('fullscreenchange', () => this.showFull());
    document.addEventListener('keydown', (event) => this.key(event));
    for (const type of ['pointermove', 'pointerdown', 'keydown', 'focusin']) document.addEventListener(type, () => this.wake());
    this.on('mute', () => this.toggleMute());
    this.on('tap-sound', () => this.toggleMute());
    this.on('full', () => void this.toggleFull());
    this.on('stats-toggle', () => this.toggleStats());
    this.on('again', () => this.player?.start());
    this.on('tap-play', () => void this.play());
    this.on('note-close', () => {
      this.dismissed = this.last?.notice ?? '';
      element('note').hidden = true;
    });
    this.video.addEventListener('loadeddata', () => void this.play());
    this.showSound();
    this.wake();
  }

  attach(player: Player): void {
    this.player = player;
  }

  show(snapshot: Readonly<Snapshot>): void {
    const before = this.last;
    this.last = snapshot;
    if (before?.state !== snapshot.state) {
      this.root.dataset.state = snapshot.state;
      element('badge').textContent = badges[snapshot.state];
      element('again').hidden = !['denied', 'unplayable', 'stopped'].includes(snapshot.state);
      this.wake();
    }
    if (snapshot.sessions > 0) this.root.classList.add('seen');
    text('headline', snapshot.title);
    text('detail', snapshot.detail);

    const notice = snapshot.notice !== '' && snapshot.notice !== this.dismissed;
    text('note-text', snapshot.notice);
    element('note').hidden = !notice || snapshot.state !== 'playing';
    this.showSound();

    text('protocol', snapshot.protocol);
    element('protocol').hidden = snapshot.state !== 'playing' || snapshot.protocol === '';
    const latency = snapshot.state === 'playing' ? snapshot.stats?.latencyMs : undefined;
    element('latency').hidden = latency === undefined;
    if (latency !== undefined) text('latency', latency < 1000 ? `${Math.round(latency)} ms` : `${(latency / 1000).toFixed(1)} s`);
    if (!this.stats.hidden) render(this.stats, snapshot);
  }

  private on(id: string, action: () => void): void {
    element(id).addEventListener('click', action);
  }

  private key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    const actions: Record<string, () => void> = {
      s: () => this.toggleStats(),
      m: () => this.toggleMute(),
      f: () => void this.toggleFull(),
    };
    const action = actions[event.key.toLowerCase()];
    if (!action) return;
    event.preventDefault();
    action();
  }

  private async play(): Promise<void> {
    const button = element('tap-play');
    try {
      await this.video.play();
      button.hidden = true;
    } catch (error) {
      // Some phones refuse even silent video while they save power: then it takes a tap.
      if (error instanceof DOMException && error.name === 'NotAllowedError') button.hidden = false;
    }
  }

  private tapped(): void {
    if (!this.soundChosen && this.video.muted) this.toggleMute();
    else if (this.video.paused) void this.play();
  }

  private toggleMute(): void {
    this.soundChosen = true;
    this.video.muted = !this.video.muted;
    if (this.video.paused) void this.play();
  }

  private showSound(): void {
    const button = element('mute');
    button.setAttribute('aria-pressed', String(this.video.muted));
    button.title = this.video.muted ? 'Unmute (m)' : 'Mute (m)';
    const sounding = this.last?.state === 'playing' && hasSound(this.last.stats);
    element('tap-sound').hidden = this.soundChosen || !this.video.muted || !sounding;
  }

  private toggleStats(): void {
    this.stats.hidden = !this.stats.hidden;
    element('stats-toggle').setAttribute('aria-pressed', String(!this.stats.hidden));
    if (!this.stats.hidden && this.last) render(this.stats, this.last);
  }

  private async toggleFull(): Promise<void> {
    if (document.fullscreenElement) return document.exitFullscreen();
    if (this.root.requestFullscreen) return this.root.requestFullscreen().catch(() => undefined);
    // iPhones have full screen for the video element only.
    (this.video as unknown as { webkitEnterFullscreen?: () => void }).webkitEnterFullscreen?.();
  }

  private showFull(): void {
    const full = document.fullscreenElement !== null;
    const button = element('full');
    button.setAttribute('aria-pressed', String(full));
    button.title = full ? 'Leave full screen (f)' : 'Full screen (f)';
  }

  private wake(): void {
    this.root.classList.remove('idle');
    clearTimeout(this.idle);
    this.idle = setTimeout(() => {
      if (this.last?.state === 'playing') this.root.classList.add('idle');
    }, idleAfter);
  }
}

function element<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) throw new Error(`The page lacks its element #${id}`);
  return found as T;
}

function text(id: string, value: string): void {
  const target = element(id);
  // Writing the same text again would make screen readers say it again.
  if (target.textContent !== value) target.textContent = value;
}
