package flv

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// The opcodes of RFC 6455, 5.2.
const (
	opContinuation = 0
	opBinary       = 2
	opClose        = 8
	opPing         = 9
	opPong         = 10
)

// normalClosure is the code of an orderly end (RFC 6455, 7.4.1).
const normalClosure = 1000

// messages reads the payload of binary WebSocket messages as one sequence of bytes; io.EOF is an orderly end.
type messages struct {
	r    *bufio.Reader
	w    io.Writer
	left uint64
}

func newMessages(r io.Reader, w io.Writer) *messages {
	return &messages{r: bufio.NewReaderSize(r, 4096), w: w} // the same reader, when it is one of that size
}

func (m *messages) Read(p []byte) (int, error) {
	for m.left == 0 {
		if err := m.next(); err != nil {
			return 0, err
		}
	}
	n, err := m.r.Read(p[:min(uint64(len(p)), m.left)])
	m.left -= uint64(n)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// next reads the header of a frame, and control frames as a whole.
func (m *messages) next() error {
	var head [2]byte
	if _, err := io.ReadFull(m.r, head[:]); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF // without a close frame
		}
		return err
	}
	if head[1]&0x80 != 0 || head[0]&0x70 != 0 {
		return fmt.Errorf("a WebSocket frame of a server begins with %x", head)
	}
	n := uint64(head[1])
	switch n {
	case 126:
		var b [2]byte
		if _, err := io.ReadFull(m.r, b[:]); err != nil {
			return err
		}
		n = uint64(binary.BigEndian.Uint16(b[:]))
	case 127:
		var b [8]byte
		if _, err := io.ReadFull(m.r, b[:]); err != nil {
			return err
		}
		n = binary.BigEndian.Uint64(b[:])
	}
	switch op := head[0] & 0x0F; op {
	case opContinuation, opBinary:
		m.left = n
		return nil
	case opClose, opPing, opPong:
		if n > 125 {
			return fmt.Errorf("a WebSocket control frame of %d bytes", n)
		}
		body := make([]byte, n)
		if _, err := io.ReadFull(m.r, body); err != nil {
			return err
		}
		return m.control(op, body)
	default:
		return fmt.Errorf("a WebSocket message of the kind %d, which is not binary", op)
	}
}

func (m *messages) control(op byte, body []byte) error {
	switch op {
	case opPing: // masked with zeros, as a client's frames must be masked
		_, err := m.w.Write(append([]byte{0x80 | opPong, 0x80 | byte(len(body)), 0, 0, 0, 0}, body...))
		return err
	case opClose:
		if len(body) >= 2 {
			if code := binary.BigEndian.Uint16(body); code != normalClosure {
				return fmt.Errorf("the server closes with code %d", code)
			}
		}
		return io.EOF
	}
	return nil
}
