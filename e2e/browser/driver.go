// Package browser drives headless Chromium through the Node program beside it: official SDKs, the player page, joins
// under measurement.
package browser

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// Scenario is what one Chromium does. See drive.mjs and the step files for what each field means; zero fields take
// their defaults.
type Scenario struct {
	Address        string  `json:"address,omitempty"`   // where every host name leads; default 127.0.0.1
	HTTPPort       int     `json:"httpPort,omitempty"`  // where port 80 of every host leads
	HTTPSPort      int     `json:"httpsPort,omitempty"` // where port 443 of every host leads
	TimeoutSeconds float64 `json:"timeoutSeconds,omitempty"`
	Chromium       string  `json:"chromium,omitempty"`
	Parallel       bool    `json:"parallel,omitempty"`
	TCPOnly        bool    `json:"tcpOnly,omitempty"` // media may not use UDP
	TieToStdin     bool    `json:"tieToStdin"`
	Steps          []Step  `json:"steps"`

	Enough <-chan struct{} `json:"-"` // closed: all have watched for long enough, whatever watchSeconds says
	Under  []string        `json:"-"` // a program, with its first arguments, that becomes the command of its further ones
}

// The kinds of steps.
const (
	SDK   = "sdk"   // play with an official SDK
	Crowd = "crowd" // play with many clients of an official SDK in one page
	Page  = "page"  // open a play URL as a page
	Join  = "join"  // join again and again, and measure

	Standard = "standard" // play FLV or HLS with mpegts.js or hls.js
)

// Step is one thing to do. Durations are seconds.
type Step struct {
	Kind         string  `json:"kind"`
	URL          string  `json:"url"`
	LimitSeconds float64 `json:"limitSeconds,omitempty"`
	WatchSeconds float64 `json:"watchSeconds,omitempty"`
	Viewport     *Size   `json:"viewport,omitempty"`
	Version      string  `json:"version,omitempty"`      // sdk, crowd
	Clients      int     `json:"clients,omitempty"`      // crowd
	DelaySeconds float64 `json:"delaySeconds,omitempty"` // crowd: before the first client asks
	Player       string  `json:"player,omitempty"`       // standard: mpegts.js or hls.js
	// sdk, crowd, standard: scheme of the page that holds the player
	PageScheme string      `json:"page,omitempty"`
	WaitEnded  bool        `json:"waitEnded,omitempty"` // sdk, standard
	Senses     bool        `json:"senses,omitempty"`    // sdk: see flashes and hear beeps, on a page of https
	Calibrate  bool        `json:"calibrate,omitempty"` // sdk with senses: tell how late they are by themselves
	WaitState  string      `json:"waitState,omitempty"` // page
	ThenState  string      `json:"thenState,omitempty"` // page
	Keys       []string    `json:"keys,omitempty"`      // page
	Screenshot string      `json:"screenshot,omitempty"`
	Joins      int         `json:"joins,omitempty"`
	Warm       bool        `json:"warm,omitempty"`   // join
	LoopMs     int64       `json:"loopMs,omitempty"` // join: length of a source that was encoded ahead
	Concurrent int         `json:"concurrent,omitempty"`
	GapSeconds *[2]float64 `json:"gapSeconds,omitempty"`
	Early      float64     `json:"earlySeconds,omitempty"`
	Late       float64     `json:"lateSeconds,omitempty"`
	Span       float64     `json:"spanSeconds,omitempty"`
	AllFrames  bool        `json:"allFrames,omitempty"`
}

// Size is in CSS pixels.
type Size struct {
	Width  int `json:"width"`
	Height int `json:"height"`
}

// Event is one line of the driver.
type Event struct {
	Event   string          `json:"event"`
	At      int64           `json:"at"`   // ms since 1970
	Step    int             `json:"step"` // 0 also for events of the whole scenario
	Message string          `json:"message"`
	State   string          `json:"state"`
	Play    string          `json:"play"`
	Browser string          `json:"browser"` // of "ready": its version
	Result  json.RawMessage `json:"result"`
	Line    string          `json:"-"` // the line itself
}

const (
	maxLine  = 16 << 20         // a join with all its frames is long
	patience = 15 * time.Second // between asking the driver to end and killing it
)

// Ready reports whether everything that the driver needs is installed. The error names the command that installs what
// is missing.
func Ready() error {
	if _, err := exec.LookPath("node"); err != nil {
		return errors.New("node is not installed; on Debian: apt-get install -y nodejs npm")
	}
	if _, err := os.Stat(chromium()); err != nil {
		return fmt.Errorf(
			"chromium is not at %s; on Debian: apt-get install -y chromium; or set CHROMIUM to its path",
			chromium(),
		)
	}
	dir, err := directory()
	if err != nil {
		return err
	}
	for _, name := range []string{"playwright-core", "aliyun-rts-sdk-2.0.0", "aliyun-rts-sdk-2.2.7", "aliyun-aliplayer",
		"mpegts.js", "hls.js"} {
		if _, err := os.Stat(filepath.Join(dir, "node_modules", name, "package.json")); err != nil {
			return fmt.Errorf("npm package %s is not installed; in the top folder: npm ci --prefix e2e/browser", name)
		}
	}
	return nil
}

// Drive runs a scenario and returns the result of each step, in order. on gets every line as it comes and may be nil;
// it must not block. Steps that failed are told by the error, beside the results of the others. The browser has ended
// when Drive returns.
func Drive(ctx context.Context, s Scenario, on func(Event)) ([]json.RawMessage, error) {
	dir, err := directory()
	if err != nil {
		return nil, err
	}
	if s.Chromium == "" {
		s.Chromium = chromium()
	}
	s.TieToStdin = true
	work, err := os.MkdirTemp("", "millrace-browser-")
	if err != nil {
		return nil, fmt.Errorf("making a folder for the scenario: %w", err)
	}
	defer os.RemoveAll(work)
	file := filepath.Join(work, "scenario.json")
	body, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encoding the scenario: %w", err)
	}
	if err := os.WriteFile(file, body, 0o600); err != nil {
		return nil, fmt.Errorf("writing the scenario: %w", err)
	}

	args := append(slices.Clone(s.Under), "node", filepath.Join(dir, "drive.mjs"), file)
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	// Chromium's profile goes here too, so that it goes with the folder whatever happens.
	cmd.Env = append(os.Environ(), "TMPDIR="+work)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = patience
	stderr := &tail{}
	cmd.Stderr = stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("making the driver's standard input: %w", err)
	}
	defer stdin.Close() // which tells the driver that nobody waits for it
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("making the driver's standard output: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting node: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		select {
		case <-s.Enough:
			io.WriteString(stdin, "enough\n") //nolint:errcheck // a driver that has ended needs no word
		case <-ended:
		}
	}()
	results, failure := read(stdout, len(s.Steps), on)
	close(ended)
	err = cmd.Wait()
	if failure != nil {
		return results, failure
	}
	if err != nil {
		return results, fmt.Errorf("running the browser driver: %w: %s", err, stderr.text)
	}
	return results, nil
}

func read(r io.Reader, steps int, on func(Event)) ([]json.RawMessage, error) {
	results := make([]json.RawMessage, steps)
	var failures []error
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var e Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			failures = append(failures, fmt.Errorf("reading a line of the browser driver: %w", err))
			continue
		}
		e.Line = lines.Text()
		switch {
		case e.Event == "result" && e.Step >= 0 && e.Step < steps:
			results[e.Step] = e.Result
		case e.Event == "failure":
			failures = append(failures, fmt.Errorf("browser step %d: %s", e.Step, e.Message))
		}
		if on != nil {
			on(e)
		}
	}
	if err := lines.Err(); err != nil {
		failures = append(failures, fmt.Errorf("reading from the browser driver: %w", err))
		io.Copy(io.Discard, r) //nolint:errcheck // let it end by itself
	}
	return results, errors.Join(failures...)
}

func chromium() string {
	if path := os.Getenv("CHROMIUM"); path != "" {
		return path
	}
	return "/usr/bin/chromium"
}

// directory finds e2e/browser of the module that the program is run in.
func directory() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the working folder: %w", err)
	}
	for at := dir; ; at = filepath.Dir(at) {
		harness := filepath.Join(at, "e2e", "browser")
		if _, err := os.Stat(filepath.Join(harness, "drive.mjs")); err == nil {
			return harness, nil
		}
		if at == filepath.Dir(at) {
			return "", fmt.Errorf("no e2e/browser/drive.mjs above %s: run this inside of the project's folder", dir)
		}
	}
}

// tail keeps the end of what the driver complains about.
type tail struct{ text string }

func (t *tail) Write(b []byte) (int, error) {
	t.text += string(b)
	if over := len(t.text) - 4096; over > 0 {
		t.text = t.text[over:]
	}
	return len(b), nil
}
