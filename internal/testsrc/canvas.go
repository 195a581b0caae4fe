package testsrc

// colour is a point in limited-range YCbCr.
type colour struct{ y, u, v byte }

// canvas draws into a yuv420p frame. Everything outside of the frame is cut off.
type canvas struct {
	width, height int
	pix           []byte
}

// fill paints the rectangle from (x0, y0) up to but without (x1, y1).
func (c canvas) fill(x0, y0, x1, y1 int, col colour) {
	x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1, c.width), min(y1, c.height)
	if x0 >= x1 || y0 >= y1 {
		return
	}
	for y := y0; y < y1; y++ {
		paint(c.pix[y*c.width+x0:y*c.width+x1], col.y)
	}
	half, area := c.width/2, c.width*c.height
	for y := y0 / 2; y < (y1+1)/2; y++ {
		from, to := y*half+x0/2, y*half+(x1+1)/2
		paint(c.pix[area+from:area+to], col.u)
		paint(c.pix[area*5/4+from:area*5/4+to], col.v)
	}
}

func paint(row []byte, v byte) {
	for i := range row {
		row[i] = v
	}
}

// disc paints a filled circle.
func (c canvas) disc(cx, cy, radius float64, col colour) {
	half, area := c.width/2, c.width*c.height
	for y := max(int(cy-radius), 0); y <= min(int(cy+radius), c.height-1); y++ {
		for x := max(int(cx-radius), 0); x <= min(int(cx+radius), c.width-1); x++ {
			dx, dy := float64(x)-cx, float64(y)-cy
			if dx*dx+dy*dy > radius*radius {
				continue
			}
			c.pix[y*c.width+x] = col.y
			i := y/2*half + x/2
			c.pix[area+i], c.pix[area*5/4+i] = col.u, col.v
		}
	}
}

// segments tells which of the seven segments of a digit are on; bit 0 is the top one, then clockwise, bit 6 the middle.
func segments(digit rune) byte {
	return [10]byte{0x3F, 0x06, 0x5B, 0x4F, 0x66, 0x6D, 0x7D, 0x07, 0x7F, 0x6F}[digit-'0']
}

func glyphWidth(r rune, w, unit int) int {
	if r == ':' || r == '.' {
		return unit
	}
	return w
}

// glyph paints a digit, a colon or a point with its upper left corner at (x, y).
func (c canvas) glyph(r rune, x, y, w, h, unit int, col colour) {
	switch r {
	case ':':
		c.fill(x, y+h/3-unit/2, x+unit, y+h/3+unit-unit/2, col)
		c.fill(x, y+2*h/3-unit/2, x+unit, y+2*h/3+unit-unit/2, col)
		return
	case '.':
		c.fill(x, y+h-unit, x+unit, y+h, col)
		return
	}
	middle := y + (h-unit)/2
	boxes := [7][4]int{
		{x, y, x + w, y + unit},                 // top
		{x + w - unit, y, x + w, middle + unit}, // upper right
		{x + w - unit, middle, x + w, y + h},    // lower right
		{x, y + h - unit, x + w, y + h},         // bottom
		{x, middle, x + unit, y + h},            // lower left
		{x, y, x + unit, middle + unit},         // upper left
		{x, middle, x + w, middle + unit},       // middle
	}
	on := segments(r)
	for i, b := range boxes {
		if on>>i&1 == 1 {
			c.fill(b[0], b[1], b[2], b[3], col)
		}
	}
}
