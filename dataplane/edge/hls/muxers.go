// Package hls cuts live streams into HLS segments in memory: MPEG-TS, or fragmented MP4 with the parts of low-latency
// HLS (RFC 8216bis).
//
// It is written on mediacommon's fMP4 and MPEG-TS writers and not on gohlslib, whose muxer derives decoding times anew,
// knows no discontinuity and no end of a stream, and names segments in a way that carries no authorisation.
package hls

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"

	"github.com/millrace/millrace/dataplane/hub"
)

// Format is a form of segments.
type Format string

// The formats.
const (
	LowLatency Format = "ll" // fragmented MP4 with parts; players that do not know them take the segments
	TS         Format = "ts" // MPEG-TS, for old players
)

// Options of Muxers.
type Options struct {
	Linger  time.Duration // how long a muxer goes on after the last request
	EndHold time.Duration // from the last part of a stream to its end; default 1 s
	Log     logr.Logger

	shown func(*state) // tests look at each state; nil otherwise
}

// Muxers are the muxers of a process: one for each stream and format that somebody plays.
type Muxers struct {
	opt Options

	mu     sync.Mutex
	byKey  map[muxerKey]*Muxer
	byID   map[string]*Muxer
	closed bool
}

type muxerKey struct {
	stream *hub.Stream
	format Format
}

// NewMuxers starts with none.
func NewMuxers(opt Options) *Muxers {
	opt.EndHold = cmp.Or(opt.EndHold, time.Second)
	return &Muxers{opt: opt, byKey: map[muxerKey]*Muxer{}, byID: map[string]*Muxer{}}
}

// Open returns the muxer of a stream, which starts with what the stream's ring has; nil when all is closed.
func (ms *Muxers) Open(s *hub.Stream, f Format) *Muxer {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	key := muxerKey{s, f}
	if m := ms.byKey[key]; m != nil {
		m.touch()
		return m
	}
	if ms.closed {
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	m := newMuxer(s, f, newID(), ms.opt)
	m.stop = cancel
	m.touch()
	ms.byKey[key], ms.byID[m.ID] = m, m
	go m.run(ctx)
	return m
}

// Find returns a muxer by its id when it is of the stream that is named; nil when there is none.
func (ms *Muxers) Find(key hub.Key, id string) *Muxer {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	m := ms.byID[id]
	if m == nil || m.Key != key {
		return nil
	}
	m.touch()
	return m
}

// Sweep ends the muxers that nobody asked for a while.
func (ms *Muxers) Sweep(now time.Time) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	for key, m := range ms.byKey {
		if now.Sub(time.Unix(0, m.used.Load())) >= ms.opt.Linger {
			ms.dropLocked(key, m)
		}
	}
}

func (ms *Muxers) dropLocked(key muxerKey, m *Muxer) {
	m.stop()
	delete(ms.byKey, key)
	delete(ms.byID, m.ID)
}

// Count is the number of muxers.
func (ms *Muxers) Count() int {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	return len(ms.byKey)
}

// Bytes is the memory of all segments.
func (ms *Muxers) Bytes() (n int) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	for _, m := range ms.byKey {
		n += int(m.bytes.Load())
	}
	return n
}

// Close ends all muxers and waits for them.
func (ms *Muxers) Close() {
	ms.mu.Lock()
	ms.closed = true
	var all []*Muxer
	for key, m := range ms.byKey {
		all = append(all, m)
		ms.dropLocked(key, m)
	}
	ms.mu.Unlock()
	for _, m := range all {
		<-m.done
	}
}

// newID names a muxer, so that nobody gets segments of an earlier one from a cache.
func newID() string {
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// clock is the time of the last use, in nanoseconds.
type clock = atomic.Int64
