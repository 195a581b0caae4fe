package urlauth_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/dataplane/urlauth"
	"github.com/millrace/millrace/internal/contract/plan"
)

const demoKey = "rtsdemokey123456"

func authOf(typ plan.AuthType, key string) plan.Auth {
	return plan.Auth{Type: typ, Primary: key, Validity: time.Hour}
}

// The published and own vectors: a path, its time stamp, key and hash.
func TestVectorsOfTypeA(t *testing.T) {
	for _, v := range []struct{ path, key, stamp, hash string }{
		{"/video/standard", "aliyunliveexp1234", "1622194197", "5552ff52b5e4e20387c6dc18afce206b"},
		{"/video/standard/1K.html", "aliyuncdnexp1234", "1444435200", "80cd3862d699b7118eed99103f2a3a4f"},
		{"/live/stream", demoKey, "1735689600", "879aa9f4283cdbdd336e2b0ba876f021"},
		{"/live/stream_tpl", demoKey, "1735689600", "55f320948fdaa99d3d270cfe8c834788"},
		{"/live/stream.flv", demoKey, "1735689600", "08132472190bff7f117776b421859703"},
		{"/live/stream.m3u8", demoKey, "1735689600", "39b09eb69c495471bac348a581fb85d5"},
		{"/live/stream_tpl.flv", demoKey, "1735689600", "f7998880496954b837be1cd3a0beaaaf"},
		{"/live/stream_tpl.m3u8", demoKey, "1735689600", "64b534d1d9047fac8b23e55baf41c87e"},
	} {
		at := unix(t, v.stamp)
		signed, err := urlauth.Sign(authOf(plan.AuthA, v.key), parse(t, "artc://example.com"+v.path), at)
		want := "auth_key=" + v.stamp + "-0-0-" + v.hash
		if err != nil || signed.RawQuery != want {
			t.Errorf("signing %s: %v, %v; want %s", v.path, signed, err, want)
		}
		clean, err := urlauth.Verify(authOf(plan.AuthA, v.key), v.path, want, at)
		if err != nil || clean != v.path {
			t.Errorf("verifying %s: %q, %v", v.path, clean, err)
		}
	}
}

func TestVectorOfTypeB(t *testing.T) {
	auth := authOf(plan.AuthB, "aliyuncdnexp1234")
	const path = "/4/44/44c0909bcfc20a01afaf256ca99a8b8b.mp3"
	const want = "/201508150800/9044548ef1527deadafa49a890a377f0" + path
	at := time.Date(2015, 8, 15, 0, 0, 0, 0, time.UTC) // 08:00 in UTC+8
	signed, err := urlauth.Sign(auth, parse(t, "http://example.com"+path), at)
	if err != nil || signed.String() != "http://example.com"+want {
		t.Fatalf("signed %v, %v", signed, err)
	}
	if clean, err := urlauth.Verify(auth, want, "", at.Add(time.Hour)); err != nil || clean != path {
		t.Errorf("at the end of its validity: %q, %v", clean, err)
	}
	if _, err := urlauth.Verify(auth, want, "", at.Add(time.Hour+time.Second)); !errors.Is(err, urlauth.ErrExpired) {
		t.Errorf("after its validity: %v", err)
	}
}

func TestVectorOfTypeC(t *testing.T) {
	auth := authOf(plan.AuthC, "aliyuncdnexp1234")
	at := time.Unix(0x55CE8100, 0)
	// The vector has upper-case hexadecimal digits: they are hashed as they stand.
	for _, v := range []struct{ path, query string }{
		{"/a37fa50a5fb8f71214b1e7c95ec7a1bd/55CE8100/test.flv", ""},
		{"/test.flv", "KEY1=a37fa50a5fb8f71214b1e7c95ec7a1bd&KEY2=55CE8100"},
	} {
		if clean, err := urlauth.Verify(auth, v.path, v.query, at); err != nil || clean != "/test.flv" {
			t.Errorf("%s?%s: %q, %v", v.path, v.query, clean, err)
		}
	}
	signed, err := urlauth.Sign(auth, parse(t, "rtmp://example.com/live/a%20b?x=1"), at)
	if err != nil {
		t.Fatal(err)
	}
	if clean, err := urlauth.Verify(auth, signed.EscapedPath(), signed.RawQuery, at); err != nil ||
		clean != "/live/a%20b" {
		t.Errorf("own signature: %s: %q, %v", signed, clean, err)
	}
}

func TestRefusals(t *testing.T) {
	at := unix(t, "1735689600")
	const good = "auth_key=1735689600-0-0-879aa9f4283cdbdd336e2b0ba876f021"
	for name, c := range map[string]struct {
		typ         plan.AuthType
		path, query string
		now         time.Time
		want        error
	}{
		"no signature":           {plan.AuthA, "/live/stream", "", at, urlauth.ErrMissing},
		"other arguments only":   {plan.AuthA, "/live/stream", "a=1&b", at, urlauth.ErrMissing},
		"last second":            {plan.AuthA, "/live/stream", good, at.Add(time.Hour), nil},
		"a second later":         {plan.AuthA, "/live/stream", good, at.Add(time.Hour + time.Second), urlauth.ErrExpired},
		"behind other arguments": {plan.AuthA, "/live/stream", "vhost=x&" + good, at, nil},
		"upper case hash":        {plan.AuthA, "/live/stream", strings.Replace(good, "879aa9f", "879AA9F", 1), at, nil},
		"other path":             {plan.AuthA, "/live/stream2", good, at, urlauth.ErrBadHash},
		"other time stamp": {plan.AuthA, "/live/stream", strings.Replace(good, "1735689600", "1735689601", 1), at,
			urlauth.ErrBadHash},
		"other user": {plan.AuthA, "/live/stream", strings.Replace(good, "-0-0-", "-0-1-", 1), at,
			urlauth.ErrBadHash},
		"two signatures": {plan.AuthA, "/live/stream", good + "&" + good, at, urlauth.ErrMalformed},
		"three parts": {plan.AuthA, "/live/stream", "auth_key=1735689600-0-879aa9f4283cdbdd336e2b0ba876f021", at,
			urlauth.ErrMalformed},
		"short hash":            {plan.AuthA, "/live/stream", good[:len(good)-1], at, urlauth.ErrMalformed},
		"hash of other letters": {plan.AuthA, "/live/stream", good[:len(good)-1] + "g", at, urlauth.ErrMalformed},
		"time stamp is no number": {plan.AuthA, "/live/stream", strings.Replace(good, "1735689600", "17356x", 1), at,
			urlauth.ErrMalformed},
		"signed time stamp": {plan.AuthA, "/live/stream", strings.Replace(good, "1735689600", "+1735689600", 1), at,
			urlauth.ErrMalformed},
		"huge time stamp": {plan.AuthA, "/live/stream", strings.Replace(good, "1735689600", "99999999999999999999", 1),
			at, urlauth.ErrMalformed},
		"long random part": {plan.AuthA, "/live/stream", strings.Replace(good, "-0-0-", "-"+strings.Repeat("r", 200)+
			"-0-", 1), at, urlauth.ErrMalformed},
		"long path":   {plan.AuthA, "/" + strings.Repeat("p", 3000), good, at, urlauth.ErrMalformed},
		"long query":  {plan.AuthA, "/live/stream", strings.Repeat("&", 5000) + good, at, urlauth.ErrMalformed},
		"no slash":    {plan.AuthA, "live/stream", good, at, urlauth.ErrMalformed},
		"B: unsigned": {plan.AuthB, "/live/stream", "", at, urlauth.ErrMissing},
		"B: bad time": {plan.AuthB, "/201513150800/9044548ef1527deadafa49a890a377f0/live/stream", "", at,
			urlauth.ErrMalformed},
		"B: bad hash": {plan.AuthB, "/201508150800/9044548ef1527deadafa49a890a377f0/live/stream", "", at,
			urlauth.ErrBadHash},
		"C: unsigned": {plan.AuthC, "/live/stream", "", at, urlauth.ErrMissing},
		"C: half": {plan.AuthC, "/live/stream", "KEY1=a37fa50a5fb8f71214b1e7c95ec7a1bd", at,
			urlauth.ErrMalformed},
		"C: bad time": {plan.AuthC, "/a37fa50a5fb8f71214b1e7c95ec7a1bd/xyz/live/stream", "", at,
			urlauth.ErrMalformed},
		"C: bad hash": {plan.AuthC, "/a37fa50a5fb8f71214b1e7c95ec7a1bd/55CE8100/live/stream", "", at,
			urlauth.ErrBadHash},
		"none asks for nothing": {plan.AuthNone, "/live/stream", "", at, nil},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := urlauth.Verify(authOf(c.typ, demoKey), c.path, c.query, c.now)
			if !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestBackupKeyIsGoodAndNoKeyIsNot(t *testing.T) {
	at := unix(t, "1735689600")
	signed, _ := urlauth.Sign(authOf(plan.AuthA, demoKey), parse(t, "artc://example.com/live/stream"), at)
	rotated := plan.Auth{Type: plan.AuthA, Primary: "anotherkey123456", Backup: demoKey}
	if _, err := urlauth.Verify(rotated, "/live/stream", signed.RawQuery, at); err != nil {
		t.Errorf("backup key: %v", err)
	}
	rotated.Backup = ""
	if _, err := urlauth.Verify(rotated, "/live/stream", signed.RawQuery, at); !errors.Is(err, urlauth.ErrBadHash) {
		t.Errorf("key taken away: %v", err)
	}
	// The hash that an empty key would make must not open a domain without keys.
	const empty = "auth_key=1735689600-0-0-730108da6a0452fbf7a3d3c2d9bb4ad0"
	if _, err := urlauth.Verify(plan.Auth{Type: plan.AuthA}, "/live/stream", empty, at); !errors.Is(
		err,
		urlauth.ErrBadHash,
	) {
		t.Errorf("domain without a key: %v", err)
	}
	if _, err := urlauth.Sign(plan.Auth{Type: plan.AuthA}, parse(t, "artc://example.com/live/stream"), at); err == nil {
		t.Error("signed without a key")
	}
}

func TestValidityOfZeroMakesTheTimeStampTheEnd(t *testing.T) {
	at := unix(t, "1735689600")
	auth := plan.Auth{Type: plan.AuthA, Primary: demoKey}
	const query = "auth_key=1735689600-0-0-879aa9f4283cdbdd336e2b0ba876f021"
	if _, err := urlauth.Verify(auth, "/live/stream", query, at); err != nil {
		t.Errorf("at the time stamp: %v", err)
	}
	if _, err := urlauth.Verify(auth, "/live/stream", query, at.Add(time.Second)); !errors.Is(err, urlauth.ErrExpired) {
		t.Errorf("after the time stamp: %v", err)
	}
}

func TestDegradedPlayersUseTheHashOfThePathWithoutSuffix(t *testing.T) {
	at := unix(t, "1735689600")
	const query = "auth_key=1735689600-0-0-879aa9f4283cdbdd336e2b0ba876f021"
	for _, c := range []struct {
		path, query string
		want        error
	}{
		{"/live/stream.flv", query + "&rts_degrade=on", nil},
		{"/live/stream.m3u8", query + "&rts_degrade=on", nil},
		{"/live/stream.flv", query, urlauth.ErrBadHash},
		{"/live/stream.flv", query + "&rts_degrade=off", urlauth.ErrBadHash},
		{"/live/stream.ts", query + "&rts_degrade=on", urlauth.ErrBadHash},
		{"/live/other.flv", query + "&rts_degrade=on", urlauth.ErrBadHash},
		{"/live/stream.flv", "auth_key=1735689600-0-0-08132472190bff7f117776b421859703&rts_degrade=on", nil},
	} {
		clean, err := urlauth.Verify(authOf(plan.AuthA, demoKey), c.path, c.query, at)
		if !errors.Is(err, c.want) || err == nil && clean != c.path {
			t.Errorf("%s?%s: %q, %v; want %v", c.path, c.query, clean, err, c.want)
		}
	}
}

func TestSignKeepsTheRestOfTheURL(t *testing.T) {
	at := unix(t, "1735689600")
	signed, err := urlauth.Sign(authOf(plan.AuthA, demoKey),
		parse(t, "rtmp://example.com:1935/live/stream?vhost=push.example.com&auth_key=1-0-0-old&a"), at)
	const want = "rtmp://example.com:1935/live/stream?vhost=push.example.com&a&auth_key=1735689600-0-0-879aa9f4283cdbdd336e2b0ba876f021"
	if err != nil || signed.String() != want {
		t.Errorf("signed %v, %v; want %s", signed, err, want)
	}
}

// FuzzVerify: no input panics; what is refused says why; what is signed verifies.
func FuzzVerify(f *testing.F) {
	f.Add("A", "/live/stream", "auth_key=1735689600-0-0-879aa9f4283cdbdd336e2b0ba876f021")
	f.Add("B", "/201508150800/9044548ef1527deadafa49a890a377f0/4/44", "")
	f.Add("C", "/a37fa50a5fb8f71214b1e7c95ec7a1bd/55CE8100/test.flv", "KEY1=&KEY2=")
	f.Fuzz(func(t *testing.T, typ, path, query string) {
		auth := authOf(plan.AuthType(typ), demoKey)
		now := time.Unix(1735689600, 0)
		if clean, err := urlauth.Verify(auth, path, query, now); err != nil {
			if !errors.Is(err, urlauth.ErrMissing) && !errors.Is(err, urlauth.ErrMalformed) &&
				!errors.Is(err, urlauth.ErrBadHash) && !errors.Is(err, urlauth.ErrExpired) {
				t.Fatalf("untyped error %v", err)
			}
		} else if auth.Type != plan.AuthNone && auth.Type != "" && !strings.HasSuffix(path, clean) {
			t.Fatalf("path %q became %q", path, clean)
		}
		u, err := url.Parse("http://example.com" + path)
		if err != nil || len(query) > 1000 {
			return
		}
		u.RawQuery = query
		signed, err := urlauth.Sign(auth, u, now)
		if err != nil {
			return
		}
		if _, err := urlauth.Verify(auth, signed.EscapedPath(), signed.RawQuery, now); err != nil {
			t.Fatalf("own signature %s: %v", signed, err)
		}
	})
}

func parse(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func unix(t *testing.T, s string) time.Time {
	t.Helper()
	n := int64(0)
	for _, r := range s {
		n = n*10 + int64(r-'0')
	}
	return time.Unix(n, 0)
}
