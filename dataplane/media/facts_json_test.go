package media_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/millrace/millrace/dataplane/media"
)

// The names are those that pods of other versions read.
func TestFactsInJSON(t *testing.T) {
	whole := media.Facts{
		VideoCodec: media.H265, Profile: "Main", Width: 1280, Height: 720, FPS: 29.97, GOP: 2003 * time.Millisecond,
		GOPKnown: true, BFrames: true, VideoKbps: 2468, AudioCodec: media.Opus, SampleRate: 48000, Channels: 2, AudioKbps: 96,
	}
	begun := media.Facts{VideoCodec: media.H264, GOP: time.Second, AnnouncedGOP: 8 * time.Second}
	for name, c := range map[string]struct {
		facts media.Facts
		text  string
		read  media.Facts
	}{
		"all": {whole, `{"profile":"Main","width":1280,"height":720,"fps":29.97,"gopKnown":true,"bFrames":true,"kbps":2468,` +
			`"sampleRateHz":48000,"channels":2,"audioKbps":96,"video":"H265","audio":"Opus","gopMs":2003}`, whole},
		"nothing": {media.Facts{}, `{}`, media.Facts{}},
		"a GOP by the encoder's word": {begun, `{"video":"H264","gopMs":8000,"gopAnnounced":true}`,
			media.Facts{VideoCodec: media.H264, AnnouncedGOP: 8 * time.Second}},
	} {
		text, err := json.Marshal(c.facts)
		if err != nil || string(text) != c.text {
			t.Errorf("%s: written as %s, %v", name, text, err)
		}
		var got media.Facts
		if err := json.Unmarshal([]byte(c.text), &got); err != nil || got != c.read {
			t.Errorf("%s: read as %+v, %v", name, got, err)
		}
	}
}

func TestFactsOfALaterVersionAreRead(t *testing.T) {
	var f media.Facts
	err := json.Unmarshal([]byte(`{"video":"AV1","width":1920,"audio":"AAC","hdr":true}`), &f)
	if err != nil || f != (media.Facts{Width: 1920, AudioCodec: media.AAC}) {
		t.Errorf("read as %+v, %v", f, err)
	}
}

func TestCodecsAreText(t *testing.T) {
	for _, c := range []media.Codec{0, media.H264, media.H265, media.AAC, media.Opus} {
		text, err := c.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		got := media.AAC
		if err := got.UnmarshalText(text); err != nil || got != c {
			t.Errorf("%q is read as %v: %v", text, got, err)
		}
	}
	got := media.AAC
	if err := got.UnmarshalText([]byte("AV1")); err == nil || got != 0 {
		t.Errorf("AV1 is read as %v: %v", got, err)
	}
}
