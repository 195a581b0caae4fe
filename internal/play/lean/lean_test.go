package lean

import (
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"
	"github.com/pion/webrtc/v4"

	"github.com/millrace/millrace/dataplane/media"
	"github.com/millrace/millrace/internal/play/meter"
)

const goodAnswer = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\na=ice-lite\r\n" +
	"a=fingerprint:sha-256 aa:BB\r\na=ice-ufrag:u\r\na=ice-pwd:p\r\n" +
	"m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=setup:passive\r\na=sendonly\r\na=rtpmap:111 " +
	"opus/48000/2\r\na=ssrc:7 cname:x\r\n" +
	"a=candidate:1 1 udp 2130706431 192.0.2.1 8000 typ host\r\n" +
	"a=candidate:2 1 udp 2130706431 x.local 8000 typ host\r\n" +
	"a=candidate:3 1 tcp 1671430143 192.0.2.1 8000 typ host tcptype passive\r\n" +
	"m=video 9 UDP/TLS/RTP/SAVPF 108 109\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\na=setup:passive\r\na=sendonly\r\na=extmap:5 " +
	extCaptureTime + "\r\n" +
	"a=rtpmap:108 H264/90000\r\na=rtpmap:109 rtx/90000\r\na=fmtp:109 apt=108\r\na=rtpmap:96 VP8/90000\r\n" +
	"a=ssrc-group:FID 8 9\r\na=ssrc:8 cname:x\r\na=ssrc:9 cname:x\r\n"

func TestAnswerSaysWhereAndWhat(t *testing.T) {
	a, err := parseAnswer(goodAnswer)
	if err != nil {
		t.Fatal(err)
	}
	if a.remote != (credentials{"u", "p"}) || a.fingerprint != "AA:BB" || a.dtlsServer {
		t.Errorf("transport %+v %s, DTLS server %v", a.remote, a.fingerprint, a.dtlsServer)
	}
	if len(a.candidates) != 2 || a.candidates[0].address.String() != "192.0.2.1:8000" || a.candidates[0].tcp ||
		!a.candidates[1].tcp {
		t.Errorf("candidates %+v", a.candidates)
	}
	want := map[int]route{
		111: {codec: media.Opus},
		108: {codec: media.H264, capture: 5},
		109: {codec: media.H264, capture: 5, repair: true},
	}
	for pt, got := range a.routes {
		if got != want[pt] {
			t.Errorf("payload type %d: %+v, want %+v", pt, got, want[pt])
		}
	}
	if a.repairs[9] != 8 || len(a.codecs) != 2 {
		t.Errorf("repairs %v, codecs %v", a.repairs, a.codecs)
	}
}

func TestUnusableAnswerSaysWhatIsMissing(t *testing.T) {
	for old, want := range map[string]string{
		"192.0.2.1": "no candidate", "a=ice-pwd:p\r\n": "no ICE credentials", "sha-256 aa:BB": "want sha-256",
		"m=audio 9": "no candidate", "opus": "", "v=0": "reading the SDP",
	} {
		broken := strings.ReplaceAll(goodAnswer, old, map[string]string{
			"192.0.2.1": "x.local", "sha-256 aa:BB": "sha-1 aa", "m=audio 9": "m=audio 0", "opus": "PCMU", "v=0": "v=x",
		}[old])
		_, err := parseAnswer(broken)
		if want == "" {
			if err != nil {
				t.Errorf("without %q: %v, want video alone to be good", old, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("without %q: %v, want %q", old, err, want)
		}
	}
}

func TestOfferIsTakenByAnotherStack(t *testing.T) {
	cert, err := newCertificate()
	if err != nil {
		t.Fatal(err)
	}
	for _, without := range []media.Kind{0, media.Audio, media.Video} {
		pc, err := webrtc.NewPeerConnection(webrtc.Configuration{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = pc.Close() })
		offer := newOffer(newCredentials(), cert, without)
		if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer}); err != nil {
			t.Fatalf("without %v: %v\n%s", without, err, offer)
		}
		want := 2
		if without != 0 {
			want = 1
		}
		if got := len(pc.GetTransceivers()); got != want {
			t.Errorf("without %v: %d kinds of media, want %d", without, got, want)
		}
	}
}

func TestCaptureTimeIsFoundInBothFormsOfExtensions(t *testing.T) {
	at := time.Unix(1_700_000_000, 250_000_000)
	ntp := binary.BigEndian.AppendUint64(nil, uint64(at.Unix()+2208988800)<<32|1<<30)
	oneByte := append(append([]byte{0x10, 0xff, 0}, 5<<4|7), ntp...)
	twoBytes := append(append([]byte{1, 0, 2, 1, 0xff, 0}, 5, 8), ntp...)
	for profile, raw := range map[uint16][]byte{0xbede: oneByte, 0x1000: twoBytes} {
		if got := captureTime(raw, profile, 5); got != at.UnixNano() {
			t.Errorf("profile %x: %d, want %d", profile, got, at.UnixNano())
		}
		if got := captureTime(raw[:len(raw)-1], profile, 5); got != 0 {
			t.Errorf("profile %x, cut: %d, want 0", profile, got)
		}
	}
}

func TestUnusablePacketsAreTold(t *testing.T) {
	s := sealedStream(t, 14)
	forged := append([]byte{}, s.packets[1]...)
	forged[len(forged)-1] ^= 1
	stranger := append([]byte{}, s.packets[2]...)
	stranger[1] = 96
	s.peer.wire = &tcpWire{}
	s.peer.receive([]datagram{{data: s.packets[0], arrival: 1}, {data: forged, arrival: 2}, {data: stranger, arrival: 3}})
	s.peer.account()
	got := s.peer.viewer.Snapshot(time.Now())
	if got.Packets != 1 || got.Undecryptable != 1 || got.UnknownType != 1 {
		t.Errorf("packets %d undecryptable %d unknown %d, want 1 each", got.Packets, got.Undecryptable, got.UnknownType)
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add(goodAnswer)
	f.Add(strings.ReplaceAll(goodAnswer, "sendonly", "inactive"))
	f.Fuzz(func(t *testing.T, raw string) {
		if a, err := parseAnswer(raw); err == nil &&
			(len(a.candidates) == 0 || len(a.candidates) > maxCandidates || len(a.codecs) == 0) {
			t.Errorf("accepted %+v", a)
		}
	})
}

func FuzzPacket(f *testing.F) {
	for _, sealed := range sealedStream(f, 8).packets {
		f.Add(sealed)
	}
	f.Add([]byte{0x90, 108, 0, 1, 0, 0, 0, 0, 0, 0, 0, 8, 0xbe, 0xde, 0, 1, 0x57, 0, 0, 0})
	f.Add([]byte{0x80, 200, 0, 1})
	f.Fuzz(func(t *testing.T, raw []byte) {
		s := sealedStream(t, 0)
		s.peer.receive([]datagram{{data: raw, arrival: 1}})
	})
}

// sealed is a stream of SRTP packets and a peer that has the keys to it.
type sealed struct {
	peer    *peer
	packets [][]byte
}

func sealedStream(tb testing.TB, n int) sealed {
	tb.Helper()
	key, salt := make([]byte, 16), make([]byte, 12)
	out, err := srtp.CreateContext(key, salt, srtp.ProtectionProfileAeadAes128Gcm)
	if err != nil {
		tb.Fatal(err)
	}
	in, err := srtp.CreateContext(
		key,
		salt,
		srtp.ProtectionProfileAeadAes128Gcm,
		srtp.SRTPNoReplayProtection(),
		srtp.SRTCPNoReplayProtection(),
	)
	if err != nil {
		tb.Fatal(err)
	}
	a, err := parseAnswer(goodAnswer)
	if err != nil {
		tb.Fatal(err)
	}
	s := sealed{peer: &peer{
		engine: &Engine{options: Options{Decrypt: DecryptSample}}, viewer: meter.NewViewer(time.Unix(0, 0), false), answer: a,
		keys: &keys{inbound: in, outbound: out, tag: 16}, selected: make(chan struct{}), lost: make(chan struct{}),
	}}
	capture, err := rtp.NewAbsCaptureTimeExtension(time.Now()).Marshal()
	if err != nil {
		tb.Fatal(err)
	}
	for i := range n {
		frame := i / 7
		packet := rtp.Packet{Header: rtp.Header{
			Version: 2, PayloadType: 108, SequenceNumber: uint16(i), Timestamp: uint32(frame) * 3000, SSRC: 8, Marker: i%7 == 6,
		}, Payload: make([]byte, 1180)}
		packet.Payload[0] = 0x61
		if frame == 0 {
			packet.Payload[0] = 0x65
		}
		if err := packet.SetExtension(5, capture); err != nil {
			tb.Fatal(err)
		}
		raw, err := packet.Marshal()
		if err != nil {
			tb.Fatal(err)
		}
		encrypted, err := out.EncryptRTP(nil, raw, nil)
		if err != nil {
			tb.Fatal(err)
		}
		s.packets = append(s.packets, encrypted)
	}
	return s
}

// BenchmarkReceive is what one packet costs after it was read from the socket.
func BenchmarkReceive(b *testing.B) {
	for _, decrypt := range []Decrypt{DecryptSample, DecryptAll, DecryptNone} {
		b.Run(string(decrypt), func(b *testing.B) {
			s := sealedStream(b, 7*4096)
			batch := make([]datagram, 1)
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				if i%len(s.packets) == 0 { // the stream from its beginning, to a new viewer
					b.StopTimer()
					s.peer = sealedStream(b, 0).peer
					s.peer.engine.options.Decrypt = decrypt
					b.StartTimer()
				}
				batch[0] = datagram{data: s.packets[i%len(s.packets)], arrival: int64(i)}
				s.peer.receive(batch)
			}
		})
	}
}
