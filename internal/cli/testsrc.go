package cli

import (
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/internal/testsrc"
)

// NewTestSourceCommand makes "millrace testsrc": a moving picture with a clock and a barcode, as raw frames on standard
// output.
func NewTestSourceCommand() *cobra.Command {
	var size string
	var fps, detail int
	var duration time.Duration
	cmd := &cobra.Command{
		Use:   "testsrc",
		Short: "Write a moving test picture with a clock to standard output",
		Long: `Write a moving test picture to standard output, in real time, as raw yuv420p frames for ffmpeg.

The picture shows a clock (UTC) and, in its top rows, a barcode of the wall clock in milliseconds at the moment of
drawing. A player that reads the barcode knows the latency from the drawing to its screen.`,
		Example: `  # publish it
  millrace testsrc --size 640x360 --fps 30 | ffmpeg -f rawvideo -pix_fmt yuv420p -s 640x360 -r 30 -i - \
    -c:v libx264 -preset veryfast -tune zerolatency -bf 0 -g 30 -f flv rtmp://push.example.com/live/test

  # ten seconds into a file
  millrace testsrc --duration 10s | ffmpeg -f rawvideo -pix_fmt yuv420p -s 640x360 -r 30 -i - test.mp4`,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var width, height int
			if n, err := fmt.Sscanf(size, "%dx%d", &width, &height); err != nil || n != 2 {
				return &UsageError{fmt.Errorf("--size %q: give width x height in pixels, such as 640x360", size)}
			}
			picture, err := testsrc.NewPicture(width, height, detail)
			if err != nil {
				return &UsageError{fmt.Errorf("--size %s --detail %d: %w", size, detail, err)}
			}
			err = testsrc.Stream(cmd.Context(), cmd.OutOrStdout(), picture, fps, duration)
			// An interrupt is the way to end it, and a reader that goes away has what it wanted.
			interrupted := cmd.Context().Err() != nil
			if interrupted || errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrClosedPipe) {
				err = nil
			}
			return err
		},
	}
	cmd.Flags().StringVar(&size, "size", "640x360", "width x height in pixels, both even")
	intBetween(cmd.Flags(), &fps, "fps", 30, 1, testsrc.MaxFPS, "frames per second, 1 to 240")
	cmd.Flags().
		IntVar(&detail, "detail", 0, "percent of the picture covered by noise, 0 to 50, to make an encoder spend bits")
	span(cmd.Flags(), &duration, "duration", 0, "how much to write, such as 10s; 0 writes until interrupted")
	return cmd
}
