// Package flv makes FLV tags of frames, once for all readers: the same memory is what HTTP-FLV, WebSocket-FLV and RTMP
// send, each with its own few bytes around it.
package flv

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/millrace/millrace/dataplane/media"
)

// Types of tags, which are RTMP's message types as well (FLV 10.1, E.4.1; RTMP 1.0, 7.1).
const (
	TypeAudio  = 8
	TypeVideo  = 9
	TypeScript = 18
)

// The bounds of a tag's framing, in bytes.
const (
	tagHeader  = 11
	tagTrailer = 4
	maxBody    = 1<<24 - 1
)

// Tag is one FLV tag in every form in which it is sent. It is immutable and shared by all readers.
type Tag struct {
	Type uint8
	Key  bool // a reader can begin here, with Preamble in front
	DTS  time.Duration
	// Media is true for frames, false for headers.
	Media bool
	// Preamble is what a reader that begins here needs first; only on key tags.
	Preamble *Preamble

	// FLV is the tag with its trailing PreviousTagSize (FLV 10.1, E.3).
	FLV []byte
	// Chunk is FLV as a chunk of HTTP/1.1 (RFC 9112, 7.1); it has FLV inside, in the same memory.
	Chunk []byte
	// WebSocket is the header of a binary frame that has FLV for its payload (RFC 6455, 5.2).
	WebSocket []byte
	// RTMP is the message in chunks (RTMP 1.0, 5.3.1), its pieces in order; the body is in the same memory as FLV.
	RTMP [][]byte
}

// Preamble is what stands in front of a stream: the FLV header, metadata and the sequence headers, as one tag-like
// thing.
type Preamble struct {
	FLV  []byte
	RTMP [][]byte
}

// build makes a tag around a body, which fill writes.
func build(typ uint8, dts time.Duration, size int, fill func(body []byte)) (*Tag, error) {
	if size > maxBody {
		return nil, fmt.Errorf("a frame of %d bytes is too large for an FLV tag", size)
	}
	whole := tagHeader + size + tagTrailer
	head := fmt.Sprintf("%x\r\n", whole)
	b := make([]byte, len(head)+whole+2)
	copy(b, head)
	tag := b[len(head) : len(head)+whole : len(head)+whole]
	ms := uint32(dts.Milliseconds())
	tag[0] = typ
	put24(tag[1:], uint32(size))
	put24(tag[4:], ms)
	tag[7] = byte(ms >> 24)
	body := tag[tagHeader : tagHeader+size]
	fill(body)
	binary.BigEndian.PutUint32(tag[tagHeader+size:], uint32(tagHeader+size))
	b[len(b)-2], b[len(b)-1] = '\r', '\n'
	return &Tag{Type: typ, DTS: dts, FLV: tag, Chunk: b, WebSocket: FrameHeader(whole), RTMP: chunks(typ, ms, body)}, nil
}

// FrameHeader is the header of a final binary WebSocket frame of n bytes from a server (RFC 6455, 5.2).
func FrameHeader(n int) []byte {
	switch {
	case n < 126:
		return []byte{0x82, byte(n)}
	case n < 1<<16:
		return []byte{0x82, 126, byte(n >> 8), byte(n)}
	}
	return append([]byte{0x82, 127}, binary.BigEndian.AppendUint64(nil, uint64(n))...)
}

// ChunkSize is the RTMP chunk size that tags are made for.
const ChunkSize = 65536

// chunks lays a message out: a header of type 0, then one of type 3 in front of each further chunk (RTMP 1.0, 5.3.1.2).
// From 0xFFFFFF milliseconds on, each header carries the extended time stamp.
func chunks(typ uint8, ms uint32, body []byte) [][]byte {
	stream := byte(4)
	switch typ {
	case TypeVideo:
		stream = 6
	case TypeScript:
		stream = 5
	}
	head := make([]byte, 12, 21)
	head[0] = stream
	extended := ms >= 0xFFFFFF
	if extended {
		put24(head[1:], 0xFFFFFF)
		head = binary.BigEndian.AppendUint32(head, ms)
	} else {
		put24(head[1:], ms)
	}
	put24(head[4:], uint32(len(body)))
	head[7] = typ
	head[8] = 1 // message stream id, little endian
	out := make([][]byte, 0, 2+2*(len(body)/ChunkSize))
	out = append(out, head, body[:min(len(body), ChunkSize)])
	if len(body) <= ChunkSize {
		return out
	}
	again := []byte{0xC0 | stream}
	if extended {
		again = binary.BigEndian.AppendUint32(again, ms)
	}
	for rest := body[ChunkSize:]; len(rest) > 0; {
		n := min(len(rest), ChunkSize)
		out = append(out, again, rest[:n])
		rest = rest[n:]
	}
	return out
}

func put24(b []byte, v uint32) { b[0], b[1], b[2] = byte(v>>16), byte(v>>8), byte(v) }

// Kind tells what a tag carries.
func (t *Tag) Kind() media.Kind {
	switch t.Type {
	case TypeVideo:
		return media.Video
	case TypeAudio:
		return media.Audio
	}
	return 0
}
