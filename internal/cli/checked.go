package cli

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/millrace/millrace/dataplane/transcode"
)

// checked is a flag whose value is judged as it is read: a wrong one ends the command with status 2 before it has
// opened anything, and cobra's message names the flag.
type checked[T any] struct {
	to    *T
	kind  string // as --help shows it
	parse func(string) (T, error)
}

// Set takes a value.
func (c checked[T]) Set(text string) error {
	value, err := c.parse(text)
	if err != nil {
		return err
	}
	*c.to = value
	return nil
}

// Type names the value in --help.
func (c checked[T]) Type() string { return c.kind }

func (c checked[T]) String() string {
	if c.to == nil { // pflag asks a zero value of the type
		return ""
	}
	return fmt.Sprint(*c.to)
}

// list is a flag of several values, apart by commas or given again, each judged as it is read.
type list[T any] struct {
	to    *[]T
	parse func(string) (T, error)
}

// Set adds values.
func (l list[T]) Set(text string) error {
	if text == "" {
		return nil
	}
	for one := range strings.SplitSeq(text, ",") {
		value, err := l.parse(strings.TrimSpace(one))
		if err != nil {
			return err
		}
		*l.to = append(*l.to, value)
	}
	return nil
}

// Type names the values in --help.
func (l list[T]) Type() string { return "strings" }

func (l list[T]) String() string { return "" } // no list has a default

// port adds a port from least (0: a free one, -1: off) to 65535.
func port(set *pflag.FlagSet, to *int, name string, value, least int, help string) {
	intBetween(set, to, name, value, least, 65535, help)
}

// number adds a number that is not negative.
func number(set *pflag.FlagSet, to *int, name string, value int, help string) {
	const most = 1 << 30
	intBetween(set, to, name, value, 0, most, help)
}

func intBetween(set *pflag.FlagSet, to *int, name string, value, least, most int, help string) {
	*to = value
	set.Var(checked[int]{to, "int", func(text string) (int, error) {
		n, err := strconv.Atoi(text)
		if err != nil || n < least || n > most {
			return 0, fmt.Errorf("want a number from %d to %d", least, most)
		}
		return n, nil
	}}, name, help)
}

// share adds a part of a whole, 0 to 1.
func share(set *pflag.FlagSet, to *float64, name string, value float64, help string) {
	floatBetween(set, to, name, value, 1, "want a share from 0 to 1, such as 0.9", help)
}

// rate adds a number of Mbit/s.
func rate(set *pflag.FlagSet, to *float64, name string, value float64, help string) {
	const most = 1e9
	floatBetween(set, to, name, value, most, "want a number of Mbit/s, 0 or more", help)
}

func floatBetween(set *pflag.FlagSet, to *float64, name string, value, most float64, want, help string) {
	*to = value
	set.Var(checked[float64]{to, "float", func(text string) (float64, error) {
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || !(n >= 0 && n <= most) { // NaN is not
			return 0, errors.New(want)
		}
		return n, nil
	}}, name, help)
}

// span adds a time that is not negative.
func span(set *pflag.FlagSet, to *time.Duration, name string, value time.Duration, help string) {
	*to = value
	set.Var(checked[time.Duration]{to, "duration", func(text string) (time.Duration, error) {
		d, err := time.ParseDuration(text)
		if err != nil || d < 0 {
			return 0, errors.New("want a time such as 500ms, 10s or 2m")
		}
		return d, nil
	}}, name, help)
}

// oneOf adds a choice.
func oneOf(set *pflag.FlagSet, to *string, name, value string, choices []string, help string) {
	*to = value
	set.Var(checked[string]{to, "string", func(text string) (string, error) {
		if !slices.Contains(choices, text) {
			return "", fmt.Errorf("want %s", strings.Join(choices, ", "))
		}
		return text, nil
	}}, name, help)
}

// encoderFlag adds the encoder of renditions.
func encoderFlag(set *pflag.FlagSet, to *transcode.Encoder) {
	*to = transcode.Auto
	set.Var(checked[transcode.Encoder]{to, "string", transcode.ParseEncoder}, "encoder",
		"of H.264: Auto (the first that works), x264, NVENC, VAAPI or QSV")
}

// addresses adds a list of IP addresses.
func addresses(set *pflag.FlagSet, to *[]netip.Addr, name, help string) {
	set.Var(list[netip.Addr]{to, func(text string) (netip.Addr, error) {
		ip, err := netip.ParseAddr(text)
		if err != nil {
			return ip, fmt.Errorf("%q: want an IP address", text)
		}
		return ip, nil
	}}, name, help)
}

// advertised adds a list of IP addresses with or without a port; without, the port is 0, which means the media port.
func advertised(set *pflag.FlagSet, to *[]netip.AddrPort, name, help string) {
	set.Var(list[netip.AddrPort]{to, func(text string) (netip.AddrPort, error) {
		if ip, err := netip.ParseAddr(text); err == nil {
			return netip.AddrPortFrom(ip, 0), nil
		}
		at, err := netip.ParseAddrPort(text)
		if err != nil {
			return at, fmt.Errorf("%q: want an IP address, or IP:port", text)
		}
		return at, nil
	}}, name, help)
}
