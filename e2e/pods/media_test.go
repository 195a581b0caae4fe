package pods

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/dataplane/pull"
	"github.com/millrace/millrace/internal/contract"
	"github.com/millrace/millrace/internal/contract/identity"
	"github.com/millrace/millrace/internal/contract/plan"
	"github.com/millrace/millrace/internal/testkit"
	"github.com/millrace/millrace/internal/testkit/testca"
	"github.com/millrace/millrace/internal/testsrc"
)

// small is two ingests and two relays, all of them known to each other.
func small(t *testing.T, relayArgs ...string) (c *cluster, ingests, relays [2]*proc) {
	t.Helper()
	c = newCluster(t)
	c.mkdirs()
	c.deliver(contract.Ingest, service(0), false)
	c.deliver(contract.Relay, service(0), false)
	for i := range 2 {
		ingests[i] = c.place(contract.Ingest, fmt.Sprintf("ingest-%d", i))
	}
	for i := range 2 {
		relays[i] = c.place(contract.Relay, fmt.Sprintf("relay-%d", i))
	}
	ingests[0].start()
	for i := range relays {
		relays[i].start(relayArgs...)
	}
	return c, ingests, relays
}

func (c *cluster) mkdirs() {
	c.t.Helper()
	for _, role := range contract.Roles() {
		if err := os.MkdirAll(c.planDir(role), 0o700); err != nil {
			c.t.Fatal(err)
		}
	}
}

func TestIngestPodKilledViewersContinue(t *testing.T) {
	_, ingests, relays := small(t, "--hold=60s")
	pub := ingests[0].publish("one", testsrc.Options{GOPSeconds: 1})
	var all [2]*audience
	for i := range relays {
		all[i] = relays[i].watch("one", 3)
	}
	for i := range all {
		all[i].playing(3)
	}
	ingests[0].kill()
	<-pub.Done()
	for i := range all {
		all[i].frozen(3)
	}
	ingests[1].start()
	back := time.Now()
	ingests[1].publish("one", testsrc.Options{GOPSeconds: 1})
	for i := range all {
		all[i].playing(3)
	}
	t.Logf(
		"pictures again %v after the encoder was started (viewers report once a second)",
		time.Since(back).Round(10*time.Millisecond),
	)
	for i := range all {
		if r := all[i].end(); r.Playing != 3 || r.Total.DamagedFrames != 0 || r.Total.Lost != 0 {
			t.Errorf("relay %d: %d play, endings %v, %+v", i, r.Playing, r.Endings, r.Total)
		}
	}
}

func TestALaterPublishElsewhereTakesTheStream(t *testing.T) {
	_, ingests, relays := small(t)
	ingests[1].start()
	first := ingests[0].publish("one", testsrc.Options{GOPSeconds: 1})
	a := relays[0].watch("one", 2)
	a.playing(2)
	ingests[1].publish("one", testsrc.Options{GOPSeconds: 1})
	<-first.Done() // ReplaceOld: the ingest that has it closes it
	relays[0].wait("it pulls from the other ingest", func() bool {
		s := relays[0].state()
		return len(s.Fetches) == 1 && s.Fetches[0].From == "ingest-1"
	})
	ingests[0].wait("it has nothing", func() bool { return len(ingests[0].state().Announced) == 0 })
	a.playing(2)
	if r := a.end(); r.Playing != 2 || r.Total.DamagedFrames != 0 || r.Total.Lost != 0 {
		t.Errorf("%d play, endings %v, %+v", r.Playing, r.Endings, r.Total)
	}
}

func TestRejectNewAcrossPods(t *testing.T) {
	c, ingests, _ := small(t)
	p := service(0)
	p.Push[0].Duplicate = plan.RejectNew
	hash := c.deliver(contract.Ingest, p, false)
	ingests[0].wait("the plan is applied", func() bool { return ingests[0].state().Status.PlanHash == hash })
	ingests[1].start()
	ingests[0].publish("one", testsrc.Options{GOPSeconds: 1})
	ingests[0].wait("it is announced", func() bool { return ingests[0].announces("one") })
	ingests[1].wait("it is heard", func() bool {
		for _, one := range ingests[1].state().Peers {
			if one.Streams == 1 {
				return true
			}
		}
		return false
	})
	second := ingests[1].publish("one", testsrc.Options{GOPSeconds: 1})
	if err := second.Wait(t.Context()); err == nil {
		t.Error("a second encoder was let in")
	}
	if !ingests[0].announces("one") {
		t.Error("the first one is gone")
	}
}

func TestACleanEndEndsViewersAtOnce(t *testing.T) {
	_, ingests, relays := small(t, "--hold=60s")
	pub := ingests[0].publish("one", testsrc.Options{GOPSeconds: 1})
	a := relays[1].watch("one", 2)
	a.playing(2)
	pub.Stop(testkit.Patience())
	r := <-a.report // without being stopped
	if r.Playing != 2 || len(r.Endings) != 1 || r.Endings[0].Viewers != 2 {
		t.Errorf("%d play, endings %v", r.Playing, r.Endings)
	}
	relays[1].wait(
		"nothing is left",
		func() bool { s := relays[1].state(); return len(s.Streams) == 0 && len(s.Fetches) == 0 },
	)
}

func TestAStreamIsPulledOnceAndLetGo(t *testing.T) {
	_, ingests, relays := small(t, "--linger=1s")
	ingests[0].publish("one", testsrc.Options{GOPSeconds: 1})
	a := relays[0].watch("one", 12)
	a.playing(12)
	_, metrics := ingests[0].get(contract.PathMetrics)
	if !strings.Contains(metrics, "\nmillrace_pull_sessions_total 1\n") {
		t.Errorf("not one pull: %s", grep(metrics, "millrace_pull_sessions_total"))
	}
	a.end()
	relays[0].wait("nobody watches, so nothing is pulled", func() bool {
		s := relays[0].state()
		return len(s.Streams) == 0 && len(s.Fetches) == 0
	})
	again := relays[0].watch("one", 1)
	again.playing(1)
	again.end()
}

func grep(text, word string) string {
	var out []string
	for line := range strings.Lines(text) {
		if strings.Contains(line, word) {
			out = append(out, line)
		}
	}
	return strings.Join(out, "")
}

func TestADrainEnds(t *testing.T) {
	_, ingests, relays := small(t, "--drain-seconds=30", "--drain-soft-seconds=2", "--drain-accept-seconds=1")
	pub := ingests[0].publish("one", testsrc.Options{GOPSeconds: 1})
	a := relays[0].watch("one", 3)
	a.playing(3)
	relays[0].term()
	relays[0].wait("it is not ready", func() bool {
		code, text := relays[0].get(contract.PathReady)
		return code == http.StatusServiceUnavailable && strings.Contains(text, "draining")
	})
	r := <-a.report // close_notify ends them, and players go elsewhere
	if len(r.Endings) != 1 || r.Endings[0].Viewers != 3 {
		t.Errorf("endings: %v", r.Endings)
	}
	<-relays[0].done
	if relays[0].err != nil {
		t.Errorf("the relay ended with %v", relays[0].err)
	}
	// An ingest waits for its publishers, and closes them at the deadline; a second signal ends it at once.
	ingests[0].term()
	ingests[0].wait("it is not ready", func() bool {
		code, _ := ingests[0].get(contract.PathReady)
		return code == http.StatusServiceUnavailable
	})
	select {
	case <-pub.Done():
		t.Error("the publisher was closed before the deadline")
	case <-time.After(time.Second):
	}
	ingests[0].term()
	<-ingests[0].done
	ingests[1].start("--drain-seconds=1")
	next := ingests[1].publish("two", testsrc.Options{GOPSeconds: 1})
	b := relays[1].watch("two", 1)
	b.playing(1)
	ingests[1].term()
	<-ingests[1].done
	<-next.Done()
	if ingests[1].err != nil {
		t.Errorf("the ingest ended with %v", ingests[1].err)
	}
	b.frozen(1) // held for an encoder that connects elsewhere
	b.end()
}

func TestAWrongCertificateGetsNothing(t *testing.T) {
	c, ingests, relays := small(t)
	ingests[0].publish("one", testsrc.Options{GOPSeconds: 1})
	ingests[0].wait("it is announced", func() bool { return ingests[0].announces("one") })
	foreign, err := testca.New()
	if err != nil {
		t.Fatal(err)
	}
	operatorCert, operatorKey, err := c.ca.Issue(contract.OperatorIdentity(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	thiefCert, thiefKey, err := foreign.Issue(contract.Identity{Class: class, Role: contract.Relay}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	operator, err := identity.New(operatorCert, operatorKey, c.ca.PEM)
	if err != nil {
		t.Fatal(err)
	}
	thief, err := identity.New(thiefCert, thiefKey, c.ca.PEM)
	if err != nil {
		t.Fatal(err)
	}
	key := hub.Key{Space: rts, App: "live", Name: "one"}
	for name, conf := range map[string]*tls.Config{
		"none": {InsecureSkipVerify: true}, "foreign": thief.Client(identity.Pods),
		"operator": operator.Client(identity.Pods),
	} {
		good := name == "operator"
		transport := &http.Transport{TLSClientConfig: conf, DisableKeepAlives: true}
		for _, p := range []*proc{ingests[0], relays[0]} {
			res, err := transport.RoundTrip(
				request(t, fmt.Sprintf("https://127.0.0.1:%d%s", p.internal, contract.PathAnnounce)),
			)
			if (err == nil) != good {
				t.Errorf("%s: announcements of %s: %v", name, p.name, err)
			}
			if err == nil {
				res.Body.Close()
			}
		}
		h := hub.New(hub.Options{})
		done := make(chan error, 1)
		one := &pull.Client{
			URL:       fmt.Sprintf("rtsps://127.0.0.1:%d%s", ingests[0].rtsp, pull.Path(key)),
			TLSConfig: conf,
			Hub:       h,
			Key:       key,
		}
		go func() { done <- one.Run(t.Context()) }()
		if good {
			testkit.Eventually(
				t,
				"the stream comes",
				func() bool { s, err := h.Find(t.Context(), key); return err == nil && s.Live() },
			)
		} else if err := <-done; err == nil || errors.Is(err, pull.ErrNotFound) {
			t.Errorf("%s: RTSP: %v", name, err)
		}
		h.Close()
	}
	// A relay of a foreign authority serves nobody's streams.
	stray := c.place(contract.Relay, "relay-stray")
	stray.run(foreign)
	stray.wait("it listens", func() bool { code, _ := stray.get(contract.PathStartup); return code == http.StatusOK })
	stray.wait("its peers were tried", func() bool {
		_, metrics := stray.get(contract.PathMetrics)
		return strings.Contains(metrics, "millrace_directory_peers_heard 0")
	})
	if s := stray.state(); len(s.Fetches) != 0 || len(s.Streams) != 0 {
		t.Errorf("it has %+v", s)
	}
}

func request(t *testing.T, url string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func TestAPlanIsAppliedAsADifference(t *testing.T) {
	c, ingests, relays := small(t)
	c.deliver(contract.Relay, service(20), false)
	relays[0].wait("20 domains are there", func() bool {
		_, m := relays[0].get(contract.PathMetrics)
		return strings.Contains(m, `millrace_plan_applied_total{source="volume"} 2`)
	})
	ingests[0].publish("one", testsrc.Options{GOPSeconds: 1})
	a := relays[0].watch("one", 3)
	a.playing(3)

	// Keys come and go under the viewers.
	changed := service(20)
	changed.Play[0].Auth = plan.Auth{Type: plan.AuthA, Primary: "examplePrimary01"}
	began := time.Now()
	hash := c.deliver(contract.Relay, changed, false)
	relays[0].wait("the key is there", func() bool { return relays[0].state().Status.PlanHash == hash })
	t.Logf("a key reached the pod through the folder in %v", time.Since(began).Round(time.Millisecond))

	// Most domains gone at once, or all: refused, and what was there goes on.
	for why, p := range map[string]*plan.Plan{"shrunken": service(2), "empty": {Class: class}} {
		c.deliver(contract.Relay, p, false)
		relays[0].wait("it is refused", func() bool {
			_, m := relays[0].get(contract.PathMetrics)
			return strings.Contains(m, `millrace_plan_refused_total{reason="`+why+`"}`)
		})
		if got := relays[0].state().Status.PlanHash; got != hash {
			t.Errorf("a plan that is %s was taken", why)
		}
	}
	// A restart comes back with the last good one, not with what the folder has.
	if p := a.progress(); p.Ended != 0 || p.Playing != 3 {
		t.Errorf("viewers suffered: %+v", p)
	}
	// The same loss, meant.
	small := service(2)
	hash = c.deliver(contract.Relay, small, true)
	relays[0].wait("it is taken", func() bool { return relays[0].state().Status.PlanHash == hash })
	a.playing(3)
	if r := a.end(); r.Playing != 3 || r.Total.Lost != 0 {
		t.Errorf("%d play: %+v", r.Playing, r.Total)
	}
	// A restart of the container while the folder is broken: the last good Plan is remembered.
	relays[1].wait("it has it too", func() bool { return relays[1].state().Status.PlanHash == hash })
	relays[1].kill()
	if err := os.RemoveAll(filepath.Join(c.planDir(contract.Relay), "..data")); err != nil {
		t.Fatal(err)
	}
	relays[1].start()
	if got := relays[1].state().Status.PlanHash; got != hash {
		t.Errorf("after a restart: %s", got)
	}
}

// withTemplate is the service with a template, whose rendition has Opus.
func withTemplate() *plan.Plan {
	p := service(0)
	p.Templates = []plan.Template{{
		Space: rts, ID: "hd", Type: plan.TemplateH264, Width: 320, Height: 180, FPS: 15, VideoKbps: 200, GOP: time.Second,
		DropB: true, AudioCodec: "Opus", AudioKbps: 64, Channels: 2, SampleRate: 48000,
	}}
	return p
}

func TestTranscoderPodsMakeRenditionsAndReplaceEachOther(t *testing.T) {
	c := newCluster(t)
	c.mkdirs()
	for _, role := range []contract.Role{contract.Ingest, contract.Relay, contract.Transcoder} {
		c.deliver(role, withTemplate(), false)
	}
	ingest := c.place(contract.Ingest, "ingest-0")
	transcoders := map[string]*proc{}
	for i := range 3 {
		name := fmt.Sprintf("transcoder-%d", i)
		transcoders[name] = c.place(contract.Transcoder, name)
	}
	relay := c.place(contract.Relay, "relay-0")
	ingest.start()
	for _, p := range transcoders {
		p.start("--max-cpu=0", "--drain-seconds=60")
	}
	relay.start("--hold=60s")
	ingest.publish("one", testsrc.Options{GOPSeconds: 1, BFrames: 2, Audio: true})
	a := relay.watch("one_hd", 3)
	a.playing(3)
	from := func() string {
		for _, f := range relay.state().Fetches {
			if strings.HasSuffix(f.Stream, "/one_hd") {
				return f.From
			}
		}
		return ""
	}
	made := 0
	for _, p := range transcoders {
		for _, s := range p.state().Announced {
			if s.Of == "one" && s.Template == "hd" {
				made++
			}
		}
	}
	first := from()
	if made != 1 || transcoders[first] == nil {
		t.Fatalf("%d transcoders make the rendition, which comes from %q", made, first)
	}
	// Drained: another one makes it before this one ends.
	transcoders[first].term()
	<-transcoders[first].done
	if transcoders[first].err != nil {
		t.Errorf("%s ended with %v", first, transcoders[first].err)
	}
	second := from()
	if second == first || transcoders[second] == nil {
		t.Fatalf("after the drain it comes from %q", second)
	}
	a.playing(3)
	// Killed: the last one makes it.
	transcoders[second].kill()
	relay.wait(
		"it comes from the last one",
		func() bool { now := from(); return now != "" && now != first && now != second },
	)
	a.playing(3)
	if r := a.end(); r.Playing != 3 || len(r.Endings) != 1 {
		t.Errorf("%d play, endings %v, %+v", r.Playing, r.Endings, r.Total)
	} else {
		t.Logf("longest gaps of the viewers over a drain and a kill: %.0f, %.0f, %.0f ms", r.Each[0].LongestGapMs,
			r.Each[1].LongestGapMs, r.Each[2].LongestGapMs)
	}
	// A name that is no stream's and no template's is none.
	if s := relay.state(); len(s.Fetches) != 1 {
		t.Errorf("fetches: %+v", s.Fetches)
	}
}
