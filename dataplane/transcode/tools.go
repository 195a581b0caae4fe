package transcode

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// tool is an ffmpeg that can do what is needed.
type tool struct {
	path    string
	encoder Encoder
}

// tools looks for ffmpeg once; a failure is looked at again.
type tools struct {
	opt Options

	mu  sync.Mutex
	one *tool
}

const (
	probeTime = 20 * time.Second
	remedy    = "on Debian and Ubuntu: apt-get install -y ffmpeg"
)

func (t *tools) get(ctx context.Context) (*tool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.one != nil {
		return t.one, nil
	}
	one, how, err := probe(context.WithoutCancel(ctx), t.opt.FFmpeg, t.opt.Encoder)
	if err != nil {
		return nil, err
	}
	t.one = one
	t.opt.Log.Info("Transcoding is ready", "ffmpeg", one.path, "encoder", one.encoder, "probed", how)
	return one, nil
}

// probe finds out what an ffmpeg can do. How tells what was found of each encoder.
func probe(ctx context.Context, program string, want Encoder) (one *tool, how string, err error) {
	path, err := exec.LookPath(program)
	if err != nil {
		return nil, "", fmt.Errorf("transcoding needs ffmpeg, and %q is not there (%w); %s", program, err, remedy)
	}
	one = &tool{path: path}
	out, err := run(ctx, path, "-hide_banner", "-nostdin", "-codecs")
	if err != nil {
		return nil, "", fmt.Errorf("asking %s for its codecs: %w", path, err)
	}
	decoders, encoders := codecs(out)
	for _, need := range []struct {
		in         map[string]bool
		what, name string
	}{
		{encoders, "encoder", "libopus"}, {encoders, "encoder", "aac"}, {decoders, "decoder", "h264"},
		{decoders, "decoder", "hevc"}, {decoders, "decoder", "aac"},
	} {
		if !need.in[need.name] {
			return nil, "", fmt.Errorf(
				"%s has no %s %s, which transcoding needs; install one that has: %s",
				path,
				need.what,
				need.name,
				remedy,
			)
		}
	}
	one.encoder, how, err = choose(ctx, path, want, encoders)
	return one, how, err
}

// choose takes the encoder that is wanted, or for Auto the first that works. Hardware is tried by encoding a picture,
// where there is any: each attempt is a process that takes CPU from pictures that wait for this transcoder.
func choose(ctx context.Context, path string, want Encoder, have map[string]bool) (Encoder, string, error) {
	candidates := []Encoder{want}
	if want == Auto {
		candidates = []Encoder{NVENC, QSV, VAAPI, X264}
	}
	var found []string
	for _, e := range candidates {
		if !have[e.name()] {
			found = append(found, fmt.Sprintf("%s: ffmpeg has no %s", e, e.name()))
			continue
		}
		if files := e.files(); want == Auto && len(files) > 0 && !exist(files) {
			found = append(found, fmt.Sprintf("%s: no %s", e, strings.Join(files, " or ")))
			continue
		}
		if len(e.files()) > 0 {
			if err := try(ctx, path, e); err != nil {
				found = append(found, fmt.Sprintf("%s: %v", e, err))
				continue
			}
		}
		return e, strings.Join(append(found, string(e)+": works"), "; "), nil
	}
	return "", "", fmt.Errorf(
		"%s cannot encode H.264 here (%s); choose another encoder, or install one that has libx264, %s",
		path,
		strings.Join(found, "; "),
		remedy,
	)
}

// exist reports whether a file of one of the patterns is there.
func exist(patterns []string) bool {
	for _, p := range patterns {
		if found, err := filepath.Glob(p); err == nil && len(found) > 0 {
			return true
		}
	}
	return false
}

func try(ctx context.Context, path string, e Encoder) error {
	args := append([]string{"-hide_banner", "-nostdin", "-loglevel", "error"}, e.device()...)
	args = append(args, "-f", "lavfi", "-i", "color=size=320x240:rate=25:duration=0.2", "-vf", e.upload())
	args = append(args, e.options(Work{Kbps: 500}, 1)...)
	_, err := run(ctx, path, append(args, "-f", "null", "-")...)
	return err
}

// codecs reads the names of decoders and encoders in ffmpeg's list of codecs. A line has flags, the codec's name and
// its description; behind it are the names of decoders and encoders, unless there is one that is called like the codec.
func codecs(out string) (decoders, encoders map[string]bool) {
	decoders, encoders = map[string]bool{}, map[string]bool{}
	for line := range strings.Lines(out) {
		f := strings.Fields(line)
		if len(f) < 2 || len(f[0]) != 6 {
			continue
		}
		for _, side := range []struct {
			flag  bool
			title string
			names map[string]bool
		}{{f[0][0] == 'D', "(decoders: ", decoders}, {f[0][1] == 'E', "(encoders: ", encoders}} {
			if !side.flag {
				continue
			}
			names := f[1]
			if _, after, ok := strings.Cut(line, side.title); ok {
				names, _, _ = strings.Cut(after, ")")
			}
			for _, name := range strings.Fields(names) {
				side.names[name] = true
			}
		}
	}
	return decoders, encoders
}

// run runs a short command with a clean environment; the error has the last line of what it said.
func run(ctx context.Context, path string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = []string{"LC_ALL=C"}
	var out bytes.Buffer
	var said tail
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		if line := said.last(); line != "" {
			return "", fmt.Errorf("%w: %s", err, line)
		}
		return "", err
	}
	return out.String(), nil
}
