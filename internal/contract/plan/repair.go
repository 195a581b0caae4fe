package plan

import (
	"cmp"
	"slices"
)

// RepairID is the id of the built-in template of autoRepair. No template of a user's can have it: ids begin with a
// letter or a digit.
const RepairID = "~repair"

// repairTemplate makes what every browser plays by the least work: H.264 without B-frames at the source's size, and
// Opus.
func repairTemplate(space string) *Template {
	return &Template{Space: space, ID: RepairID, Type: TemplateH264Origin, DropB: true, AudioCodec: "Opus"}
}

// Repairs reports whether any play domain has autoRepair.
func (x *Index) Repairs() bool { return x.repairs }

// RepairsVideo reports whether the rendition has a picture that browsers can play: H.264 without B-frames.
func (t *Template) RepairsVideo() bool { return t.Type != TemplateAudio && t.DropB }

// RepairsAudio reports whether the rendition has sound that browsers can play over RTS: Opus.
func (t *Template) RepairsAudio() bool { return t.AudioCodec == "Opus" }

// RepairFor lists the templates of a space and app that make what browsers can play: H.264 without B-frames, or Opus.
// Those that do both come first, then those for the picture; each sorted by id.
func (x *Index) RepairFor(space, app string) []*Template {
	var out []*Template
	for _, t := range x.TemplatesFor(space, app) {
		if t.ID != RepairID && (t.RepairsVideo() || t.RepairsAudio()) {
			out = append(out, t)
		}
	}
	rank := func(t *Template) int {
		switch {
		case t.RepairsVideo() && t.RepairsAudio():
			return 0
		case t.RepairsVideo():
			return 1
		}
		return 2
	}
	slices.SortFunc(
		out,
		func(a, b *Template) int { return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.ID, b.ID)) },
	)
	return out
}
