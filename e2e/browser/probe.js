// Runs in a page before its own scripts and watches the player from outside: when it sent its offer, when frames were decoded and
// presented, and what time the pictures carry. It takes the player's word for nothing. For players that send no offer, whoever starts them
// sets offeredAt.
//
// window.probeLoopMs: how long a source that was encoded ahead is, in ms; 0 where pictures carry the time of day.
// window.probeWindows: spans of seconds after the offer in which the barcode of every frame is read; null reads all.
(() => {
  const probe = { offeredAt: null, offers: 0, answeredMs: null, connectedMs: null, firstPacketMs: null, firstReceivedMs: null, firstDecodeMs: null, firstPresentedMs: null, firstCalledMs: null, firstAgeMs: null, samples: [], gaps: [], freezes: 0, stallMs: 0, pcs: [] };
  window.probe = probe;

  const { fetch } = window;
  window.fetch = async (input, init) => {
    const offer = init?.method === 'POST';
    if (offer) {
      probe.offers++;
      probe.offeredAt ??= performance.now();
    }
    const response = await fetch(input, init);
    if (offer) probe.answeredMs ??= performance.now() - probe.offeredAt;
    return response;
  };

  const Native = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Native {
    constructor(...args) {
      super(...args);
      probe.pcs.push(this);
      this.addEventListener('connectionstatechange', () => {
        if (this.connectionState === 'connected') probe.connectedMs ??= performance.now() - probe.offeredAt;
      });
      // A receiver's track is muted until its first RTP packet.
      this.addEventListener('track', ({ track }) => {
        if (track.kind === 'video') track.addEventListener('unmute', () => (probe.firstPacketMs ??= performance.now() - probe.offeredAt));
      });
    }
  };

  probe.inbound = async (kind = 'video') => {
    const pc = probe.pcs.at(-1);
    if (!pc) return null;
    for (const entry of (await pc.getStats()).values()) if (entry.type === 'inbound-rtp' && entry.kind === kind) return { ...entry };
    return null;
  };

  const beatEvery = 20;
  const canvas = document.createElement('canvas');
  const context = canvas.getContext('2d', { willReadFrequently: true, alpha: false });

  // The layout is that of package testsrc: 32 by 18 cells, the first two rows hold marker, milliseconds and CRC-8.
  probe.readBarcode = (video) => {
    const w = video.videoWidth;
    const h = video.videoHeight;
    const band = Math.ceil((h * 2) / 18);
    if (!w || !h) return null;
    if (canvas.width !== w || canvas.height !== band) Object.assign(canvas, { width: w, height: band });
    context.drawImage(video, 0, 0, w, band, 0, 0, w, band);
    const px = context.getImageData(0, 0, w, band).data;
    const bit = (i) => {
      const x = Math.floor((((i % 32) + 0.5) * w) / 32);
      const y = Math.floor((((i >> 5) + 0.5) * h) / 18);
      let sum = 0;
      for (let dy = -2; dy <= 2; dy++)
        for (let dx = -2; dx <= 2; dx++) {
          const at = 4 * ((y + dy) * w + x + dx);
          sum += 0.299 * px[at] + 0.587 * px[at + 1] + 0.114 * px[at + 2];
        }
      return sum / 25 >= 128 ? 1 : 0;
    };
    const bytes = [];
    for (let b = 0; b < 8; b++) {
      let value = 0;
      for (let i = 0; i < 8; i++) value = (value << 1) | bit(8 * b + i);
      bytes.push(value);
    }
    if (bytes[0] !== 0xa6) return null;
    let crc = 0;
    for (const value of bytes.slice(1, 7)) {
      crc ^= value;
      for (let i = 0; i < 8; i++) crc = crc & 0x80 ? ((crc << 1) ^ 0x07) & 0xff : crc << 1;
    }
    return crc === bytes[7] ? bytes.slice(1, 7).reduce((ms, value) => ms * 256 + value, 0) : null;
  };

  // The barcode of a looped source says where in the loop a picture belongs, which is when it was due: DueAt of package testsrc.
  const drawnAt = (barcode, now) => {
    const loop = window.probeLoopMs;
    return barcode === null || !loop ? barcode : now - ((((now - barcode) % loop) + loop) % loop);
  };

  const inWindow = (seconds) => !window.probeWindows || window.probeWindows.some(([from, to]) => seconds >= from && seconds < to);

  // The three longest times between presented frames, with when they ended: what a freeze was. A freeze is what the statistics of WebRTC
  // call one: longer than three mean times of the last 30, and than the mean by 150 ms.
  let before = null;
  let recent = [];
  function noteGap(since, presentedAt) {
    if (before !== null) {
      const ms = presentedAt - before;
      probe.gaps.push({ since, ms });
      const mean = recent.reduce((sum, one) => sum + one, 0) / recent.length;
      if (recent.length && ms >= Math.max(3 * mean, mean + 150)) probe.freezes++;
      recent = [...recent.slice(-29), ms];
    }
    before = presentedAt;
    if (probe.gaps.length > 30) probe.gaps = longest();
  }
  const longest = () => probe.gaps.sort((a, b) => b.ms - a.ms).slice(0, 3);
  probe.longestGaps = longest;

  function onFrame(video, _, metadata) {
    const called = performance.now();
    const date = Date.now();
    const since = (called - probe.offeredAt) / 1000;
    const first = probe.firstCalledMs === null;
    noteGap(since, metadata.presentationTime);
    if (first) {
      // The frame was decoded before it was handed to the compositor, which was before this callback.
      probe.firstPresentedMs = metadata.presentationTime - probe.offeredAt;
      probe.firstCalledMs = called - probe.offeredAt;
      if (metadata.receiveTime !== undefined) probe.firstReceivedMs = metadata.receiveTime - probe.offeredAt;
      if (metadata.processingDuration !== undefined) probe.firstDecodeMs = metadata.processingDuration * 1000;
    }
    if (first || inWindow(since)) {
      const drawn = drawnAt(probe.readBarcode(video), date);
      if (first && drawn !== null) probe.firstAgeMs = date - drawn;
      const unix = (time) => (time === undefined ? null : date - (called - time));
      const presented = unix(metadata.presentationTime);
      const received = unix(metadata.receiveTime);
      probe.samples.push({
        since,
        drawn,
        // From drawing to: this callback, submission to the compositor, arrival of the frame's last packet; in ms.
        called: drawn === null ? null : date - drawn,
        presented: drawn === null || presented === null ? null : presented - drawn,
        received: drawn === null || received === null ? null : received - drawn,
        captured: drawn === null || metadata.captureTime === undefined ? null : unix(metadata.captureTime) - drawn,
        decodeMs: metadata.processingDuration === undefined ? null : metadata.processingDuration * 1000,
        rtp: metadata.rtpTimestamp ?? null,
      });
    }
    video.requestVideoFrameCallback((...args) => onFrame(video, ...args));
  }

  // How long the page did not get to run when it should have: on a machine with too much to do, pictures wait as well.
  let beat = performance.now();
  setInterval(() => {
    const now = performance.now();
    if (probe.offeredAt !== null) probe.stallMs = Math.max(probe.stallMs, now - beat - beatEvery);
    beat = now;
  }, beatEvery);

  document.addEventListener('DOMContentLoaded', () => {
    const video = document.querySelector('video');
    video.requestVideoFrameCallback((...args) => onFrame(video, ...args));
  });
})();
