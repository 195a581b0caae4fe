package ingest

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/gortmplib"
	"github.com/bluenviron/gortmplib/pkg/amf0"
	"github.com/bluenviron/gortmplib/pkg/codecs"
	"github.com/bluenviron/gortmplib/pkg/message"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/opus"

	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/dataplane/media"
	"github.com/millrace/millrace/internal/contract/plan"
	"github.com/millrace/millrace/internal/testkit"
)

// Parameter sets made by x264 and x265.
const (
	hexSPS     = "6764000cacd941419f9f011000000300100000030320f1429960" // H.264 High, 320x180
	hexPPS     = "68ebe3cb22c0"
	hexSPS2    = "6742c01ed900a02ff97011000003000100000300320f162e48" // H.264 Constrained Baseline, 640x360
	hexPPS2    = "68cb83cb20"
	hexVPS265  = "40010c01ffff01600000030090000003000003003c959809" // H.265 Main, 320x180
	hexSPS265  = "42010101600000030090000003000003003ca00a080b9f796566924caf016808000003000800000300c840"
	hexPPS265  = "4401c172b46240"
	h264IDR    = 0x65
	h264P      = 0x41
	h265IDR    = 19 << 1
	h265TrailR = 1 << 1
)

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// slice is a made-up NAL unit of a type; its first slice header bits say P slice (first_mb 0, slice_type 5).
func slice(header byte) []byte {
	return append([]byte{header, 0b1_00110_00}, bytes.Repeat([]byte{0xAB}, 50)...)
}

// slice265 is the same for H.265, whose header has two bytes.
func slice265(header byte) []byte {
	return append([]byte{header, 1}, bytes.Repeat([]byte{0xCD}, 50)...)
}

// dial publishes with gortmplib's client; the error is what the server refused it with.
func (r *rig) dial(path string) (*gortmplib.Client, error) {
	r.t.Helper()
	app, key, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	u, err := url.Parse("rtmp://" + r.address + "/" + app + "#" + key + "?vhost=" + pushHost)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), testkit.Patience())
	defer cancel()
	c := &gortmplib.Client{URL: u, Publish: true}
	if err := c.Initialize(ctx); err != nil {
		return nil, err
	}
	r.t.Cleanup(c.Close)
	return c, nil
}

func (r *rig) mustDial(path string) *gortmplib.Client {
	r.t.Helper()
	c, err := r.dial(path)
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

// writer announces tracks on a connection.
func (r *rig) writer(c *gortmplib.Client, tracks ...*gortmplib.Track) *gortmplib.Writer {
	r.t.Helper()
	w := &gortmplib.Writer{Conn: c, Tracks: tracks}
	if err := w.Initialize(); err != nil {
		r.t.Fatal(err)
	}
	return w
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestEnhancedRTMPCarriesH265WithBFramesAndOpus(t *testing.T) {
	r := newRig(t, nil)
	video := &gortmplib.Track{Codec: &codecs.H265{VPS: unhex(hexVPS265), SPS: unhex(hexSPS265), PPS: unhex(hexPPS265)}}
	audio := &gortmplib.Track{
		Codec: &codecs.Opus{IDHeader: &opus.IDHeader{Version: 1, ChannelCount: 2, PreSkip: 312, InputSampleRate: 48000}},
	}
	w := r.writer(r.mustDial("/live/hevc"), video, audio)
	ms := time.Millisecond
	// Decoding order I P B B with a constant offset of 80 ms, as an encoder with two B-frames sends it.
	must(t, w.WriteH265(video, 80*ms, 0, [][]byte{slice265(h265IDR)}))
	must(t, w.WriteOpus(audio, 10*ms, append([]byte{0xFC}, bytes.Repeat([]byte{7}, 80)...)))
	must(t, w.WriteH265(video, 200*ms, 40*ms, [][]byte{slice265(h265TrailR)}))
	must(t, w.WriteH265(video, 120*ms, 80*ms, [][]byte{slice265(0)}))
	must(t, w.WriteH265(video, 160*ms, 120*ms, [][]byte{slice265(0)}))

	s := r.stream("live", "hevc", media.Video, media.Audio)
	if v := s.Track(media.Video); v.Codec != media.H265 || v.Width != 320 || v.Height != 180 || len(v.VPS) == 0 {
		t.Errorf("video track %+v", v)
	}
	if a := s.Track(media.Audio); a.Codec != media.Opus || a.SampleRate != 48000 || a.Channels != 2 {
		t.Errorf("audio track %+v", a)
	}
	reader := s.NewReader()
	defer reader.Close()
	first := next(t, reader, anyVideo)
	if !first.Key || len(first.Units) != 4 || !bytes.Equal(first.Units[0], unhex(hexVPS265)) {
		t.Errorf("first frame %s", describe(first))
	}
	if first.PTS-first.DTS != 80*ms {
		t.Errorf("first frame %s", describe(first))
	}
	for _, want := range [][2]time.Duration{{40 * ms, 200 * ms}, {80 * ms, 120 * ms}, {120 * ms, 160 * ms}} {
		if f := next(t, reader, anyVideo); f.DTS-first.DTS != want[0] || f.PTS-first.DTS != want[1] {
			t.Errorf("frame %s, want DTS %s and PTS %s after the first", describe(f), want[0], want[1])
		}
	}
	r.wait(
		"the fact",
		func() bool { f := s.Facts(); return f.BFrames && f.VideoCodec == media.H265 && f.Profile == "Main" },
	)

	again := s.NewReader()
	defer again.Close()
	if f := next(t, again, func(f *media.Frame) bool { return f.Kind() == media.Audio }); f.Size != 81 ||
		f.DTS-first.DTS != 10*ms {
		t.Errorf("audio frame %s of %d bytes", describe(f), f.Size)
	}
}

func TestH265IsRejectedWhereThePolicySaysSo(t *testing.T) {
	d := domain()
	d.H265 = plan.Reject
	r := newRig(t, domains(d))
	c := r.mustDial("/live/hevc")
	r.writer(c, &gortmplib.Track{Codec: &codecs.H265{VPS: unhex(hexVPS265), SPS: unhex(hexSPS265), PPS: unhex(hexPPS265)}})
	code, text := lastStatus(t, c)
	if code != string(statusRejected) ||
		!strings.Contains(text, "H.265, which browsers do not play; set the encoder to H.264") {
		t.Errorf("status %s: %s", code, text)
	}
}

func TestAConstantCompositionTimeIsNoBFrame(t *testing.T) {
	d := domain()
	d.BFrames = plan.Reject
	r := newRig(t, domains(d))
	video := &gortmplib.Track{Codec: &codecs.H264{SPS: unhex(hexSPS), PPS: unhex(hexPPS)}}
	w := r.writer(r.mustDial("/live/offset"), video)
	for i := range 10 {
		at := time.Duration(i) * 40 * time.Millisecond
		unit := slice(h264P)
		if i == 0 {
			unit = slice(h264IDR)
		}
		must(t, w.WriteH264(video, at+80*time.Millisecond, at, [][]byte{unit}))
	}
	s := r.stream("live", "offset", media.Video)
	reader := s.NewReader()
	defer reader.Close()
	for range 10 {
		if f := next(t, reader, anyVideo); f.PTS-f.DTS != 80*time.Millisecond {
			t.Errorf("frame %s", describe(f))
		}
	}
	if s.Facts().BFrames || !s.Live() {
		t.Errorf("facts %+v, live %v", s.Facts(), s.Live())
	}
}

func TestANewSequenceHeaderMakesANewTrackWithoutAnEnd(t *testing.T) {
	r := newRig(t, nil)
	c := r.mustDial("/live/change")
	one := &gortmplib.Track{Codec: &codecs.H264{SPS: unhex(hexSPS), PPS: unhex(hexPPS)}}
	two := &gortmplib.Track{Codec: &codecs.H264{SPS: unhex(hexSPS2), PPS: unhex(hexPPS2)}}
	three := &gortmplib.Track{Codec: &codecs.H265{VPS: unhex(hexVPS265), SPS: unhex(hexSPS265), PPS: unhex(hexPPS265)}}
	aac := &gortmplib.Track{
		Codec: &codecs.MPEG4Audio{Config: &mpeg4audio.AudioSpecificConfig{Type: 2, SampleRate: 44100, ChannelConfig: 1}},
	}

	w := r.writer(c, one, aac)
	must(t, w.WriteH264(one, 0, 0, [][]byte{{9, 0xF0}, slice(h264IDR), {12, 0xFF, 0x80}}))
	must(t, w.WriteMPEG4Audio(aac, 0, []byte{1, 2, 3, 4}))
	s := r.stream("live", "change", media.Video, media.Audio)
	reader := s.NewReader()
	defer reader.Close()
	first := next(t, reader, anyVideo)
	if first.Track.Width != 320 || len(first.Units) != 3 {
		t.Errorf("first frame %s of %dx%d", describe(first), first.Track.Width, first.Track.Height)
	}
	w = r.writer(c, two)
	must(t, w.WriteH264(two, 40*time.Millisecond, 40*time.Millisecond, [][]byte{slice(h264IDR)}))
	second := next(t, reader, anyVideo)
	if second.Track == first.Track || second.Track.Width != 640 || !bytes.Equal(second.Units[0], unhex(hexSPS2)) {
		t.Errorf("after the new header: %s of %dx%d", describe(second), second.Track.Width, second.Track.Height)
	}
	w = r.writer(c, three)
	must(t, w.WriteH265(three, 80*time.Millisecond, 80*time.Millisecond, [][]byte{slice265(h265IDR)}))
	third := next(t, reader, anyVideo)
	if third.Track.Codec != media.H265 || third.Epoch != first.Epoch {
		t.Errorf("after the change of codec: %s", describe(third))
	}
	r.wait("the tracks", func() bool {
		v := s.Track(media.Video)
		return v != nil && v.Codec == media.H265 && s.Track(media.Audio) != nil
	})
}

func TestAJumpOfTheTimeStampsIsBridged(t *testing.T) {
	r := newRig(t, nil)
	video := &gortmplib.Track{Codec: &codecs.H264{SPS: unhex(hexSPS), PPS: unhex(hexPPS)}}
	w := r.writer(r.mustDial("/live/jump"), video)
	for _, ms := range []int{0, 40, 80, 3_600_000, 3_600_040, 120, 160} {
		at := time.Duration(ms) * time.Millisecond
		must(t, w.WriteH264(video, at, at, [][]byte{slice(h264IDR)}))
	}
	s := r.stream("live", "jump", media.Video)
	r.wait("all frames", func() bool { return r.count("millrace_ingest_frames_total", "video") == 7 })
	reader := s.NewReader()
	defer reader.Close()
	if f := next(t, reader, anyVideo); f.DTS < 100*time.Millisecond || f.DTS > time.Second {
		t.Errorf("the last frame: %s", describe(f))
	}
	if n := r.count("millrace_ingest_timestamp_repairs_total", ""); n != 2 {
		t.Errorf("%v repairs", n)
	}
}

func TestAnIdleEncoderIsClosedAndItsStreamHeld(t *testing.T) {
	r := newRig(t, nil, func(o *Options) { o.IdleTimeout = 3 * time.Second })
	c := r.mustDial("/live/idle")
	video := &gortmplib.Track{Codec: &codecs.H264{SPS: unhex(hexSPS), PPS: unhex(hexPPS)}}
	w := r.writer(c, video)
	must(t, w.WriteH264(video, 0, 0, [][]byte{slice(h264IDR)}))
	s := r.stream("live", "idle", media.Video)
	// Pings are no media.
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Millisecond):
				if c.Write(&message.UserControlPingRequest{ServerTime: 1}) != nil {
					return
				}
			}
		}
	}()
	code, text := lastStatus(t, c)
	if code != string(statusIdle) || !strings.Contains(text, "no audio or video came for 3s") {
		t.Errorf("status %s: %s", code, text)
	}
	r.wait("the stream to be held", func() bool { return !s.Live() })
	if r.hub.Lookup(s.Key) == nil {
		t.Error("the stream is gone; it should be held")
	}
}

// explosive is a conn whose reads panic after the first n bytes.
type explosive struct {
	net.Conn
	left int
}

func (e *explosive) Read(p []byte) (int, error) {
	if e.left <= 0 {
		panic("boom")
	}
	n, err := e.Conn.Read(p[:min(len(p), e.left)])
	e.left -= n
	return n, err
}

type explosiveListener struct{ net.Listener }

func (l explosiveListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &explosive{c, 20_000}, nil
}

func TestAPanicEndsItsSessionOnly(t *testing.T) {
	r := newRig(t, nil)
	good := r.mustDial("/live/good")
	video := &gortmplib.Track{Codec: &codecs.H264{SPS: unhex(hexSPS), PPS: unhex(hexPPS)}}
	w := r.writer(good, video)
	must(t, w.WriteH264(video, 0, 0, [][]byte{slice(h264IDR)}))
	s := r.stream("live", "good", media.Video)

	r.address = r.listen(
		func(ctx context.Context, l net.Listener) error { return r.server.Serve(ctx, explosiveListener{l}) },
	)
	bad := r.mustDial("/live/bad")
	bw := r.writer(bad, video)
	for i := range 1000 {
		at := time.Duration(i) * time.Millisecond
		if bw.WriteH264(video, at, at, [][]byte{slice(h264IDR)}) != nil {
			break
		}
	}
	r.wait("the panic to be counted", func() bool { return r.count("millrace_ingest_session_panics_total", "") == 1 })
	r.wait("the stream to be held", func() bool {
		b := r.hub.Lookup(hub.Key{Space: space, App: "live", Name: "bad"})
		return b == nil || !b.Live()
	})
	must(t, w.WriteH264(video, time.Second, time.Second, [][]byte{slice(h264IDR)}))
	reader := s.NewReader()
	defer reader.Close()
	next(t, reader, func(f *media.Frame) bool { return f.DTS == time.Second })
}

// lastStatus reads messages until the connection ends and gives code and description of the last error status.
func lastStatus(t *testing.T, c *gortmplib.Client) (code, description string) {
	t.Helper()
	must(t, c.NetConn().SetReadDeadline(time.Now().Add(testkit.Patience())))
	for {
		m, err := c.Read()
		if err != nil {
			if !errors.Is(err, io.EOF) && code == "" {
				t.Fatalf("reading statuses: %v", err)
			}
			return code, description
		}
		cmd, ok := m.(*message.CommandAMF0)
		if !ok || cmd.Name != "onStatus" || len(cmd.Arguments) < 2 {
			continue
		}
		if info, ok := cmd.Arguments[1].(amf0.Object); ok {
			if level, _ := info.GetString("level"); level == "error" {
				code, _ = info.GetString("code")
				description, _ = info.GetString("description")
			}
		}
	}
}
