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
  async function hear(stream) {
    const context = new AudioContext();
    await context.audioWorklet.addModule(URL.createObjectURL(new Blob([worklet], { type: 'text/javascript' })));
    const onset = new AudioWorkletNode(context, 'onset', { numberOfOutputs: 1 });
    const silent = new GainNode(context, { gain: 0 });
    context.createMediaStreamSource(stream).connect(onset).connect(silent).connect(context.destination);
    onset.port.onmessage = ({ data }) => {
      const { contextTime, performanceTime } = context.getOutputTimestamp();
      senses.beeps.push(performanceTime + (data - contextTime) * 1000);
    };
    await context.resume();
  }

  // Pictures: the first bright one after a dark one.
  const canvas = Object.assign(document.createElement('canvas'), { width: 8, height: 8 });
  const pixels = canvas.getContext('2d', { willReadFrequently: true, alpha: false });
  let bright = true;
  function see(video, _, { expectedDisplayTime }) {
    pixels.drawImage(video, 0, 0, 8, 8);
    const { data } = pixels.getImageData(0, 0, 8, 8);
    let sum = 0;
    for (let i = 0; i < data.length; i += 4) sum += data[i] + data[i + 1] + data[i + 2];
    const was = bright;
    bright = sum / 192 > 210;
    if (bright && !was) senses.flashes.push(expectedDisplayTime);
    video.requestVideoFrameCallback((...args) => see(video, ...args));
  }

  document.addEventListener('DOMContentLoaded', () => {
    const video = document.querySelector('video');
    video.muted = false; // Chromium counts no energy of what it plays without volume
    video.requestVideoFrameCallback((...args) => see(video, ...args));
    const timer = setInterval(() => {
      if (!video.srcObject?.getAudioTracks().length) return;
      clearInterval(timer);
      hear(video.srcObject).catch((error) => (senses.problem = String(error)));
    }, 50);
  });

  // Playout: how much later a sound is played than the picture of the same moment, by the sender's clock of what the browser plays now.
  setInterval(async () => {
    const stats = pcs.length ? [...(await pcs.at(-1).getStats()).values()] : [];
    const playing = (kind) => stats.find((entry) => entry.type === 'inbound-rtp' && entry.kind === kind)?.estimatedPlayoutTimestamp;
    const [picture, sound] = [playing('video'), playing('audio')];
    if (picture && sound) senses.apart.push(picture - sound);
  }, 1000);

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
