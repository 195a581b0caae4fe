package testsrc

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"time"
)

// The bounds of a loop in seconds. A reader of its barcode cannot tell a picture from the one a whole loop older.
const (
	minLoop = 10
	maxLoop = 60
)

// Loop is a stretch of the test picture that was drawn and encoded once, to be published over and over at the clock.
// Publishing then costs next to nothing, so that a machine with few CPUs has them for what is being measured.
//
// The barcode of a picture holds its place in the loop, in milliseconds, as if the loop had begun in 1970. Publishing
// keeps in step with the clock: a picture goes out when Unix time modulo the loop's length is its place. So (now -
// barcode) modulo the length is how long ago a picture was due. It is the true age of any picture that is younger than
// the loop, and how late the publisher was is inside of it.
type Loop struct {
	fps, gop int // frames per second, frames from key frame to key frame
	header   []byte
	frames   [][]byte // the tags of one loop
}

// loopFrames is how many frames of a GOP of gop frames make the shortest loop of whole GOPs and whole seconds that is
// long enough.
func loopFrames(fps, gop int) (int, error) {
	if err := checkFPS(fps); err != nil {
		return 0, err
	}
	for seconds := minLoop; seconds <= maxLoop; seconds++ {
		if seconds*fps%gop == 0 {
			return seconds * fps, nil
		}
	}
	return 0, fmt.Errorf(
		"a GOP of %d frames at %d frames per second: no loop of %d to %d whole seconds is made of such GOPs; give another "+
			"distance of key frames",
		gop,
		fps,
		minLoop,
		maxLoop,
	)
}

// LoopLength is the length of the Loop that EncodeAhead makes. It fails when no loop fits the GOP.
func (o Options) LoopLength() (time.Duration, error) {
	o.setDefaults()
	frames, err := loopFrames(o.FPS, o.gopFrames())
	return time.Duration(frames/max(o.FPS, 1)) * time.Second, err
}

// EncodeAhead draws and encodes a loop with ffmpeg, as fast as the machine can. URL, Duration and ExtraArgs do not
// matter to it.
//
// It fails when the options are out of bounds, ask for a tone, or ffmpeg is missing or fails.
func EncodeAhead(ctx context.Context, o Options) (*Loop, error) {
	o.setDefaults()
	if o.Audio || o.NoVideo {
		return nil, errors.New(
			"a tone cannot be encoded ahead, for its frames do not fill a loop evenly; leave the tone out or encode while " +
				"publishing",
		)
	}
	picture, err := NewPicture(o.Width, o.Height, o.detail())
	if err != nil {
		return nil, err
	}
	n, err := loopFrames(o.FPS, o.gopFrames())
	if err != nil {
		return nil, err
	}
	path, err := o.lookFFmpeg()
	if err != nil {
		return nil, err
	}
	raw, feed := io.Pipe()
	go func() {
		frame := make([]byte, picture.FrameSize())
		var err error
		for i := 0; i < n && err == nil; i++ {
			at := time.Duration(i) * time.Second / time.Duration(o.FPS)
			picture.Draw(frame, at, time.UnixMilli(at.Milliseconds()))
			_, err = feed.Write(frame)
		}
		_ = feed.CloseWithError(err)
	}()
	defer raw.Close()
	var stdout, stderr bytes.Buffer
	o.ExtraArgs, o.URL, o.EncodedAhead = nil, "pipe:1", true
	cmd := exec.CommandContext(ctx, path, o.args()...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = raw, &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("encoding the loop: %w: %s", err, stderr.String())
	}
	l := &Loop{fps: o.FPS, gop: o.gopFrames()}
	if err := l.take(stdout.Bytes()); err != nil {
		return nil, fmt.Errorf("reading the encoded loop: %w", err)
	}
	if len(l.frames) != n {
		return nil, fmt.Errorf("encoding the loop: ffmpeg made %d pictures of %d: %s", len(l.frames), n, stderr.String())
	}
	return l, nil
}

// The parts of FLV, in bytes (FLV 10.1, E.2 to E.4).
const (
	flvHeader  = 9 + 4 // with the first PreviousTagSize
	tagHeader  = 11
	tagTrailer = 4
	tagVideo   = 9
)

// take keeps the tags of an FLV file: what comes before the first frame, and the frames.
func (l *Loop) take(file []byte) error {
	if len(file) < flvHeader {
		return io.ErrUnexpectedEOF
	}
	l.header, file = file[:flvHeader:flvHeader], file[flvHeader:]
	for len(file) > 0 {
		if len(file) < tagHeader {
			return io.ErrUnexpectedEOF
		}
		size := tagHeader + int(binary.BigEndian.Uint32(file)&0xFFFFFF) + tagTrailer
		if len(file) < size {
			return io.ErrUnexpectedEOF
		}
		tag := file[:size:size]
		file = file[size:]
		switch {
		case tag[0] == tagVideo && size > tagHeader+1+tagTrailer && tag[tagHeader+1] == 1: // AVCPacketType: NALU
			l.frames = append(l.frames, tag)
		case len(l.frames) == 0:
			l.header = append(l.header, tag...)
		}
	}
	return nil
}

// Length is how long the loop is; whole seconds.
func (l *Loop) Length() time.Duration { return time.Duration(len(l.frames)/l.fps) * time.Second }

// Stream writes the loop to w as FLV, each picture when it is due by the clock, until the context ends or, when
// duration is not 0, until that much was written. It begins with the next key frame. It returns nil at the end of
// duration, the cause of the context's end, or the error of w.
func (l *Loop) Stream(ctx context.Context, w io.Writer, duration time.Duration) error {
	if _, err := w.Write(l.header); err != nil {
		return fmt.Errorf("writing the head of the loop: %w", err)
	}
	begin := time.Now()
	under := time.Duration(begin.UnixNano()) % l.Length() // how far the loop is
	base := begin.Add(-under)
	first := (int(under*time.Duration(l.fps)/time.Second)/l.gop + 1) * l.gop
	var tag []byte
	timer := time.NewTimer(0)
	defer timer.Stop()
	for n := 0; ; n++ {
		since := time.Duration(n) * time.Second / time.Duration(l.fps)
		if duration > 0 && since >= duration {
			return nil
		}
		timer.Reset(time.Until(base.Add(time.Duration(first+n) * time.Second / time.Duration(l.fps))))
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-timer.C:
		}
		tag = append(tag[:0], l.frames[(first+n)%len(l.frames)]...)
		// Bytes 4 to 6 of a tag are the low 24 bits of its time stamp in ms, byte 7 those above.
		ms := uint32(since.Milliseconds())
		tag[4], tag[5], tag[6], tag[7] = byte(ms>>16), byte(ms>>8), byte(ms), byte(ms>>24)
		if _, err := w.Write(tag); err != nil {
			return fmt.Errorf("writing frame %d: %w", n, err)
		}
	}
}

// DueAt is when a picture of a loop of this length was due, by its barcode: the last such time that is not after now,
// to the millisecond.
func DueAt(barcode, now time.Time, length time.Duration) time.Time {
	ago := (now.UnixMilli() - barcode.UnixMilli()) % length.Milliseconds()
	return time.UnixMilli(now.UnixMilli() - ago)
}
