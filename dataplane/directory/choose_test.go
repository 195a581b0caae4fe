package directory

import (
	"fmt"
	"testing"

	"github.com/millrace/millrace/dataplane/announce"
)

func origin(pod string, epoch uint64, state announce.State) announce.Origin {
	return announce.Origin{
		Pod:    announce.Pod{Peer: announce.Peer{RTSP: pod + ":9554"}, Hello: announce.Hello{Pod: pod, Boot: "1"}},
		Stream: announce.Stream{Epoch: epoch, State: state},
	}
}

func TestTheBestOrigin(t *testing.T) {
	for name, c := range map[string]struct {
		all  []announce.Origin
		want string
	}{
		"one": {[]announce.Origin{origin("a", 1, announce.Held)}, "a"},
		"the later publish": {[]announce.Origin{origin("a", 1, announce.Live), origin("b", 2, announce.Live)},
			"b"},
		"an encoder counts for more": {[]announce.Origin{origin("a", 1, announce.Live), origin("b", 2, announce.Held)},
			"a"},
		"both held: the later": {[]announce.Origin{origin("a", 3, announce.Held), origin("b", 2, announce.Held)},
			"a"},
		"the same moment: by name": {[]announce.Origin{origin("b", 2, announce.Live), origin("a", 2, announce.Live)},
			"a"},
		"one that failed is passed over": {[]announce.Origin{origin("bad", 9, announce.Live), origin("a", 1, announce.Held)},
			"a"},
		"nothing but one that failed": {[]announce.Origin{origin("bad", 9, announce.Live)}, ""},
	} {
		got, ok := best(c.all, func(o announce.Origin) bool { return o.Hello.Pod == "bad" })
		if ok != (c.want != "") || got.Hello.Pod != c.want {
			t.Errorf("%s: %s", name, got.Hello.Pod)
		}
	}
}

func TestWhenAStreamMoves(t *testing.T) {
	restarted := origin("a", 1, announce.Live)
	restarted.Hello.Boot = "2"
	rendition := func(pod string, draining bool) announce.Origin {
		o := origin(pod, 1, announce.Live)
		o.Stream.Template, o.Status.Draining = "hd", draining
		return o
	}
	for name, c := range map[string]struct {
		now, next announce.Origin
		all       []announce.Origin
		want      bool
	}{
		"the same pod, published anew": {origin("a", 1, announce.Live), origin("a", 2, announce.Live),
			[]announce.Origin{origin("a", 2, announce.Live)}, false},
		"published later elsewhere": {origin("a", 1, announce.Live), origin("b", 2, announce.Live),
			[]announce.Origin{origin("a", 1, announce.Live), origin("b", 2, announce.Live)}, true},
		"the encoder went elsewhere": {origin("a", 3, announce.Live), origin("b", 2, announce.Live),
			[]announce.Origin{origin("a", 3, announce.Held), origin("b", 2, announce.Live)}, true},
		"not heard any more, but it sends": {origin("a", 2, announce.Live), origin("b", 1, announce.Live),
			[]announce.Origin{origin("b", 1, announce.Live)}, false},
		"not heard, and published since": {origin("a", 2, announce.Live), origin("b", 3, announce.Live),
			[]announce.Origin{origin("b", 3, announce.Live)}, true},
		"the pod was restarted": {origin("a", 1, announce.Live), restarted, []announce.Origin{restarted}, false},
		"its transcoder drains": {rendition("a", false), rendition("b", false), []announce.Origin{rendition("a", true)},
			true},
		"both transcoders drain": {rendition("a", false), rendition("b", true), []announce.Origin{rendition("a", true)},
			false},
	} {
		if got := better(c.now, c.next, c.all); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func pod(name string, headroom float64, change func(*announce.Pod)) announce.Pod {
	p := announce.Pod{Hello: announce.Hello{Pod: name}, Status: announce.Status{Ready: true, Headroom: headroom}}
	if change != nil {
		change(&p)
	}
	return p
}

func TestTheTranscoderWithRoom(t *testing.T) {
	all := []announce.Pod{
		pod(
			"full",
			0,
			nil,
		), pod("little", 0.2, nil), pod("much", 0.9, nil),
		pod("draining", 1, func(p *announce.Pod) { p.Status.Draining = true }),
		pod("starting", 1, func(p *announce.Pod) { p.Status.Ready = false }),
	}
	got := roomy(all, "x")
	if len(got) != 2 || got[0].Hello.Pod != "much" || got[1].Hello.Pod != "little" {
		t.Errorf("%+v", got)
	}
	// Among equals all relays choose alike, and renditions spread.
	equal := []announce.Pod{pod("a", 0.95, nil), pod("b", 0.9, nil), pod("c", 0.99, nil)}
	reversed := []announce.Pod{equal[2], equal[1], equal[0]}
	counts := map[string]int{}
	for i := range 300 {
		name := fmt.Sprintf("play.example.com/live/s%d_hd", i)
		first := roomy(equal, name)[0].Hello.Pod
		if first != roomy(reversed, name)[0].Hello.Pod || First(equal, name) != First(reversed, name) {
			t.Fatal("two relays choose differently")
		}
		counts[first]++
	}
	if counts["a"] < 60 || counts["b"] < 60 || counts["c"] < 60 {
		t.Errorf("renditions are not spread: %v", counts)
	}
}
