// Package fleet knows the media pods: which there are, which Plan each runs on, and so what of the configuration is in
// force where. The reconcilers ask it; it tells them when an answer changes.
package fleet

import "time"

// Observed is what a media pod says about itself.
type Observed struct {
	PlanHash string
	Draining bool
	Sessions int
}

// Counts are what a domain or a template has at the moment, over all pods.
type Counts struct {
	Streams    int // live streams of a push domain
	Viewers    int // of a play domain
	EgressKbps int
	Sessions   int // renditions of a template
}

// Observer listens to the media pods.
type Observer interface {
	// Synced reports whether every pod has been asked once; before that, nothing is said to be missing.
	Synced() bool
	// Pod returns what a pod says; false when it cannot be heard.
	Pod(name string) (Observed, bool)
	// Push returns the counts of a push domain, Play of a play domain, by hostname.
	Push(hostname string) Counts
	Play(hostname string) Counts
	// Template returns the counts of a template by the hostname of its main and its id.
	Template(main, id string) Counts
	// Changed gets a value after any of that changed.
	Changed() <-chan struct{}
}

// Deaf is an Observer that hears no pod.
type Deaf struct{}

// Synced is always true: there is nobody to wait for.
func (Deaf) Synced() bool { return true }

// Pod never hears one.
func (Deaf) Pod(string) (Observed, bool) { return Observed{}, false }

// Push counts nothing.
func (Deaf) Push(string) Counts { return Counts{} }

// Play counts nothing.
func (Deaf) Play(string) Counts { return Counts{} }

// Template counts nothing.
func (Deaf) Template(string, string) Counts { return Counts{} }

// Changed never changes.
func (Deaf) Changed() <-chan struct{} { return nil }

// hearWithin is how long a ready pod may stay unheard before it counts as one that does not run on its Plan.
const hearWithin = 10 * time.Second
