package nut

// crc is CRC-32 with the polynomial 0x04C11DB7, most significant bit first, starting at 0: not the one of package
// hash/crc32.
func crc(table *[256]uint32, b []byte) uint32 {
	var sum uint32
	for _, v := range b {
		sum = sum<<8 ^ table[byte(sum>>24)^v]
	}
	return sum
}

func crcTable() *[256]uint32 {
	var t [256]uint32
	for i := range t {
		c := uint32(i) << 24
		for range 8 {
			if c&0x80000000 != 0 {
				c = c<<1 ^ 0x04C11DB7
			} else {
				c <<= 1
			}
		}
		t[i] = c
	}
	return &t
}
