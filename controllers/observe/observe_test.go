package observe

import (
	"context"
	"crypto/tls"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"github.com/millrace/millrace/dataplane/announce"
	"github.com/millrace/millrace/internal/contract"
	"github.com/millrace/millrace/internal/contract/identity"
	"github.com/millrace/millrace/internal/testkit"
	"github.com/millrace/millrace/internal/testkit/testca"
)

// fixed tells peers that do not change.
type fixed []announce.Peer

func (f fixed) WatchPeers(ctx context.Context, _ string, _ []contract.Role, tell func([]announce.Peer)) {
	tell(f)
	<-ctx.Done()
}

func pod(t *testing.T, ca *testca.Authority, name string, role contract.Role) (*announce.Board, announce.Peer) {
	t.Helper()
	cert, key, err := ca.Issue(contract.Identity{Class: "default", Role: role}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	id, err := identity.New(cert, key, ca.PEM)
	if err != nil {
		t.Fatal(err)
	}
	b := announce.NewBoard(announce.Hello{Pod: name, Role: string(role), Class: "default", Boot: name})
	srv := httptest.NewUnstartedServer(b)
	srv.Listener = tls.NewListener(srv.Listener, id.Server(identity.Members))
	srv.Start()
	t.Cleanup(srv.Close)
	return b, announce.Peer{Pod: name, Role: role, Announce: srv.Listener.Addr().String(), RTSP: "127.0.0.1:1"}
}

func TestWhatPodsSayIsPutTogether(t *testing.T) {
	ca, err := testca.New()
	if err != nil {
		t.Fatal(err)
	}
	ingest, one := pod(t, ca, "ingest-1", contract.Ingest)
	relay, two := pod(t, ca, "relay-1", contract.Relay)
	other, three := pod(t, ca, "relay-2", contract.Relay)
	transcoder, four := pod(t, ca, "transcoder-1", contract.Transcoder)
	key := announce.ID{Space: "play.example.com", App: "live", Name: "one"}
	hd := announce.ID{Space: "play.example.com", App: "live", Name: "one_hd"}
	ingest.SetStreams([]announce.Stream{{ID: key, PushDomain: "push.example.com", Epoch: 3, State: announce.Live}})
	ingest.SetStatus(announce.Status{PlanHash: "a", Ready: true})
	transcoder.SetStreams([]announce.Stream{{ID: hd, Epoch: 3, State: announce.Live, Of: "one", Template: "hd"}})
	for n, b := range []*announce.Board{relay, other} {
		b.SetStatus(announce.Status{
			PlanHash: "b", Ready: true, Sessions: n + 1, Domains: map[string]announce.Domain{"play.example.com": {Viewers: n + 1,
				EgressKbps: 100}},
			Viewers: map[string]map[string]int{key.String(): {"artc": n + 1}, "gone/live/x": {"artc": 1}},
		})
	}
	cert, private, err := ca.Issue(contract.OperatorIdentity(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	id, err := identity.New(cert, private, ca.PEM)
	if err != nil {
		t.Fatal(err)
	}
	o := New(Options{TLS: id.Client(identity.Pods), Peers: fixed{one, two, three, four}, Log: logr.Discard()})
	changed := o.Changed()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- o.Start(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	until := func(what string, ok func(*Snapshot) bool) *Snapshot {
		t.Helper()
		end := time.After(testkit.Patience())
		for {
			if s := o.Snapshot(); ok(s) {
				return s
			}
			select {
			case <-changed:
			case <-end:
				t.Fatalf("waiting for %s: %+v", what, o.Snapshot())
			}
		}
	}
	s := until("all pods", func(s *Snapshot) bool { return len(s.Pods) == 4 && s.Pods["relay-2"].Sessions == 2 })
	if !o.Synced() {
		t.Error("not synced, and all are heard")
	}
	if s.Pods["ingest-1"].PlanHash != "a" || s.Push["push.example.com"] != 1 || s.Play["play.example.com"].Viewers != 3 ||
		s.Play["play.example.com"].EgressKbps != 200 {
		t.Errorf("%+v", s)
	}
	if s.Templates[Template{"play.example.com", "hd"}] != 1 || s.Viewers[key]["artc"] != 3 || len(s.Viewers) != 1 ||
		len(s.Made[key]) != 1 ||
		len(s.Streams) != 1 {
		t.Errorf("%+v", s)
	}
	ingest.SetStreams(nil)
	until(
		"the end of the stream",
		func(s *Snapshot) bool { return len(s.Streams) == 0 && s.Push["push.example.com"] == 0 },
	)
}
