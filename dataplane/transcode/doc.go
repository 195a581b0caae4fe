// Package transcode makes renditions: streams that differ from what was published in what viewers need, such as Opus in
// place of AAC or H.264 without B-frames. A rendition is made once, however many watch it, from the first viewer to a
// while after the last, by the least work that gives what its template asks for: tracks that fit already are passed
// through as they are.
//
// Media goes to a child process, ffmpeg, and comes back through pipes as NUT (package nut). Time stamps are the
// source's all the way, and a frame's time of ingest is that of the source at the same moment.
package transcode
