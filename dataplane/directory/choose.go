package directory

import (
	"cmp"
	"hash/fnv"
	"slices"
	"strings"

	"github.com/millrace/millrace/dataplane/announce"
)

// rank orders origins of one stream, best first: one that has its encoder before one that waits for it, the later
// publish before the earlier, and then by name, so that all pods choose alike.
func rank(a, b announce.Origin) int {
	return cmp.Or(
		cmp.Compare(liveness(b.Stream.State), liveness(a.Stream.State)),
		cmp.Compare(b.Stream.Epoch, a.Stream.Epoch),
		cmp.Compare(a.Hello.Pod, b.Hello.Pod),
		cmp.Compare(a.Peer.RTSP, b.Peer.RTSP),
	)
}

func liveness(s announce.State) int {
	if s == announce.Live {
		return 1
	}
	return 0
}

// best returns the best of the origins that are not excluded.
func best(all []announce.Origin, excluded func(announce.Origin) bool) (announce.Origin, bool) {
	all = slices.DeleteFunc(slices.Clone(all), excluded)
	if len(all) == 0 {
		return announce.Origin{}, false
	}
	return slices.MinFunc(all, rank), true
}

// leaving reports whether an origin is a transcoder that drains: another one can make the rendition as well. An ingest
// has what nobody else has.
func leaving(o announce.Origin) bool { return o.Stream.Template != "" && o.Status.Draining }

// same reports whether two origins are one process.
func same(a, b announce.Origin) bool {
	return a.Peer.RTSP == b.Peer.RTSP && a.Hello.Boot == b.Hello.Boot
}

// better reports whether a stream that is pulled from now should rather be pulled from next. all is what is announced.
// An origin that is not heard any more is kept as long as it sends, unless the stream was published elsewhere since.
func better(now, next announce.Origin, all []announce.Origin) bool {
	if same(now, next) {
		return false
	}
	for _, o := range all {
		if same(o, now) {
			return rank(next, o) < 0 || leaving(o) && !next.Status.Draining
		}
	}
	return next.Stream.Epoch > now.Stream.Epoch
}

// roomy orders transcoders that may take a new rendition, the one with the most room first. Room is taken in steps,
// because it changes all the time; among equals the name of the rendition decides, so that two relays that ask at once
// ask the same pod.
func roomy(all []announce.Pod, rendition string) []announce.Pod {
	const steps = 10
	all = slices.DeleteFunc(slices.Clone(all), func(p announce.Pod) bool {
		return !p.Status.Ready || p.Status.Draining || p.Status.Headroom <= 0
	})
	slices.SortFunc(all, func(a, b announce.Pod) int {
		return cmp.Or(
			cmp.Compare(int(b.Status.Headroom*steps), int(a.Status.Headroom*steps)),
			cmp.Compare(weight(b.Hello.Pod, rendition), weight(a.Hello.Pod, rendition)),
			strings.Compare(a.Hello.Pod, b.Hello.Pod),
		)
	})
	return all
}

// First names the transcoder that makes a rendition which starts with its stream; all choose alike. Empty: none has
// room.
func First(all []announce.Pod, rendition string) string {
	first, most := "", uint64(0)
	for _, p := range all {
		if w := weight(p.Hello.Pod, rendition); p.Status.Ready && !p.Status.Draining && p.Status.Headroom > 0 &&
			(first == "" || w > most) {
			first, most = p.Hello.Pod, w
		}
	}
	return first
}

// weight is a pod's number for a rendition, for rendezvous hashing.
func weight(pod, rendition string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(pod + "\x00" + rendition)) // never fails
	x := h.Sum64()
	x ^= x >> 33 // FNV alone leaves the upper bits of like names alike
	x *= 0xff51afd7ed558ccd
	return x ^ x>>33
}
