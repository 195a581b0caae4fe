package ingest

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/bluenviron/gortmplib/pkg/amf0"
	"github.com/bluenviron/gortmplib/pkg/bytecounter"
	"github.com/bluenviron/gortmplib/pkg/handshake"
	"github.com/bluenviron/gortmplib/pkg/message"
)

const (
	writeTimeout = 5 * time.Second
	lingerTime   = time.Second // for which a closed connection is read on, so that the last status arrives
	lingerBytes  = 4 << 20
	windowSize   = 2_500_000

	// maxDescription keeps a status within the 256 bytes that ffmpeg has room for.
	maxDescription = 250
)

// defaultLimits allow a 4K source: its largest key frames stay below 8 MiB.
func defaultLimits() messageLimits {
	return messageLimits{control: 64 << 10, audio: 64 << 10, video: 8 << 20, partial: 9 << 20}
}

// conn speaks RTMP on a connection: handshake, chunks, acknowledgements, commands and statuses. One goroutine reads;
// writes are safe for concurrent use.
type conn struct {
	net    net.Conn
	br     *bufio.Reader
	chunks *chunkReader

	ackWindow uint64
	acked     uint64

	mu  sync.Mutex
	out *message.Writer
}

func newConn(nc net.Conn) *conn {
	br := bufio.NewReaderSize(nc, 16<<10)
	return &conn{
		net:    nc,
		br:     br,
		chunks: newChunkReader(br, defaultLimits()),
		out:    message.NewWriter(nc, bytecounter.NewWriter(nc), false),
	}
}

// handshake does the plain handshake (RTMP 1.0, 5.2). Encrypted RTMP (RTMPE) is refused: it protects nothing; RTMPS
// does.
func (c *conn) handshake() error {
	version, err := c.br.Peek(1)
	if err != nil {
		return err
	}
	if version[0] != 3 {
		return protocolError("version %d in the handshake, only 3 is accepted (use RTMPS for encryption)", version[0])
	}
	_, _, err = handshake.DoServer(struct {
		io.Reader
		io.Writer
	}{c.br, c.net}, false)
	return err
}

// read returns the next audio, video, data or command message and answers protocol control messages itself.
func (c *conn) read() (rawMessage, error) {
	for {
		m, err := c.chunks.next()
		if err != nil {
			return m, err
		}
		if c.ackWindow > 0 && c.chunks.read-c.acked >= c.ackWindow {
			c.acked = c.chunks.read
			if err := c.write(&message.Acknowledge{Value: uint32(c.acked)}); err != nil {
				return m, err
			}
		}
		switch m.typ {
		case typeAudio, typeVideo, typeDataAMF0, typeCommandAMF0:
			return m, nil
		case typeCommandAMF3: // AMF0 behind a format byte
			if len(m.body) > 0 {
				m.typ, m.body = typeCommandAMF0, m.body[1:]
				return m, nil
			}
		case typeWindowAck:
			if len(m.body) >= 4 {
				c.ackWindow = max(uint64(binary.BigEndian.Uint32(m.body)), 64<<10)
			}
		case typeUserControl:
			// Ping request: event type 6 and a time stamp (RTMP 1.0, 7.1.7).
			if len(m.body) >= 6 && m.body[0] == 0 && m.body[1] == 6 {
				if err := c.write(&message.UserControlPingResponse{ServerTime: binary.BigEndian.Uint32(m.body[2:])}); err != nil {
					return m, err
				}
			}
		}
	}
}

// readOnly returns the next message and answers nothing: a player sends next to nothing, so it needs no
// acknowledgement, and what would be written could fall in the middle of media.
func (c *conn) readOnly() (rawMessage, error) { return c.chunks.next() }

func (c *conn) write(m message.Message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.net.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	return c.out.Write(m)
}

// command is a command message (RTMP 1.0, 7.1.1).
type command struct {
	name string
	id   int
	args amf0.Data // what follows the transaction id: command object, then arguments
}

func parseCommand(body []byte) (command, error) {
	data, err := amf0.Unmarshal(body)
	if err != nil {
		return command{}, protocolError("reading a command: %v", err)
	}
	if len(data) < 2 {
		return command{}, protocolError("a command of %d values", len(data))
	}
	name, ok1 := data[0].(string)
	id, ok2 := data[1].(float64)
	if !ok1 || !ok2 {
		return command{}, protocolError("a command without name and transaction id")
	}
	return command{name: name, id: int(id), args: data[2:]}, nil
}

// text returns an argument as a string; "" when it is none.
func (c command) text(i int) string {
	if i >= len(c.args) {
		return ""
	}
	s, _ := c.args[i].(string)
	return s
}

// object returns an argument as an object; nil when it is none.
func (c command) object(i int) amf0.Object {
	if i >= len(c.args) {
		return nil
	}
	switch o := c.args[i].(type) {
	case amf0.Object:
		return o
	case amf0.ECMAArray:
		return amf0.Object(o)
	}
	return nil
}

// status sends an onStatus message on the encoder's stream.
func (c *conn) status(code status, level, description string) error {
	return c.write(&message.CommandAMF0{
		ChunkStreamID:   5,
		MessageStreamID: 0x1000000, // 1 in little endian
		Name:            "onStatus",
		Arguments: []any{nil, amf0.Object{
			{Key: "level", Value: level},
			{Key: "code", Value: string(code)},
			{Key: "description", Value: cut(description, maxDescription)},
		}},
	})
}

// cut shortens a text to at most n bytes, at a rune's border.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// closeGently closes a connection such that what was written last arrives: data that is unread at close would make the
// system send a reset, which discards it.
func (c *conn) closeGently() {
	defer func() { _ = c.net.Close() }()
	half, ok := c.net.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	if c.net.SetReadDeadline(time.Now().Add(lingerTime)) == nil {
		_, _ = io.CopyN(io.Discard, c.br, lingerBytes)
	}
}

// serverName does the TLS handshake, if it is a TLS connection, and gives the name that the encoder asked for.
func (c *conn) serverName(ctx context.Context) (string, error) {
	secure, ok := c.net.(*tls.Conn)
	if !ok {
		return "", nil
	}
	if err := secure.HandshakeContext(ctx); err != nil {
		return "", fmt.Errorf("TLS handshake: %w", err)
	}
	return secure.ConnectionState().ServerName, nil
}
