package edge

import (
	"bufio"
	"crypto/sha1" // RFC 6455 wants it; nothing depends on its strength
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/millrace/millrace/dataplane/flv"
)

// websocketKey returns the key of an opening handshake; "" when the request is none (RFC 6455, 4.2.1).
func websocketKey(req *http.Request) string {
	if req.Method != http.MethodGet || !strings.EqualFold(req.Header.Get("Upgrade"), "websocket") ||
		!strings.Contains(
			strings.ToLower(req.Header.Get("Connection")),
			"upgrade",
		) || req.Header.Get("Sec-WebSocket-Version") != "13" {
		return ""
	}
	key := req.Header.Get("Sec-WebSocket-Key")
	if b, err := base64.StdEncoding.DecodeString(key); err != nil || len(b) != 16 {
		return ""
	}
	return key
}

// socketAnswer is the server's opening handshake (RFC 6455, 4.2.2).
func socketAnswer(key string, h http.Header) []byte {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	var b strings.Builder
	b.WriteString(
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ",
	)
	b.WriteString(
		base64.StdEncoding.EncodeToString(
			sum[:],
		) + "\r\nAccess-Control-Allow-Origin: " + h.Get(
			"Access-Control-Allow-Origin",
		) + "\r\n\r\n",
	)
	return []byte(b.String())
}

// socketSink is FLV in binary messages, one tag each.
type socketSink struct {
	*outlet
	head []byte
}

func (s *socketSink) begin(p *flv.Preamble, again bool) error {
	if !again {
		s.add(s.head)
		s.head = nil
	}
	b := headers(p, again)
	s.add(flv.FrameHeader(len(b)), b)
	return nil
}

func (s *socketSink) write(tags []*flv.Tag) error {
	for _, t := range tags {
		s.add(t.WebSocket, t.FLV)
	}
	return s.flush()
}

// finish closes with 1000 at the end of the stream and with 1001 (going away) else (RFC 6455, 7.4.1).
func (s *socketSink) finish(cause error) {
	code := uint16(1001)
	if errors.Is(cause, errEnded) {
		code = 1000
	}
	s.writeEnd(binary.BigEndian.AppendUint16(append(s.head, 0x88, 2), code))
}

// maxControl bounds a control frame (RFC 6455, 5.5); players of FLV send nothing else.
const maxControl = 125

var errSocketFrame = errors.New("a WebSocket player may send small frames alone")

// readSocket reads frames until the player closes. Pings are not answered: a pong in the middle of a tag would break
// it, and media shows that the server lives.
func readSocket(r *bufio.Reader, _ *viewer) error {
	for {
		var head [2]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return err
		}
		n := int(head[1] & 0x7F)
		if n > maxControl {
			return errSocketFrame
		}
		if head[1]&0x80 != 0 {
			n += 4 // the mask
		}
		if _, err := r.Discard(n); err != nil {
			return err
		}
		if head[0]&0x0F == 8 {
			return io.EOF
		}
	}
}
