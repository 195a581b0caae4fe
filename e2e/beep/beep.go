// Package beep publishes a source whose sound and picture can be told apart from being early or late: every second the
// picture is white and a tone of 1 kHz sounds, both for 200 ms and from the same moment on.
package beep

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"time"
)

// Options of a source. Zero values take the defaults.
type Options struct {
	URL           string // where to publish, rtmp://
	Width, Height int    // default 640x360
	FPS           int    // default 30
	Kbps          int    // of the picture; default 800
	GOPSeconds    float64
	BFrames       int
	H265          bool     // by enhanced RTMP
	SampleRate    int      // of the sound, AAC-LC in stereo; default 44100
	More          []string // further URLs that get the same
}

func (o *Options) defaults() {
	if o.Width == 0 || o.Height == 0 {
		o.Width, o.Height = 640, 360
	}
	if o.FPS == 0 {
		o.FPS = 30
	}
	if o.Kbps == 0 {
		o.Kbps = 800
	}
	if o.GOPSeconds == 0 {
		o.GOPSeconds = 8
	}
	if o.SampleRate == 0 {
		o.SampleRate = 44100
	}
}

// args are those of ffmpeg up to its output.
func (o *Options) args() []string {
	gop, rate := strconv.Itoa(max(int(o.GOPSeconds*float64(o.FPS)+0.5), 1)), strconv.Itoa(o.Kbps)+"k"
	graph := fmt.Sprintf(
		"testsrc2=size=%dx%d:rate=%d,drawbox=color=white:thickness=fill:enable='lt(mod(t,1),0.1999)'[out0];"+
			"aevalsrc='0.8*sin(2*PI*1000*t)*lt(mod(t,1),0.2)':sample_rate=%d:channel_layout=stereo[out1]",
		o.Width,
		o.Height,
		o.FPS,
		o.SampleRate,
	)
	args := []string{
		"-hide_banner", "-nostats", "-nostdin", "-loglevel", "warning", "-re", "-f", "lavfi", "-i", graph, "-map", "0:0",
		"-map", "0:1",
		"-pix_fmt", "yuv420p", "-bf", strconv.Itoa(o.BFrames), "-g", gop, "-keyint_min", gop, "-b:v", rate, "-maxrate", rate,
		"-bufsize", rate,
	}
	if o.H265 {
		args = append(
			args,
			"-c:v",
			"libx265",
			"-preset",
			"ultrafast",
			"-x265-params",
			fmt.Sprintf(
				"log-level=error:scenecut=0:open-gop=0:bframes=%d:b-adapt=0:rc-lookahead=5:keyint=%s:min-keyint=%s:frame-threads=1",
				o.BFrames,
				gop,
				gop,
			),
		)
	} else {
		args = append(args, "-c:v", "libx264", "-preset", "veryfast", "-tune", "zerolatency", "-sc_threshold", "0",
			"-threads", "2")
	}
	return append(args, "-c:a", "aac", "-b:a", "128k", "-flags", "+global_header")
}

// Source is a running publisher.
type Source struct {
	process *os.Process
	done    chan struct{}

	mu   sync.Mutex
	said []byte
	err  error
}

const maxSaid = 16 << 10

// Write keeps what ffmpeg says.
func (s *Source) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if room := maxSaid - len(s.said); room > 0 {
		s.said = append(s.said, b[:min(len(b), room)]...)
	}
	return len(b), nil
}

// Publish publishes until the context ends or the source is killed.
func Publish(ctx context.Context, o Options) (*Source, error) {
	o.defaults()
	path, err := exec.LookPath("ffmpeg")
	if err != nil {
		return nil, fmt.Errorf("looking for ffmpeg: %w; on Debian: apt-get install -y ffmpeg", err)
	}
	s := &Source{done: make(chan struct{})}
	args := o.args()
	switch {
	case o.H265: // the FLV of ffmpeg before 6.1 has no H.265: it goes through enhanced RTMP of our own making
		args = append(args, "-flush_packets", "1", "-f", "nut", "pipe:1")
	case len(o.More) > 0:
		to := "[f=flv:flvflags=no_duration_filesize]" + o.URL
		for _, one := range o.More {
			to += "|[f=flv:flvflags=no_duration_filesize]" + one
		}
		args = append(args, "-f", "tee", to)
	default:
		args = append(args, "-flvflags", "no_duration_filesize", "-f", "flv", o.URL)
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stderr = s
	cmd.WaitDelay = 5 * time.Second
	dieWithParent(cmd)
	var out io.ReadCloser
	if o.H265 {
		if out, err = cmd.StdoutPipe(); err != nil {
			return nil, fmt.Errorf("making ffmpeg's standard output: %w", err)
		}
	}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // the parent of PR_SET_PDEATHSIG is the thread that forked
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err == nil {
			s.process = cmd.Process
		}
		started <- err
		if err != nil {
			return
		}
		if out != nil {
			broken := relay(ctx, out, o.URL) // to its end, before Wait closes the pipe
			s.mu.Lock()
			s.err = broken
			s.mu.Unlock()
			s.Kill()
		}
		err = cmd.Wait()
		s.mu.Lock()
		s.err = errors.Join(s.err, err)
		s.mu.Unlock()
		close(s.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", path, err)
	}
	return s, nil
}

// Done is closed when the publisher has ended.
func (s *Source) Done() <-chan struct{} { return s.done }

// Kill ends it at once.
func (s *Source) Kill() { _ = s.process.Kill() }

// Err tells why it has ended.
func (s *Source) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return fmt.Errorf("the beeping source ended: %w: %s", s.err, s.said)
}
