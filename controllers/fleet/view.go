package fleet

import (
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"
)

// View is a pool as it is now.
type View struct {
	// Hash of the Plan that the pods should run on.
	Hash string
	// Pods that are there, terminating ones too, sorted by name.
	Pods []Pod
	// Ready pods, of which Programmed run on that Plan; Draining ones do not count as ready.
	Ready, Programmed, Draining int
	// Known is false while nothing has been heard of the pods: then what was known before still stands.
	Known bool
}

// View of a pool.
func (f *Fleet) View(k PoolKey) View {
	f.mu.Lock()
	defer f.mu.Unlock()
	v := View{Hash: f.pool(k).hash(), Known: f.opt.Observer.Synced()}
	for _, p := range f.members(k) {
		v.Pods = append(v.Pods, p)
		seen, heard := f.opt.Observer.Pod(p.Name)
		switch {
		case p.Terminating || heard && seen.Draining:
			v.Draining++
		case p.Ready:
			v.Ready++
			if heard && seen.PlanHash == v.Hash && v.Hash != "" {
				v.Programmed++
			}
		}
	}
	return v
}

// members of a pool, sorted by name.
func (f *Fleet) members(k PoolKey) []Pod {
	var out []Pod
	for _, p := range f.pods {
		if p.Pool == k {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b Pod) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// Progress says on how many of the ready pods of a pool a part of the Plan is in force as it should be.
type Progress struct {
	Done, Of int
	Known    bool
}

// Progress of a part of a pool's Plan, such as PushEntry(hostname).
func (f *Fleet) Progress(k PoolKey, entry string) Progress {
	f.mu.Lock()
	defer f.mu.Unlock()
	pool := f.pool(k)
	want, ok := pool.wanted[entry]
	out := Progress{Known: f.opt.Observer.Synced()}
	for _, p := range f.counted(k) {
		out.Of++
		if have, there := f.runs(pool, p)[entry]; ok && there && have == want {
			out.Done++
		}
	}
	return out
}

// counted are the pods that have to run on the Plan: ready, not on their way out, and heard, or unheard for too long.
func (f *Fleet) counted(k PoolKey) []Pod {
	var out []Pod
	for _, p := range f.members(k) {
		if !p.Ready || p.Terminating {
			continue
		}
		seen, heard := f.opt.Observer.Pod(p.Name)
		if heard && seen.Draining || !heard && f.opt.Now().Sub(p.ReadySince) < hearWithin {
			continue
		}
		out = append(out, p)
	}
	return out
}

// runs returns the parts that a pod runs on; nil when that is not known.
func (f *Fleet) runs(p *pool, member Pod) entries {
	seen, heard := f.opt.Observer.Pod(member.Name)
	if !heard {
		return nil
	}
	return p.record(seen.PlanHash)
}

// Dropped reports whether no pod of a pool serves a part any more: every pod that could runs on a Plan without it.
func (f *Fleet) Dropped(k PoolKey, entry string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	pool := f.pool(k)
	if _, wanted := pool.wanted[entry]; wanted {
		return false
	}
	for _, p := range f.members(k) {
		if !p.Running {
			continue
		}
		have := f.runs(pool, p)
		if _, serves := have[entry]; have == nil || serves {
			return false
		}
	}
	return true
}

// state is a text that differs when a pool does, in what all of its domains show.
func (f *Fleet) state(k PoolKey) string {
	var b strings.Builder
	counted := f.counted(k)
	fmt.Fprintf(&b, "%d %v %v", len(counted), f.opt.Observer.Synced(), f.pool(k).facts)
	for _, p := range f.members(k) {
		seen, heard := f.opt.Observer.Pod(p.Name)
		fmt.Fprintf(&b, "|%s %v %v %v %v %s %v", p.Name, p.Ready, p.Terminating, heard, seen.Draining, p.Node, p.Addressing)
		fmt.Fprint(&b, f.nodes[p.Node])
	}
	return b.String()
}

// load is a text that differs when what the class alone shows does: a Plan was delivered or taken over by a pod, or a
// pod has about twice as many sessions, or half.
func (f *Fleet) load(k PoolKey) string {
	var b strings.Builder
	hash := f.pool(k).hash()
	b.WriteString(hash)
	for _, p := range f.members(k) {
		if seen, heard := f.opt.Observer.Pod(p.Name); heard {
			fmt.Fprintf(&b, "|%s %s %v", p.Name, DeletionCost(seen.Sessions), seen.PlanHash == hash)
		}
	}
	return b.String()
}

// DeletionCost of a pod by its sessions, in powers of two: an order is enough, and it seldom changes.
func DeletionCost(sessions int) string { return strconv.Itoa(bits.Len(uint(max(sessions, 0)))) }

// counts of the parts that have any.
func (f *Fleet) counts(k PoolKey) map[string]Counts {
	out := map[string]Counts{}
	for name := range f.pool(k).wanted {
		part, what, _ := strings.Cut(name, "/")
		var c Counts
		switch part {
		case "push":
			c = f.opt.Observer.Push(what)
		case "play":
			c = f.opt.Observer.Play(what)
		case "template":
			main, id, _ := strings.Cut(what, "/")
			c = f.opt.Observer.Template(main, id)
		}
		if c != (Counts{}) {
			c.EgressKbps = (c.EgressKbps + 500) / 1000 * 1000 // as status rounds it
			out[name] = c
		}
	}
	return out
}

// pending counts, for each part that some pods lack, how many have it.
func (f *Fleet) pending(k PoolKey) map[string]int {
	pool, out := f.pool(k), map[string]int{}
	var running []entries
	for _, p := range f.counted(k) {
		running = append(running, f.runs(pool, p))
	}
	for name, want := range pool.wanted {
		done := 0
		for _, e := range running {
			if have, ok := e[name]; ok && have == want {
				done++
			}
		}
		if done < len(running) {
			out[name] = done
		}
	}
	return out
}
