package pod

import "github.com/millrace/millrace/internal/contract/bundle"

// onAddresses has a function called with this pod's media addresses whenever they are delivered.
func (p *process) onAddresses(call func(bundle.Address)) {
	p.addresses.Lock()
	defer p.addresses.Unlock()
	p.addresses.call = call
	if len(p.addresses.last.Addresses) > 0 {
		call(p.addresses.last)
	}
}

// tellAddresses takes the addresses of the pool's pods. When this pod is not among them any more, it keeps those it
// has: an address that vanished for a moment must not turn players away.
func (p *process) tellAddresses(all map[string]bundle.Address) {
	mine, ok := all[p.opt.Pod]
	if !ok || len(mine.Addresses) == 0 {
		return
	}
	p.addresses.Lock()
	defer p.addresses.Unlock()
	p.addresses.last = mine
	if p.addresses.call != nil {
		p.addresses.call(mine)
		p.log.V(1).Info("Players are told these addresses for media", "addresses", mine.Addresses, "rule", mine.Rule)
	}
}

func (p *process) toldAddress() bundle.Address {
	p.addresses.Lock()
	defer p.addresses.Unlock()
	return p.addresses.last
}
