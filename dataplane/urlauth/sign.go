package urlauth

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/internal/contract/plan"
)

// Sign returns a copy of u that carries a signature made with the primary key. Stamp is the URL's time stamp, cut to
// seconds (type B: to minutes); the URL is good until stamp + auth.Validity. An older signature in the query (auth_key,
// KEY1, KEY2) is replaced. Type C is signed in the path.
//
// It fails when auth names no key or no known type, when u has no path or control bytes in it, or when the time stamp
// lies before 1970 or, with types B and C, after 2106-02-07T06:28:15Z.
func Sign(auth plan.Auth, u *url.URL, stamp time.Time) (*url.URL, error) {
	signed := *u
	if auth.Type == plan.AuthNone || auth.Type == "" {
		return &signed, nil
	}
	if auth.Primary == "" {
		return nil, errors.New("signing a URL: there is no key; give one of 16 to 32 letters and digits")
	}
	path := u.EscapedPath()
	if !strings.HasPrefix(path, "/") || len(path) > maxPath || hasControlBytes(path) {
		return nil, fmt.Errorf(
			"signing a URL: the path must begin with / and have at most %d bytes, none of them a control byte", maxPath)
	}
	if stamp.Unix() < 0 {
		return nil, errors.New("signing a URL: the time stamp lies before 1970")
	}
	if auth.Type != plan.AuthA && stamp.Unix() > lastStamp {
		return nil, fmt.Errorf("signing a URL: the time stamp lies after %s, the last of type %s; choose an earlier one",
			time.Unix(lastStamp, 0).UTC().Format(time.RFC3339), auth.Type)
	}
	signed.RawQuery = without(u.RawQuery, "auth_key", "KEY1", "KEY2")
	switch auth.Type {
	case plan.AuthA:
		at := strconv.FormatInt(stamp.Unix(), 10)
		if signed.RawQuery != "" {
			signed.RawQuery += "&"
		}
		signed.RawQuery += "auth_key=" + at + "-0-0-" + sumA(at, "0", "0")(auth.Primary, path)
		return &signed, nil
	case plan.AuthB:
		at := stamp.In(clock8()).Format(stampB)
		return prefixed(&signed, "/"+at+"/"+sumB(at)(auth.Primary, path), path)
	case plan.AuthC:
		at := fmt.Sprintf("%0*x", stampC, stamp.Unix())
		return prefixed(&signed, "/"+sumC(at)(auth.Primary, path)+"/"+at, path)
	}
	return nil, fmt.Errorf("signing a URL: type %q is not known; use A, B or C", auth.Type)
}

func prefixed(u *url.URL, prefix, escapedPath string) (*url.URL, error) {
	path, err := url.PathUnescape(escapedPath)
	if err != nil {
		return nil, fmt.Errorf("signing a URL: decoding the path: %w", err)
	}
	u.Path, u.RawPath = prefix+path, prefix+escapedPath
	return u, nil
}

// without removes arguments from a raw query and leaves the others as they are.
func without(rawQuery string, names ...string) string {
	var kept []string
pairs:
	for pair := range strings.SplitSeq(rawQuery, "&") {
		k, _, _ := strings.Cut(pair, "=")
		for _, name := range names {
			if k == name {
				continue pairs
			}
		}
		if pair != "" {
			kept = append(kept, pair)
		}
	}
	return strings.Join(kept, "&")
}
