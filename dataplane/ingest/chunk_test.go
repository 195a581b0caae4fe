package ingest

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/bluenviron/gortmplib/pkg/bytecounter"
	"github.com/bluenviron/gortmplib/pkg/rawmessage"
)

func chunks(b []byte, limits messageLimits) *chunkReader {
	return newChunkReader(bufio.NewReaderSize(bytes.NewReader(b), 64), limits)
}

// TestChunksOfAnotherImplementationAreRead: what gortmplib writes, in all chunk types, interleaved sizes and large time
// stamps.
func TestChunksOfAnotherImplementationAreRead(t *testing.T) {
	var wire bytes.Buffer
	bc := bytecounter.NewWriter(&wire)
	w := rawmessage.NewWriter(bc, bc, false)
	sent := []rawmessage.Message{
		{ChunkStreamID: 4, Type: typeAudio, MessageStreamID: 1 << 24, Body: []byte{1}},
		{ChunkStreamID: 4, Type: typeAudio, MessageStreamID: 1 << 24, Timestamp: 20 * time.Millisecond, Body: []byte{2}},
		{ChunkStreamID: 4, Type: typeAudio, MessageStreamID: 1 << 24, Timestamp: 40 * time.Millisecond, Body: []byte{3}},
		{
			ChunkStreamID:   6,
			Type:            typeVideo,
			MessageStreamID: 1 << 24,
			Timestamp:       40 * time.Millisecond,
			Body:            bytes.Repeat([]byte{7}, 1000),
		},
		{
			ChunkStreamID:   6,
			Type:            typeVideo,
			MessageStreamID: 1 << 24,
			Timestamp:       80 * time.Millisecond,
			Body:            bytes.Repeat([]byte{8}, 300_000),
		},
		{
			ChunkStreamID:   6,
			Type:            typeVideo,
			MessageStreamID: 1 << 24,
			Timestamp:       5 * time.Hour,
			Body:            bytes.Repeat([]byte{9}, 1000),
		},
		{
			ChunkStreamID:   6,
			Type:            typeVideo,
			MessageStreamID: 1 << 24,
			Timestamp:       5*time.Hour + 40*time.Millisecond,
			Body:            bytes.Repeat([]byte{9}, 1000),
		},
		{
			ChunkStreamID:   5,
			Type:            typeVideo,
			MessageStreamID: 1 << 24,
			Timestamp:       6 * time.Hour,
			Body:            bytes.Repeat([]byte{9}, 1000),
		},
	}
	for i := range sent {
		if err := w.Write(&sent[i]); err != nil {
			t.Fatal(err)
		}
	}
	r := chunks(wire.Bytes(), defaultLimits())
	for i, want := range sent {
		got, err := r.next()
		if err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
		if got.typ != want.Type || got.timestamp != uint32(want.Timestamp/time.Millisecond) ||
			!bytes.Equal(got.body, want.Body) {
			t.Errorf("message %d: type %d at %d with %d bytes; want type %d at %d with %d bytes",
				i, got.typ, got.timestamp, len(got.body), want.Type, want.Timestamp/time.Millisecond, len(want.Body))
		}
	}
	if _, err := r.next(); !errors.Is(err, io.EOF) || r.partial != 0 || r.read != uint64(wire.Len()) {
		t.Errorf("at the end: %v, %d bytes unfinished, %d of %d read", err, r.partial, r.read, wire.Len())
	}
}

func TestLongChunkStreamIDsAndAbortAreRead(t *testing.T) {
	wire := []byte{0x00, 10, 0, 0, 1, 0, 0, 2, typeAudio, 1, 0, 0, 0, 0xA, 0xB}   // id 74 in two bytes
	wire = append(wire, 0x01, 1, 1, 0, 0, 2, 0, 0, 1, typeAudio, 1, 0, 0, 0, 0xC) // id 321 in three
	begun := append([]byte{0x06, 0, 0, 3, 0, 1, 0, typeVideo, 1, 0, 0, 0}, make([]byte, 128)...)
	wire = append(wire, begun...)                                                  // 128 of 256 bytes
	wire = append(wire, 0x02, 0, 0, 0, 0, 0, 4, typeAbort, 0, 0, 0, 0, 0, 0, 0, 6) // taken back
	wire = append(wire, 0x06, 0, 0, 4, 0, 0, 1, typeVideo, 1, 0, 0, 0, 0xD)
	r := chunks(wire, defaultLimits())
	for i, want := range []string{"\x0A\x0B", "\x0C", "\x0D"} {
		if m, err := r.next(); err != nil || string(m.body) != want {
			t.Fatalf("message %d: %x, %v", i, m.body, err)
		}
	}
	if r.partial != 0 {
		t.Errorf("%d bytes unfinished", r.partial)
	}
}

func TestUnfinishedMessagesAreBoundedTogether(t *testing.T) {
	var wire []byte
	for id := byte(3); id < 20; id++ {
		wire = append(wire, id, 0, 0, 0, 0, 1, 0, typeVideo, 1, 0, 0, 0)
		wire = append(wire, make([]byte, 128)...)
	}
	r := chunks(wire, messageLimits{control: 256, audio: 256, video: 256, partial: 1000})
	if _, err := r.next(); !errors.Is(err, errProtocol) {
		t.Errorf("got %v", err)
	}
	if r.partial > 1000 {
		t.Errorf("%d bytes held", r.partial)
	}
}

// FuzzChunks: no input panics or makes the reader hold more than its limit; where gortmplib reads a message, so does
// this reader.
func FuzzChunks(f *testing.F) {
	f.Add([]byte{4, 0, 0, 0, 0, 0, 1, 8, 0, 0, 0, 1, 1, 0xC4, 2})
	f.Add([]byte{6, 0xFF, 0xFF, 0xFF, 0, 0, 200, 9, 0, 0, 0, 1, 1, 2, 3, 4, 5})
	f.Add([]byte{2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 0, 0, 200})
	f.Fuzz(func(t *testing.T, b []byte) {
		limits := messageLimits{control: 4096, audio: 4096, video: 4096, partial: 8192}
		r := chunks(b, limits)
		bc := bytecounter.NewReader(bytes.NewReader(b))
		other := rawmessage.NewReader(bc, bc, func(uint32) error { return nil })
		for {
			m, err := r.next()
			if r.partial < 0 || r.partial > limits.partial {
				t.Fatalf("%d bytes held", r.partial)
			}
			if err != nil {
				return
			}
			if len(m.body) > limits.video {
				t.Fatalf("a message of %d bytes", len(m.body))
			}
			want, err := nextOther(other)
			if err != nil {
				return // gortmplib refuses more, for example long chunk stream ids
			}
			if m.typ != want.Type || !bytes.Equal(m.body, want.Body) {
				t.Fatalf("type %d, %x; gortmplib reads type %d, %x", m.typ, m.body, want.Type, want.Body)
			}
		}
	})
}

// nextOther reads with gortmplib, carrying out what its message layer would.
func nextOther(r *rawmessage.Reader) (*rawmessage.Message, error) {
	for {
		m, err := r.Read()
		if err != nil {
			return nil, err
		}
		switch {
		case m.Type == typeSetChunkSize && len(m.Body) >= 4:
			err = r.SetChunkSize(uint32(m.Body[0])<<24 | uint32(m.Body[1])<<16 | uint32(m.Body[2])<<8 | uint32(m.Body[3]))
			if err != nil {
				return nil, err
			}
		case m.Type == typeAbort && len(m.Body) >= 4:
			r.AbortChunkStream(uint32(m.Body[0])<<24 | uint32(m.Body[1])<<16 | uint32(m.Body[2])<<8 | uint32(m.Body[3]))
		default:
			return m, nil
		}
	}
}
