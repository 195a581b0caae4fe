package testsrc

import (
	"context"
	"fmt"
	"io"
	"time"
)

// maxLag is how far the writer may fall behind the clock before it starts a new time base instead of catching up.
const maxLag = time.Second

// MaxFPS is the most frames per second that are drawn.
const MaxFPS = 240

func checkFPS(fps int) error {
	if fps < 1 || fps > MaxFPS {
		return fmt.Errorf("%d frames per second: give a number from 1 to %d", fps, MaxFPS)
	}
	return nil
}

// Stream writes fps frames per second of wall clock to w until the context ends or, when duration is not 0, until that
// much video was written. Each frame carries the time of its own drawing. It returns nil at the end of duration, the
// cause of the context's end, or the error of w.
func Stream(ctx context.Context, w io.Writer, p *Picture, fps int, duration time.Duration) error {
	if err := checkFPS(fps); err != nil {
		return err
	}
	frame := make([]byte, p.FrameSize())
	base := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	skipped := time.Duration(0)
	for n := 0; ; n++ {
		elapsed := time.Duration(n) * time.Second / time.Duration(fps)
		if duration > 0 && elapsed >= duration {
			return nil
		}
		due := base.Add(elapsed + skipped)
		timer.Reset(time.Until(due))
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-timer.C:
		}
		if lag := time.Since(due); lag > maxLag {
			skipped += lag
		}
		p.Draw(frame, elapsed, time.Now())
		if _, err := w.Write(frame); err != nil {
			return fmt.Errorf("writing frame %d: %w", n, err)
		}
	}
}
