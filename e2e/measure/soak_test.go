package main

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/millrace/millrace/e2e/beep"
)

// A short soak: sound stays with its picture, by what viewers get, whatever the machine does meanwhile. SOAK=3m takes longer, `make soak` an hour.
// How latency went is printed; on a machine that has other work it says nothing.
func TestSoak(t *testing.T) {
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("ffmpeg is missing: apt-get install -y ffmpeg")
		}
		t.Skip("ffmpeg is missing: apt-get install -y ffmpeg")
	}
	b := beeping{o: beep.Options{Width: 480, Height: 270, FPS: 30, Kbps: 500, GOPSeconds: 2}, length: 12 * time.Second}
	if long := os.Getenv("SOAK"); long != "" {
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
	if len(rep.Rows) != 7*len(soaked()) {
		t.Fatalf("%d rows", len(rep.Rows))
	}
	for i, id := range []string{"sound after picture", "sound off its picture at the end", "latency", "drift"} {
		for _, r := range []row{rep.Rows[i], rep.Rows[7+i]} {
			if r.N < 4 {
				t.Errorf("%s: %d values (%s)", id, r.N, r.Name)
			}
			if i != 2 && (r.P50 > 20 || r.P50 < -20) {
				t.Errorf("%s: %.1f ms (%s)", id, r.P50, r.Name)
			}
		}
	}
}
