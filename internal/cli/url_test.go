package cli

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrace/millrace/dataplane/urlauth"
)

func runURL(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := NewURLCommand()
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(t.Context())
	return strings.TrimSpace(out.String()), err
}

func TestURLSignedIsURLVerified(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte("rtsdemokey123456\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, plain := range []string{"artc://rts.example.com/live/stream",
		"rtmp://push.example.com:1935/live/stream?vhost=x", "https://rts.example.com/live/stream_tpl.flv"} {
		for _, typ := range []string{"A", "b", "C"} {
			signed, err := runURL(t, "sign", "--type", typ, "--key-file", file, plain)
			if err != nil {
				t.Fatal(err)
			}
			if out, err := runURL(t, "verify", "--type", typ, "--key-file", file, signed); err != nil ||
				!strings.HasPrefix(out, "good for /live/stream") {
				t.Errorf("type %s: %s: %s, %v", typ, signed, out, err)
			}
			if _, err := runURL(t, "verify", "--type", typ, "--key", "otherkey12345678", signed); !errors.Is(
				err,
				urlauth.ErrBadHash,
			) {
				t.Errorf("type %s with another key: %v", typ, err)
			}
		}
	}
}

func TestURLSignPrintsTheVector(t *testing.T) {
	t.Setenv(urlKeyVariable, "rtsdemokey123456")
	out, err := runURL(t, "sign", "--timestamp", "1735689600", "artc://rts.example.com/live/stream")
	const want = "artc://rts.example.com/live/stream?auth_key=1735689600-0-0-879aa9f4283cdbdd336e2b0ba876f021"
	if err != nil || out != want {
		t.Errorf("got %s, %v", out, err)
	}
	if _, err := runURL(t, "verify", want); !errors.Is(err, urlauth.ErrExpired) {
		t.Errorf("an old URL: %v", err)
	}
}

func TestURLCommandsSayWhatIsMissing(t *testing.T) {
	t.Setenv(urlKeyVariable, "")
	for want, args := range map[string][]string{
		"there is no key":    {"sign", "artc://rts.example.com/live/stream"},
		"--type \"D\"":       {"sign", "--type", "D", "--key", "k", "artc://rts.example.com/live/stream"},
		"lacks a scheme":     {"sign", "--key", "k", "/live/stream"},
		"give one of them":   {"sign", "--key", "k", "--key-file", "f", "artc://rts.example.com/live/stream"},
		"reading --key-file": {"sign", "--key-file", "/does/not/exist", "artc://rts.example.com/live/stream"},
		"INVALID AUTH_KEY":   {"verify", "--key", "k", "artc://rts.example.com/live/stream"},
		"cannot be parsed":   {"verify", "--key", "k", "artc://rts.example.com/live/%zz?auth_key=secret"},
		"accepts 1 arg(s)":   {"sign", "--key", "k"},
	} {
		if _, err := runURL(t, args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v; want %q", args, err, want)
		}
	}
}
