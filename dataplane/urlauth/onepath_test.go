package urlauth_test

import (
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/dataplane/urlauth"
	"github.com/millrace/millrace/internal/contract/plan"
)

// An expired signature of /live/demo1 must not become one of /live/demo with a time stamp of nine digits.
func TestDigitsDoNotMoveBetweenPathAndTimeStamp(t *testing.T) {
	then := time.Unix(0x55CE8100, 0)
	now := then.Add(2 * time.Hour)
	sum := hash(demoKey + "/live/demo1" + "55CE8100")
	for _, c := range []struct {
		path, query string
		want        error
	}{
		{"/live/demo1", "KEY1=" + sum + "&KEY2=55CE8100", urlauth.ErrExpired},
		{"/" + sum + "/55CE8100/live/demo1", "", urlauth.ErrExpired},
		{"/live/demo", "KEY1=" + sum + "&KEY2=155CE8100", urlauth.ErrMalformed},
		{"/" + sum + "/155CE8100/live/demo", "", urlauth.ErrMalformed},
		{"/live/demo15", "KEY1=" + sum + "&KEY2=5CE8100", urlauth.ErrMalformed},
		{"/live/demo155CE810", "KEY1=" + sum + "&KEY2=0", urlauth.ErrMalformed},
	} {
		if _, err := urlauth.Verify(authOf(plan.AuthC, demoKey), c.path, c.query, now); !errors.Is(err, c.want) {
			t.Errorf("%s?%s: %v, want %v", c.path, c.query, err, c.want)
		}
	}
}

func TestTimeStampsOfTypesBAndCHaveAWidthAndALastDate(t *testing.T) {
	now := time.Unix(1735689600, 0)
	sum := strings.Repeat("0", 32)
	for _, c := range []struct {
		typ  plan.AuthType
		path string
	}{
		{plan.AuthB, "/20991231235/" + sum + "/live/stream"},
		{plan.AuthB, "/2099123123590/" + sum + "/live/stream"},
		{plan.AuthB, "/220001010000/" + sum + "/live/stream"},
		{plan.AuthB, "/196901010000/" + sum + "/live/stream"},
		{plan.AuthC, "/" + sum + "/67748D8/live/stream"},
		{plan.AuthC, "/" + sum + "/067748580/live/stream"},
		{plan.AuthC, "/" + sum + "/+7748580/live/stream"},
		{plan.AuthC, "/" + sum + "//live/stream"},
	} {
		if _, err := urlauth.Verify(authOf(c.typ, demoKey), c.path, "", now); !errors.Is(err, urlauth.ErrMalformed) {
			t.Errorf("type %s, %s: %v, want %v", c.typ, c.path, err, urlauth.ErrMalformed)
		}
	}
	u := parse(t, "http://example.com/live/stream")
	for _, typ := range []plan.AuthType{plan.AuthB, plan.AuthC} {
		if signed, err := urlauth.Sign(authOf(typ, demoKey), u, time.Unix(1<<32, 0)); err == nil {
			t.Errorf("type %s: signed beyond the last date: %s", typ, signed)
		}
		for _, at := range []int64{0, 1<<32 - 1} {
			signed, err := urlauth.Sign(authOf(typ, demoKey), u, time.Unix(at, 0))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := urlauth.Verify(authOf(typ, demoKey), signed.EscapedPath(), "", time.Unix(at, 0)); err != nil {
				t.Errorf("type %s, the second %d: %v", typ, at, err)
			}
		}
	}
}

// The hash of a longer path follows from the hash of a shorter one without the key (MD5 can be continued), but such a
// path contains MD5's padding.
func TestPathsThatContinueASignatureAreRefused(t *testing.T) {
	auth := authOf(plan.AuthC, demoKey)
	message := demoKey + "/live/demo" + "67748580"
	padding := "\x80" + strings.Repeat("\x00", (119-len(message)%64)%64)
	padding += string(binary.LittleEndian.AppendUint64(nil, uint64(len(message)*8)))
	path := "/live/demo" + "67748580" + padding + "/more"
	query := "KEY1=" + hash(demoKey+path+"ffffffff") + "&KEY2=ffffffff"
	if _, err := urlauth.Verify(auth, path, query, time.Unix(1735689600, 0)); !errors.Is(err, urlauth.ErrMalformed) {
		t.Errorf("a path with padding: %v, want %v", err, urlauth.ErrMalformed)
	}
}

// FuzzOneSignatureOnePath: whatever path and query carry a signature's hash, Verify accepts them for the path that was
// signed and no other (with rts_degrade=on: for its fallbacks, too).
func FuzzOneSignatureOnePath(f *testing.F) {
	f.Add("A", "/live/demo-1", uint32(1735689600), "/live/demo", "auth_key=1-1735689600-0-HASH")
	f.Add("B", "/live/demo1", uint32(1735689600), "/202501010800/HASH/live/demo", "")
	f.Add("C", "/live/demo1", uint32(1735689600), "/live/demo", "KEY1=HASH&KEY2=167748580")
	f.Add("C", "/live/demo.flv", uint32(0x10), "/HASH/00000010/live/demo.flv", "rts_degrade=on")
	f.Fuzz(func(t *testing.T, typ, path string, stamp uint32, otherPath, otherQuery string) {
		auth := authOf(plan.AuthType(typ), demoKey)
		at := time.Unix(int64(stamp), 0)
		u, err := url.Parse("http://example.com" + path)
		if err != nil || typ != "A" && typ != "B" && typ != "C" {
			return
		}
		signed, err := urlauth.Sign(auth, u, at)
		if err != nil {
			return
		}
		path = u.EscapedPath()
		check := func(p, q string) {
			clean, err := urlauth.Verify(auth, p, q, at)
			if err != nil || clean == path {
				return
			}
			if strings.Contains(q, "rts_degrade=on") && (clean == path+".flv" || clean == path+".m3u8") {
				return
			}
			t.Fatalf("a signature of %q with the time stamp %d is taken for %q, in %q?%q", path, stamp, clean, p, q)
		}
		sum := hashIn(signed.RequestURI())
		check(strings.ReplaceAll(otherPath, "HASH", sum), strings.ReplaceAll(otherQuery, "HASH", sum))
		message := messageOf(signed, plan.AuthType(typ), path)
		for i := range len(message) + 1 { // the border between path and time stamp is moved through all of it
			head, tail := message[:i], message[i:]
			check("/"+sum+"/"+tail+head, "")
			check(head, "KEY1="+sum+"&KEY2="+tail)
			check("/"+head+"/"+sum+tail, "")
			check(head, "auth_key="+strings.TrimPrefix(tail, "-")+"-"+sum)
		}
	})
}

// messageOf returns what is hashed beside the key.
func messageOf(signed *url.URL, typ plan.AuthType, path string) string {
	segments := strings.SplitN(signed.EscapedPath(), "/", 4)
	switch typ {
	case plan.AuthB:
		return segments[1] + path
	case plan.AuthC:
		return path + segments[2]
	}
	_, stamp, _ := strings.Cut(signed.RawQuery, "auth_key=")
	stamp, _, _ = strings.Cut(stamp, "-")
	return fmt.Sprintf("%s-%s-0-0", path, stamp)
}

// hashIn returns the hash that stands in a signed URL: the first (types B and C) or last of its form.
func hashIn(uri string) string {
	if _, key, ok := strings.Cut(uri, "auth_key="); ok {
		return key[len(key)-32:]
	}
	for part := range strings.SplitSeq(uri, "/") {
		if _, err := hex.DecodeString(part); err == nil && len(part) == 32 {
			return part
		}
	}
	return ""
}

func hash(s string) string { return fmt.Sprintf("%x", md5.Sum([]byte(s))) }
