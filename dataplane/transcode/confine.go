package transcode

import "github.com/millrace/millrace/dataplane/media"

// confinement is what a child process may have. The zero value bounds no memory.
type confinement struct {
	memory int64 // bytes of data; 0: no limit
	device bool  // it opens hardware, which namespaces of its own could keep from it
}

const (
	baseMemory     = 512 << 20 // of ffmpeg and its libraries, with room
	framesInMemory = 48        // pictures of the source's size and of the result's: references, threads, filters
)

// confine bounds an ffmpeg by the work that it has: pictures of 4:2:0 with up to 10 bits.
func confine(e Encoder, w Work, video *media.Track) confinement {
	pixels := w.Width * w.Height
	if video != nil {
		pixels += max(video.Width*video.Height, min(video.Largest, mostPixels))
	}
	return confinement{
		memory: baseMemory + int64(pixels)*3*framesInMemory,
		device: w.Video == Encode && len(e.files()) > 0,
	}
}
