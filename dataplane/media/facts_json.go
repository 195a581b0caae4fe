package media

import (
	"encoding/json"
	"time"
)

// plainFacts is Facts without its methods.
type plainFacts Facts

// spelling is how Facts are written: the members with tags, and those below. Times are in milliseconds. Announcements
// are read by pods of other versions, so names stay, and what is not known is left out.
type spelling struct {
	plainFacts

	Video     lenientCodec `json:"video,omitempty"`
	Audio     lenientCodec `json:"audio,omitempty"`
	GOPMillis int64        `json:"gopMs,omitempty"`        // LikelyGOP
	GOPSaid   bool         `json:"gopAnnounced,omitempty"` // it is AnnouncedGOP
}

// lenientCodec is a Codec that is read as zero when its name is not known.
type lenientCodec Codec

// MarshalText returns the codec's name.
func (c lenientCodec) MarshalText() ([]byte, error) { return Codec(c).MarshalText() }

// UnmarshalText never fails.
func (c *lenientCodec) UnmarshalText(name []byte) error {
	_ = (*Codec)(c).UnmarshalText(name) // of a later version
	return nil
}

// MarshalJSON writes the facts as announcements and /state show them. GOP and AnnouncedGOP become one member, the
// longer one.
func (f Facts) MarshalJSON() ([]byte, error) {
	return json.Marshal(spelling{
		plainFacts: plainFacts(f), Video: lenientCodec(f.VideoCodec), Audio: lenientCodec(f.AudioCodec),
		GOPMillis: f.LikelyGOP().Milliseconds(), GOPSaid: f.AnnouncedGOP > f.GOP,
	})
}

// UnmarshalJSON reads what MarshalJSON writes. A codec that this version does not know is left zero: its stream is
// listed all the same.
func (f *Facts) UnmarshalJSON(text []byte) error {
	var in spelling
	if err := json.Unmarshal(text, &in); err != nil {
		return err
	}
	*f = Facts(in.plainFacts)
	f.VideoCodec, f.AudioCodec = Codec(in.Video), Codec(in.Audio)
	gop := time.Duration(in.GOPMillis) * time.Millisecond
	if in.GOPSaid {
		f.AnnouncedGOP = gop
	} else {
		f.GOP = gop
	}
	return nil
}
