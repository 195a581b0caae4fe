package ingest

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// RTMP message types (RTMP 1.0, 5.4, 6.2 and 7.1).
const (
	typeSetChunkSize = 1
	typeAbort        = 2
	typeUserControl  = 4
	typeWindowAck    = 5
	typeAudio        = 8
	typeVideo        = 9
	typeDataAMF0     = 18
	typeCommandAMF3  = 17
	typeCommandAMF0  = 20
)

// rawMessage is an RTMP message. Its body is its own memory.
type rawMessage struct {
	typ       uint8
	timestamp uint32 // milliseconds, wraps
	body      []byte
}

// messageLimits bound what a peer can make the server hold, in bytes.
type messageLimits struct {
	control int // commands, data and protocol control messages
	audio   int
	video   int
	partial int // sum of all messages that have begun and are not complete
}

// Bounds of the chunk layer.
const (
	minChunkSize     = 128 // smaller ones cost more than they carry
	maxChunkSize     = 1 << 24
	maxChunkStreams  = 32
	eagerAllocation  = 64 << 10 // bodies up to this size are allocated at once, larger ones grow as they come
	initialChunkSize = 128
)

// errProtocol is wrapped by what a peer does against the RTMP specification or beyond the limits.
var errProtocol = errors.New("RTMP protocol error")

func protocolError(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{errProtocol}, args...)...)
}

// chunkReader puts messages together from chunks (RTMP 1.0, 5.3). Unlike a general reader it bounds each message by its
// type before a byte of it is read, and the sum of all unfinished messages.
type chunkReader struct {
	r       *bufio.Reader
	limits  messageLimits
	size    uint32 // chunk size in force
	streams map[uint32]*chunkStream
	partial int
	read    uint64 // bytes read, for acknowledgements
}

// chunkStream is the state of one chunk stream: its last header and the message that is being put together.
type chunkStream struct {
	started   bool
	timestamp uint32
	delta     uint32
	length    uint32
	typ       uint8
	extended  bool // the header carried an extended time stamp, so do type 3 chunks
	body      []byte
	open      bool // body is begun and not complete
}

func newChunkReader(r *bufio.Reader, limits messageLimits) *chunkReader {
	return &chunkReader{r: r, limits: limits, size: initialChunkSize, streams: map[uint32]*chunkStream{}}
}

// next reads the next whole message, and carries out chunk size and abort messages itself.
func (c *chunkReader) next() (rawMessage, error) {
	for {
		cs, err := c.header()
		if err != nil {
			return rawMessage{}, err
		}
		done, err := c.payload(cs)
		if err != nil {
			return rawMessage{}, err
		}
		if !done {
			continue
		}
		m := rawMessage{typ: cs.typ, timestamp: cs.timestamp, body: cs.body}
		cs.body, cs.open = nil, false
		c.partial -= len(m.body)
		switch m.typ {
		case typeSetChunkSize:
			err = c.setChunkSize(m.body)
		case typeAbort:
			err = c.abort(m.body)
		default:
			return m, nil
		}
		if err != nil {
			return rawMessage{}, err
		}
	}
}

// header reads a basic header and a message header (RTMP 1.0, 5.3.1).
func (c *chunkReader) header() (*chunkStream, error) {
	first, err := c.bytes(1)
	if err != nil {
		return nil, err
	}
	format, id := first[0]>>6, uint32(first[0]&0x3F)
	switch id {
	case 0:
		b, err := c.bytes(1)
		if err != nil {
			return nil, err
		}
		id = 64 + uint32(b[0])
	case 1:
		b, err := c.bytes(2)
		if err != nil {
			return nil, err
		}
		id = 64 + uint32(b[0]) + uint32(b[1])<<8
	}
	cs := c.streams[id]
	if cs == nil {
		if len(c.streams) >= maxChunkStreams {
			return nil, protocolError("more than %d chunk streams", maxChunkStreams)
		}
		cs = &chunkStream{}
		c.streams[id] = cs
	}
	return cs, c.messageHeader(cs, format)
}

func (c *chunkReader) messageHeader(cs *chunkStream, format byte) error {
	if format != 0 && !cs.started {
		return protocolError("a chunk stream begins with a chunk of type %d", format)
	}
	if format != 3 && cs.open {
		return protocolError("a chunk of type %d inside of a message", format)
	}
	stamp := uint32(0)
	if size := [4]int{11, 7, 3, 0}[format]; size > 0 {
		b, err := c.bytes(size)
		if err != nil {
			return err
		}
		stamp = uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2])
		cs.extended = stamp == 0xFFFFFF
		if format <= 1 {
			cs.length = uint32(b[3])<<16 | uint32(b[4])<<8 | uint32(b[5])
			cs.typ = b[6]
		}
	}
	if cs.extended {
		b, err := c.bytes(4)
		if err != nil {
			return err
		}
		if format != 3 {
			stamp = binary.BigEndian.Uint32(b)
		}
	}
	switch {
	case format == 0:
		cs.started, cs.timestamp, cs.delta = true, stamp, 0
	case format != 3:
		cs.delta = stamp
		cs.timestamp += stamp
	case !cs.open:
		cs.timestamp += cs.delta
	}
	if !cs.open {
		return c.begin(cs)
	}
	return nil
}

// begin starts a message after checking its announced length.
func (c *chunkReader) begin(cs *chunkStream) error {
	limit := c.limits.control
	switch cs.typ {
	case typeAudio:
		limit = c.limits.audio
	case typeVideo:
		limit = c.limits.video
	}
	n := int(cs.length)
	if n > limit {
		return protocolError("a message of type %d with %d bytes, at most %d are accepted", cs.typ, n, limit)
	}
	cs.open = true
	cs.body = make([]byte, 0, min(n, eagerAllocation))
	return nil
}

// payload reads one chunk's part of the message and reports whether the message is complete.
func (c *chunkReader) payload(cs *chunkStream) (bool, error) {
	have := len(cs.body)
	n := min(int(cs.length)-have, int(c.size))
	if c.partial+n > c.limits.partial {
		return false, protocolError("more than %d bytes of unfinished messages", c.limits.partial)
	}
	for n > 0 {
		step := min(n, max(eagerAllocation, len(cs.body))) // memory follows what has come
		from := len(cs.body)
		if cap(cs.body) < from+step {
			grown := make([]byte, from, min(max(2*cap(cs.body), from+step), int(cs.length)))
			copy(grown, cs.body)
			cs.body = grown
		}
		cs.body = cs.body[:from+step]
		got, err := io.ReadFull(c.r, cs.body[from:])
		c.read += uint64(got)
		if err != nil {
			return false, err
		}
		n -= step
	}
	c.partial += len(cs.body) - have
	return len(cs.body) == int(cs.length), nil
}

func (c *chunkReader) setChunkSize(body []byte) error {
	if len(body) < 4 {
		return protocolError("a chunk size message of %d bytes", len(body))
	}
	size := binary.BigEndian.Uint32(body)
	if size < minChunkSize || size > maxChunkSize {
		return protocolError("a chunk size of %d, from %d to %d are accepted", size, minChunkSize, maxChunkSize)
	}
	c.size = size
	return nil
}

func (c *chunkReader) abort(body []byte) error {
	if len(body) < 4 {
		return protocolError("an abort message of %d bytes", len(body))
	}
	if cs := c.streams[binary.BigEndian.Uint32(body)]; cs != nil && cs.open {
		c.partial -= len(cs.body)
		cs.body, cs.open = nil, false
	}
	return nil
}

// bytes reads the next n bytes of a header; they are good until the next read.
func (c *chunkReader) bytes(n int) ([]byte, error) {
	b, err := c.r.Peek(n)
	if err != nil {
		if errors.Is(err, io.EOF) && len(b) > 0 {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	_, _ = c.r.Discard(n) // n bytes are buffered
	c.read += uint64(n)
	return b, nil
}
