package sdp

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	pion "github.com/pion/sdp/v3"

	"github.com/millrace/millrace/dataplane/media"
)

func h264(profile byte) *media.Track {
	return &media.Track{Codec: media.H264, SPS: []byte{0x67, profile, 0xc0, 0x1e}}
}

func opus() *media.Track { return &media.Track{Codec: media.Opus, SampleRate: 48000, Channels: 2} }

var local = Local{
	SessionID: 7, Ufrag: "ours", Pwd: "ourpasswordourpasswordou", Fingerprint: "sha-256 AB:CD", CNAME: "cname",
	VideoSSRC: 11, VideoRTX: 12, AudioSSRC: 13,
	UDP: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:8000"), netip.MustParseAddrPort("[2001:db8::1]:8000")},
	TCP: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:8000")},
}

// answer negotiates an offer and reads the answer back with pion.
func answer(t *testing.T, offer string, src Source) (*Offer, *Selection, *pion.SessionDescription) {
	t.Helper()
	o, err := ParseOffer(offer)
	if err != nil {
		t.Fatal(err)
	}
	sel, err := Negotiate(o, src)
	if err != nil {
		t.Fatal(err)
	}
	text := Answer(o, sel, local)
	d := &pion.SessionDescription{}
	if err := d.UnmarshalString(text); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	if len(d.MediaDescriptions) != len(o.Sections) {
		t.Fatalf("%d sections answer %d", len(d.MediaDescriptions), len(o.Sections))
	}
	for i, m := range d.MediaDescriptions {
		if mid, _ := m.Attribute("mid"); mid != o.Sections[i].Mid || m.MediaName.Media != o.Sections[i].Kind {
			t.Errorf("section %d answers %q %q with %q %q", i, o.Sections[i].Kind, o.Sections[i].Mid, m.MediaName.Media, mid)
		}
	}
	return o, sel, d
}

func TestOffersOfPlayers(t *testing.T) {
	for name, c := range map[string]struct {
		offer       string
		src         Source
		video, rtx  uint8
		audio       uint8
		silent      bool
		bundle      string
		playout     uint8
		capture     uint8
		closed      []int
		ufrag       string
		audioFormat string
	}{
		"Chromium, Constrained Baseline": {chromiumOffer, Source{h264(0x42), opus()}, 102, 103, 111, false, "BUNDLE 0 1", 5,
			7, []int{2}, "Zx3q", "nack"},
		"Chromium, Main": {chromiumOffer, Source{h264(0x4d), opus()}, 116, 117, 111, false, "BUNDLE 0 1", 5, 7,
			[]int{2}, "Zx3q", ""},
		"Chromium, High": {chromiumOffer, Source{h264(0x64), opus()}, 108, 109, 111, false, "BUNDLE 0 1", 5, 7,
			[]int{2}, "Zx3q", ""},
		"Chromium, SPS unknown": {chromiumOffer, Source{&media.Track{Codec: media.H264}, nil}, 108, 109, 111, true,
			"BUNDLE 0 1", 5, 7, []int{2}, "Zx3q", ""},
		"Chromium, AAC": {chromiumOffer, Source{h264(0x42), &media.Track{Codec: media.AAC}}, 102, 103, 111, true,
			"BUNDLE 0 1", 5, 7, []int{2}, "Zx3q", ""},
		"Chromium, sound only": {chromiumOffer, Source{nil, opus()}, 0, 0, 111, false, "BUNDLE 0", 0, 0, []int{1, 2}, "Zx3q",
			""},
		"Firefox": {firefoxOffer, Source{h264(0x64), opus()}, 126, 127, 109, false, "BUNDLE video0 audio1", 7, 0,
			nil, "9d4e9a4c", ""},
		"Safari, High": {safariOffer, Source{h264(0x64), opus()}, 96, 97, 111, false, "BUNDLE 0 1", 5, 0, nil, "Saf1",
			""},
		"Safari, Baseline": {safariOffer, Source{h264(0x42), opus()}, 98, 99, 111, false, "BUNDLE 0 1", 5, 0, nil, "Saf1",
			""},
		"Safari, H.265": {safariOffer, Source{&media.Track{Codec: media.H265}, opus()}, 100, 101, 111, false, "BUNDLE 0 1", 5,
			0, nil, "Saf1", ""},
		"numbers moved": {
			strings.NewReplacer("126", "35", "127", "36").Replace(firefoxOffer), Source{h264(0x42), opus()},
			35, 36, 109, false, "BUNDLE video0 audio1", 7, 0, nil, "9d4e9a4c", "",
		},
		"no RTX": {strings.ReplaceAll(firefoxOffer, "rtx/", "xtr/"), Source{h264(0x42), opus()}, 126, 0, 109, false,
			"BUNDLE video0 audio1", 7, 0, nil, "9d4e9a4c", ""},
		"video closed": {
			strings.Replace(firefoxOffer, "m=video 9", "m=video 0", 1), Source{nil, opus()}, 0, 0, 109, false, "BUNDLE audio1",
			0, 0, []int{0}, "9d4e9a4c", "",
		},
		"sound not wanted": {
			strings.Replace(chromiumOffer, "a=recvonly", "a=inactive", 1), Source{h264(0x42), opus()}, 102, 103, 0, false,
			"BUNDLE 1", 5, 7, []int{0, 2}, "Zx3q", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			o, sel, d := answer(t, c.offer, c.src)
			if o.Ufrag != c.ufrag || !strings.HasPrefix(o.Fingerprint, "sha-256 1B:EA:BF:33") {
				t.Errorf("ufrag %q, fingerprint %q", o.Ufrag, o.Fingerprint)
			}
			if bundle, _ := d.Attribute("group"); bundle != c.bundle {
				t.Errorf("group %q, want %q", bundle, c.bundle)
			}
			if v := sel.Video; (v == nil) != (c.video == 0) ||
				v != nil &&
					(v.PayloadType != c.video || v.RTXType != c.rtx || v.PlayoutDelayID != c.playout || v.CaptureTimeID != c.capture) {
				t.Errorf("video %+v", v)
			}
			if a := sel.Audio; (a == nil) != (c.audio == 0) || a != nil && a.PayloadType != c.audio || sel.Silent != c.silent {
				t.Errorf("audio %+v, silent %v", a, sel.Silent)
			}
			for i, m := range d.MediaDescriptions {
				direction := "sendonly"
				if closed := slices.Contains(c.closed, i); closed != (m.MediaName.Port.Value == 0) {
					t.Errorf("section %d has port %d", i, m.MediaName.Port.Value)
				} else if closed {
					direction = "inactive"
				}
				if _, ok := m.Attribute(direction); !ok {
					t.Errorf("section %d is not %s", i, direction)
				}
			}
			if c.audioFormat != "" && !strings.Contains(Answer(o, sel, local), "a=rtcp-fb:111 nack\r\n") {
				t.Error("NACK of the sound was offered, and is not answered")
			}
		})
	}
}

// Arrivals are asked for of players that estimate no bandwidth, for video alone: nothing else carries their numbers.
func TestArrivalsAreAskedForOfThoseWithoutEstimates(t *testing.T) {
	told := func(offer string) (video, audio bool) {
		t.Helper()
		o, sel, _ := answer(t, offer, Source{h264(0x42), opus()})
		sections := strings.Split(Answer(o, sel, local), "m=")
		for _, s := range sections {
			asks := strings.Contains(s, ExtTransportCC) || strings.Contains(s, "transport-cc")
			video, audio = video || asks && strings.HasPrefix(s, "video"), audio || asks && strings.HasPrefix(s, "audio")
		}
		return video, audio
	}
	if video, audio := told(chromiumOffer); video || audio {
		t.Errorf("Chromium, which estimates, is asked for arrivals: video %v, audio %v", video, audio)
	}
	without := strings.ReplaceAll(chromiumOffer, "a=rtcp-fb:102 goog-remb\r\n", "")
	without = strings.Replace(without, "a=extmap:14 ", "a=extmap:3 "+ExtTransportCC+"\r\na=extmap:14 ", 1)
	if video, audio := told(without); !video || audio {
		t.Errorf("without estimates: video %v, audio %v", video, audio)
	}
}

func TestAnswerTellsTheTransport(t *testing.T) {
	o, sel, d := answer(t, chromiumOffer, Source{h264(0x42), opus()})
	if _, ok := d.Attribute("ice-lite"); !ok {
		t.Error("not lite")
	}
	text := Answer(o, sel, local)
	for _, want := range []string{
		"a=ice-ufrag:ours\r\na=ice-pwd:ourpasswordourpasswordou\r\na=fingerprint:sha-256 AB:CD\r\na=setup:passive\r\n",
		"a=ssrc-group:FID 11 12\r\na=ssrc:11 cname:cname\r\n", "a=ssrc:13 msid:rts audio\r\n", "a=fmtp:103 apt=102\r\n",
		"profile-level-id=42001f",
		" udp 2130706431 192.0.2.1 8000 typ host\r\n", " 2001:db8::1 8000 typ host\r\n", " tcp 1671430143 192.0.2.1 8000 " +
			"typ host tcptype passive\r\n", "a=end-of-candidates\r\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the answer lacks %q", want)
		}
	}
}

// Without BUNDLE the second section would need a transport of its own: it is rejected (RFC 8843, 7.3).
func TestSectionsOutsideOfTheBundleAreRejected(t *testing.T) {
	for name, offer := range map[string]string{
		"no group":       strings.Replace(safariOffer, "a=group:BUNDLE 0 1\r\n", "", 1),
		"group of one":   strings.Replace(safariOffer, "BUNDLE 0 1", "BUNDLE 0", 1),
		"second grouped": strings.Replace(safariOffer, "BUNDLE 0 1", "BUNDLE 1", 1),
	} {
		_, sel, d := answer(t, offer, Source{h264(0x42), opus()})
		if sel.Video == nil || sel.Audio != nil || d.MediaDescriptions[1].MediaName.Port.Value != 0 {
			t.Errorf("%s: %+v", name, sel)
		}
	}
}

func TestFingerprintIsChosenAmongSeveral(t *testing.T) {
	o, err := ParseOffer(strings.Replace(safariOffer, "a=fingerprint:", "a=fingerprint:sha-1 AA:BB\r\na=fingerprint:", 1))
	if err != nil || !strings.HasPrefix(o.Fingerprint, "sha-256 1B") {
		t.Errorf("%v, %v", o, err)
	}
	o, err = ParseOffer(strings.ReplaceAll(safariOffer, "sha-256 1B:EA", "SHA-256 1b:ea"))
	if err != nil || !strings.HasPrefix(o.Fingerprint, "sha-256 1B:EA") {
		t.Errorf("%v, %v", o, err)
	}
}

func TestNothingInCommon(t *testing.T) {
	for name, c := range map[string]struct {
		offer string
		src   Source
	}{
		"packetization-mode 0 only": {strings.ReplaceAll(chromiumOffer, "packetization-mode=1", "packetization-mode=0"),
			Source{h264(0x42), opus()}},
		"H.265 not offered": {chromiumOffer, Source{&media.Track{Codec: media.H265}, opus()}},
		"player sends": {strings.ReplaceAll(safariOffer, "a=recvonly", "a=sendonly"),
			Source{h264(0x42), opus()}},
		"sound only, none playable": {safariOffer, Source{nil, &media.Track{Codec: media.AAC}}},
	} {
		o, err := ParseOffer(c.offer)
		if err != nil {
			t.Fatal(err)
		}
		if sel, err := Negotiate(o, c.src); !errors.Is(err, ErrNoCodec) {
			t.Errorf("%s: %+v, %v", name, sel, err)
		}
	}
}

func TestOffersThatAreRefused(t *testing.T) {
	for name, offer := range map[string]string{
		"empty":          "",
		"too large":      safariOffer + strings.Repeat("a=x\r\n", MaxSize/5),
		"no sections":    "v=0\r\no=- 5 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n",
		"many sections":  safariOffer + strings.Repeat("m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n", maxSections),
		"many formats":   safariOffer + "m=audio 9 UDP/TLS/RTP/SAVPF" + strings.Repeat(" 111", maxFormats+1) + "\r\n",
		"no ufrag":       strings.ReplaceAll(safariOffer, "a=ice-ufrag", "a=x"),
		"no pwd":         strings.ReplaceAll(safariOffer, "a=ice-pwd", "a=x"),
		"long pwd":       strings.ReplaceAll(safariOffer, "a=ice-pwd:", "a=ice-pwd:"+strings.Repeat("x", maxICE)),
		"no fingerprint": strings.ReplaceAll(safariOffer, "a=fingerprint", "a=x"),
		"passive":        strings.ReplaceAll(safariOffer, "actpass", "passive"),
		"long mid":       strings.ReplaceAll(safariOffer, "a=mid:0", "a=mid:"+strings.Repeat("0", maxMid+1)),
	} {
		if o, err := ParseOffer(offer); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %+v, %v", name, o, err)
		}
	}
}

func TestBFramesAreAccepted(t *testing.T) {
	for suffix, want := range map[string]bool{"": false, ";bframe-enabled=1": true, ";BFrame-enabled=1": true,
		";bframe-enabled=0": false} {
		o, err := ParseOffer(strings.ReplaceAll(safariOffer, "packetization-mode=1", "packetization-mode=1"+suffix))
		if err != nil || o.AcceptsBFrames() != want || !o.Accepts(media.H265) {
			t.Errorf("%q: %v", suffix, err)
		}
	}
}

// Whatever a player sends: no panic, and what is answered is SDP with a section for each one offered.
func FuzzParseOffer(f *testing.F) {
	for _, offer := range []string{chromiumOffer, firefoxOffer, safariOffer} {
		f.Add(offer)
	}
	f.Fuzz(func(t *testing.T, text string) {
		o, err := ParseOffer(text)
		if err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Fatal(err)
			}
			return
		}
		for _, src := range []Source{{h264(0x42), opus()}, {&media.Track{Codec: media.H265}, nil}, {nil, opus()}} {
			sel, err := Negotiate(o, src)
			if err != nil {
				if !errors.Is(err, ErrNoCodec) {
					t.Fatal(err)
				}
				continue
			}
			var d pion.SessionDescription
			if err := d.UnmarshalString(Answer(o, sel, local)); err != nil || len(d.MediaDescriptions) != len(o.Sections) {
				t.Fatalf("%v in the answer to %q", err, text)
			}
		}
	})
}
