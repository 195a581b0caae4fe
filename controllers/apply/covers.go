package apply

import "reflect"

// Covers reports whether what is there has everything that is wanted. What others have added, such as defaults and
// allocated ports, does not count; lists have to be equally long, for their entries mean something by their place.
func Covers(live, wanted any) bool {
	switch w := wanted.(type) {
	case map[string]any:
		l, ok := live.(map[string]any)
		if !ok {
			return len(w) == 0 && live == nil
		}
		for key, value := range w {
			// "apiVersion" and "kind" of cached objects are empty.
			if key == "apiVersion" || key == "kind" {
				if l[key] == nil || l[key] == "" {
					continue
				}
			}
			if !Covers(l[key], value) {
				return false
			}
		}
		return true
	case []any:
		l, ok := live.([]any)
		if !ok || len(l) != len(w) {
			return len(w) == 0 && live == nil
		}
		for i := range w {
			if !Covers(l[i], w[i]) {
				return false
			}
		}
		return true
	case bool:
		// A false that the typed object leaves out is there all the same.
		return live == wanted || (!w && live == nil)
	default:
		return reflect.DeepEqual(live, wanted)
	}
}
