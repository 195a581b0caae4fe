package pull

import (
	"testing"

	"github.com/bluenviron/gortsplib/v4/pkg/base"

	"github.com/millrace/millrace/dataplane/hub"
)

// Whatever an encoder calls its stream comes back from a URL as it was.
func TestEveryNameHasAPath(t *testing.T) {
	for _, name := range []string{"one", "a b", "a%20b", "a%2Fb", "a/b", "a?b=c", "a#b", "=41", "a=4", "東京", "trackID=0",
		"a\x00b", "..", "~repair"} {
		key := hub.Key{Space: space, App: "live?x", Name: name}
		u, err := base.ParseURL("rtsp://127.0.0.1:8554" + Path(key))
		if err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		if got, ok := parsePath(u.Path); !ok || got != key || u.RawQuery != "" {
			t.Errorf("%q: %s is read as %v, %v", name, u.Path, got, ok)
		}
	}
	// What people write by hand stands for itself.
	if got, ok := parsePath("/Play.example.com/live/a=b"); !ok ||
		got != (hub.Key{Space: space, App: "live", Name: "a=b"}) {
		t.Errorf("a plain path: %v, %v", got, ok)
	}
}
