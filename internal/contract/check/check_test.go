package check_test

import (
	"testing"
	"time"

	"github.com/millrace/millrace/dataplane/media"
	"github.com/millrace/millrace/internal/contract/check"
	"github.com/millrace/millrace/internal/contract/plan"
)

func TestCheck(t *testing.T) {
	hevc := media.Facts{VideoCodec: media.H265, BFrames: true, GOP: 10 * time.Second}
	avc := media.Facts{VideoCodec: media.H264, GOP: 2 * time.Second}
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
