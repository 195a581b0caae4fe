package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"text/tabwriter"
)

// row is one line of the table.
type row struct {
	Name   string  `json:"name"`
	Unit   string  `json:"unit"`
	N      int     `json:"n"`
	P50    float64 `json:"p50"`
	P95    float64 `json:"p95"`
	Max    float64 `json:"max"`
	Goal   string  `json:"goal,omitempty"`
	Missed bool    `json:"missed"`
}

// figures makes a row of all values. NaN values are left out.
func figures(name, unit string, values []float64) row {
	values = slices.DeleteFunc(slices.Clone(values), math.IsNaN)
	slices.Sort(values)
	r := row{Name: name, Unit: unit, N: len(values)}
	if len(values) > 0 {
		r.P50, r.P95, r.Max = rank(values, 0.5), rank(values, 0.95), values[len(values)-1]
	}
	return r
}

// rank is the smallest of the sorted values that at least the share p of them do not exceed.
func rank(sorted []float64, p float64) float64 {
	return sorted[max(int(math.Ceil(p*float64(len(sorted))))-1, 0)]
}

// want adds a goal to the row. Without any value it is missed.
func (r row) want(goal string, met bool) row {
	r.Goal, r.Missed = goal, !met || r.N == 0
	return r
}

func table(w io.Writer, rows []row) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "FIGURE\tN\tP50\tP95\tMAX\tUNIT\tGOAL\tMET")
	for _, r := range rows {
		met := ""
		if r.Goal != "" {
			met = "yes"
			if r.Missed {
				met = "NO"
			}
		}
		fmt.Fprintf(t, "%s\t%d\t%.1f\t%.1f\t%.1f\t%s\t%s\t%s\n", r.Name, r.N, r.P50, r.P95, r.Max, r.Unit, r.Goal, met)
	}
	t.Flush()
}
