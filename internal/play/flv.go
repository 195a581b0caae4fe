package play

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/millrace/millrace/dataplane/cputime"
	"github.com/millrace/millrace/internal/play/flv"
	"github.com/millrace/millrace/internal/play/join"
	"github.com/millrace/millrace/internal/play/meter"
)

// MaxReadKbps bounds what a slow reader is asked to read.
const MaxReadKbps = 100_000

// FLVOptions say what is played of an FLV stream and how.
type FLVOptions struct {
	URL      string
	Join     join.Options
	Viewers  int           // 1 to MaxViewers
	Slow     int           // readers beside them that read too slowly
	SlowKbps int           // how much these read
	Ramp     time.Duration // as in Options, and so on
	Duration time.Duration
	Wait     time.Duration
	Progress func(Progress)
}

func (o *FLVOptions) check() error {
	switch {
	case o.Viewers < 1 || o.Slow < 0 || o.Viewers+o.Slow > MaxViewers:
		return fmt.Errorf("%d viewers and %d slow readers: want 1 to %d in all", o.Viewers, o.Slow, MaxViewers)
	case o.Slow > 0 && (o.SlowKbps < 1 || o.SlowKbps > MaxReadKbps):
		return fmt.Errorf("%d kbit/s of a slow reader: want 1 to %d", o.SlowKbps, MaxReadKbps)
	case o.Duration < 0 || o.Ramp < 0 || o.Wait < 0:
		return errors.New("a duration is negative")
	}
	return nil
}

// RunFLV plays an FLV stream and gives the report; the error is about wrong options.
func RunFLV(ctx context.Context, o FLVOptions) (*FLVReport, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	target, err := flv.Parse(o.URL, o.Join)
	if err != nil {
		return nil, err
	}
	crowd := flv.NewCrowd(context.WithoutCancel(ctx), target, time.Time{})
	defer crowd.Close()
	began := time.Now()
	good := crowd.Add(o.Viewers, 0, o.Ramp, o.Wait)
	slow := crowd.Add(o.Slow, o.SlowKbps*1000, o.Ramp, o.Wait)
	all := make(chan struct{})
	go func() {
		good.Wait()
		close(all)
	}()
	l := superviseFLV(ctx, &o, good, all)
	crowd.Close()
	report := &FLVReport{
		URL:      target.String(),
		Protocol: target.Protocol(),
		Seconds:  time.Since(began).Seconds(),
		SlowKbps: o.SlowKbps,
	}
	report.fill(good, slow)
	report.Load = l.report()
	return report, nil
}

// superviseFLV waits for the end of all viewers or of the duration, tells progress, and measures what this process
// spends while all watch.
func superviseFLV(ctx context.Context, o *FLVOptions, good *flv.Part, all <-chan struct{}) *flvLoad {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	began := time.Now()
	l := &flvLoad{}
	var deadline time.Time
	for looks := 1; ; looks++ {
		select {
		case <-all:
			l.finish(good)
			return l
		case <-ctx.Done():
			l.finish(good)
			return l
		case now := <-tick.C:
			each, latency := good.Look()
			up := 0
			for i := range each {
				if each[i].AnswerMs > 0 || each[i].Error != "" {
					up++
				}
			}
			if deadline.IsZero() && o.Duration > 0 && (up > 0 || o.Wait == 0) {
				deadline = now.Add(o.Ramp + o.Duration - lookEvery)
			}
			if up == len(each) {
				l.begin(good)
			}
			if !deadline.IsZero() && !now.Before(deadline) {
				l.finish(good)
				return l
			}
			if o.Progress != nil && looks%5 == 0 {
				o.Progress(flvProgress(each, latency, now.Sub(began)))
			}
		}
	}
}

func flvProgress(each []flv.Stats, latency *meter.Histogram, elapsed time.Duration) Progress {
	p := Progress{Elapsed: elapsed, Viewers: len(each)}
	var tags, bytes uint64
	for i := range each {
		s := &each[i]
		if s.Ended != "" || s.Error != "" {
			p.Ended++
		} else if s.Playing() {
			p.Playing++
		}
		p.Lost += s.Lost
		tags += s.VideoTags
		bytes += s.Bytes
	}
	p.Mbps = float64(bytes) * 8 / 1e6 / elapsed.Seconds()
	p.FPS = float64(tags) / elapsed.Seconds() / float64(len(each))
	if latency.Count() > 0 {
		p.LatencyP50 = meter.DurationQuantiles(latency).P50
	}
	return p
}

// flvLoad measures what this process spends while all watch.
type flvLoad struct {
	begun, done bool
	cpu         time.Duration
	tags, bytes uint64
}

func (l *flvLoad) count(good *flv.Part) (tags, bytes uint64) {
	each, _ := good.Look()
	for i := range each {
		tags += each[i].VideoTags + each[i].AudioTags
		bytes += each[i].Bytes
	}
	return tags, bytes
}

func (l *flvLoad) begin(good *flv.Part) {
	if !l.begun {
		l.begun = true
		l.cpu = cputime.Own()
		l.tags, l.bytes = l.count(good)
	}
}

func (l *flvLoad) finish(good *flv.Part) {
	if l.begun && !l.done {
		l.done = true
		tags, bytes := l.count(good)
		l.cpu, l.tags, l.bytes = cputime.Own()-l.cpu, tags-l.tags, bytes-l.bytes
	}
}

func (l *flvLoad) report() *FLVLoad {
	if !l.done || l.tags == 0 {
		return nil
	}
	return &FLVLoad{
		CPUSeconds: l.cpu.Seconds(), Tags: l.tags, CPUMicrosPerTag: float64(l.cpu.Nanoseconds()) / 1000 / float64(l.tags),
		CPUSecondsPerGbit: l.cpu.Seconds() / (float64(l.bytes) * 8 / 1e9),
	}
}
