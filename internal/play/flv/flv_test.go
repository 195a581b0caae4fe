package flv

import (
	"encoding/binary"
	"hash/crc32"
	"io"
	"strings"
	"testing"
)

// add appends a tag to a stream.
func add(b []byte, typ byte, at uint32, body string) []byte {
	b = append(
		b,
		typ,
		byte(len(body)>>16),
		byte(len(body)>>8),
		byte(len(body)),
		byte(at>>16),
		byte(at>>8),
		byte(at),
		byte(at>>24),
		0,
		0,
		0,
	)
	b = append(b, body...)
	return binary.BigEndian.AppendUint32(b, uint32(len(body)+tagHeader))
}

func header() []byte { return []byte{'F', 'L', 'V', 1, 0, 0, 0, 0, 9, 0, 0, 0, 0} }

// parse feeds a stream in pieces of a size.
func parse(b []byte, piece int) (all []tag, p *parser, err error) {
	p = newParser(func(p *parser) { all = append(all, p.tag) })
	for len(b) > 0 && err == nil {
		n := min(piece, len(b))
		err = p.feed(b[:n])
		b = b[n:]
	}
	return all, p, err
}

func TestTagsInPiecesOfAnySize(t *testing.T) {
	b := add(header(), typeScript, 0, "\x02\x00\x0aonMetaData")
	b = add(b, typeVideo, 0, "\x17\x00\x00\x00\x00config")
	b = add(b, typeVideo, 0x01020304, "\x17\x01\x00\x00\x00key")
	b = add(b, typeVideo, 0x01020305, "\x27\x01\x00\x00\x00other")
	b = add(b, typeVideo, 0x01020306, "\x91hvc1key")
	b = add(b, typeAudio, 0x01020304, "\xaf\x01sound")
	b = add(b, typeAudio, 0x01020305, "\x91Opussound")
	for _, piece := range []int{1, 2, 3, 7, 1000} {
		all, p, err := parse(b, piece)
		if err != nil || len(all) != 7 || !p.between() {
			t.Fatalf("pieces of %d: %d tags, %v", piece, len(all), err)
		}
		said := ""
		for _, one := range all {
			said += map[bool]string{true: "m", false: "-"}[one.media] + map[bool]string{true: "k ", false: "- "}[one.key]
		}
		if said != "-- -k mk m- mk m- m- " {
			t.Errorf("pieces of %d: %s", piece, said)
		}
		if all[2].at != 0x01020304 || all[2].sum != crc32.ChecksumIEEE([]byte("\x17\x01\x00\x00\x00key")) {
			t.Errorf("pieces of %d: %+v", piece, all[2])
		}
	}
}

func TestDamage(t *testing.T) {
	whole := add(header(), typeVideo, 5, "\x17\x01\x00\x00\x00key")
	for name, change := range map[string]func(b []byte){
		"not an FLV header":       func(b []byte) { b[0] = 'X' },
		"a tag of type 3":         func(b []byte) { b[fileHeader] = 3 },
		"StreamID is not 0":       func(b []byte) { b[fileHeader+10] = 1 },
		"PreviousTagSize of":      func(b []byte) { b[len(b)-1]++ },
		"a tag without a body":    func(b []byte) { b[fileHeader+3] = 0 },
		"not an FLV header: 464c": func(b []byte) { b[12] = 1 },
	} {
		b := append([]byte(nil), whole...)
		change(b)
		if _, _, err := parse(b, 1000); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, p, err := parse(whole[:len(whole)-1], 1000); err != nil || p.between() {
		t.Errorf("an end in the middle of a tag: %v, between %v", err, p.between())
	}
}

// Losses are found whoever gets a tag first.
func TestLedger(t *testing.T) {
	var s series
	a, b, c := s.enter(), s.enter(), s.enter()
	give := func(p *place, times ...uint32) {
		for _, at := range times {
			s.note(p, entry{at: at, size: 1, sum: at})
		}
	}
	give(a, 10, 20, 40, 50)     // 30 is not known yet
	give(c, 40, 50)             // begins later
	give(b, 10, 20, 30, 40, 70) // 30 was lost by a; 50 by b, and 60 has come to nobody
	give(a, 60, 70)             // 60 was lost by b
	for name, one := range map[string]struct {
		p    *place
		lost uint64
	}{"a": {a, 1}, "b": {b, 2}, "c": {c, 0}} {
		if one.p.lost != one.lost || one.p.backwards != 0 || one.p.differing != 0 {
			t.Errorf("%s: %+v, %d were lost", name, *one.p, one.lost)
		}
	}
	give(c, 50, 45)
	s.note(c, entry{at: 60, size: 1, sum: 61})
	if c.backwards != 2 || c.differing != 1 {
		t.Errorf("%+v", *c)
	}
	for at := uint32(100); at < 100+3*ledgerMost; at++ {
		give(a, at)
	}
	if len(s.entries) > ledgerMost || a.lost != 1 {
		t.Errorf("%d entries, %d lost", len(s.entries), a.lost)
	}
	give(b, 90, 100+3*ledgerMost) // too far behind to be compared
	if len(s.entries) > ledgerMost {
		t.Errorf("%d entries", len(s.entries))
	}
}

// Whatever a server sends, it is read or refused, in pieces as in one; what is kept does not grow.
func FuzzTags(f *testing.F) {
	f.Add(add(add(header(), typeScript, 0, "\x02\x00\x0aonMetaData"), typeVideo, 7, "\x17\x01\x00\x00\x00key"), uint8(3))
	f.Fuzz(func(t *testing.T, b []byte, piece uint8) {
		one, _, err := parse(b, len(b)+1)
		more, _, again := parse(b, int(piece)+1)
		if len(one) != len(more) || (err == nil) != (again == nil) {
			t.Fatalf("%d tags and %v, in pieces of %d %d and %v", len(one), err, int(piece)+1, len(more), again)
		}
	})
}

// Whatever a server says in a WebSocket, it is read or refused.
func FuzzMessages(f *testing.F) {
	f.Add([]byte{0x82, 3, 1, 2, 3, 0x89, 1, 9, 0x88, 2, 3, 0xe8})
	f.Add([]byte{0x82, 126, 0, 200, 1})
	f.Fuzz(func(_ *testing.T, b []byte) {
		m := newMessages(strings.NewReader(string(b)), io.Discard)
		_, _ = io.Copy(io.Discard, m) // the end or an error, both are right
	})
}
