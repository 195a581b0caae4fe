package edge

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"time"

	"github.com/bluenviron/gortmplib/pkg/amf0"

	"github.com/millrace/millrace/dataplane/door"
	"github.com/millrace/millrace/dataplane/flv"
	"github.com/millrace/millrace/dataplane/ingest"
	"github.com/millrace/millrace/internal/contract/plan"
)

// ServeRTMP plays to RTMP connections of a listener until the context ends, and closes the listener. Who wants to
// publish there is refused.
func (e *Edge) ServeRTMP(ctx context.Context, l net.Listener) error {
	s, err := e.listener()
	if err != nil {
		return errors.Join(err, l.Close())
	}
	return s.Serve(ctx, l)
}

// ServeRTMPS is ServeRTMP over TLS.
func (e *Edge) ServeRTMPS(
	ctx context.Context,
	l net.Listener,
	getCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error),
) error {
	s, err := e.listener()
	if err != nil {
		return errors.Join(err, l.Close())
	}
	return s.ServeTLS(ctx, l, getCertificate)
}

// listener is an ingest that knows no push domain: its handshake, its limits, and nothing to publish to.
func (e *Edge) listener() (*ingest.Server, error) {
	return ingest.New(ingest.Options{Hub: e.opt.Hub, Plan: plan.NewCurrent(), Log: e.log, Play: e})
}

// PlayRTMP serves a connection that asked to play. It makes the edge an ingest.Player.
func (e *Edge) PlayRTMP(ctx context.Context, p *ingest.PlayRequest) {
	pass, no := e.door.Enter(ctx, &door.Ask{
		Host: plan.Hostname(p.Host), Path: p.Path, Query: p.RawQuery, Remote: p.Remote().Addr(), Referer: p.Referer,
		Type: plan.Standard, Protocol: plan.RTMP,
	})
	if no != nil {
		e.metrics.joins.WithLabelValues("rtmp", no.Reason).Inc()
		e.log.V(1).Info("Viewer refused", "Protocol", "rtmp", "Reason", no.Reason)
		_ = p.Status(no.NetStream, "error", no.Message) // the connection is closed anyway
		return
	}
	defer pass.Leave()
	for _, step := range []func() error{
		p.Begin,
		func() error { return p.Status("NetStream.Play.Reset", "status", "Playing and resetting.") },
		func() error { return p.Status("NetStream.Play.Start", "status", "Started playing.") },
	} {
		if step() != nil {
			return
		}
	}
	v := &viewer{
		edge: e, pass: pass, stream: pass.Stream.Key.String(), remote: p.Remote(), kind: "rtmp", since: time.Now(),
		end: make(chan struct{}),
	}
	v.sink = &rtmpSink{outlet: newOutlet(p.Conn()), request: p}
	listening := make(chan struct{})
	e.start(v, func() {
		go func() {
			defer close(listening)
			err := p.Wait()
			if ctx.Err() != nil {
				err = errShutdown
			} else {
				err = errors.Join(errLeft, err)
			}
			v.stopWith(err)
		}()
		v.run()
		p.StopWaiting()
		<-listening
	}, func() { _ = p.Status("NetConnection.Connect.AppShutdown", "error", errShutdown.Error()) })
}

// rtmpSink is RTMP: messages in chunks.
type rtmpSink struct {
	*outlet
	request *ingest.PlayRequest
}

// sampleAccess lets players of the Flash family use what they decode; some wait for it.
func sampleAccess() []byte {
	body, err := amf0.Data{"|RtmpSampleAccess", true, true}.Marshal()
	if err != nil {
		return nil
	}
	head := []byte{5, 0, 0, 0, 0, 0, byte(len(body)), flv.TypeScript, 1, 0, 0, 0}
	return append(head, body...)
}

func (s *rtmpSink) begin(p *flv.Preamble, again bool) error {
	if !again {
		s.add(sampleAccess())
	}
	s.add(p.RTMP...)
	return nil
}

func (s *rtmpSink) write(tags []*flv.Tag) error {
	for _, t := range tags {
		s.add(t.RTMP...)
	}
	return s.flush()
}

// finish tells the player why it is over; an error of the connection is of no interest any more.
func (s *rtmpSink) finish(cause error) {
	if s.partial || errors.Is(cause, errLeft) {
		return
	}
	switch reasonFor(cause) {
	case "ended":
		_ = s.request.Status("NetStream.Play.UnpublishNotify", "status", "The stream has ended.")
		_ = s.request.EOF()
		_ = s.request.Status("NetStream.Play.Stop", "status", "Stopped playing.")
	case "shutdown":
		_ = s.request.Status("NetConnection.Connect.AppShutdown", "error", errShutdown.Error())
	case "right_lost":
		_ = s.request.Status("NetStream.Play.Failed", "error", cause.Error())
	}
}
