package announce

import (
	"cmp"
	"context"
	"crypto/tls"
	"slices"
	"sync"

	"github.com/go-logr/logr"

	"github.com/millrace/millrace/internal/contract"
)

// maxPeers bounds the pods that are listened to.
const maxPeers = 2048

// Peer is a pod that may have streams.
type Peer struct {
	Pod      string        `json:"pod,omitempty"`
	Role     contract.Role `json:"role"`
	Announce string        `json:"announce"` // host:port
	RTSP     string        `json:"rtsp"`     // host:port
}

// MirrorOptions make a Mirror. Without TLS announcements are asked for in the clear, which only tests do.
type MirrorOptions struct {
	TLS *tls.Config
	Log logr.Logger

	// Changed, if not nil, is called after anything changed at a peer, its status included. It must be quick.
	Changed func()
}

// Mirror listens to peers. It is safe for concurrent use.
type Mirror struct {
	opt MirrorOptions

	mu          sync.RWMutex
	peers       map[string]*peer // by Peer.Announce
	subscribers []func([]ID)
	closed      bool
	running     sync.WaitGroup
}

type peer struct {
	Peer
	cancel context.CancelFunc
	tried  bool // heard, or failed once
	listed bool // is among the peers that were set last
	snap   *Snapshot
}

// NewMirror makes a Mirror that listens to nobody yet.
func NewMirror(opt MirrorOptions) *Mirror { return &Mirror{opt: opt, peers: map[string]*peer{}} }

// Subscribe has a function called with the streams that appeared, changed or went at a peer. It must be quick.
// Subscribe before the first SetPeers.
func (m *Mirror) Subscribe(f func([]ID)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.subscribers = append(m.subscribers, f)
}

// SetPeers says which pods there are. One that is not listed any more is listened to until its connection ends: what
// works is not cut because a list says so.
func (m *Mirror) SetPeers(all []Peer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return
	}
	for _, p := range m.peers {
		p.listed = false
	}
	for _, one := range all {
		if p := m.peers[one.Announce]; p != nil {
			p.Peer, p.listed = one, true
			continue
		}
		if len(m.peers) < maxPeers {
			m.start(one)
		}
	}
	for key, p := range m.peers {
		if !p.listed && p.snap == nil {
			m.drop(key, p)
		}
	}
}

func (m *Mirror) start(one Peer) {
	ctx, cancel := context.WithCancel(context.Background())
	p := &peer{Peer: one, cancel: cancel, listed: true}
	m.peers[one.Announce] = p
	scheme := "https://"
	if m.opt.TLS == nil {
		scheme = "http://"
	}
	client := &Client{
		URL: scheme + one.Announce + contract.PathAnnounce, TLSConfig: m.opt.TLS, Log: m.opt.Log.WithValues("peer",
			one.Announce),
		Changed: func(s *Snapshot) { m.changed(p, s) },
		Failed:  func() { m.failed(p) },
	}
	m.running.Go(func() { client.Run(ctx) })
}

func (m *Mirror) drop(key string, p *peer) {
	p.cancel()
	if m.peers[key] == p {
		delete(m.peers, key)
	}
}

func (m *Mirror) failed(p *peer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p.tried = true
}

// changed takes what a peer says; nil when its connection is lost.
func (m *Mirror) changed(p *peer, s *Snapshot) {
	m.mu.Lock()
	old := p.snap
	p.snap, p.tried = s, true
	if s == nil && !p.listed {
		m.drop(p.Announce, p)
	}
	subscribers := m.subscribers
	m.mu.Unlock()
	if m.opt.Changed != nil {
		m.opt.Changed()
	}
	ids := difference(old, s)
	if len(ids) == 0 {
		return
	}
	for _, f := range subscribers {
		f(ids)
	}
}

// difference lists the streams that are not the same in two snapshots, facts left out.
func difference(old, new *Snapshot) []ID {
	var before, after map[ID]Stream
	if old != nil {
		before = old.Streams
	}
	if new != nil {
		after = new.Streams
	}
	if old != nil && new != nil && old.Version == new.Version && old.Hello.Boot == new.Hello.Boot {
		return nil
	}
	var out []ID
	for id, s := range after {
		if was, ok := before[id]; !ok || was.Epoch != s.Epoch || was.State != s.State {
			out = append(out, id)
		}
	}
	for id := range before {
		if _, ok := after[id]; !ok {
			out = append(out, id)
		}
	}
	return out
}

// Pod is what is known of a peer that is heard.
type Pod struct {
	Peer   Peer
	Hello  Hello
	Status Status
}

// Origin is a pod that has a stream.
type Origin struct {
	Pod
	Stream Stream
}

// Origins lists the pods that have a stream, in no order.
func (m *Mirror) Origins(id ID) []Origin {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var out []Origin
	for _, p := range m.peers {
		if p.snap == nil {
			continue
		}
		if s, ok := p.snap.Streams[id]; ok {
			out = append(out, Origin{Pod: p.pod(), Stream: s})
		}
	}
	return out
}

func (p *peer) pod() Pod { return Pod{Peer: p.Peer, Hello: p.snap.Hello, Status: p.snap.Status} }

// Pods lists the peers of a role that are heard.
func (m *Mirror) Pods(role contract.Role) []Pod {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var out []Pod
	for _, p := range m.peers {
		if p.snap != nil && p.snap.Hello.Role == string(role) {
			out = append(out, p.pod())
		}
	}
	return out
}

// Live lists the streams that have their encoder at a peer, renditions left out.
func (m *Mirror) Live() []ID {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var out []ID
	for _, p := range m.peers {
		if p.snap == nil {
			continue
		}
		for id, s := range p.snap.Streams {
			if s.State == Live && s.Template == "" {
				out = append(out, id)
			}
		}
	}
	return out
}

// Heard lists what all peers say that are heard. Nobody changes a snapshot.
func (m *Mirror) Heard() []*Snapshot {
	m.mu.RLock()
	defer m.mu.RUnlock()
	out := make([]*Snapshot, 0, len(m.peers))
	for _, p := range m.peers {
		if p.snap != nil {
			out = append(out, p.snap)
		}
	}
	return out
}

// PeerState is a peer as /state shows it.
type PeerState struct {
	Peer
	Heard   bool `json:"heard"`
	Streams int  `json:"streams"`
}

// Peers lists all peers, sorted by address.
func (m *Mirror) Peers() []PeerState {
	m.mu.RLock()
	defer m.mu.RUnlock()
	out := make([]PeerState, 0, len(m.peers))
	for _, p := range m.peers {
		one := PeerState{Peer: p.Peer, Heard: p.snap != nil}
		if p.snap != nil {
			one.Pod, one.Streams = p.snap.Hello.Pod, len(p.snap.Streams)
		}
		out = append(out, one)
	}
	slices.SortFunc(out, func(a, b PeerState) int { return cmp.Compare(a.Announce, b.Announce) })
	return out
}

// Settled reports whether each peer was heard, or could not be reached: what is not known now is not on its way.
func (m *Mirror) Settled() bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for _, p := range m.peers {
		if !p.tried {
			return false
		}
	}
	return true
}

// Counts returns how many peers there are, are heard, and have how many streams.
func (m *Mirror) Counts() (peers, heard, streams int) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for _, p := range m.peers {
		peers++
		if p.snap != nil {
			heard++
			streams += len(p.snap.Streams)
		}
	}
	return peers, heard, streams
}

// Close stops listening.
func (m *Mirror) Close() {
	m.mu.Lock()
	m.closed = true
	for _, p := range m.peers {
		p.cancel()
	}
	m.mu.Unlock()
	m.running.Wait()
}
