// The functions below run in a page.

/**
 * Counts the pictures of all video elements and keeps the times without a new one, in window.views, one for each element. firstFrameMs counts from
 * startedAt, which may be moved.
 */
export function watchPictures() {
  const videos = [...document.querySelectorAll('video')];
  window.views = videos.map(() => ({ startedAt: performance.now(), firstFrameMs: null, frames: 0, gaps: [], last: 0, worst: 0, error: null }));
  for (const [i, video] of videos.entries()) {
    const view = window.views[i];
    video.requestVideoFrameCallback(() => (view.firstFrameMs = performance.now() - view.startedAt));
  }
  // Decoded frames are counted by a timer, for callbacks may be left out of hidden windows.
  setInterval(() => {
    const now = Date.now();
    for (const [i, video] of videos.entries()) {
      const view = window.views[i];
      const { totalVideoFrames = 0 } = video.getVideoPlaybackQuality?.() ?? {};
      if (totalVideoFrames === view.frames) continue;
      const again = totalVideoFrames < view.frames; // a new stream in the same element is counted from its own beginning
      view.frames = totalVideoFrames;
      if (again) continue;
      if (view.last && now - view.last >= 300) view.gaps.push({ at: now, ms: now - view.last });
      if (view.last) view.worst = Math.max(view.worst, now - view.last);
      view.last = now;
    }
  }, 20);
}

/** Gives what was seen so far: [{ playing, width, height, frames, seconds, firstFrameMs, gaps, worstGapMs, sinceLastMs, error }]. */
export function pictures() {
  return [...document.querySelectorAll('video')].map((video, i) => {
    const { firstFrameMs, gaps, worst, last, error } = window.views[i];
    const { totalVideoFrames: frames = 0 } = video.getVideoPlaybackQuality?.() ?? {};
    const { videoWidth: width, videoHeight: height, currentTime: seconds } = video;
    const sinceLastMs = last ? Date.now() - last : null;
    return { playing: frames >= 5, width, height, frames, seconds, firstFrameMs, gaps, worstGapMs: worst, sinceLastMs, error };
  });
}
