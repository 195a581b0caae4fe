package announce

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/go-logr/logr"

	"github.com/millrace/millrace/dataplane/media"
	"github.com/millrace/millrace/internal/testkit"
)

func stream(name string, epoch uint64) Stream {
	return Stream{
		ID:    ID{"play.example.com", "live", name},
		Epoch: epoch,
		State: Live,
		Facts: media.Facts{VideoCodec: media.H264, Width: 640, Height: 360},
	}
}

// ear keeps what a client was told last.
type ear struct {
	mu   sync.Mutex
	last *Snapshot
	nils int
}

func (e *ear) hear(s *Snapshot) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.last = s; s == nil {
		e.nils++
	}
}

func (e *ear) get() (*Snapshot, int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.last, e.nils
}

func (e *ear) wait(t *testing.T, what string, until func(*Snapshot, int) bool) *Snapshot {
	t.Helper()
	var found *Snapshot
	testkit.Eventually(t, what, func() bool {
		s, nils := e.get()
		found = s
		return until(s, nils)
	})
	return found
}

func listen(t *testing.T, url string) *ear {
	t.Helper()
	e := &ear{}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		(&Client{URL: url, Log: logr.Discard(), Changed: e.hear}).Run(ctx)
	}()
	t.Cleanup(func() { cancel(); <-done })
	return e
}

func TestAListenerKnowsWhatThereIs(t *testing.T) {
	b := NewBoard(Hello{Pod: "ingest-1", Role: "ingest", Class: "default", Region: "local", Boot: "a"})
	b.SetStreams([]Stream{stream("one", 1), stream("two", 2)})
	b.SetStatus(Status{PlanHash: "h", Ready: true, Headroom: 1})
	srv := httptest.NewServer(b)
	t.Cleanup(srv.Close)
	e := listen(t, srv.URL)
	s := e.wait(t, "all streams", func(s *Snapshot, _ int) bool { return s != nil && len(s.Streams) == 2 })
	if s.Hello.Pod != "ingest-1" || s.Status.PlanHash != "h" || !s.Synced ||
		s.Streams[stream("one", 1).ID] != stream("one", 1) {
		t.Errorf("told: %+v", s)
	}
	held := stream("two", 2)
	held.State = Held
	b.SetStreams([]Stream{held, stream("three", 3)})
	s = e.wait(t, "the change", func(s *Snapshot, _ int) bool {
		return s != nil && s.Streams[held.ID].State == Held && len(s.Streams) == 2
	})
	if _, ok := s.Streams[stream("one", 1).ID]; ok {
		t.Error("a stream that is gone is still known")
	}
	b.SetStatus(Status{PlanHash: "h2", Draining: true})
	e.wait(
		t,
		"the status",
		func(s *Snapshot, _ int) bool { return s != nil && s.Status.PlanHash == "h2" && s.Status.Draining },
	)
	late := listen(t, srv.URL)
	late.wait(
		t,
		"the same for one who comes late",
		func(s *Snapshot, _ int) bool { return s != nil && len(s.Streams) == 2 && s.Status.PlanHash == "h2" },
	)
	if n := b.Listeners(); n != 2 {
		t.Errorf("%d listeners", n)
	}
}

func TestWhatAPodSaidDiesWithItsConnection(t *testing.T) {
	b := NewBoard(Hello{Pod: "a"})
	b.SetStreams([]Stream{stream("one", 1)})
	srv := httptest.NewServer(b)
	t.Cleanup(srv.Close)
	e := listen(t, srv.URL)
	e.wait(t, "a stream", func(s *Snapshot, _ int) bool { return s != nil && len(s.Streams) == 1 })
	srv.CloseClientConnections()
	e.wait(t, "the loss", func(_ *Snapshot, nils int) bool { return nils == 1 })
	e.wait(t, "the same again", func(s *Snapshot, _ int) bool { return s != nil && len(s.Streams) == 1 })
}

func TestASilentPodIsForgotten(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		fmt.Fprintln(w, `{"hello":{"pod":"a"}}`)
		fmt.Fprintln(w, `{"something":"of a newer pod"}`)
		fmt.Fprintln(w, `{"status":{"ready":true}}`)
		w.(http.Flusher).Flush() //nolint:forcetypeassert // of net/http
		<-req.Context().Done()
	}))
	t.Cleanup(srv.Close)
	e := listen(t, srv.URL)
	e.wait(t, "hello", func(s *Snapshot, _ int) bool { return s != nil && s.Status.Ready })
	e.wait(t, "the loss", func(_ *Snapshot, nils int) bool { return nils >= 1 })
}

func TestASlowListenerHoldsUpNobody(t *testing.T) {
	b := NewBoard(Hello{Pod: "a"})
	srv := httptest.NewServer(b)
	t.Cleanup(srv.Close)
	// One that asks and never reads.
	slow, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	fmt.Fprintf(slow, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	e := listen(t, srv.URL)
	e.wait(t, "hello", func(s *Snapshot, _ int) bool { return s != nil })
	long := strings.Repeat("x", 200)
	round := uint64(0)
	change := func() {
		round++
		all := make([]Stream, 0, 500)
		for i := range 500 {
			all = append(all, stream(fmt.Sprintf("%s%d", long, i), round))
		}
		b.SetStreams(all) // what waits for the slow one is not more than 500 streams
	}
	for range 200 {
		change()
	}
	e.wait(t, "the last state", func(s *Snapshot, _ int) bool {
		return s != nil && len(s.Streams) == 500 && s.Streams[stream(long+"499", 200).ID].Epoch == 200
	})
	testkit.Eventually(t, "the end of a listener that takes nothing", func() bool {
		if b.Listeners() <= 1 {
			return true
		}
		change() // until nothing more fits into the buffers of its connection
		return false
	})
}

func FuzzLine(f *testing.F) {
	f.Add(
		`{"hello":{"pod":"a"}}` + "\n" + `{"stream":{"space":"s","app":"a","name":"n","epoch":1}}` + "\n" +
			`{"gone":{"space":"s","app":"a","name":"n"}}` + "\n" + `{"status":{}}` + "\n",
	)
	f.Fuzz(func(_ *testing.T, text string) {
		srv := &state{streams: map[ID]Stream{}}
		for line := range strings.Lines(text) {
			l, err := readLine(newLines(line))
			if err != nil {
				return
			}
			srv.apply(l)
			_ = srv.snapshot()
		}
	})
}

func newLines(text string) *bufio.Reader { return bufio.NewReader(strings.NewReader(text)) }
