package announce

import (
	"bufio"
	"encoding/json"
	"net/http"
	"time"
)

const (
	maxListeners = 4096
	takeTime     = 5 * time.Second // for a listener to take what is written
)

// ServeHTTP announces until the listener goes or takes nothing any more.
func (b *Board) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	l, ok := b.join(maxListeners)
	if !ok {
		w.Header().Set("Retry-After", "2")
		http.Error(w, "503 too many listeners", http.StatusServiceUnavailable)
		return
	}
	defer b.leave(l)
	w.Header().Set("Content-Type", "application/jsonl")
	out := &writer{control: http.NewResponseController(w), buffer: bufio.NewWriterSize(w, 16<<10)}
	out.json = json.NewEncoder(out.buffer)
	out.line(Line{Hello: &b.hello})
	beat := time.NewTicker(BeatEvery)
	defer beat.Stop()
	for first := true; ; first = false {
		changed, status := b.take(l, first || time.Since(out.status) >= StatusMost)
		for id, c := range changed {
			if c.gone {
				out.line(Line{Gone: &Gone{ID: id, Epoch: c.stream.Epoch}})
			} else {
				out.line(Line{Stream: &c.stream})
			}
		}
		if status != nil {
			out.status = time.Now()
			out.line(Line{Status: status})
		}
		if out.flush() != nil {
			return
		}
		select {
		case <-req.Context().Done():
			return
		case <-l.wake:
		case <-beat.C:
			out.line(Line{Heartbeat: &Heartbeat{}})
		}
	}
}

// writer writes lines with a time limit for each batch.
type writer struct {
	control *http.ResponseController
	buffer  *bufio.Writer
	json    *json.Encoder
	status  time.Time // when the last line of status was written
	err     error
}

func (w *writer) line(l Line) {
	if w.err != nil {
		return
	}
	// The limit is set before each line, for a full buffer is written in between. A server without limits is one of a
	// test.
	_ = w.control.SetWriteDeadline(time.Now().Add(takeTime))
	w.err = w.json.Encode(l)
}

func (w *writer) flush() error {
	if w.err == nil {
		w.err = w.buffer.Flush()
	}
	if w.err == nil {
		w.err = w.control.Flush()
	}
	return w.err
}
