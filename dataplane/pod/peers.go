package pod

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millrace/millrace/dataplane/announce"
	"github.com/millrace/millrace/internal/contract"
)

const (
	peersFile = "peers.json" // the last known peers, below Options.StateDir
	maxPeers  = 1 << 20      // bytes of it
	dnsEvery  = 5 * time.Second
	dnsTime   = 3 * time.Second
)

// watchPeers tells the directory which pods there are: fixed ones, or those of the cluster. Until the API server tells,
// these are the last ones known, or else those that the headless Services of the class have.
func (p *process) watchPeers(ctx context.Context, wg *sync.WaitGroup) {
	if len(p.opt.Peers) > 0 || p.opt.Cluster == nil {
		p.mirror.SetPeers(p.others(p.opt.Peers))
		return
	}
	known := p.rememberedPeers()
	p.mirror.SetPeers(p.others(known))
	var told atomic.Bool
	wg.Go(func() {
		p.opt.Cluster.WatchPeers(ctx, p.opt.Region, announcers(p.opt.Role), func(all []announce.Peer) {
			told.Store(true)
			p.mirror.SetPeers(p.others(all))
			p.rememberPeers(all)
		})
	})
	if len(known) == 0 {
		wg.Go(func() { p.resolvePeers(ctx, &told) })
	}
}

// others leaves this pod out.
func (p *process) others(all []announce.Peer) []announce.Peer {
	self := ""
	if p.opt.PodIP.IsValid() {
		self = net.JoinHostPort(p.opt.PodIP.String(), strconv.Itoa(int(p.at.Internal.Port())))
	}
	return slices.DeleteFunc(slices.Clone(all), func(o announce.Peer) bool {
		return o.Pod != "" && o.Pod == p.opt.Pod || o.Announce == self || o.Announce == p.at.Internal.String() ||
			!slices.Contains(announcers(p.opt.Role), o.Role)
	})
}

func (p *process) rememberedPeers() []announce.Peer {
	if p.opt.StateDir == "" {
		return nil
	}
	path := filepath.Join(p.opt.StateDir, peersFile)
	info, err := os.Stat(path)
	if err != nil || info.Size() > maxPeers {
		return nil // the first start, or nothing of ours
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	var all []announce.Peer
	if json.Unmarshal(text, &all) != nil {
		return nil
	}
	return all
}

func (p *process) rememberPeers(all []announce.Peer) {
	if p.opt.StateDir == "" {
		return
	}
	text, err := json.Marshal(all)
	if err == nil {
		path := filepath.Join(p.opt.StateDir, peersFile)
		if err = os.WriteFile(path+".new", text, 0o600); err == nil {
			err = os.Rename(path+".new", path)
		}
	}
	if err != nil {
		p.log.Info("The peers could not be remembered; a restart without the API server asks DNS", "error", err.Error())
	}
}

// resolvePeers asks DNS until the API server has told.
func (p *process) resolvePeers(ctx context.Context, told *atomic.Bool) {
	for ctx.Err() == nil && !told.Load() {
		var all []announce.Peer
		for _, role := range announcers(p.opt.Role) {
			all = append(all, p.resolve(ctx, role)...)
		}
		if len(all) > 0 && !told.Load() {
			p.mirror.SetPeers(p.others(all))
		}
		pause(ctx, dnsEvery)
	}
}

func (p *process) resolve(ctx context.Context, role contract.Role) []announce.Peer {
	ctx, cancel := context.WithTimeout(ctx, dnsTime)
	defer cancel()
	name := contract.PodsServiceName(p.opt.Class, role) + "." + p.opt.Namespace + ".svc"
	addrs, err := net.DefaultResolver.LookupHost(ctx, name)
	if err != nil {
		return nil // there may be no such pool
	}
	out := make([]announce.Peer, 0, len(addrs))
	for _, a := range addrs {
		out = append(out, announce.Peer{
			Role: role, Announce: net.JoinHostPort(a, strconv.Itoa(contract.PortInternal)), RTSP: net.JoinHostPort(a,
				strconv.Itoa(contract.PortRTSP)),
		})
	}
	return out
}
