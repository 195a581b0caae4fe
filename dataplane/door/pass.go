package door

import (
	"time"

	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/internal/contract/plan"
)

// Pass is what a viewer was let in with. It is made by Enter; the exported fields are not changed by the door.
type Pass struct {
	Domain *plan.PlayDomain
	Index  *plan.Index // of the Plan that let the viewer in
	Stream *hub.Stream
	Right  plan.PlayRight

	door    *Door
	account *account // of the domain

	// Guarded by Door.mu.
	promise float64 // Mbit/s that count until they are measured
	held    bool    // it counts
	joining bool    // it has not arrived
	since   time.Time

	displaced   *Refusal // nil: it was not
	onDisplaced func()
}

// Expect says what the viewer will be sent, in Mbit/s, once it is known better than by the facts of the stream.
func (p *Pass) Expect(mbps float64) {
	p.door.mu.Lock()
	defer p.door.mu.Unlock()
	if p.held && p.joining {
		p.keep(mbps)
	}
}

// keep changes the promise. The lock is held.
func (p *Pass) keep(mbps float64) {
	for _, a := range p.accounts() {
		a.promised += mbps - p.promise
	}
	p.promise = mbps
}

func (p *Pass) accounts() [2]*account { return [2]*account{p.account, p.door.process} }

// Arrive says that the viewer has connected.
func (p *Pass) Arrive() {
	p.door.mu.Lock()
	defer p.door.mu.Unlock()
	if p.held && p.joining {
		p.door.arrive(p)
	}
}

// Leave gives back all that the pass holds. It may be called more than once.
func (p *Pass) Leave() {
	p.door.mu.Lock()
	defer p.door.mu.Unlock()
	p.door.leave(p)
}

// Sent counts bytes that the viewer was sent.
func (p *Pass) Sent(n uint64) { p.account.sent.Add(n) }

// OnDisplaced sets what is called, on a goroutine of its own, when the viewer has to leave before it arrived: others
// need the place. One that had to leave before this call is not Allowed.
func (p *Pass) OnDisplaced(f func()) {
	p.door.mu.Lock()
	defer p.door.mu.Unlock()
	p.onDisplaced = f
}

// Allowed returns nil when the viewer still has its place, and the Plan in force lets it watch: one may have come after
// Enter.
func (p *Pass) Allowed() *Refusal {
	p.door.mu.Lock()
	no := p.displaced
	p.door.mu.Unlock()
	if no != nil {
		return no
	}
	if err := p.door.opt.Plan.Load().MayKeepPlaying(p.Right); err != nil {
		return Refuse(NotAllowedNow, err)
	}
	return nil
}
