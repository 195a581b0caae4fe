package hls

import (
	"bytes"
	"fmt"
	"math/bits"
	"strings"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"

	"github.com/millrace/millrace/dataplane/media"
)

// Multivariant returns the multivariant playlist, whose one variant is the media playlist at uri (RFC 8216bis, 4.4.6).
func (m *Muxer) Multivariant(uri string) []byte {
	var b bytes.Buffer
	version := 3
	if m.Format == LowLatency {
		version = 9
	}
	facts := m.stream.Facts()
	kbps := facts.VideoKbps + facts.AudioKbps
	if kbps == 0 {
		kbps = 2000
	}
	// What a player has to expect at most is more than the mean.
	fmt.Fprintf(
		&b,
		"#EXTM3U\n#EXT-X-VERSION:%d\n#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-STREAM-INF:BANDWIDTH=%d,AVERAGE-BANDWIDTH=%d",
		version,
		kbps*1500,
		kbps*1000,
	)
	var names []string
	for _, k := range []media.Kind{media.Video, media.Audio} {
		if t := m.stream.Track(k); t != nil {
			names = append(names, CodecName(t))
		}
	}
	fmt.Fprintf(&b, ",CODECS=\"%s\"", strings.Join(names, ","))
	if v := m.stream.Track(media.Video); v != nil {
		fmt.Fprintf(&b, ",RESOLUTION=%dx%d", v.Width, v.Height)
		if facts.FPS > 0 {
			fmt.Fprintf(&b, ",FRAME-RATE=%.3f", facts.FPS)
		}
	}
	fmt.Fprintf(&b, "\n%s\n", uri)
	return b.Bytes()
}

// CodecName names a track as RFC 6381 does.
func CodecName(t *media.Track) string {
	switch t.Codec {
	case media.H264: // profile_idc, constraint flags, level_idc
		return fmt.Sprintf("avc1.%02x%02x%02x", t.SPS[1], t.SPS[2], t.SPS[3])
	case media.H265:
		return hevcName(t.SPS)
	case media.AAC:
		var c mpeg4audio.AudioSpecificConfig
		if c.Unmarshal(t.Config) == nil && c.ExtensionSampleRate > 0 {
			return "mp4a.40.5"
		}
		return "mp4a.40.2"
	case media.Opus:
		return "opus"
	}
	return ""
}

// hevcName reads profile, tier and level of an SPS (ISO/IEC 14496-15, E.3; ITU-T H.265, 7.3.3).
func hevcName(sps []byte) string {
	b := make([]byte, 0, 16)
	for i, c := range sps { // without emulation prevention
		if len(b) == cap(b) {
			break
		}
		if c == 3 && i >= 2 && sps[i-1] == 0 && sps[i-2] == 0 {
			continue
		}
		b = append(b, c)
	}
	if len(b) < 15 {
		return "hvc1"
	}
	compatible := bits.Reverse32(uint32(b[4])<<24 | uint32(b[5])<<16 | uint32(b[6])<<8 | uint32(b[7]))
	tier := "L"
	if b[3]&0x20 != 0 {
		tier = "H"
	}
	name := fmt.Sprintf("hvc1.%s%d.%X.%s%d", []string{"", "A", "B", "C"}[b[3]>>6], b[3]&0x1F, compatible, tier, b[14])
	constraints := b[8:14]
	for len(constraints) > 0 && constraints[len(constraints)-1] == 0 {
		constraints = constraints[:len(constraints)-1]
	}
	for _, c := range constraints {
		name += fmt.Sprintf(".%X", c)
	}
	return name
}
