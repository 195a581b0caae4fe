package hls

import (
	"bytes"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// rules hold what the playlists of one stream have promised so far (RFC 8216bis, 4.4 and 6.2; Apple's HLS Authoring
// Specification).
type rules struct {
	t          *testing.T
	target     int
	partTarget float64
	sequence   uint64
	discont    uint64
	hint       string
	segments   map[uint64]string // URI and duration by media sequence number
	parts      map[string]string
	seen       int
}

func newRules(t *testing.T) *rules {
	return &rules{t: t, segments: map[uint64]string{}, parts: map[string]string{}}
}

func attribute(line, name string) string {
	m := regexp.MustCompile(`[:,]` + name + `=("[^"]*"|[^,]*)`).FindStringSubmatch(line)
	if m == nil {
		return ""
	}
	return strings.Trim(m[1], `"`)
}

func (r *rules) number(text string) float64 {
	r.t.Helper()
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		r.t.Fatalf("number %q: %v", text, err)
	}
	return v
}

// check validates a low-latency playlist against the rules and against those before it.
func (r *rules) check(text string) {
	t := r.t
	t.Helper()
	r.seen++
	fail := func(format string, args ...any) {
		t.Helper()
		t.Fatalf("playlist %d: %s\n%s", r.seen, fmt.Sprintf(format, args...), text)
	}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if lines[0] != "#EXTM3U" {
		fail("it begins with %q", lines[0])
	}
	for _, tag := range []string{"#EXT-X-VERSION:9", "#EXT-X-INDEPENDENT-SEGMENTS", "#EXT-X-MEDIA-SEQUENCE:",
		"#EXT-X-TARGETDURATION:", "#EXT-X-MAP:", "#EXT-X-PART-INF:", "#EXT-X-SERVER-CONTROL:"} {
		if !strings.Contains(text, tag) {
			fail("%s is missing", tag)
		}
	}
	var msn, discont uint64
	var info, sum, window float64
	var parts []float64
	var date, due time.Time
	var first, hint string
	mapped := false
	endSegment := func() {
		for i, d := range parts[:max(len(parts)-1, 0)] { // the last may be shorter
			if d < 0.85*r.partTarget {
				fail("part %d of segment %d lasts %.3f s, less than 85 %% of the target", i, msn, d)
			}
		}
	}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ":")
		switch name {
		case "#EXT-X-TARGETDURATION":
			n := int(r.number(value))
			if r.target != 0 && n != r.target {
				fail("the target duration changed from %d", r.target)
			}
			r.target = n
		case "#EXT-X-PART-INF":
			d := r.number(attribute(line, "PART-TARGET"))
			if r.partTarget != 0 && d != r.partTarget {
				fail("the part target changed from %v", r.partTarget)
			}
			r.partTarget = d
			control := regexp.MustCompile(`#EXT-X-SERVER-CONTROL.*`).FindString(text)
			if attribute(control, "CAN-BLOCK-RELOAD") != "YES" || r.number(attribute(control, "PART-HOLD-BACK")) < 3*d-0.0005 {
				fail("server control is %s", control)
			}
		case "#EXT-X-MEDIA-SEQUENCE":
			msn = uint64(r.number(value))
			if msn < r.sequence {
				fail("the media sequence went back from %d", r.sequence)
			}
			r.sequence = msn
		case "#EXT-X-DISCONTINUITY":
			due = time.Time{}
		case "#EXT-X-DISCONTINUITY-SEQUENCE":
			discont = uint64(r.number(value))
		case "#EXT-X-MAP":
			mapped = true
		case "#EXTINF":
			info = r.number(strings.TrimSuffix(value, ","))
			if int(math.Round(info)) > r.target {
				fail("a segment of %.3f s", info)
			}
		case "#EXT-X-PROGRAM-DATE-TIME":
			at, err := time.Parse(time.RFC3339Nano, value)
			if err != nil {
				fail("%v", err)
			}
			// A segment begins when the one before has ended; dates are in milliseconds, and follow clocks by one in 1000.
			if off := at.Sub(due); !due.IsZero() && off.Abs() > 5*time.Millisecond {
				fail("segment %d begins %v after the end of the one before", msn, off)
			}
			date = at
		case "#EXT-X-PART":
			d := r.number(attribute(line, "DURATION"))
			uri := attribute(line, "URI")
			if d > r.partTarget {
				fail("a part of %.3f s", d)
			}
			if len(parts) == 0 && attribute(line, "INDEPENDENT") != "YES" {
				fail("segment %d begins with a part that needs others", msn)
			}
			if old, ok := r.parts[uri]; ok && old != line {
				fail("part %s changed from %s", uri, old)
			}
			if len(r.parts) > 0 && r.parts[uri] == "" && first == "" {
				first = uri
			}
			r.parts[uri] = line
			parts = append(parts, d)
			sum += d
		case "#EXT-X-PRELOAD-HINT":
			hint = attribute(line, "URI")
		}
		if line == "" || line[0] == '#' {
			continue
		}
		if !mapped {
			fail("segment %d has no map", msn)
		}
		if len(parts) > 0 && math.Abs(sum-info) > 0.001 {
			fail("the parts of segment %d last %.4f s, it %.4f s", msn, sum, info)
		}
		endSegment()
		what := fmt.Sprintf("%s %.5f", line, info)
		if old, ok := r.segments[msn]; ok && old != what {
			fail("segment %d was %s", msn, old)
		}
		r.segments[msn] = what
		window += info
		due = date.Add(time.Duration(info * float64(time.Second)))
		msn++
		parts, sum = nil, 0
	}
	if discont < r.discont {
		fail("the discontinuity sequence went back from %d", r.discont)
	}
	r.discont = discont
	endSegment()
	// a later one may be the first that is listed
	if r.hint != "" && first != "" && partNumber(first) < partNumber(r.hint) {
		fail("%s was hinted at, %s came", r.hint, first)
	}
	r.hint = hint
	ended := strings.HasSuffix(text, "#EXT-X-ENDLIST\n")
	if ended == (hint != "") {
		fail("ended: %v, hint: %q", ended, hint)
	}
	if r.sequence > 0 && window < 3*float64(r.target) {
		fail("%.1f s are listed, less than three target durations", window)
	}
}

func partNumber(uri string) int {
	n, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(uri, "part"), ".m4s"))
	return n
}

// One hour of a stream whose frames arrive unevenly, as fast as it can be written: every playlist that a player would
// load keeps the rules, each segment begins with a key frame where the one before ended, by its media as by its date.
func TestPlaylistsOfAnHour(t *testing.T) {
	for _, fps := range []int{24, 25, 30, 60} {
		hour := time.Hour
		if fps != 25 {
			hour = 5 * time.Minute
		}
		t.Run(strconv.Itoa(fps), func(t *testing.T) {
			t.Parallel()
			s := newSource(t, fps, fps)
			s.gops(10)
			m := s.open(LowLatency)
			rules, media := newRules(t), &continuity{t: t}
			rules.check(s.playlist(m, Want{}))
			for next := uint64(5); s.at < hour; next++ {
				s.gops(1)
				rules.check(s.playlist(m, Want{}))
				s.gops(1)
				text := s.playlist(m, Want{Blocking: true, MSN: next - 1, Part: -1})
				rules.check(text)
				media.check(s.resource(m, fmt.Sprintf("seg%d.m4s", next-1)))
			}
			s.pub.End()
			<-m.done
			text := s.playlist(m, Want{Blocking: true, MSN: 1 << 40, Part: 3})
			rules.check(text)
			if !strings.HasSuffix(text, "#EXT-X-ENDLIST\n") {
				t.Errorf("the end is missing: %s", text)
			}
			if n := len(rules.segments); time.Duration(n)*2*time.Second < hour-20*time.Second {
				t.Errorf("only %d segments were seen", n)
			}
			if n := len(m.state.segments); n > listed+kept+1 {
				t.Errorf("%d segments are kept", n)
			}
			if m.bytes.Load() > 20*int64(s.size)*int64(2*fps) {
				t.Errorf("%d bytes are held", m.bytes.Load())
			}
		})
	}
}

// A publisher that comes back makes a discontinuity with a map of its own; time goes on.
func TestDiscontinuity(t *testing.T) {
	s := newSource(t, 25, 25)
	s.gops(6)
	ll, ts := s.open(LowLatency), s.open(TS)
	rules := newRules(t)
	rules.check(s.playlist(ll, Want{}))
	s.pub.Abandon()
	s.publish()
	s.gops(3)
	text := s.playlist(ll, Want{Blocking: true, MSN: 3, Part: 0})
	rules.check(text)
	if strings.Count(text, "#EXT-X-DISCONTINUITY\n") != 1 ||
		!strings.Contains(text, "#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"init1.mp4\"\n") {
		t.Errorf("no discontinuity: %s", text)
	}
	old := s.playlist(ts, Want{Blocking: true, MSN: 3, Part: -1})
	if !strings.Contains(old, "#EXT-X-DISCONTINUITY\n") || strings.Contains(old, "PART") || strings.Contains(old, "MAP") ||
		!strings.Contains(old, "#EXT-X-VERSION:3\n") {
		t.Errorf("the playlist of MPEG-TS: %s", old)
	}
	s.gops(20) // until it is gone
	if text = s.playlist(ll, Want{Blocking: true, MSN: 12, Part: -1}); !strings.Contains(
		text,
		"#EXT-X-DISCONTINUITY-SEQUENCE:1\n",
	) ||
		strings.Contains(text, "#EXT-X-DISCONTINUITY\n") {
		t.Errorf("after it has left the list: %s", text)
	}
	rules.check(text)
}

// Players begin at the live edge of the first playlist that they get.
func TestTheFirstPlaylistHasAllThatIsThere(t *testing.T) {
	for range 20 {
		s := newSource(t, 25, 25)
		s.gops(10)
		text := s.playlist(s.open(LowLatency), Want{})
		_, open, _ := strings.Cut(text, "seg3.m4s\n")
		if n := strings.Count(open, "#EXT-X-PART:"); n != 9 { // 49 of the 50 frames of segment 4, by fives
			t.Fatalf("%d parts of the newest segment: %s", n, text)
		}
	}
}

// The last part of a stream is shown in a playlist that has not ended, whose segment is open and which hints at a
// further one. Then the end is told, and the hint comes to nothing.
func TestTheLastPartComesBeforeTheEnd(t *testing.T) {
	s := newSource(t, 25, 25)
	s.muxers.opt.EndHold = time.Hour
	s.gops(3)
	m := s.open(LowLatency)
	rules := newRules(t)
	rules.check(s.playlist(m, Want{}))
	s.pub.End()
	last := s.playlist(m, Want{Blocking: true, MSN: 1, Part: 4})
	rules.check(last)
	hint := attribute(regexp.MustCompile(`#EXT-X-PRELOAD-HINT.*`).FindString(last), "URI")
	if strings.Contains(last, "ENDLIST") || strings.Contains(last, "seg1.m4s") || hint == "" {
		t.Errorf("the playlist with the last part: %s", last)
	}
	m.stop()
	ended := s.playlist(m, Want{Blocking: true, MSN: 1, Part: 5})
	rules.check(ended)
	parts := regexp.MustCompile(`#EXT-X-PART:.*\n`)
	if got, want := parts.FindAllString(ended, -1), parts.FindAllString(last, -1); !slices.Equal(got, want) ||
		!strings.Contains(ended, "seg1.m4s\n#EXT-X-ENDLIST\n") {
		t.Errorf("the playlist that has ended: %s", ended)
	}
	if _, _, err := m.Resource(t.Context(), hint); err != ErrGone { //nolint:errorlint // as it is
		t.Errorf("the part that does not come: %v", err)
	}
}

func TestDirectives(t *testing.T) {
	s := newSource(t, 25, 25)
	s.gops(4)
	m := s.open(LowLatency)
	s.playlist(m, Want{})
	//nolint:errorlint // as it is
	if _, err := m.Playlist(t.Context(), Want{Blocking: true, MSN: 40, Part: -1}, ""); err != ErrTooFar {
		t.Errorf("far ahead: %v", err)
	}
	got := make(chan string)
	go func() { got <- s.playlist(m, Want{Blocking: true, MSN: 2, Part: 1}) }()
	part := make(chan int)
	hint := attribute(
		regexp.MustCompile(`#EXT-X-PRELOAD-HINT.*`).FindString(s.playlist(m, Want{Blocking: true, MSN: 1, Part: 3})),
		"URI",
	)
	go func() { part <- len(s.resource(m, hint)) }()
	s.gops(1)
	if text := <-got; strings.Count(text, "#EXT-X-PART:") < 2 {
		t.Errorf("the playlist that was waited for: %s", text)
	}
	if n := <-part; n == 0 {
		t.Error("the part that was hinted at is empty")
	}
	for _, name := range []string{"seg99.m4s", "part99999.m4s", "init7.mp4", "seg0.ts", "../x", "seg-1.m4s"} {
		if _, _, err := m.Resource(t.Context(), name); err != ErrGone { //nolint:errorlint // as it is
			t.Errorf("%s: %v", name, err)
		}
	}
	signed, err := m.Playlist(t.Context(), Want{}, "?mr=x")
	uris := regexp.MustCompile(`\.(m4s|mp4)`).FindAll(signed, -1)
	if err != nil || len(uris) < 10 || bytes.Count(signed, []byte("?mr=x")) != len(uris) {
		t.Errorf("not every URI carries the query: %s %v", signed, err)
	}
}
