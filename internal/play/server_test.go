package play_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/logging"
	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"
	"github.com/pion/webrtc/v4"
)

const captureURI = "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time"

// The stream that the test server sends.
const (
	testFPS    = 25
	testGOP    = 10
	testWidth  = 640
	testHeight = 360
)

type serverOptions struct {
	full        bool // a full ICE agent that is the DTLS client, instead of an ICE-lite one that is the DTLS server
	noNACK      bool // answers no NACK
	noCapture   bool // without abs-capture-time
	silent      bool // connects but sends no media
	noKeyFrames bool
	lose        func(n int) bool // asked for the first transmission of each video packet; true drops it on the way
}

// server is a small WebRTC server on pion's stack. It speaks ARTC and WHEP on /live/NAME; NAME "missing" is a 404,
// "forbidden" a 403, and "soon" is a 404 twice before it plays.
type server struct {
	options serverOptions
	http    *httptest.Server
	api     *webrtc.API
	video   *webrtc.TrackLocalStaticRTP
	audio   *webrtc.TrackLocalStaticRTP
	proxy   *lossyProxy

	mu      sync.Mutex
	pcs     map[string]*webrtc.PeerConnection
	asked   int
	opened  int
	deleted int
}

func newServer(t *testing.T, o serverOptions) *server {
	t.Helper()
	s := &server{options: o, pcs: map[string]*webrtc.PeerConnection{}}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	engine := &webrtc.MediaEngine{}
	must(engine.RegisterDefaultCodecs())
	for _, kind := range []webrtc.RTPCodecType{webrtc.RTPCodecTypeVideo, webrtc.RTPCodecTypeAudio} {
		must(engine.RegisterHeaderExtension(webrtc.RTPHeaderExtensionCapability{URI: captureURI}, kind))
	}
	registry := &interceptor.Registry{}
	if !o.noNACK {
		must(webrtc.ConfigureNack(engine, registry))
	}
	must(webrtc.ConfigureRTCPReports(registry))
	if !o.noCapture {
		registry.Add(captureFactory{})
	}
	udp, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	must(err)
	tcp, err := net.Listen("tcp4", "127.0.0.1:0")
	must(err)
	quiet := logging.NewDefaultLeveledLoggerForScope("", logging.LogLevelDisabled, io.Discard)
	settings := webrtc.SettingEngine{
		LoggerFactory: &logging.DefaultLoggerFactory{Writer: io.Discard, DefaultLogLevel: logging.LogLevelDisabled},
	}
	settings.SetICEUDPMux(ice.NewUDPMuxDefault(ice.UDPMuxParams{UDPConn: udp, Logger: quiet}))
	settings.SetICETCPMux(ice.NewTCPMuxDefault(ice.TCPMuxParams{Listener: tcp, Logger: quiet, ReadBufferSize: 20}))
	settings.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4, webrtc.NetworkTypeTCP4})
	settings.SetIncludeLoopbackCandidate(true)
	settings.SetInterfaceFilter(func(name string) bool { return name == "lo" })
	if !o.full {
		settings.SetLite(true)
		must(settings.SetAnsweringDTLSRole(webrtc.DTLSRoleServer))
	}
	s.api = webrtc.NewAPI(
		webrtc.WithMediaEngine(engine),
		webrtc.WithInterceptorRegistry(registry),
		webrtc.WithSettingEngine(settings),
	)
	s.video, err = webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{
		MimeType: webrtc.MimeTypeH264, SDPFmtpLine: "packetization-mode=1;profile-level-id=42e01f",
	}, "rts video", "rts")
	must(err)
	s.audio, err = webrtc.NewTrackLocalStaticRTP(
		webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus},
		"rts audio",
		"rts",
	)
	must(err)
	if o.lose != nil {
		s.proxy = newLossyProxy(t, udp.LocalAddr().(*net.UDPAddr), o.lose)
	}
	s.http = httptest.NewServer(s)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go s.feed(stop, stopped)
	t.Cleanup(func() {
		close(stop)
		<-stopped
		s.http.Close()
		s.endAll()
		_ = udp.Close()
		_ = tcp.Close()
	})
	return s
}

func (s *server) artc(name string) string {
	return strings.Replace(s.http.URL, "http://", "artc://", 1) + "/live/" + name
}
func (s *server) whep(name string) string { return s.http.URL + "/live/" + name }

// endAll closes every peer connection, as a server does when the stream ends: close_notify.
func (s *server) endAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, pc := range s.pcs {
		_ = pc.Close()
		delete(s.pcs, id)
	}
}

func (s *server) sessions() (open, deleted int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.pcs), s.deleted
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/live/")
	s.mu.Lock()
	s.asked++
	asked := s.asked
	s.mu.Unlock()
	switch {
	case r.Method == http.MethodDelete:
		s.mu.Lock()
		if pc := s.pcs[name]; pc != nil {
			_ = pc.Close()
			delete(s.pcs, name)
			s.deleted++
		}
		s.mu.Unlock()
		return
	case name == "missing", name == "soon" && asked < 3:
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"code":404,"message":"no stream of this name is published"}`)
		return
	case name == "forbidden":
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, "the signature does not match")
		return
	}
	body, _ := io.ReadAll(r.Body)
	offer := string(body)
	var request struct {
		JSEP struct{ SDP string } `json:"jsep"`
	}
	isARTC := json.Unmarshal(body, &request) == nil
	if isARTC {
		offer = request.JSEP.SDP
	}
	id, answer, err := s.answer(offer)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, err)
		return
	}
	if isARTC {
		_ = json.NewEncoder(w).
			Encode(map[string]any{"code": 200, "trace_id": "t", "jsep": map[string]string{"type": "answer", "sdp": answer}})
		return
	}
	w.Header().Set("Location", "/live/"+id)
	w.WriteHeader(http.StatusCreated)
	fmt.Fprint(w, answer)
}

func (s *server) answer(offer string) (id, sdp string, err error) {
	pc, err := s.api.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return "", "", err
	}
	if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer}); err != nil {
		return "", "", err
	}
	for _, track := range []webrtc.TrackLocal{s.audio, s.video} {
		sender, err := pc.AddTrack(track)
		if err != nil {
			return "", "", err
		}
		go func() { // pion's interceptors see NACKs only when RTCP is read
			for {
				if _, _, err := sender.ReadRTCP(); err != nil {
					return
				}
			}
		}()
	}
	answer, err := pc.CreateAnswer(nil)
	if err != nil {
		return "", "", err
	}
	gathered := webrtc.GatheringCompletePromise(pc)
	if err := pc.SetLocalDescription(answer); err != nil {
		return "", "", err
	}
	<-gathered
	s.mu.Lock()
	s.opened++
	id = fmt.Sprintf("session-%d", s.opened)
	s.pcs[id] = pc
	s.mu.Unlock()
	sdp = pc.LocalDescription().SDP
	if s.proxy != nil {
		sdp = s.proxy.rewrite(sdp)
	}
	return id, sdp, nil
}

// feed sends the stream until stop is closed.
func (s *server) feed(stop, stopped chan struct{}) {
	defer close(stopped)
	video := rtp.NewPacketizer(1200, 0, 0, &codecs.H264Payloader{}, rtp.NewRandomSequencer(), 90000)
	audio := rtp.NewPacketizer(1200, 0, 0, &codecs.OpusPayloader{}, rtp.NewRandomSequencer(), 48000)
	ticker := time.NewTicker(time.Second / testFPS)
	defer ticker.Stop()
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		case <-ticker.C:
		}
		if s.options.silent {
			continue
		}
		for _, packet := range video.Packetize(accessUnit(n%testGOP == 0 && !s.options.noKeyFrames), 90000/testFPS) {
			_ = s.video.WriteRTP(packet)
		}
		for range 2 {
			for _, packet := range audio.Packetize(make([]byte, 80), 960) {
				_ = s.audio.WriteRTP(packet)
			}
		}
	}
}

// accessUnit makes an Annex B access unit that looks like H.264 to a receiver: parameter sets of 640x360 and slices of
// nothing.
func accessUnit(key bool) []byte {
	startCode := []byte{0, 0, 0, 1}
	slice := func(header byte, size int) []byte {
		out := append([]byte{}, startCode...)
		out = append(out, header)
		for range size {
			out = append(out, 0x5a)
		}
		return out
	}
	if !key {
		return slice(0x61, 5000)
	}
	sps := []byte{
		0x67, 0x42, 0xc0, 0x1e, 0xd9, 0x00, 0xa0, 0x2f, 0xf9, 0x70, 0x11, 0x00, 0x00, 0x03, 0x00, 0x01, 0x00, 0x00, 0x03,
		0x00, 0x32,
		0x0f, 0x16, 0x2e, 0x48,
	}
	out := append(append([]byte{}, startCode...), sps...)
	out = append(append(out, startCode...), 0x68, 0xcb, 0x83, 0xcb, 0x20)
	return append(out, slice(0x65, 20_000)...)
}

// captureFactory puts the time of sending into the abs-capture-time extension of every packet that has agreed on it.
type captureFactory struct{}

func (captureFactory) NewInterceptor(string) (interceptor.Interceptor, error) {
	return &captureTimes{}, nil
}

type captureTimes struct{ interceptor.NoOp }

func (*captureTimes) BindLocalStream(info *interceptor.StreamInfo, next interceptor.RTPWriter) interceptor.RTPWriter {
	id := uint8(0)
	for _, extension := range info.RTPHeaderExtensions {
		if extension.URI == captureURI {
			id = uint8(extension.ID)
		}
	}
	return interceptor.RTPWriterFunc(
		func(header *rtp.Header, payload []byte, attributes interceptor.Attributes) (int, error) {
			if id != 0 {
				raw, err := rtp.NewAbsCaptureTimeExtension(time.Now()).Marshal()
				if err != nil {
					return 0, err
				}
				if err := header.SetExtension(id, raw); err != nil {
					return 0, err
				}
			}
			return next.Write(header, payload, attributes)
		},
	)
}
