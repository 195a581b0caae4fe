package pull

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/liberrors"
	"github.com/go-logr/logr"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/dataplane/media"
)

// Client pulls one stream into a hub. Hub, Key and URL are needed; zero values take the defaults. It may run any number
// of times, one after another.
type Client struct {
	URL       string        // rtsp://host:port/space/app/name, or rtsps://
	TLSConfig *tls.Config   // for rtsps; its ServerName is the host of the URL when empty
	Hub       *hub.Hub      // that is published to
	Key       hub.Key       // as which
	Publisher hub.Publisher // by whom; an empty Remote is filled with the server's address
	Told      media.Facts   // what the origin has said of the stream; it stands until it was measured here
	Log       logr.Logger

	Timeout time.Duration // for each answer, and without any packet while playing; default 10 s
}

// Run pulls until the stream is over, and returns nil then: the publication has ended. When the connection breaks
// (ErrBroken) or the context ends, the publication is abandoned, so that the next Run within the hub's hold time
// continues it. Nothing is published when the stream could not be reached (ErrNotFound, a *hub.UnavailableError,
// ErrUnsupported or a network error). It also ends, with the cause, when the hub ends the publication.
func (c *Client) Run(ctx context.Context) error {
	u, err := base.ParseURL(c.URL)
	if err != nil {
		return fmt.Errorf("reading the URL to pull from: %w", err)
	}
	if u.Scheme == "rtsps" && u.Port() == "" {
		u.Host += ":322" // RFC 7826, section 19.2
	}
	one := &puller{client: c, inspector: media.NewInspector(), over: make(chan error, 1)}
	one.inspector.Told(c.Told)
	where := u.Host + u.Path // without a query, which may hold a secret
	if err := one.run(ctx, u); err != nil {
		return fmt.Errorf("pulling %s: %w", where, err)
	}
	return nil
}

func (c *Client) connect(ctx context.Context, u *base.URL) (*gortsplib.Client, error) {
	timeout := c.Timeout
	if timeout <= 0 {
		timeout = 10 * time.Second
	}
	dialer := &net.Dialer{Timeout: timeout}
	dial := dialer.DialContext
	if u.Scheme == "rtsps" {
		// TLS is ours, below plain RTSP: gortsplib would encrypt the packets once more (SRTP), and verify the name in the URL
		// alone.
		secure := &tls.Dialer{NetDialer: dialer, Config: c.TLSConfig}
		dial = secure.DialContext
	}
	tcp := gortsplib.TransportTCP
	ignore := func(error) {} // receivers count what they cannot use
	rtsp := &gortsplib.Client{
		Scheme: "rtsp", Host: u.Host, ReadTimeout: timeout, WriteTimeout: timeout, Transport: &tcp,
		UserAgent: "millrace", OnDecodeError: ignore, OnPacketsLost: func(uint64) {}, OnTransportSwitch: ignore,
		DialContext: func(_ context.Context, network, address string) (net.Conn, error) {
			return dial(ctx, network,
				address)
		},
	}
	return rtsp, rtsp.Start2()
}

// puller is one run of a client. Its callbacks run on one goroutine, that of the RTSP connection.
type puller struct {
	client    *Client
	receivers []*receiver
	line      timeline
	inspector *media.Inspector
	pub       *hub.Publication
	over      chan error // what the callbacks found to be the end; nil is the stream's

	facts    time.Time      // when they were told last
	enough   time.Duration  // DTS of video from which on rates can be told; 0: no picture has come
	measured bool           // they were, once
	tracks   []*media.Track // that were announced
	damaged  int
}

func (p *puller) run(ctx context.Context, u *base.URL) error {
	rtsp, err := p.client.connect(ctx, u)
	if err != nil {
		return err
	}
	defer rtsp.Close()
	stop := context.AfterFunc(ctx, rtsp.Close)
	defer stop()
	if err := p.setUp(rtsp, u); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return reason(err)
	}
	by := p.client.Publisher
	if by.Remote == "" {
		by.Remote = u.Host
	}
	if p.pub, err = p.client.Hub.Publish(p.client.Key, by); err != nil {
		return fmt.Errorf("publishing as %s: %w", p.client.Key, err)
	}
	p.announceTracks()
	err = p.play(ctx, rtsp)
	rtsp.Close() // from here on no callback runs, and nobody writes
	if p.damaged > 0 {
		p.client.Log.Info("Packets of a pulled stream could not be used", "packets", p.damaged)
	}
	if err == nil {
		p.pub.End()
		return nil
	}
	p.pub.Abandon()
	return err
}

// setUp chooses the first video and the first audio track that are carried.
func (p *puller) setUp(rtsp *gortsplib.Client, u *base.URL) error {
	plain := *u
	plain.Scheme = "rtsp"
	desc, _, err := rtsp.Describe(&plain)
	if err != nil {
		return err
	}
	have := map[media.Kind]bool{}
	for _, m := range desc.Medias {
		r, err := p.choose(m)
		if err != nil {
			return err
		}
		if r == nil || have[r.codec.Kind()] {
			continue
		}
		if _, err := rtsp.Setup(desc.BaseURL, m, 0, 0); err != nil {
			return err
		}
		have[r.codec.Kind()] = true
		p.receivers = append(p.receivers, r)
		rtsp.OnPacketRTP(m, r.format, func(packet *rtp.Packet) { p.media(r, packet) })
		rtsp.OnPacketRTCP(m, func(packet rtcp.Packet) { p.control(r, packet) })
	}
	if len(p.receivers) == 0 {
		return ErrUnsupported
	}
	for _, r := range p.receivers {
		r.alone = !have[media.Video]
	}
	return nil
}

func (p *puller) choose(m *description.Media) (*receiver, error) {
	if m.IsBackChannel {
		return nil, nil
	}
	for _, f := range m.Formats {
		if r, err := newReceiver(m, f); r != nil || err != nil {
			return r, err
		}
	}
	return nil, nil
}

// play receives until the end; nil is the stream's.
func (p *puller) play(ctx context.Context, rtsp *gortsplib.Client) error {
	if _, err := rtsp.Play(nil); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return reason(err)
	}
	broken := make(chan error, 1)
	go func() { broken <- rtsp.Wait() }()
	select {
	case err := <-p.over:
		return err
	case <-p.pub.Done():
		return p.pub.Cause()
	case err := <-broken:
		select {
		case err := <-p.over: // the end came just before
			return err
		default:
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("%w: %w", ErrBroken, err)
	}
}

// ratesAfter is how much media tells the rates of a source: less is mostly its first key frame.
const ratesAfter = time.Second

// media takes an RTP packet.
func (p *puller) media(r *receiver, packet *rtp.Packet) {
	now := time.Now()
	frames, err := r.take(&p.line, packet, now)
	if err != nil {
		p.damaged++
		return
	}
	if r.units != nil && len(frames) > 0 {
		p.announceTracks()
	}
	for _, f := range frames {
		p.inspector.Frame(f)
		if err := p.pub.Write(f); err != nil {
			p.end(err)
			return
		}
	}
	// Who makes a rendition waits for rates: what comes at once from the origin's ring may tell them.
	enough := false
	if r.units != nil && !p.measured && len(frames) > 0 {
		if p.enough == 0 {
			p.enough = frames[0].DTS + ratesAfter
		}
		enough = frames[len(frames)-1].DTS >= p.enough
		p.measured = enough
	}
	if enough || now.Sub(p.facts) >= time.Second {
		p.facts = now
		p.pub.SetFacts(p.inspector.Facts())
	}
}

// control takes an RTCP packet.
func (p *puller) control(r *receiver, packet rtcp.Packet) {
	switch packet := packet.(type) {
	case *rtcp.SenderReport:
		p.line.report(&r.clock, packet.NTPTime, packet.RTPTime)
	case *rtcp.Goodbye:
		r.ended = true
		for _, one := range p.receivers {
			if !one.ended {
				return
			}
		}
		p.end(nil)
	}
}

func (p *puller) end(err error) {
	select {
	case p.over <- err:
	default: // it has ended already
	}
}

// announceTracks tells the hub the tracks when they changed.
func (p *puller) announceTracks() {
	known := make([]*media.Track, 0, len(p.receivers))
	for _, r := range p.receivers {
		if r.track != nil {
			known = append(known, r.track)
		}
	}
	if slices.Equal(known, p.tracks) {
		return
	}
	p.tracks = known
	for _, t := range known {
		p.inspector.Track(t)
	}
	p.pub.SetTracks(known)
	p.pub.SetFacts(p.inspector.Facts())
}

// reason makes the refusal of a server one that callers can tell.
func reason(err error) error {
	status, ok := errors.AsType[liberrors.ErrClientBadStatusCode](err)
	switch {
	case ok && status.Code == base.StatusNotFound:
		return fmt.Errorf("%w (%s)", ErrNotFound, status.Message)
	case ok && status.Code == base.StatusServiceUnavailable:
		later := &hub.UnavailableError{Reason: "OriginUnavailable", Message: status.Message, RetryAfter: 2 * time.Second}
		if word, text, ok := strings.Cut(strings.TrimPrefix(status.Message, unavailable), ": "); ok && camelCase(word) {
			later.Reason, later.Message = word, text
		}
		return later
	}
	return err
}

// camelCase reports whether a text is a word as reasons are.
func camelCase(word string) bool {
	if word == "" || len(word) > 64 || word[0] < 'A' || word[0] > 'Z' {
		return false
	}
	return !strings.ContainsFunc(
		word,
		func(r rune) bool { return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') },
	)
}
