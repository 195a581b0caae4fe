package testsrc

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// The bounds of a picture's size in pixels. Sides are even because of the chroma planes of yuv420p.
const (
	MinWidth  = 160
	MinHeight = 90
	MaxSide   = 4096
)

// Picture draws frames in yuv420p (full luma plane, then U and V at half width and height). It is not safe for
// concurrent use.
type Picture struct {
	width, height int
	background    []byte
	noiseRows     int
	noise         *rand.ChaCha8
}

// NewPicture makes a Picture of a size in pixels. Detail, in percent of the picture's rows (0 to 50), is covered by
// fresh noise in each frame, which makes an encoder spend bits.
func NewPicture(width, height, detail int) (*Picture, error) {
	if width < MinWidth || height < MinHeight || width > MaxSide || height > MaxSide || width%2 != 0 || height%2 != 0 {
		return nil, fmt.Errorf("picture size %dx%d: give even numbers from %dx%d to %dx%d",
			width, height, MinWidth, MinHeight, MaxSide, MaxSide)
	}
	if detail < 0 || detail > 50 {
		return nil, fmt.Errorf("detail of %d percent: give a number from 0 to 50", detail)
	}
	p := &Picture{width: width, height: height, noiseRows: height * detail / 100}
	p.noise = rand.NewChaCha8([32]byte{1})
	p.background = make([]byte, p.FrameSize())
	p.drawBackground()
	return p, nil
}

// FrameSize is the number of bytes of a frame.
func (p *Picture) FrameSize() int { return p.width * p.height * 3 / 2 }

// Draw draws a frame into dst, which holds FrameSize bytes. The clock and the barcode show now; the ball's place
// depends on elapsed, the time since the first frame.
func (p *Picture) Draw(dst []byte, elapsed time.Duration, now time.Time) {
	copy(dst, p.background)
	c := canvas{width: p.width, height: p.height, pix: dst}
	if p.noiseRows > 0 {
		luma := dst[(p.height-p.noiseRows)*p.width : p.height*p.width]
		_, _ = p.noise.Read(luma) // never fails
		for i, v := range luma {
			luma[i] = 64 + v>>1
		}
	}
	p.drawBall(c, elapsed)
	p.drawClock(c, now)
	p.drawBarcode(c, now)
}

// drawBackground draws eight soft colour bars above a dark floor.
func (p *Picture) drawBackground() {
	c := canvas{width: p.width, height: p.height, pix: p.background}
	bars := [8]colour{ // ITU-R BT.601, limited range, at about 70 % saturation
		{200, 128, 128}, {180, 60, 145}, {150, 150, 60}, {130, 80, 60},
		{105, 170, 190}, {90, 105, 200}, {65, 190, 120}, {45, 128, 128},
	}
	for i, bar := range bars {
		c.fill(i*p.width/8, 0, (i+1)*p.width/8, p.height*13/18, bar)
	}
	c.fill(0, p.height*13/18, p.width, p.height, colour{32, 134, 124})
}

// drawBall moves a ball on a closed path: across and back in 4 s, bouncing every second.
func (p *Picture) drawBall(c canvas, elapsed time.Duration) {
	s := elapsed.Seconds()
	radius := float64(p.height) / 11
	across := math.Abs(2*math.Mod(s/4, 1) - 1)
	bounce := math.Abs(math.Sin(math.Pi * s))
	top, floor := float64(p.height)*2/18+radius+4, float64(p.height)*13/18-radius
	x := radius + across*(float64(p.width)-2*radius)
	y := floor - bounce*(floor-top)
	c.disc(x, y, radius, colour{222, 112, 140})
	c.disc(x-radius*0.3, y-radius*0.3, radius*0.25, colour{235, 128, 128})
}

// drawClock writes HH:MM:SS.mmm (UTC) on the floor in seven-segment digits.
func (p *Picture) drawClock(c canvas, now time.Time) {
	text := now.UTC().Format("15:04:05.000")
	unit := p.width / 100 // thickness of a segment
	w, h := 5*unit, 9*unit
	total := 0
	for _, r := range text {
		total += glyphWidth(r, w, unit) + 2*unit
	}
	x, y := (p.width-total+2*unit)/2, p.height*15/18-h/2+p.height/36
	// A plate under the digits keeps them readable on noise.
	c.fill(x-2*unit, y-2*unit, x+total, y+h+2*unit, colour{20, 128, 128})
	for _, r := range text {
		c.glyph(r, x, y, w, h, unit, colour{225, 110, 140})
		x += glyphWidth(r, w, unit) + 2*unit
	}
}

// drawBarcode writes the time as black and white cells into the first two rows of cells.
func (p *Picture) drawBarcode(c canvas, now time.Time) {
	word := barcodeWord(now)
	for i := range barcodeBits {
		col, row := i%GridColumns, i/GridColumns
		cell := colour{16, 128, 128}
		if word>>(barcodeBits-1-i)&1 == 1 {
			cell.y = 235
		}
		c.fill(col*p.width/GridColumns, row*p.height/GridRows, (col+1)*p.width/GridColumns, (row+1)*p.height/GridRows, cell)
	}
}
