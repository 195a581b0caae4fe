package testsrc

import (
	"bytes"
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

// Options describe a published test stream. Zero values take the defaults.
type Options struct {
	URL           string        // where to publish, rtmp:// or rtmps://
	Width, Height int           // pixels; default 640x360
	FPS           int           // default 30
	GOPSeconds    float64       // distance of key frames; default 1
	BitrateKbps   int           // of the video; default 800
	BFrames       int           // B-frames between references; default 0
	Audio         bool          // add a tone, AAC at 48 kHz, stereo
	NoVideo       bool          // publish the tone alone
	EncodedAhead  bool          // publish a Loop, so that nothing is drawn and encoded while it goes on
	Duration      time.Duration // default 1 h; the publisher never outlives it
	FFmpeg        string        // the program; default "ffmpeg" from the PATH
	ExtraArgs     []string      // put before the output, such as "-tls_verify", "0"
}

func (o *Options) setDefaults() {
	if o.Width == 0 || o.Height == 0 {
		o.Width, o.Height = 640, 360
	}
	if o.FPS == 0 {
		o.FPS = 30
	}
	if o.GOPSeconds == 0 {
		o.GOPSeconds = 1
	}
	if o.BitrateKbps == 0 {
		o.BitrateKbps = 800
	}
	if o.Duration == 0 {
		o.Duration = time.Hour
	}
	if o.FFmpeg == "" {
		o.FFmpeg = "ffmpeg"
	}
}

// detail is the percentage of the picture that is noise, such that the encoder has use for the bit rate.
func (o *Options) detail() int {
	if o.BitrateKbps <= 1000 {
		return 0
	}
	return 6
}

// gopFrames is the distance of key frames in frames.
func (o *Options) gopFrames() int { return max(int(o.GOPSeconds*float64(o.FPS)+0.5), 1) }

// lookFFmpeg finds ffmpeg.
func (o *Options) lookFFmpeg() (string, error) {
	path, err := exec.LookPath(o.FFmpeg)
	if err != nil {
		return "", fmt.Errorf(
			"looking for %s: %w; install it, on Debian and Ubuntu by: apt-get install -y ffmpeg",
			o.FFmpeg,
			err,
		)
	}
	return path, nil
}

// copyArgs are the arguments of ffmpeg that publishes what is encoded already: FLV from standard input.
func (o *Options) copyArgs() []string {
	args := append(
		[]string{"-hide_banner", "-nostats", "-loglevel", "warning", "-probesize", "32", "-analyzeduration", "0",
			"-f", "flv", "-i", "pipe:0", "-c", "copy"},
		o.ExtraArgs...)
	return append(args, "-flvflags", "no_duration_filesize", "-f", "flv", o.URL)
}

// args are the arguments of ffmpeg: raw frames from standard input, encoded for low latency.
func (o *Options) args() []string {
	gop := strconv.Itoa(o.gopFrames())
	rate := strconv.Itoa(o.BitrateKbps) + "k"
	args := []string{"-hide_banner", "-nostats", "-loglevel", "warning"}
	if !o.NoVideo {
		if !o.EncodedAhead {
			args = append(args, "-fflags", "nobuffer") // it loses the frame that is looked at first
		}
		args = append(args, "-probesize", "32", "-analyzeduration", "0",
			"-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", fmt.Sprintf("%dx%d", o.Width, o.Height),
			"-r", strconv.Itoa(o.FPS), "-i", "pipe:0")
	}
	if o.Audio || o.NoVideo {
		if o.NoVideo {
			args = append(args, "-re")
		}
		args = append(
			args,
			"-f",
			"lavfi",
			"-i",
			fmt.Sprintf("sine=frequency=440:sample_rate=48000:duration=%f", o.Duration.Seconds()),
		)
	}
	if !o.NoVideo {
		args = append(args, "-c:v", "libx264", "-preset", "veryfast", "-tune", "zerolatency", "-pix_fmt", "yuv420p",
			"-bf", strconv.Itoa(o.BFrames), "-g", gop, "-keyint_min", gop, "-sc_threshold", "0",
			"-b:v", rate, "-maxrate", rate, "-bufsize", rate, "-threads", "2")
	}
	if o.Audio || o.NoVideo {
		args = append(args, "-c:a", "aac", "-b:a", "96k", "-ac", "2")
	}
	args = append(args, o.ExtraArgs...)
	return append(args, "-flvflags", "no_duration_filesize", "-f", "flv", o.URL)
}

// Publisher is a running ffmpeg that publishes the test picture.
type Publisher struct {
	process *os.Process
	cancel  context.CancelFunc
	done    chan struct{}

	mu     sync.Mutex
	stderr bytes.Buffer
	err    error
	stdin  io.WriteCloser
}

// maxStderr bounds what is kept of ffmpeg's messages, in bytes.
const maxStderr = 64 << 10

// Write keeps what ffmpeg says.
func (p *Publisher) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if room := maxStderr - p.stderr.Len(); room > 0 {
		p.stderr.Write(b[:min(len(b), room)])
	}
	return len(b), nil
}

// Publish starts ffmpeg and feeds it the test picture in real time, with EncodedAhead after encoding it. The publisher
// ends with the context (killed), with Duration, with Stop or Kill, or when ffmpeg gives up; on Linux it dies with this
// process.
//
// It fails when the options are out of bounds or ffmpeg is not installed; whether publishing works is told by Wait.
func Publish(ctx context.Context, o Options) (*Publisher, error) {
	o.setDefaults()
	path, err := o.lookFFmpeg()
	if err != nil {
		return nil, err
	}
	args := o.args()
	var feed func(context.Context, io.Writer) error
	if o.EncodedAhead {
		loop, err := EncodeAhead(ctx, o)
		if err != nil {
			return nil, err
		}
		args = o.copyArgs()
		feed = func(ctx context.Context, w io.Writer) error { return loop.Stream(ctx, w, o.Duration) }
	} else {
		picture, err := NewPicture(o.Width, o.Height, o.detail())
		if err != nil {
			return nil, err
		}
		feed = func(ctx context.Context, w io.Writer) error { return Stream(ctx, w, picture, o.FPS, o.Duration) }
	}
	if o.NoVideo {
		feed = func(ctx context.Context, _ io.Writer) error {
			<-ctx.Done() // the tone ends by itself, and the context with it
			return context.Cause(ctx)
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	p := &Publisher{cancel: cancel, done: make(chan struct{})}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stderr = p
	dieWithParent(cmd)
	if p.stdin, err = cmd.StdinPipe(); err != nil {
		cancel()
		return nil, fmt.Errorf("making ffmpeg's standard input: %w", err)
	}
	started := make(chan error)
	go p.run(cmd, started)
	if err := <-started; err != nil {
		cancel()
		return nil, fmt.Errorf("starting %s: %w", path, err)
	}
	go func() {
		// An error is ffmpeg's end or the context's; Wait tells it. Closing standard input makes ffmpeg end its publishing
		// properly.
		_ = feed(ctx, p.stdin)
		_ = p.stdin.Close()
	}()
	return p, nil
}

// run starts ffmpeg and waits for its end on one locked thread: the parent of PR_SET_PDEATHSIG is the thread that
// forked.
func (p *Publisher) run(cmd *exec.Cmd, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		started <- err
		return
	}
	p.process = cmd.Process
	started <- nil
	err := cmd.Wait()
	p.cancel()
	p.mu.Lock()
	p.err = err
	p.mu.Unlock()
	close(p.done)
}

// PID is ffmpeg's process id.
func (p *Publisher) PID() int { return p.process.Pid }

// Done is closed when ffmpeg has ended.
func (p *Publisher) Done() <-chan struct{} { return p.done }

// Kill ends ffmpeg at once, as a crash would: the server sees a broken connection.
func (p *Publisher) Kill() {
	_ = p.process.Kill()
	<-p.done
}

// Stop ends publishing properly: ffmpeg says that it stops. After grace it is killed.
func (p *Publisher) Stop(grace time.Duration) {
	_ = p.process.Signal(os.Interrupt)
	select {
	case <-p.done:
	case <-time.After(grace):
		p.Kill()
	}
}

// Wait waits for ffmpeg's end. The error carries what ffmpeg said.
func (p *Publisher) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-p.done:
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return errors.New(p.err.Error() + ": " + p.stderr.String())
	}
	return nil
}

// Output is what ffmpeg has said so far, at most 64 KiB.
func (p *Publisher) Output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stderr.String()
}
