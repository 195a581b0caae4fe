package plan

import (
	"slices"
	"testing"
)

func templates(ts ...Template) *Index {
	for i := range ts {
		if ts[i].Space == "" {
			ts[i].Space = "play.example.com"
		}
	}
	return NewIndex(&Plan{Class: "default", Templates: ts})
}

func TestSplitTemplate(t *testing.T) {
	x := templates(
		Template{
			ID: "hd1",
		},
		Template{ID: "full_hd1"},
		Template{ID: "lo", Apps: []string{"live"}},
		Template{ID: "other", Space: "other.example.com"},
	)
	for _, tc := range []struct{ app, name, stream, id string }{
		{"live", "room", "room", ""},
		{"live", "room_hd1", "room", "hd1"},
		{"live", "room_full_hd1", "room", "full_hd1"},
		{"live", "my_room_hd1", "my_room", "hd1"},
		{"live", "_hd1", "_hd1", ""},
		{"live", "hd1", "hd1", ""},
		{"live", "room_HD1", "room_HD1", ""},
		{"live", "room_lo", "room", "lo"},
		{"show", "room_lo", "room_lo", ""},
		{"live", "room_other", "room_other", ""},
		{"live", "room_hd1_lo", "room_hd1", "lo"},
	} {
		stream, tpl := x.SplitTemplate("play.example.com", tc.app, tc.name)
		id := ""
		if tpl != nil {
			id = tpl.ID
		}
		if stream != tc.stream || id != tc.id {
			t.Errorf("%s/%s: got %q and %q, want %q and %q", tc.app, tc.name, stream, id, tc.stream, tc.id)
		}
	}
}

func TestRepairFor(t *testing.T) {
	x := templates(
		Template{ID: "a-sound", Type: TemplateAudio, AudioCodec: "Opus"},
		Template{ID: "b-picture", Type: TemplateH264, DropB: true, AudioCodec: "Copy"},
		Template{ID: "c-both", Type: TemplateH264Origin, DropB: true, AudioCodec: "Opus"},
		Template{ID: "d-neither", Type: TemplateH264, AudioCodec: "AAC"},
		Template{ID: "e-both", Type: TemplateH264, DropB: true, AudioCodec: "Opus", Apps: []string{"live"}},
	)
	ids := func(app string) []string {
		var out []string
		for _, t := range x.RepairFor("play.example.com", app) {
			out = append(out, t.ID)
		}
		return out
	}
	if got, want := ids("live"), []string{"c-both", "e-both", "b-picture", "a-sound"}; !slices.Equal(got, want) {
		t.Errorf("live: got %v, want %v", got, want)
	}
	if got, want := ids("show"), []string{"c-both", "b-picture", "a-sound"}; !slices.Equal(got, want) {
		t.Errorf("show: got %v, want %v", got, want)
	}
	if got := x.RepairFor("other.example.com", "live"); got != nil {
		t.Errorf("another space: got %v", got)
	}
}
