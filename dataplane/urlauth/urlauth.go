// Package urlauth signs and checks URLs in the forms that content delivery networks use (types A, B and C of Alibaba
// Cloud's URL signing). It is pure: keys and the time come in as values.
//
//	A  /app/stream?auth_key={timestamp}-{rand}-{uid}-{md5(path-timestamp-rand-uid-key)}
//	B  /{YYYYMMDDHHMM in UTC+8}/{md5(key + time + path)}/app/stream
//	C  /{md5(key + path + hex timestamp)}/{hex timestamp}/app/stream, or ?KEY1={md5}&KEY2={hex timestamp}
//
// Time stamps have a fixed width in B (12 digits) and C (8 hexadecimal digits), because nothing separates them from the
// path in what is hashed. The path is hashed as it is requested, percent-encoding included. A URL is good until its
// time stamp plus the domain's validity, that moment included; with a validity of 0 the time stamp itself is the end.
package urlauth

import (
	"crypto/md5"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/millrace/millrace/internal/contract/plan"
)

// The reasons for which Verify refuses a URL. The texts begin with the words of Alibaba Cloud's checking API.
var (
	ErrMissing   = errors.New("INVALID AUTH_KEY: the URL is not signed")
	ErrMalformed = errors.New("INVALID AUTH_KEY: the signature has the wrong form")
	ErrExpired   = errors.New("INVALID TIMESTAMP: the signature has expired")
	ErrBadHash   = errors.New("INVALID MD5HASH: the hash does not match path, time stamp and key")
)

// Bounds of what is looked at, in bytes. Longer input is ErrMalformed.
const (
	maxPath  = 2048
	maxQuery = 4096
	maxField = 128 // of rand and uid
)

// signature is what was found in a URL: the clean path, the time stamp and what the hash must be for a key and a path.
type signature struct {
	path  string // without the signature
	stamp time.Time
	hash  string
	sum   func(key, path string) string
}

// Verify checks the signature of a request by its path (as requested, percent-encoding included) and raw query, and
// returns the path without the signature (types B and C carry it there). Either key of auth is good.
//
// With rts_degrade=on in the query, a path that ends in .flv or .m3u8 may carry the hash of the path without that
// suffix: players fall back from artc://host/app/stream to these with the signature they have.
//
// It returns ErrMissing, ErrMalformed, ErrBadHash or ErrExpired, in this order of checks.
func Verify(auth plan.Auth, path, rawQuery string, now time.Time) (cleanPath string, err error) {
	if auth.Type == plan.AuthNone || auth.Type == "" {
		return path, nil
	}
	if len(path) > maxPath || len(rawQuery) > maxQuery || !strings.HasPrefix(path, "/") || hasControlBytes(path) {
		return "", ErrMalformed
	}
	sig, err := find(auth.Type, path, rawQuery)
	if err != nil {
		return "", err
	}
	good := matches(auth, sig, sig.path)
	if degrade, _ := argument(rawQuery, "rts_degrade"); degrade == "on" {
		if bare, ok := withoutSuffix(sig.path); ok {
			good |= matches(auth, sig, bare)
		}
	}
	if good != 1 {
		return "", ErrBadHash
	}
	if end := sig.stamp.Add(auth.Validity); now.After(end) {
		return "", fmt.Errorf("%w: it was good until %s", ErrExpired, end.UTC().Format(time.RFC3339))
	}
	return sig.path, nil
}

// find reads the signature out of a URL.
func find(typ plan.AuthType, path, rawQuery string) (signature, error) {
	switch typ {
	case plan.AuthA:
		return findA(path, rawQuery)
	case plan.AuthB:
		return findB(path)
	case plan.AuthC:
		return findC(path, rawQuery)
	}
	return signature{}, fmt.Errorf("URL signing of type %q is not known: %w", typ, ErrMalformed)
}

// matches is 1 when the hash is right for the path with either key. The time it takes does not depend on the hash.
func matches(auth plan.Auth, sig signature, path string) int {
	good := 0
	for _, key := range []string{auth.Primary, auth.Backup} {
		if key == "" {
			continue // no key is not an empty key
		}
		good |= subtle.ConstantTimeCompare([]byte(sig.sum(key, path)), []byte(sig.hash))
	}
	return good
}

// hasControlBytes reports whether a path has control bytes (below 0x20, and 0x7f). No URL has them (RFC 3986 section
// 2). The hashes of types B and C begin with the key, so whoever has one signature can compute the hash of a path that
// goes on with MD5's padding (RFC 1321 section 3.1) and more; padding always has bytes of zero.
func hasControlBytes(path string) bool {
	return strings.ContainsFunc(path, func(r rune) bool { return r < 0x20 || r == 0x7f })
}

func withoutSuffix(path string) (string, bool) {
	for _, suffix := range []string{".flv", ".m3u8"} {
		if bare, ok := strings.CutSuffix(path, suffix); ok {
			return bare, true
		}
	}
	return path, false
}

// argument returns the value of a query argument, undecoded, and how often the argument occurs.
func argument(rawQuery, name string) (value string, count int) {
	for pair := range strings.SplitSeq(rawQuery, "&") {
		if k, v, _ := strings.Cut(pair, "="); k == name {
			if count == 0 {
				value = v
			}
			count++
		}
	}
	return value, count
}

func md5hex(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

// isHash reports whether s is an MD5 sum in hexadecimal digits.
func isHash(s string) bool {
	_, err := hex.DecodeString(s)
	return len(s) == 2*md5.Size && err == nil
}
