package door

import "net/http"

// Referer returns where a request says that it comes from: its Referer, or the Origin that scripts send in any case.
func Referer(req *http.Request) string {
	if from := req.Header.Get("Referer"); from != "" {
		return from
	}
	return req.Header.Get("Origin")
}
