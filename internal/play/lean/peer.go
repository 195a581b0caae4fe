package lean

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/rtp"
	"github.com/pion/stun/v4"

	"github.com/millrace/millrace/internal/play/join"
	"github.com/millrace/millrace/internal/play/meter"
)

// The bounds of setting a viewer up.
const (
	iceTimeout  = 10 * time.Second
	dtlsTimeout = 10 * time.Second
	maxEarly    = 1 << 20 // bytes of media that may come before the handshake has given the keys
)

// peer is one lean viewer.
type peer struct {
	engine *Engine
	viewer *meter.Viewer
	answer *answer
	wire   wire
	ssrc   uint32

	mu       sync.Mutex // taken before the viewer's own lock
	ice      iceAgent
	selected chan struct{} // closed when ICE has selected a pair
	lost     chan struct{} // closed when the server no longer answers consent checks
	records  *records
	keys     *keys
	early    []datagram
	earlyLen int
	over     bool

	plain         []byte // scratch for decrypted packets
	header        rtp.Header
	mains         [3]uint32 // newest SSRC of each kind of media
	packets       uint64
	undecryptable uint64
	unknown       uint64
	lastReport    time.Time
}

// Watch joins the target, feeds v, and returns when the server ends the play, when the connection is lost, or when ctx
// is done. An error means that the viewer could not join. How the play ended is noted in v; for ctx it is the text of
// its cause.
func (e *Engine) Watch(ctx context.Context, target *join.Target, v *meter.Viewer) error {
	local := newCredentials()
	session, err := target.Offer(ctx, newOffer(local, e.cert, target.Without))
	if err != nil {
		return err
	}
	answered := time.Now()
	defer func() { _ = session.Close(ctx) }()
	a, err := parseAnswer(session.Answer)
	if err != nil {
		return err
	}
	v.Signalled(session.Took, a.codecs)

	p := &peer{
		engine: e, viewer: v, answer: a, ssrc: rand.Uint32(), selected: make(chan struct{}), lost: make(chan struct{}),
		ice: iceAgent{
			local: local, remote: a.remote, tieBreaker: rand.Uint64(), checks: map[[stun.TransactionIDSize]byte]netip.AddrPort{},
		},
	}
	if err := p.reach(ctx); err != nil {
		return err
	}
	defer p.hangUp()
	conn, err := p.secure(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	v.Connected(time.Since(answered), p.keys.profile)
	e.add(p)
	defer e.remove(p)

	ended := make(chan struct{})
	go func() {
		defer close(ended)
		buffer := make([]byte, 2048)
		for {
			// Data would be for a data channel, which was not offered; the end is what is waited for.
			if _, err := conn.Read(buffer); err != nil {
				return
			}
		}
	}()
	select {
	case <-ctx.Done():
		v.Stop(time.Now(), context.Cause(ctx).Error())
	case <-ended:
		v.Stop(time.Now(), meter.EndedByServer)
	case <-p.lost:
		v.Stop(time.Now(), fmt.Sprintf("connection lost: no answer to ICE consent checks for %s", consentLost))
	}
	return nil
}

// reach opens the wire and finds a candidate that answers. On success the wire is open.
func (p *peer) reach(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, iceTimeout)
	defer cancel()
	candidates, err := p.open(ctx)
	if err != nil {
		return err
	}
	ticker := time.NewTicker(checkEvery)
	defer ticker.Stop()
	for {
		for _, c := range candidates {
			p.mu.Lock()
			check, err := p.ice.check(c.address)
			p.mu.Unlock()
			if err == nil {
				_ = p.wire.send(check, c.address) // an unreachable candidate is no failure while others may answer
			}
		}
		select {
		case <-p.selected:
			if err := p.wire.connect(p.ice.selected); err != nil {
				p.hangUp()
				return err
			}
			return nil
		case <-ctx.Done():
			p.hangUp()
			return fmt.Errorf("no answer to ICE checks from %s within %s: %w", describe(candidates), iceTimeout, ctx.Err())
		case <-ticker.C:
		}
	}
}

// open makes the socket for the candidates of the wanted transport, and gives those that it reaches.
func (p *peer) open(ctx context.Context) ([]candidate, error) {
	wanted := []candidate{}
	for _, c := range p.answer.candidates {
		if c.tcp == p.engine.options.TCP {
			wanted = append(wanted, c)
		}
	}
	if len(wanted) == 0 {
		if p.engine.options.TCP {
			return nil, errors.New("the SDP answer has no passive TCP candidate")
		}
		return nil, errors.New("the SDP answer has no UDP candidate (try --tcp)")
	}
	slices.SortStableFunc(wanted, func(a, b candidate) int { return int(b.priority>>1) - int(a.priority>>1) })
	var err error
	if !p.engine.options.TCP {
		// One socket has one address family; IPv4 where there is a choice.
		first := wanted[0].address.Addr()
		if i := slices.IndexFunc(wanted, func(c candidate) bool { return c.address.Addr().Is4() }); i >= 0 {
			first = wanted[i].address.Addr()
		}
		wanted = slices.DeleteFunc(wanted, func(c candidate) bool { return c.address.Addr().Is4() != first.Is4() })
		p.wire, err = p.engine.reactor.listen(first, p)
		return wanted, err
	}
	dialer := &net.Dialer{Timeout: 3 * time.Second}
	dial := func(network, address string) (net.Conn, error) { return dialer.DialContext(ctx, network, address) }
	for _, c := range wanted {
		var w *tcpWire
		if w, err = dialTCP(dial, c.address, p); err == nil {
			p.wire = w
			return []candidate{c}, nil
		}
	}
	return nil, err
}

// secure runs the DTLS handshake on the selected pair and starts taking media in.
func (p *peer) secure(ctx context.Context) (*dtls.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dtlsTimeout)
	defer cancel()
	p.mu.Lock()
	p.records = newRecords(p.wire, p.ice.selected)
	p.replay() // a server that is the DTLS client may have sent its first record already
	p.mu.Unlock()
	conn, agreed, err := handshake(ctx, p.records, p.engine.cert, p.answer, p.engine.options.Profiles)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	p.keys = agreed
	p.replay()
	p.mu.Unlock()
	return conn, nil
}

func (p *peer) hangUp() {
	p.mu.Lock()
	p.over = true
	p.mu.Unlock()
	p.account()
	p.wire.close()
}

// account tells the meter what did not become a packet.
func (p *peer) account() {
	p.mu.Lock()
	undecryptable, unknown := p.undecryptable, p.unknown
	p.mu.Unlock()
	p.viewer.Unusable(undecryptable, unknown)
	p.viewer.SocketDrops(p.wire.drops())
}

// receive takes in what came over the wire and tells its kind by the first byte (RFC 7983, section 7).
func (p *peer) receive(batch []datagram) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sort(batch)
}

// replay takes in what was kept. The peer is locked, so that nothing newer comes first.
func (p *peer) replay() {
	waiting := p.early
	p.early, p.earlyLen = nil, 0
	p.sort(waiting)
}

func (p *peer) sort(batch []datagram) {
	locked := false
	for _, d := range batch {
		if len(d.data) < 2 {
			continue
		}
		isMedia := d.data[0] >= 128 && d.data[0] <= 191
		isRTP := isMedia && (d.data[1] < 192 || d.data[1] > 223) // RFC 5761, section 4
		if locked && !isRTP {
			p.viewer.Unlock()
			locked = false
		}
		switch {
		case isMedia && p.keys == nil, d.data[0] >= 20 && d.data[0] <= 63 && p.records == nil:
			p.keep(d)
		case isRTP:
			if !locked {
				p.viewer.Lock()
				locked = true
			}
			p.rtp(d)
		case isMedia:
			p.rtcp(d.data)
		case d.data[0] >= 20 && d.data[0] <= 63:
			_, _ = p.records.in.Write(d.data, nil) // a record that finds no room is repeated by the handshake
		case d.data[0] < 4:
			p.stun(d)
		}
	}
	if locked {
		p.viewer.Unlock()
	}
}

// keep stores a datagram that cannot be read yet.
func (p *peer) keep(d datagram) {
	if p.earlyLen+len(d.data) > maxEarly {
		return
	}
	p.earlyLen += len(d.data)
	d.data = slices.Clone(d.data)
	p.early = append(p.early, d)
}

func (p *peer) stun(d datagram) {
	reply, selected := p.ice.handle(d)
	if selected {
		close(p.selected)
	}
	if reply != nil {
		_ = p.wire.send(reply, d.from)
	}
}

// tick sends what is due now: feedback and consent checks.
func (p *peer) tick(now time.Time) {
	p.feedback(now)
	p.mu.Lock()
	send, lost := p.ice.due(now)
	var check []byte
	if send && !p.over {
		p.ice.lastSent = now
		check, _ = p.ice.check(p.ice.selected)
	}
	if lost && !p.over {
		p.over = true
		close(p.lost)
	}
	p.mu.Unlock()
	if check != nil {
		_ = p.wire.send(check, p.ice.selected)
	}
}

func describe(candidates []candidate) string {
	text := ""
	for i, c := range candidates {
		if i > 0 {
			text += ", "
		}
		text += c.address.String()
	}
	return text
}
