package ingest

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/dataplane/media"
)

func TestFindTarget(t *testing.T) {
	for name, c := range map[string]struct {
		tcURL, app, key, sni string
		host, path, query    string
	}{
		"host of tcUrl": {"rtmp://Push.Example.com:1935/live", "live", "cam", "", "push.example.com", "/live/cam",
			""},
		"trailing dot": {"rtmp://push.example.com./live", "live", "cam", "", "push.example.com", "/live/cam", ""},
		"IPv6":         {"rtmp://[::1]:1935/live", "live", "cam", "", "::1", "/live/cam", ""},
		"user in tcUrl": {"rtmp://me@push.example.com/live", "live", "cam", "", "push.example.com", "/live/cam",
			""},
		"server name": {"rtmps://10.0.0.1/live", "live", "cam", "Push.Example.Com", "push.example.com",
			"/live/cam", ""},
		"vhost in the key": {"rtmp://10.0.0.1/live", "live", "cam?vhost=a.example.com", "b.example.com",
			"a.example.com", "/live/cam", "vhost=a.example.com"},
		"vhost in tcUrl": {"rtmp://10.0.0.1/live?vhost=a.example.com", "live?vhost=a.example.com", "cam", "",
			"a.example.com", "/live/cam", ""},
		"signature in the key": {"rtmp://h/live", "live", "cam?vhost=a&auth_key=1-0-0-x", "", "a", "/live/cam",
			"vhost=a&auth_key=1-0-0-x"},
		"signature in tcUrl": {"rtmp://h/live?auth_key=1-0-0-x", "live?auth_key=1-0-0-x", "cam?a=b", "", "h",
			"/live/cam", "auth_key=1-0-0-x"},
		"slashes around":          {"rtmp://h/live/", "live/", "/cam", "", "h", "/live/cam", ""},
		"app and name in the key": {"rtmp://h", "", "live/cam", "", "h", "/live/cam", ""},
		"all in the app":          {"rtmp://h/live/cam", "live/cam", "", "", "h", "/live/cam", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := findTarget(c.tcURL, c.app, c.key, c.sni)
			if err != nil || got != (target{c.host, c.path, c.query}) {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
	if _, err := findTarget("live", "live", "cam", ""); err != nil {
		// A tcUrl that is no URL names no host.
		if !strings.Contains(err.Error(), "no push domain") {
			t.Error(err)
		}
	} else {
		t.Error("a target without a host was found")
	}
}

func TestNames(t *testing.T) {
	for path, ok := range map[string]bool{
		"/live/cam": true, "/Live-1/cam_2.x": true, "/live/" + strings.Repeat("n", 256): true,
		"/live": false, "/live/": false, "//cam": false, "/live/a/b": false, "/live/..": false, "/live/.cam": false,
		"/live/a b": false, "/live/ä": false, "/live/a%20": false, "/live/" + strings.Repeat("n", 257): false,
		"/live/a\x00": false,
	} {
		if _, _, err := splitPath(path); (err == nil) != ok {
			t.Errorf("%q: %v", path, err)
		}
	}
}

func TestTimelineNeverGoesBackAndBridgesJumps(t *testing.T) {
	const v, a = media.Video, media.Audio
	type step struct {
		kind  media.Kind
		stamp uint32
		want  int // ms
	}
	for name, steps := range map[string][]step{
		"starts anywhere":         {{v, 5000, 0}, {a, 5010, 10}, {v, 5040, 40}},
		"audio lags at the start": {{v, 5000, 0}, {v, 5040, 40}, {a, 3000, -2000}, {a, 3020, -1980}, {v, 5080, 80}},
		"jitter is clamped":       {{v, 0, 0}, {v, 40, 40}, {v, 30, 40}, {v, 80, 80}},
		"a jump forward":          {{v, 0, 0}, {a, 10, 10}, {v, 100_000, 30}, {a, 100_010, 40}, {v, 100_040, 70}},
		"a jump back":             {{v, 50_000, 0}, {a, 50_010, 10}, {v, 100, 30}, {a, 110, 40}, {v, 140, 70}},
		"the counter wraps":       {{v, 0xFFFFFFF0, 0}, {v, 24, 40}, {v, 64, 80}},
		"a pause below the limit": {{v, 0, 0}, {v, 9000, 9000}, {v, 9040, 9040}},
	} {
		t.Run(name, func(t *testing.T) {
			var line timeline
			for i, s := range steps {
				if got := line.at(s.kind, s.stamp); got != time.Duration(s.want)*time.Millisecond {
					t.Errorf("step %d: %s at %d is %s, want %d ms", i, s.kind, s.stamp, got, s.want)
				}
			}
		})
	}
}

func TestRateLimitLooksAtWholeSeconds(t *testing.T) {
	var r rateLimit
	start := time.Unix(1000, 500e6) // not a whole second
	for i := range 120 {            // 10 messages of 1250 bytes a second are 100 kbit/s
		got := r.add(start.Add(time.Duration(i)*100*time.Millisecond), 1250)
		want := 0
		if i >= 55 {
			want = 100
		}
		if got != want {
			t.Fatalf("after %d messages: %d kbit/s, want %d", i+1, got, want)
		}
	}
	if got := r.add(start.Add(time.Hour), 1250); got != 0 {
		t.Errorf("after an hour of silence: %d kbit/s", got)
	}
}

func TestAddressesAreCountedByHost(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.1":          "192.0.2.1",
		"::ffff:192.0.2.1":   "192.0.2.1",
		"2001:db8:1:2:3::4":  "2001:db8:1:2::",
		"2001:db8:1:2:ff::5": "2001:db8:1:2::",
	} {
		if got := addressOf(&net.TCPAddr{IP: net.ParseIP(in), Port: 1}); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

func TestDescriptionsFitIntoFFmpegsBuffer(t *testing.T) {
	if got := cut(strings.Repeat("ä", 200), maxDescription); len(got) != maxDescription || !strings.HasSuffix(got, "ä") {
		t.Errorf("%d bytes, ends in %q", len(got), got[len(got)-2:])
	}
}

// FuzzTags: no audio, video or data message panics; what comes out is one frame with its memory accounted for.
func FuzzTags(f *testing.F) {
	avc := append([]byte{0x17, 0, 0, 0, 0, 1, 0x64, 0, 12, 0xFF, 0xE1, 0, 26}, unhex(hexSPS)...)
	avc = append(append(avc, 1, 0, 6), unhex(hexPPS)...)
	f.Add(avc, append([]byte{0x17, 1, 0, 0, 0, 0, 0, 0, 52}, slice(h264IDR)...), byte(typeVideo))
	f.Add([]byte{0x90, 'h', 'v', 'c', '1', 0}, []byte{0x93, 'h', 'v', 'c', '1', 0, 0, 0, 1, 0x26}, byte(typeVideo))
	f.Add(
		[]byte{0x97, 0, 1, 0x16, 0x01, 'a', 'v', 'c', '1', 0},
		[]byte{0x96, 0x01, 'a', 'v', 'c', '1', 0, 1, 2, 3, 4},
		byte(typeVideo),
	)
	f.Add([]byte{0xAF, 0, 0x12, 0x10}, []byte{0xAF, 1, 1, 2, 3}, byte(typeAudio))
	f.Add([]byte{0x90, 'O', 'p', 'u', 's'}, []byte{0x91, 'O', 'p', 'u', 's', 0xFC, 1}, byte(typeAudio))
	f.Add([]byte{2, 0, 10, 'o', 'n', 'M', 'e', 't', 'a', 'D', 'a', 't', 'a', 5}, []byte{}, byte(typeDataAMF0))
	f.Fuzz(func(t *testing.T, first, second []byte, typ byte) {
		p := newProgram()
		for i, body := range [][]byte{first, second, first, second} {
			frame, _, err := p.take(
				rawMessage{typ: typ, timestamp: uint32(i * 600), body: append([]byte(nil), body...)},
				time.Unix(int64(i), 0),
			)
			if err != nil {
				return
			}
			if frame == nil {
				continue
			}
			size := 0
			for _, u := range frame.Units {
				size += len(u)
			}
			if frame.Track == nil || size != frame.Size || size == 0 || frame.PTS < frame.DTS {
				t.Fatalf("frame %+v", frame)
			}
		}
		_ = p.inspector.Facts()
		_ = ends(first)
	})
}

// FuzzTarget: whatever an encoder sends, an accepted target is one app and one stream of allowed characters.
func FuzzTarget(f *testing.F) {
	f.Add("rtmp://push.example.com/live?vhost=a", "live", "cam?auth_key=1-2-3-4", "")
	f.Fuzz(func(t *testing.T, tcURL, app, key, sni string) {
		got, err := findTarget(tcURL, app, key, sni)
		if err != nil {
			return
		}
		a, n, err := splitPath(got.path)
		if err == nil && (got.path != "/"+a+"/"+n || got.host == "") {
			t.Fatalf("%+v: %q, %q", got, a, n)
		}
	})
}
