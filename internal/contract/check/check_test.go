package check_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/dataplane/media"
	"github.com/millrace/millrace/internal/contract/check"
	"github.com/millrace/millrace/internal/contract/plan"
)

func TestCheck(t *testing.T) {
	hevc := media.Facts{VideoCodec: media.H265, BFrames: true, GOP: 10 * time.Second}
	avc := media.Facts{VideoCodec: media.H264, GOP: 2 * time.Second, AudioCodec: media.AAC}
	strict := check.Policies{BFrames: plan.Reject, H265: plan.Reject, MaxGOP: 3 * time.Second}
	for name, c := range map[string]struct {
		facts    media.Facts
		policies check.Policies
		want     []check.Reason
		reject   bool
	}{
		"fit": {avc, strict, nil, false},
		"all wrong": {hevc, strict, []check.Reason{check.H265Source, check.BFramesPresent, check.GOPTooLong},
			true},
		"warned": {hevc, check.Policies{BFrames: plan.Warn, H265: plan.Warn},
			[]check.Reason{check.H265Source, check.BFramesPresent}, false},
		"allowed":          {hevc, check.Policies{BFrames: plan.Allow, H265: plan.Allow}, nil, false},
		"GOP at the limit": {media.Facts{VideoCodec: media.H264, GOP: 3050 * time.Millisecond}, strict, nil, false},
		"GOP beyond is shown only": {media.Facts{VideoCodec: media.H264, GOP: 3200 * time.Millisecond}, strict,
			[]check.Reason{check.GOPTooLong}, false},
	} {
		t.Run(name, func(t *testing.T) {
			got := check.Check(c.facts, c.policies)
			reject := false
			for i, v := range got {
				reject = reject || v.Reject
				if i >= len(c.want) || v.Reason != c.want[i] || v.Message == "" {
					t.Errorf("violation %+v", v)
				}
				if v.Reason == check.GOPTooLong && v.Reject {
					t.Error("a long GOP rejects")
				}
			}
			if len(got) != len(c.want) || reject != c.reject {
				t.Errorf("%d violations, reject %v", len(got), reject)
			}
		})
	}
}

// Whatever the policies allow, what browsers cannot play is said.
func TestDescribe(t *testing.T) {
	limits := check.Policies{BFrames: plan.Allow, H265: plan.Allow, MaxGOP: 3 * time.Second}
	said := check.Describe(media.Facts{
		VideoCodec: media.H265, BFrames: true, GOP: 10 * time.Second, AudioCodec: media.AAC,
	}, limits)
	var reasons []check.Reason
	for _, v := range append(said.Faults, said.Notices...) {
		reasons = append(reasons, v.Reason)
		if v.Reject || !strings.Contains(v.Message, "; ") {
			t.Errorf("verdict %+v", v)
		}
	}
	want := []check.Reason{check.H265Source, check.BFramesPresent, check.GOPTooLong, check.AACSound}
	if len(said.Notices) != 1 || !slices.Equal(reasons, want) {
		t.Errorf("reasons %v, notices %+v", reasons, said.Notices)
	}
	if m := said.Faults[2].Message; !strings.HasSuffix(m, "key frame interval to 3s or less") {
		t.Errorf("the limit is not named: %s", m)
	}
	fit := media.Facts{VideoCodec: media.H264, AudioCodec: media.Opus, GOP: time.Second}
	if said := check.Describe(fit, limits); len(said.Faults)+len(said.Notices) != 0 {
		t.Errorf("of a fit source: %+v", said)
	}
}

func TestAlike(t *testing.T) {
	p := check.Policies{MaxGOP: 3 * time.Second}
	near, beyond := media.Facts{GOP: 3050 * time.Millisecond}, media.Facts{GOP: 3150 * time.Millisecond}
	if check.Alike(near, beyond, p) || !check.Alike(near, media.Facts{GOP: time.Second}, p) || !check.Alike(near, beyond,
		check.Policies{}) {
		t.Error("facts are alike when they fail the same checks")
	}
}

// Each row has what its users show.
func TestTableIsWhole(t *testing.T) {
	seen := map[check.Reason]bool{}
	for _, row := range check.Table() {
		if row.Reason == "" || row.Property == "" || row.Remedy == "" || seen[row.Reason] ||
			row.CanReject() && (row.Field == "" || row.Informs) {
			t.Errorf("row %+v", row)
		}
		seen[row.Reason] = true
	}
}
