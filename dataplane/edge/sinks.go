package edge

import (
	"fmt"
	"net/http"
	"time"

	"github.com/millrace/millrace/dataplane/flv"
)

// fileHeader is the length of the FLV file header and the first PreviousTagSize, which stand in front once (FLV 10.1,
// E.2).
const fileHeader = 13

// headers is what a reader needs of a preamble.
func headers(p *flv.Preamble, again bool) []byte {
	if again {
		return p.FLV[fileHeader:]
	}
	return p.FLV
}

// flvSink is HTTP-FLV over a connection that was taken over.
type flvSink struct {
	*outlet
	head    []byte
	chunked bool
}

func (s *flvSink) begin(p *flv.Preamble, again bool) error {
	if !again {
		s.add(s.head)
		s.head = nil
	}
	b := headers(p, again)
	if s.chunked {
		s.add(fmt.Appendf(nil, "%x\r\n", len(b)), b, []byte("\r\n"))
	} else {
		s.add(b)
	}
	return nil
}

func (s *flvSink) write(tags []*flv.Tag) error {
	for _, t := range tags {
		if s.chunked {
			s.add(t.Chunk)
		} else {
			s.add(t.FLV)
		}
	}
	return s.flush()
}

func (s *flvSink) finish(error) {
	b := s.head // of a stream that ended before it began
	if s.chunked {
		b = append(b, "0\r\n\r\n"...)
	}
	s.writeEnd(b)
}

// responseSink is FLV over HTTP/2.
type responseSink struct {
	w       http.ResponseWriter
	control *http.ResponseController
	limit   time.Duration // for a write
}

func (s *responseSink) begin(p *flv.Preamble, again bool) error {
	_, err := s.w.Write(headers(p, again))
	return err
}

func (s *responseSink) write(tags []*flv.Tag) error {
	if err := s.control.SetWriteDeadline(time.Now().Add(s.limit)); err != nil {
		return err
	}
	for _, t := range tags {
		if _, err := s.w.Write(t.FLV); err != nil {
			return err
		}
	}
	return s.control.Flush()
}

func (s *responseSink) finish(error) {}

// stalled: HTTP/2 has many streams in one connection; the deadline of each write decides.
func (s *responseSink) stalled(time.Time, time.Duration) bool { return false }

func (s *responseSink) abort() { _ = s.control.SetWriteDeadline(time.Now().Add(endTimeout)) }
