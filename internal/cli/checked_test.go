package cli_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/internal/cli"
)

// A wrong value ends a command before it runs, which means status 2, and the message names the flag as it was written
// and what is wanted.
func TestWrongValuesNameTheirFlag(t *testing.T) {
	commands := map[string]*cobra.Command{
		"standalone": cli.NewStandaloneCommand(), "testsrc": cli.NewTestSourceCommand(),
	}
	for _, one := range cli.NewPodCommands() {
		commands[one.Name()] = one
	}
	for line, want := range map[string]string{
		"standalone -f x --media-port 70000":                 "from 0 to 65535",
		"standalone -f x --media-port -1":                    "from 0 to 65535",
		"standalone -f x --http-port 65536":                  "from -1 to 65535",
		"standalone -f x --rtmp-port two":                    "from -1 to 65535",
		"standalone -f x --encoder nonsense":                 "x264",
		"standalone -f x --max-cpu 1.5":                      "from 0 to 1",
		"standalone -f x --max-cpu NaN":                      "from 0 to 1",
		"standalone -f x --max-egress-mbps -1":               "0 or more",
		"standalone -f x --max-viewers -1":                   "from 0",
		"standalone -f x --hold -5s":                         "10s",
		"standalone -f x --hold 10":                          "10s",
		"standalone -f x --advertise nonsense":               "IP:port",
		"standalone -f x --media-listen 127.0.0.1,localhost": "an IP address",
		"relay --class c --media-advertise nonsense":         "IP:port",
		"relay --class c --media-address-from moon":          "want pod, host",
		"relay --class c --peers ingest":                     "role=address:port/port",
		"transcoder --class c --encoder nonsense":            "x264",
		"edge --class c --drain-seconds -1":                  "from 0",
		"ingest --class c --admin-port 123456":               "from 0 to 65535",
		"farewell --class c --http-port x":                   "from -1 to 65535",
		"testsrc --fps 0":                                    "from 1 to 240",
		"testsrc --fps 241":                                  "from 1 to 240",
		"testsrc --duration -1s":                             "10s",
	} {
		t.Run(line, func(t *testing.T) {
			args := strings.Fields(line)
			flag := args[len(args)-2]
			original := commands[args[0]]
			ran := false
			run := original.RunE
			original.RunE = func(*cobra.Command, []string) error {
				ran = true
				return errors.New("it ran")
			}
			defer func() { original.RunE = run }()
			original.SetArgs(args[1:])
			original.SetOut(io.Discard)
			original.SetErr(io.Discard)
			err := original.Execute()
			if err == nil || ran {
				t.Fatalf("the command ran (%v)", err)
			}
			if text := err.Error(); !strings.Contains(text, flag) || !strings.Contains(text, want) {
				t.Errorf("%q names not %s, or not %q", text, flag, want)
			}
		})
	}
}
