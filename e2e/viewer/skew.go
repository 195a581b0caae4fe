package viewer

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Pairs returns, for each flash, how much later the nearest beep comes, in ms; what has no partner within half a second
// is left out. Both are times in ms on one clock.
func Pairs(flashes, beeps []float64) []float64 {
	var out []float64
	for _, f := range flashes {
		best := math.Inf(1)
		for _, b := range beeps {
			if math.Abs(b-f) < math.Abs(best) {
				best = b - f
			}
		}
		if math.Abs(best) < 500 {
			out = append(out, best)
		}
	}
	return out
}

// Watched is what one viewer saw over a time.
type Watched struct {
	Skews   []Point // ms that sound is later than its picture, by sender reports, over seconds
	Picture []Point // ms from the ingest to the viewer, over seconds: the median of each stretch
	Sound   []Point
	Gaps    int64 // packets that did not come in time
}

// Point is a value at a time.
type Point struct{ X, Y float64 }

// Values are the Y of all points.
func Values(points []Point) []float64 {
	out := make([]float64, len(points))
	for i, p := range points {
		out[i] = p.Y
	}
	return out
}

// Slope is that of the line of least squares, per unit of X, with twice its standard error.
func Slope(points []Point) (slope, twice float64) {
	n := float64(len(points))
	if n < 3 {
		return 0, math.Inf(1)
	}
	var mx, my, sxx, sxy, rest float64
	for _, p := range points {
		mx += p.X / n
		my += p.Y / n
	}
	for _, p := range points {
		sxx += (p.X - mx) * (p.X - mx)
		sxy += (p.X - mx) * (p.Y - my)
	}
	slope = sxy / sxx
	for _, p := range points {
		d := p.Y - my - slope*(p.X-mx)
		rest += d * d
	}
	return slope, 2 * math.Sqrt(rest/(n-2)/sxx)
}

// Median of values; NaN of none.
func Median[T cmp.Ordered](values []T) T {
	var none T
	if len(values) == 0 {
		return none
	}
	values = slices.Clone(values)
	slices.Sort(values)
	return values[len(values)/2]
}

// milliseconds since a time.
func milliseconds(since, t time.Time) float64 {
	return float64(t.Sub(since)) / float64(time.Millisecond)
}
