package pull

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/liberrors"
	"github.com/pion/rtcp"

	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/dataplane/media"
)

// session is one reader of one stream. Each has its own description and its own cursor in the hub: it starts at the
// newest key frame, and one that is slow skips frames or ends without anybody else noticing.
type session struct {
	server  *Server
	path    string
	stream  *hub.Stream
	reader  *hub.Reader
	rtsp    *gortsplib.ServerStream
	senders []*sender
	conn    *gortsplib.ServerConn // that plays

	ctx     context.Context //nolint:containedctx // it is the session's life, which its RTSP callbacks begin and end
	cancel  context.CancelFunc
	closing sync.Once

	// Owned by the sending goroutine.
	out      *gortsplib.ServerSession
	active   []*sender // set up by the reader
	wall     wall
	reported time.Time
	last     *media.Frame
}

var (
	errTracksChanged = errors.New("the tracks changed")
	errStalled       = errors.New("the reader takes nothing")
)

// newSession describes a stream to a reader that has not begun yet.
func (s *Server) newSession(path string, stream *hub.Stream) (*session, error) {
	one := &session{server: s, path: path, stream: stream}
	desc := &description.Session{Title: "millrace"}
	for _, kind := range []media.Kind{media.Video, media.Audio} {
		t := stream.Track(kind)
		if t == nil {
			continue
		}
		next, err := newSender(t)
		if err != nil {
			return nil, err
		}
		one.senders = append(one.senders, next)
		desc.Medias = append(desc.Medias, next.media)
	}
	if len(one.senders) == 0 {
		return nil, errNotStarted
	}
	one.rtsp = &gortsplib.ServerStream{Server: s.rtsp, Desc: desc}
	if err := one.rtsp.Initialize(); err != nil {
		return nil, fmt.Errorf("preparing the RTSP stream: %w", err)
	}
	stats := one.rtsp.Stats()
	for _, next := range one.senders {
		next.identify(stats)
	}
	one.ctx, one.cancel = context.WithCancel(context.Background())
	return one, nil
}

// close ends the session and its connection. It may be called again.
func (s *session) close() {
	s.closing.Do(func() {
		s.cancel()
		s.rtsp.Close()
	})
}

// play begins to send what the reader has set up.
func (s *session) play(out *gortsplib.ServerSession) {
	chosen := out.SetuppedMedias()
	for _, one := range s.senders {
		if slices.Contains(chosen, one.media) {
			s.active = append(s.active, one)
		}
	}
	s.out = out
	s.reader = s.stream.NewReader()
	s.server.readers.Go(func() {
		defer s.close()
		defer s.reader.Close()
		err := s.send()
		s.server.metrics.skipped.Add(float64(s.reader.Skipped()))
		if errors.Is(err, io.EOF) {
			s.bye()
		}
		s.server.ended(s, err)
	})
}

// send passes frames on until the stream or the reader ends.
func (s *session) send() error {
	for {
		f, err := s.next()
		if err != nil {
			return err
		}
		if f == nil {
			if err := s.keepAlive(); err != nil {
				return err
			}
			continue
		}
		if err := s.sendFrame(f); err != nil {
			return err
		}
	}
}

// next waits for a frame; it gives nil when it is time for a sign of life.
func (s *session) next() (*media.Frame, error) {
	if f, err := s.reader.TryNext(); f != nil || err != nil {
		return f, err
	}
	ctx, cancel := context.WithTimeout(s.ctx, reportEvery)
	defer cancel()
	f, err := s.reader.Next(ctx)
	if errors.Is(err, context.DeadlineExceeded) && s.ctx.Err() == nil {
		return nil, nil
	}
	return f, err
}

func (s *session) sendFrame(f *media.Frame) error {
	i := slices.IndexFunc(s.senders, func(one *sender) bool { return one.track.Codec.Kind() == f.Kind() })
	if i < 0 || !s.senders[i].fits(f.Track) {
		return errTracksChanged
	}
	one := s.senders[i]
	s.wall.see(f.Ingest, f.DTS)
	s.last = f
	if err := s.report(f); err != nil {
		return err
	}
	if !slices.Contains(s.active, one) {
		return nil
	}
	packets, err := one.encode(f)
	if err != nil {
		return fmt.Errorf("packetising %s: %w", one.track.Codec, err)
	}
	stamp := ticks(f.PTS, one.rate)
	for _, p := range packets {
		p.Timestamp = stamp
		if err := s.push(func() error { return s.out.WritePacketRTP(one.media, p) }); err != nil {
			return err
		}
		one.packets++
		one.octets += uint32(len(p.Payload))
		s.server.metrics.bytes.Add(float64(len(p.Payload)))
	}
	s.server.metrics.packets.Add(float64(len(packets)))
	return nil
}

// report sends the reports of all tracks when they are due; before the first packet they always are.
func (s *session) report(f *media.Frame) error {
	now := time.Now()
	if now.Sub(s.reported) < reportEvery {
		return nil
	}
	s.reported = now
	s.wall.settle(now, f.DTS)
	for _, one := range s.active {
		if err := s.push(func() error { return s.out.WritePacketRTCP(one.media, one.report(&s.wall, f)) }); err != nil {
			return err
		}
	}
	return nil
}

// keepAlive shows the reader that the connection stands though no frames come: the stream is held for its encoder.
func (s *session) keepAlive() error {
	for _, one := range s.active {
		var sign rtcp.Packet = &rtcp.ReceiverReport{SSRC: one.ssrc}
		if s.last != nil {
			sign = one.report(&s.wall, s.last)
		}
		if err := s.push(func() error { return s.out.WritePacketRTCP(one.media, sign) }); err != nil {
			return err
		}
	}
	return nil
}

// bye tells the reader that the stream is over and leaves it time to read what is under way and to hang up.
func (s *session) bye() {
	for _, one := range s.active {
		if s.push(
			func() error { return s.out.WritePacketRTCP(one.media, &rtcp.Goodbye{Sources: []uint32{one.ssrc}}) },
		) != nil {
			return
		}
	}
	select {
	case <-s.ctx.Done():
	case <-time.After(s.server.opt.ByeTime):
	}
}

// push hands a packet to the connection. When its queue is full it waits: the hub's ring is the buffer for slow
// readers, and one that falls out of it goes on at a later key frame. A reader that takes nothing for long is given up.
func (s *session) push(write func() error) error {
	const step = 5 * time.Millisecond
	for waited := time.Duration(0); ; waited += step {
		if s.ctx.Err() != nil {
			return s.ctx.Err()
		}
		err := write()
		if _, full := errors.AsType[liberrors.ErrServerWriteQueueFull](err); !full {
			return err
		}
		if waited >= s.server.opt.StallTime {
			return errStalled
		}
		select {
		case <-s.ctx.Done():
		case <-time.After(step):
		}
	}
}
