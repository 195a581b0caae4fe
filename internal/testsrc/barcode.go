package testsrc

import (
	"errors"
	"time"
)

// The barcode's grid. A picture is cut into GridColumns x GridRows cells of equal size; the first two rows of cells are
// the barcode. Cells scale with the picture, so the code can be read from a rendition of another size. Cells are at
// least 16 pixels wide from a picture width of 512 on.
const (
	GridColumns = 32
	GridRows    = 18

	barcodeRows   = 2
	barcodeMarker = 0xA6
	barcodeBits   = GridColumns * barcodeRows
)

// The errors of ReadBarcode.
var (
	ErrNoBarcode  = errors.New("no barcode in the picture: its first eight cells are not the marker 10100110")
	ErrBadBarcode = errors.New("the barcode is damaged: its checksum does not match")
)

// barcodeWord packs a time as the 64 bits of the barcode, most significant bit first: marker (8), Unix milliseconds
// (48), CRC-8 of the six bytes of the milliseconds (8).
func barcodeWord(t time.Time) uint64 {
	ms := uint64(t.UnixMilli()) & (1<<48 - 1)
	return barcodeMarker<<56 | ms<<8 | uint64(crc8(ms))
}

// timeOfWord is the inverse of barcodeWord.
func timeOfWord(w uint64) (time.Time, error) {
	if w>>56 != barcodeMarker {
		return time.Time{}, ErrNoBarcode
	}
	ms := w >> 8 & (1<<48 - 1)
	if byte(w) != crc8(ms) {
		return time.Time{}, ErrBadBarcode
	}
	return time.UnixMilli(int64(ms)), nil
}

// crc8 is the CRC-8 with polynomial x^8+x^2+x+1 (0x07), initial value 0, over the six bytes of a 48-bit number, most
// significant byte first.
func crc8(ms uint64) byte {
	var crc byte
	for shift := 40; shift >= 0; shift -= 8 {
		crc ^= byte(ms >> shift)
		for range 8 {
			if crc&0x80 != 0 {
				crc = crc<<1 ^ 0x07
			} else {
				crc <<= 1
			}
		}
	}
	return crc
}

// ReadBarcode reads the wall-clock time at which a picture was drawn from its luma plane (8 bits per sample, stride
// bytes per row). It works on decoded, scaled and moderately damaged pictures.
//
// It returns ErrNoBarcode when the picture does not carry the code and ErrBadBarcode when the code does not check out.
func ReadBarcode(luma []byte, stride, width, height int) (time.Time, error) {
	if width < GridColumns || height < GridRows || stride < width || len(luma) < stride*(height-1)+width {
		return time.Time{}, ErrNoBarcode
	}
	var word uint64
	for i := range barcodeBits {
		word <<= 1
		if cellMean(luma, stride, width, height, i%GridColumns, i/GridColumns) >= 128 {
			word |= 1
		}
	}
	return timeOfWord(word)
}

// cellMean is the mean luma of the inner half of a cell, where coding noise of the neighbours does not reach.
func cellMean(luma []byte, stride, width, height, col, row int) int {
	x0, x1 := col*width/GridColumns, (col+1)*width/GridColumns
	y0, y1 := row*height/GridRows, (row+1)*height/GridRows
	dx, dy := (x1-x0)/4, (y1-y0)/4
	sum, n := 0, 0
	for y := y0 + dy; y < y1-dy; y++ {
		for x := x0 + dx; x < x1-dx; x++ {
			sum += int(luma[y*stride+x])
			n++
		}
	}
	if n == 0 {
		return 0
	}
	return sum / n
}
