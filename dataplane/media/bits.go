package media

// bitReader reads a raw byte sequence payload (ITU-T H.264, 7.3.1) bit by bit, leaving out emulation prevention bytes.
// Reading behind the end sets failed and gives zeros.
type bitReader struct {
	data   []byte
	pos    int // next byte
	cur    byte
	left   uint // bits left in cur
	zeros  int  // zero bytes just read
	failed bool
}

func (r *bitReader) bit() uint32 {
	if r.left == 0 {
		if r.pos < len(r.data) && r.zeros >= 2 && r.data[r.pos] == 3 {
			r.pos++
			r.zeros = 0
		}
		if r.pos >= len(r.data) {
			r.failed = true
			return 0
		}
		r.cur = r.data[r.pos]
		r.pos++
		r.left = 8
		if r.cur == 0 {
			r.zeros++
		} else {
			r.zeros = 0
		}
	}
	r.left--
	return uint32(r.cur>>r.left) & 1
}

// golomb reads an unsigned Exp-Golomb code (ITU-T H.264, 9.1) of at most 31 leading zeros.
func (r *bitReader) golomb() uint32 {
	zeros := 0
	for r.bit() == 0 {
		zeros++
		if zeros > 31 || r.failed {
			r.failed = true
			return 0
		}
	}
	v := uint32(1)
	for range zeros {
		v = v<<1 | r.bit()
	}
	return v - 1
}
