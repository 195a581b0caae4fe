package pull

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/dataplane/media"
	"github.com/millrace/millrace/internal/testkit"
)

// dialogue is an RTSP connection by hand.
type dialogue struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
	n    int
}

func talk(t *testing.T, r *rig) *dialogue {
	t.Helper()
	c, err := net.Dial("tcp", r.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(2 * testkit.Patience())); err != nil {
		t.Fatal(err)
	}
	return &dialogue{t: t, conn: c, in: bufio.NewReader(c)}
}

// ask sends a request and gives the status line and the session of the answer.
func (d *dialogue) ask(method, path string, headers ...string) (status, session string) {
	d.t.Helper()
	d.n++
	fmt.Fprintf(
		d.conn,
		"%s rtsp://%s%s RTSP/1.0\r\nCSeq: %d\r\n%s\r\n",
		method,
		d.conn.RemoteAddr(),
		path,
		d.n,
		strings.Join(append(headers, ""), "\r\n"),
	)
	for line := ""; line != "\r\n"; {
		var err error
		if line, err = d.in.ReadString('\n'); err != nil {
			d.t.Fatalf("%s: reading the answer: %v", method, err)
		}
		if status == "" {
			status = strings.TrimSpace(line)
		}
		if v, ok := strings.CutPrefix(line, "Session: "); ok {
			session, _, _ = strings.Cut(strings.TrimSpace(v), ";")
		}
	}
	return status, session
}

const interleaved = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1"

func TestRefusalsSayWhy(t *testing.T) {
	h := newHub(t)
	tracks, frames := opusFrames(t, 1)
	write(t, publish(t, h, tracks...), frames[0])
	r := serve(t, h, func(o *ServerOptions) { o.MaxSessions = 1 })
	for _, c := range []struct{ method, path, header, want string }{
		{"DESCRIBE", "/" + space + "/live/other", "Accept: application/sdp", "404 Not Found: no such live stream"},
		{"DESCRIBE", "/" + space, "Accept: application/sdp", "400 Bad Request: the path is"},
		{"SETUP", streamPath + "/trackID=0", "Transport: RTP/AVP;unicast;client_port=5000-5001", "461"},
	} {
		if status, _ := talk(t, r).ask(c.method, c.path, c.header); !strings.HasPrefix(status, "RTSP/1.0 "+c.want) {
			t.Errorf("%s %.60s: %q, want %q", c.method, c.path, status, c.want)
		}
	}
	one := talk(t, r)
	if status, _ := one.ask("SETUP", streamPath+"/trackID=0", interleaved); status != "RTSP/1.0 200 OK" {
		t.Fatalf("the first session: %s", status)
	}
	if status, _ := talk(t, r).ask("SETUP", streamPath+"/trackID=0", interleaved); !strings.HasPrefix(
		status,
		"RTSP/1.0 503 Service Unavailable: too many",
	) {
		t.Errorf("one session too many: %s", status)
	}
	_ = one.conn.Close()
	testkit.Eventually(t, "the place of a session is free again", func() bool {
		again := talk(t, r)
		defer again.conn.Close()
		status, _ := again.ask("SETUP", streamPath+"/trackID=0", interleaved)
		return status == "RTSP/1.0 200 OK"
	})
}

func TestConnectionsThatDoNotPlayAreClosed(t *testing.T) {
	r := serve(t, newHub(t), func(o *ServerOptions) { o.SetupTime = 50 * time.Millisecond })
	if _, err := talk(t, r).in.ReadByte(); err == nil {
		t.Error("something was said")
	}
	if n := r.count(t, "millrace_pull_refused_total", "idle"); n != 1 {
		t.Errorf("%v are counted", n)
	}
}

// One that reads nothing is ended, and another one gets every frame meanwhile.
func TestSlowReaderHoldsNobodyUp(t *testing.T) {
	from, to := newHub(t), newHub(t)
	tracks, _ := opusFrames(t, 1)
	pub := publish(t, from, tracks...)
	frame := func(i int) *media.Frame {
		at := time.Duration(i) * 20 * time.Millisecond
		unit := append([]byte{byte(i), byte(i >> 8)}, make([]byte, 1200)...)
		return &media.Frame{
			Track:  tracks[0],
			Key:    true,
			DTS:    at,
			PTS:    at,
			Ingest: time.Now(),
			Units:  [][]byte{unit},
			Size:   len(unit),
		}
	}
	write(t, pub, frame(0))
	r := serve(t, from, func(o *ServerOptions) { o.StallTime = 500 * time.Millisecond })

	slow := talk(t, r)
	_ = slow.conn.(*net.TCPConn).SetReadBuffer(4096)
	_, session := slow.ask("SETUP", streamPath+"/trackID=0", interleaved)
	if status, _ := slow.ask("PLAY", streamPath, "Session: "+session); status != "RTSP/1.0 200 OK" {
		t.Fatal(status)
	}
	r.pullInto(t, to)
	good := reader(t, to)
	next(t, good)
	ended := func() bool { return r.count(t, "millrace_pull_ended_total", "") == 1 }
	for i := 1; !ended(); i++ { // the kernel's buffers and the queue fill up
		if i > 1<<16 {
			t.Fatal("a reader that takes nothing is kept")
		}
		write(t, pub, frame(i))
		if f := next(t, good); f.Units[0][0] != byte(i) || f.Units[0][1] != byte(i>>8) {
			t.Fatalf("frame %d did not come to the reader that reads", i)
		}
	}
	if n := r.count(t, "millrace_pull_readers", ""); n != 1 {
		t.Errorf("%v readers are left, want the one that reads", n)
	}
}

// A reader is told the end when the stream is no longer what it set up.
func TestChangeOfTracksEndsReaders(t *testing.T) {
	from, to := newHub(t), newHub(t)
	tracks, frames := opusFrames(t, 1)
	write(t, publish(t, from, tracks...), frames[0])
	r := serve(t, from, nil)
	done := r.pullInto(t, to)
	next(t, reader(t, to))
	mono, err := media.NewOpusTrack(1)
	if err != nil {
		t.Fatal(err)
	}
	other := *frames[0]
	other.Track = mono
	write(t, publish(t, from, mono), &other)
	if err := result(t, done); err == nil {
		t.Error("it is told as the end of the stream")
	}
	if n := r.count(t, "millrace_pull_ended_total", "tracks changed"); n != 1 {
		t.Errorf("%v are counted", n)
	}
}
