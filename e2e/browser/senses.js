// Runs in a page before its own scripts. It sees the flashes and hears the beeps of package beep in the page's only video element, each
// with its time on the page's clock, and keeps the browser's own counts.
(() => {
  const senses = { flashes: [], beeps: [], apart: [], problem: '' };
  const pcs = [];
  window.senses = senses;

  const Native = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Native {
    constructor(...args) {
      super(...args);
      pcs.push(this);
    }
  };

  // Sound: the first loud sample after 200 ms of silence, by its place in the context's time.
  const worklet = `registerProcessor('onset', class extends AudioWorkletProcessor {
    silent = 0;
    process([[channel]]) {
      if (!channel) return true;
      for (let i = 0; i < channel.length; i++) {
        if (Math.abs(channel[i]) < 0.18) { this.silent++; continue; }
        if (this.silent >= sampleRate / 5) this.port.postMessage((currentFrame + i) / sampleRate);
        this.silent = 0;
      }
      return true;
    }
  });`;
  async function hear(stream, heard) {
    const context = new AudioContext();
    await context.audioWorklet.addModule(URL.createObjectURL(new Blob([worklet], { type: 'text/javascript' })));
    const onset = new AudioWorkletNode(context, 'onset', { numberOfOutputs: 1 });
    const silent = new GainNode(context, { gain: 0 });
    context.createMediaStreamSource(stream).connect(onset).connect(silent).connect(context.destination);
    onset.port.onmessage = ({ data }) => {
      const { contextTime, performanceTime } = context.getOutputTimestamp();
      heard.push(performanceTime + (data - contextTime) * 1000);
    };
    await context.resume();
    return () => context.close();
  }

  // Pictures: the first bright one after a dark one.
  function see(video, seen) {
    const canvas = Object.assign(document.createElement('canvas'), { width: 8, height: 8 });
    const pixels = canvas.getContext('2d', { willReadFrequently: true, alpha: false });
    let bright = true;
    const look = (_, { expectedDisplayTime }) => {
      pixels.drawImage(video, 0, 0, 8, 8);
      const { data } = pixels.getImageData(0, 0, 8, 8);
      let sum = 0;
      for (let i = 0; i < data.length; i += 4) sum += data[i] + data[i + 1] + data[i + 2];
      const was = bright;
      bright = sum / 192 > 210;
      if (bright && !was) seen.push(expectedDisplayTime);
      video.requestVideoFrameCallback(look);
    };
    video.requestVideoFrameCallback(look);
  }

  document.addEventListener('DOMContentLoaded', () => {
    const video = document.querySelector('video');
    video.muted = false; // Chromium counts no energy of what it plays without volume
    see(video, senses.flashes);
    const timer = setInterval(() => {
      if (!video.srcObject?.getAudioTracks().length) return;
      clearInterval(timer);
      hear(video.srcObject, senses.beeps).catch((error) => (senses.problem = String(error)));
    }, 50);
  });

  // Playout: how much later a sound is played than the picture of the same moment, by the sender's clock of what the browser plays now.
  setInterval(async () => {
    const stats = pcs.length ? [...(await pcs.at(-1).getStats()).values()] : [];
    const playing = (kind) => stats.find((entry) => entry.type === 'inbound-rtp' && entry.kind === kind)?.estimatedPlayoutTimestamp;
    const [picture, sound] = [playing('video'), playing('audio')];
    if (picture && sound) senses.apart.push(picture - sound);
  }, 1000);

  // How late these eyes and ears are by themselves, in ms: pictures go to a video element, and sound to where the source's went, at known moments, as
  // a decoder hands them on.
  senses.own = async () => {
    const rate = 48000, chunk = rate / 100, flashes = 8;
    const [picture, sound] = ['video', 'audio'].map((kind) => new MediaStreamTrackGenerator({ kind }));
    const [pictures, samples] = [picture, sound].map(({ writable }) => writable.getWriter());
    const video = Object.assign(document.createElement('video'), { muted: true, autoplay: true, srcObject: new MediaStream([picture]) });
    document.body.prepend(video);
    const shown = [], played = [], seen = [], heard = [];
    see(video, seen);
    const stop = await hear(new MediaStream([sound]), heard);
    const canvas = new OffscreenCanvas(320, 180);
    const paint = canvas.getContext('2d');
    const at = (ms) => ms >= 2000 && ms % 1000 < 100; // a flash and a beep every second, when all has settled
    const began = performance.now();
    let drawn = 0, said = 0;
    while (said < (2 + flashes) * 100) {
      const now = performance.now() - began;
      for (; said * 10 <= now; said++) {
        const loud = at(said * 10);
        if (loud && !at(said * 10 - 10)) played.push(performance.now());
        const data = new Float32Array(chunk).map((_, i) => (loud ? (i % 48 < 24 ? 0.5 : -0.5) : 0));
        samples.write(new AudioData({ format: 'f32', sampleRate: rate, numberOfFrames: chunk, numberOfChannels: 1, timestamp: said * 10000, data }));
      }
      for (; drawn * 40 <= now; drawn++) {
        const light = at(drawn * 40);
        paint.fillStyle = light ? '#fff' : '#000';
        paint.fillRect(0, 0, canvas.width, canvas.height);
        if (light && !at(drawn * 40 - 40)) shown.push(performance.now());
        pictures.write(new VideoFrame(canvas, { timestamp: drawn * 40000 }));
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
    await Promise.all([pictures.close(), samples.close(), stop()]);
    video.remove();
    // What is perceived belongs to the last that was given before it.
    const late = (given, got) =>
      got.map((t) => t - Math.max(...given.filter((g) => g <= t))).filter(Number.isFinite).sort((x, y) => x - y);
    const median = (list) => (list.length ? list[list.length >> 1] : null);
    return { eyesMs: median(late(shown, seen)), earsMs: median(late(played, heard)) };
  };

  senses.result = async () => {
    const out = { ...senses };
    const stats = pcs.length ? [...(await pcs.at(-1).getStats()).values()] : [];
    for (const entry of stats) {
      if (entry.type !== 'inbound-rtp') continue;
      const buffer = entry.jitterBufferEmittedCount ? (entry.jitterBufferDelay / entry.jitterBufferEmittedCount) * 1000 : 0;
      if (entry.kind === 'audio') {
        const { totalAudioEnergy, totalSamplesReceived, concealedSamples, codecId } = entry;
        const audioCodec = stats.find(({ id }) => id === codecId)?.mimeType ?? '';
        Object.assign(out, { totalAudioEnergy, totalSamplesReceived, concealedSamples, audioCodec, audioBufferMs: buffer });
      } else {
        const { framesDecoded, keyFramesDecoded } = entry;
        Object.assign(out, { framesDecoded, keyFramesDecoded, videoBufferMs: buffer });
      }
    }
    return out;
  };
})();
