package urlauth

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// clock8 is the time zone of type B's time stamp, UTC+8 without daylight saving.
func clock8() *time.Location { return time.FixedZone("UTC+8", 8*60*60) }

// stampB is type B's time stamp, stampC the number of hexadecimal digits of type C's. Neither form has a separator
// between time stamp and path: were the width of the time stamp free, digits could move from one to the other under the
// same hash.
const (
	stampB = "200601021504"
	stampC = 8
)

// lastStamp is the last time stamp of types B and C, 2106-02-07T06:28:15Z, in Unix seconds: what eight hexadecimal
// digits can say.
const lastStamp = 1<<32 - 1

func sumA(stamp, random, uid string) func(key, path string) string {
	return func(key, path string) string {
		return md5hex(path + "-" + stamp + "-" + random + "-" + uid + "-" + key)
	}
}

func sumB(stamp string) func(key, path string) string {
	return func(key, path string) string { return md5hex(key + stamp + path) }
}

func sumC(stamp string) func(key, path string) string {
	return func(key, path string) string { return md5hex(key + path + stamp) }
}

func findA(path, rawQuery string) (signature, error) {
	value, count := argument(rawQuery, "auth_key")
	if count == 0 {
		return signature{}, fmt.Errorf("%w: append ?auth_key={timestamp}-{rand}-{uid}-{md5}", ErrMissing)
	}
	parts := strings.Split(value, "-")
	if count > 1 || len(parts) != 4 || len(parts[1]) > maxField || len(parts[2]) > maxField || !isHash(parts[3]) {
		return signature{}, fmt.Errorf("%w: want one auth_key={timestamp}-{rand}-{uid}-{md5}", ErrMalformed)
	}
	stamp, err := decimalSeconds(parts[0])
	if err != nil {
		return signature{}, err
	}
	return signature{
		path:  path,
		stamp: stamp,
		hash:  strings.ToLower(parts[3]),
		sum:   sumA(parts[0], parts[1], parts[2]),
	}, nil
}

func findB(path string) (signature, error) {
	first, second, rest, ok := twoSegments(path)
	if !ok || !isHash(second) {
		return signature{}, fmt.Errorf("%w: put /{YYYYMMDDHHMM in UTC+8}/{md5} before the path", ErrMissing)
	}
	stamp, err := time.ParseInLocation(stampB, first, clock8())
	if err != nil || len(first) != len(stampB) || stamp.Unix() < 0 || stamp.Unix() > lastStamp {
		return signature{}, fmt.Errorf(
			"%w: want a time of exactly twelve digits, YYYYMMDDHHMM in UTC+8, from 1970 to the beginning of 2106",
			ErrMalformed,
		)
	}
	return signature{path: rest, stamp: stamp, hash: strings.ToLower(second), sum: sumB(first)}, nil
}

func findC(path, rawQuery string) (signature, error) {
	var hash, stamp string
	rest := path
	key1, count1 := argument(rawQuery, "KEY1")
	key2, count2 := argument(rawQuery, "KEY2")
	switch first, second, tail, ok := twoSegments(path); {
	case count1 == 1 && count2 == 1:
		hash, stamp = key1, key2
	case count1 != 0 || count2 != 0:
		return signature{}, fmt.Errorf("%w: want one KEY1={md5} and one KEY2={hexadecimal Unix seconds}", ErrMalformed)
	case ok && isHash(first):
		hash, stamp, rest = first, second, tail
	default:
		return signature{}, fmt.Errorf(
			"%w: put /{md5}/{hexadecimal Unix seconds} before the path, or append ?KEY1= and &KEY2=",
			ErrMissing,
		)
	}
	if !isHash(hash) {
		return signature{}, fmt.Errorf("%w: want an MD5 sum in 32 hexadecimal digits", ErrMalformed)
	}
	at, err := hexSeconds(stamp)
	if err != nil {
		return signature{}, err
	}
	return signature{path: rest, stamp: at, hash: strings.ToLower(hash), sum: sumC(stamp)}, nil
}

// twoSegments splits "/first/second/rest" into its first two segments and "/rest".
func twoSegments(path string) (first, second, rest string, ok bool) {
	first, tail, ok := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if !ok {
		return "", "", "", false
	}
	second, tail, ok = strings.Cut(tail, "/")
	return first, second, "/" + tail, ok
}

// decimalSeconds reads type A's time stamp: Unix seconds in at most 11 digits (the year 5138).
func decimalSeconds(s string) (time.Time, error) {
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil || len(s) > 11 {
		return time.Time{}, fmt.Errorf("%w: want a time stamp in Unix seconds", ErrMalformed)
	}
	return time.Unix(int64(n), 0), nil
}

// hexSeconds reads type C's time stamp: Unix seconds in exactly eight hexadecimal digits, either case.
func hexSeconds(s string) (time.Time, error) {
	n, err := strconv.ParseUint(s, 16, 32)
	if err != nil || len(s) != stampC {
		return time.Time{}, fmt.Errorf("%w: want a time stamp in Unix seconds of exactly eight hexadecimal digits",
			ErrMalformed)
	}
	return time.Unix(int64(n), 0), nil
}
