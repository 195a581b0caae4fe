package door

import (
	"net/netip"
	"slices"
)

// waiting are the viewers that have not arrived, oldest first, by the widest range of their addresses.
type waiting map[netip.Prefix][]*Pass

func (w waiting) add(p *Pass) {
	r := widest(p)
	w[r] = append(w[r], p)
}

func (w waiting) remove(p *Pass) {
	r := widest(p)
	w[r] = slices.DeleteFunc(w[r], func(one *Pass) bool { return one == p })
	if len(w[r]) == 0 {
		delete(w, r)
	}
}

// first returns who leaves first: the oldest of the range that has most, and of ranges that have as many the oldest of
// all. It is nil unless more than a number of them wait.
func (w waiting) first(beyond int) *Pass {
	var leaves *Pass
	most, all := 0, 0
	for _, of := range w {
		all += len(of)
		if len(of) > most || len(of) == most && of[0].since.Before(leaves.since) {
			most, leaves = len(of), of[0]
		}
	}
	if all <= beyond {
		return nil
	}
	return leaves
}

func widest(p *Pass) netip.Prefix {
	in := ranges(p.Right.RemoteIP)
	return in[len(in)-1]
}

// makeRoom ends one viewer that has not arrived, where such viewers hold more than their share of a limit that refuses
// a newcomer. It reports whether it did. The lock is held.
func (d *Door) makeRoom(p *Pass, no *Refusal) bool {
	if Reason(no.Reason) != TooManyViewers {
		return false
	}
	a, limit := d.process, d.opt.MaxViewers
	if domain := p.Domain.MaxViewers; domain > 0 && p.account.viewers >= domain {
		a, limit = p.account, domain
	}
	leaves := a.waiting.first(share(limit, limit))
	if leaves == nil {
		return false
	}
	d.leave(leaves)
	leaves.displaced = no
	if leaves.onDisplaced != nil {
		go leaves.onDisplaced()
	}
	return true
}
