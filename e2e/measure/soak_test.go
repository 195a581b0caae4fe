package main

import (
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/e2e/beep"
	"github.com/millrace/millrace/internal/testkit"
)

// A short soak: sound lies where its picture is, in a rendition whose picture is passed through and in one that is
// encoded. In so short a time drift says nothing, and on a machine that has other work latency does not either: both
// are printed. SOAK=3m looks at the drift too; `make soak` takes an hour.
func TestSoak(t *testing.T) {
	testkit.NeedFFmpeg(t)
	b := beeping{o: beep.Options{Width: 480, Height: 270, FPS: 30, Kbps: 500, GOPSeconds: 2}, length: 12 * time.Second}
	long := os.Getenv("SOAK")
	if long != "" {
		var err error
		if b.length, err = time.ParseDuration(long); err != nil {
			t.Fatalf("SOAK: %v", err)
		}
	}
	rep, err := b.soak(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	table(t.Output(), rep.Rows)
	const rowsOfDrift = 7
	if len(rep.Rows) != rowsOfDrift*len(soaked()) {
		t.Fatalf("%d rows", len(rep.Rows))
	}
	for i, r := range rep.Rows {
		counted := strings.HasSuffix(r.Name, "packets that did not come")
		if !counted && (r.N < 4 || math.IsNaN(r.P50) || math.IsInf(r.P50, 0)) {
			t.Errorf("%s: %d values, %f", r.Name, r.N, r.P50)
		}
		if i%rowsOfDrift == 0 && math.Abs(r.P50) > 60 {
			t.Errorf("%s: %.1f ms", r.Name, r.P50)
		}
		if long != "" && strings.Contains(r.Name, "drift of sound against picture") && r.Missed {
			t.Errorf("%s: %.1f ms, want %s", r.Name, r.P50, r.Goal)
		}
	}
}
