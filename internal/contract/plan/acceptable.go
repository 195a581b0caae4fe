package plan

import (
	"errors"
	"fmt"
)

// Errors of Acceptable.
var (
	// ErrEmpty says that the new Plan has no domain, and the old one has.
	ErrEmpty = errors.New("the new plan has no domain")
	// ErrShrunken says that most domains are gone at once.
	ErrShrunken = errors.New("the new plan lacks most domains of the old one")
	// ErrOtherClass says that the new Plan is for another class.
	ErrOtherClass = errors.New("the new plan is for another class")
)

// shrinkFloor is the number of domains below which a Plan may lose any of them: small services are often rebuilt whole.
const shrinkFloor = 8

// Acceptable reports whether a running process should take a new Plan in place of an old one (nil: none yet). A Plan
// that is empty, or that lost more than half and at least 8 of its domains, is more likely a mistake on its way than a
// wish: the process keeps the old one.
func Acceptable(old, new *Plan) error {
	if new == nil {
		return ErrEmpty
	}
	if err := Validate(new); err != nil {
		return fmt.Errorf("check the new plan: %w", err)
	}
	if old == nil || len(old.Push)+len(old.Play) == 0 {
		return nil
	}
	if old.Class != new.Class && old.Class != "" {
		return fmt.Errorf("%w: %s, not %s", ErrOtherClass, new.Class, old.Class)
	}
	if len(new.Push)+len(new.Play) == 0 {
		return ErrEmpty
	}
	x, gone := NewIndex(new), 0
	for _, d := range old.Push {
		if x.Push(d.Hostname) == nil {
			gone++
		}
	}
	for _, d := range old.Play {
		if x.Play(d.Hostname) == nil {
			gone++
		}
	}
	if all := len(old.Push) + len(old.Play); gone >= shrinkFloor && gone*2 > all {
		return fmt.Errorf("%w: %d of %d are gone", ErrShrunken, gone, all)
	}
	return nil
}
