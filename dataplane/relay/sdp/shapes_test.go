package sdp

import (
	"fmt"
	"strings"
	"testing"
)

// bundleOnly returns a section of an offer the form of max-bundle (RFC 8843, 7.2.1): port 0, no transport of its own.
func bundleOnly(section string) string {
	var out []string
	for line := range strings.SplitSeq(section, "\r\n") {
		if strings.HasPrefix(line, "a=ice-") || strings.HasPrefix(line, "a=fingerprint") ||
			strings.HasPrefix(line, "a=setup") {
			continue
		}
		out = append(out, line)
	}
	return strings.Replace(strings.Join(out, "\r\n"), " 9 ", " 0 ", 1) + "a=bundle-only\r\n"
}

// parts cuts an offer into the session and its sections.
func parts(offer string) []string {
	out := strings.Split(offer, "\r\nm=")
	for i := range out[1:] {
		out[i+1] = "m=" + out[i+1] + "\r\n"
	}
	out[0] += "\r\n"
	last := len(out) - 1
	out[last] = strings.TrimSuffix(out[last], "\r\n")
	return out
}

// Each shape is one that a library in use writes; all get picture and sound.
func TestShapesOfOffers(t *testing.T) {
	p := parts(safariOffer)
	session, video, audio := p[0], p[1], p[2]
	maxBundle := session + video + bundleOnly(audio)
	if !strings.Contains(maxBundle, "m=audio 0 ") || strings.Count(maxBundle, "a=ice-ufrag") != 1 {
		t.Fatalf("not max-bundle:\n%s", maxBundle)
	}
	uuid := "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
	for name, offer := range map[string]string{
		"max-bundle, video first": maxBundle,
		"max-bundle, audio first": strings.Replace(session, "BUNDLE 0 1", "BUNDLE 1 0", 1) + audio + bundleOnly(video),
		"LS before BUNDLE":        strings.Replace(safariOffer, "a=group:BUNDLE", "a=group:LS 0 1\r\na=group:BUNDLE", 1),
		"no final line end":       strings.TrimSuffix(safariOffer, "\r\n"),
		"blank lines behind":      safariOffer + "\r\n\r\n",
		"blank line in front":     "\r\n" + safariOffer,
		"byte order mark":         "\ufeff" + safariOffer,
		"mid of 36 characters": strings.NewReplacer("BUNDLE 0", "BUNDLE "+uuid, "a=mid:0", "a=mid:"+uuid).
			Replace(safariOffer),
		"no packetization-mode": strings.ReplaceAll(safariOffer, "packetization-mode=1;", ""),
		"no fmtp":               withoutLines(safariOffer, "a=fmtp:96", "a=fmtp:98"),
	} {
		t.Run(name, func(t *testing.T) {
			_, sel, d := answer(t, offer, Source{h264(0x42), opus()})
			if sel.Video == nil || sel.Audio == nil || sel.Silent {
				t.Fatalf("%+v", sel)
			}
			for _, m := range d.MediaDescriptions {
				if m.MediaName.Port.Value == 0 {
					t.Errorf("the %s section is rejected", m.MediaName.Media)
				}
				if params, _ := m.Attribute("fmtp"); m.MediaName.Media == "video" &&
					!strings.Contains(params, "packetization-mode=1") {
					t.Errorf("the mode is not told: %q", params)
				}
			}
		})
	}
}

func withoutLines(offer string, prefixes ...string) string {
	var out []string
	for line := range strings.SplitSeq(offer, "\r\n") {
		keep := true
		for _, p := range prefixes {
			keep = keep && !strings.HasPrefix(line, p)
		}
		if keep {
			out = append(out, line)
		}
	}
	return strings.Join(out, "\r\n")
}

// A format that names mode 1 is better than one that names none, whatever their profiles.
func TestFragmentsGoToWhoNamesThem(t *testing.T) {
	offer := strings.Replace(safariOffer, "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42E01F",
		"profile-level-id=42E01F", 1)
	_, sel, _ := answer(t, offer, Source{h264(0x42), opus()})
	if sel.Video.PayloadType != 96 {
		t.Errorf("payload type %d", sel.Video.PayloadType)
	}
}

// Port 0 without bundle-only, or outside of a group, is a section that the player has closed.
func TestClosedSectionsStayClosed(t *testing.T) {
	p := parts(safariOffer)
	for name, offer := range map[string]string{
		"port 0":          p[0] + p[1] + strings.Replace(p[2], " 9 ", " 0 ", 1),
		"not in a bundle": strings.Replace(p[0], "BUNDLE 0 1", "BUNDLE 0", 1) + p[1] + bundleOnly(p[2]),
		"another bundle":  strings.Replace(p[0], "BUNDLE 0 1", "BUNDLE 0\r\na=group:BUNDLE 1", 1) + p[1] + p[2],
	} {
		if _, sel, _ := answer(t, offer, Source{h264(0x42), opus()}); sel.Video == nil || sel.Audio != nil {
			t.Errorf("%s: %+v", name, sel)
		}
	}
}

// Sections that are rejected need no transport, but webrtcbin looks for one: the session has it.
func TestTheSessionTellsTheTransport(t *testing.T) {
	_, _, d := answer(t, chromiumOffer, Source{h264(0x42), opus()})
	for key, want := range map[string]string{"ice-ufrag": "ours", "fingerprint": "sha-256 AB:CD", "setup": "passive"} {
		if got, _ := d.Attribute(key); got != want {
			t.Errorf("a=%s of the session is %q", key, got)
		}
	}
}

func TestWhyModeZeroIsRefused(t *testing.T) {
	o, err := ParseOffer(strings.ReplaceAll(safariOffer, "packetization-mode=1", "packetization-mode=0"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Negotiate(o, Source{h264(0x42), opus()}); err == nil || !strings.Contains(err.Error(), "mode=1") {
		t.Errorf("%v", err)
	}
}

// BenchmarkParseOffer reads the offer that costs the most: feedback for every format, over and over.
func BenchmarkParseOffer(b *testing.B) {
	formats := ""
	for pt := range maxFormats - 1 {
		formats += fmt.Sprintf(" %d", pt)
	}
	head := strings.Replace(safariOffer, "SAVPF 111", "SAVPF 111"+formats, 1)
	text := head + strings.Repeat("a=rtcp-fb:* nack\r\n", (MaxSize-len(head))/18)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := ParseOffer(text); err != nil {
			b.Fatal(err)
		}
	}
}
