package play

import (
	"context"
	"io"
)

// Outcome is the report of a play, whatever was played.
type Outcome interface {
	Text(w io.Writer)
	// Failure is nil when every viewer had a picture.
	Failure() error
}

// Play is Run with progress told.
func (o *Options) Play(ctx context.Context, progress func(Progress)) (Outcome, error) {
	with := *o
	with.Progress = progress
	report, err := Run(ctx, with)
	if err != nil {
		return nil, err
	}
	return report, nil
}

// Play is RunFLV with progress told.
func (o *FLVOptions) Play(ctx context.Context, progress func(Progress)) (Outcome, error) {
	with := *o
	with.Progress = progress
	report, err := RunFLV(ctx, with)
	if err != nil {
		return nil, err
	}
	return report, nil
}
