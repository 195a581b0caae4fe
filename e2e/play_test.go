package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/millrace/millrace/e2e/stack"
	"github.com/millrace/millrace/internal/cli"
	"github.com/millrace/millrace/internal/play"
	"github.com/millrace/millrace/internal/testsrc"
)

// TestPlayWatchesTheRealServer runs "millrace play" in all its ways against a published stream.
func TestPlayWatchesTheRealServer(t *testing.T) {
	ctx, s := service(t)
	publish(ctx, t, s, stack.Open, "play", testsrc.Options{GOPSeconds: 3})
	connect := fmt.Sprintf("127.0.0.1:%d", s.HTTP)
	secure := fmt.Sprintf("127.0.0.1:%d", s.HTTPS)
	artc, page := "artc://"+stack.Open.Play()+"/live/play", "http://"+stack.Open.Play()+"/live/play"
	for _, test := range []struct {
		name string
		args []string
	}{
		{"ARTC", []string{artc, "--connect", connect, "--plain"}},
		{"ARTC over https", []string{artc, "--connect", secure, "--tls", "--insecure"}},
		{"WHEP", []string{page, "--connect", connect}},
		{"TCP", []string{page, "--connect", connect, "--tcp"}},
		{"lean, GCM", []string{page, "--connect", connect, "--lean", "--srtp", "gcm"}},
		{"lean, SHA-1, all decrypted", []string{page, "--connect", connect, "--lean", "--srtp", "sha1", "--decrypt", "all"}},
		{"lean, TCP", []string{artc, "--connect", connect, "--plain", "--lean", "--tcp"}},
		{"40 viewers", []string{page, "--connect", connect, "--viewers", "40", "--joins", "40"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			cmd := cli.NewPlayCommand()
			cmd.SilenceUsage, cmd.SilenceErrors = true, true
			var out bytes.Buffer
			cmd.SetOut(&out)
			cmd.SetErr(&out)
			cmd.SetArgs(append(test.args, "--duration", "6s", "--json"))
			if err := cmd.ExecuteContext(ctx); err != nil {
				t.Fatalf("%v\n%s", err, out.String())
			}
			var report play.Report
			if err := json.Unmarshal(out.Bytes(), &report); err != nil {
				t.Fatalf("%v\n%s", err, out.String())
			}
			if report.Playing != report.Viewers || report.Total.Lost != 0 || report.Total.Duplicates != 0 ||
				report.Total.DamagedFrames != 0 {
				t.Errorf("%d of %d play: %+v", report.Playing, report.Viewers, report.Total)
			}
			if report.LatencyMs == nil || report.LatencyClock != "abs-capture-time" {
				t.Errorf("latency %+v by %q", report.LatencyMs, report.LatencyClock)
			}
		})
	}
}
