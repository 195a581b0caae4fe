package signal

import "net/http"

// Dialect is a way of asking for a stream and of answering.
type Dialect interface {
	// Name is the word for it in metrics and in the state of a relay.
	Name() string
	// Read takes the offer, and the stream where the body names it, out of a body.
	Read(body []byte, ask *Ask) *Refusal
	Answer(w http.ResponseWriter, a *Answer)
	Refuse(w http.ResponseWriter, r *Refusal, traceID string)
}

// Stopper is a dialect whose players end a session by a POST that names it.
type Stopper interface {
	ReadStop(body []byte) (session string, r *Refusal)
	Stopped(w http.ResponseWriter)
}

// Row is a dialect, and the requests that are of it.
type Row struct {
	Dialect
	// Path is the one that players send offers to, without a slash at the end. Their bodies name the stream. Empty: the
	// URL names the stream.
	Path string
	// ContentType is the media type of an offer whose URL names the stream; empty: any.
	ContentType string
	// StopPath is the one that players send a request to that ends a session; empty: there is none. The dialect is a
	// Stopper then.
	StopPath string
}

// Table lists all dialects. A request is of the first that it matches; the last one takes all.
func Table() []Row {
	return []Row{
		{Dialect: SRS{Server: "millrace"}, Path: SRSPath},
		{Dialect: LEB{}, Path: LEBPullPath, StopPath: LEBStopPath},
		{Dialect: WHEP{}, ContentType: ContentSDP},
		{Dialect: ARTC{}},
	}
}

// Match returns the row of a table that a POST is of, and whether it ends a session. The path has no slash at its end.
func Match(table []Row, path, contentType string) (row *Row, stop bool) {
	for i := range table {
		switch r := &table[i]; {
		case r.StopPath != "" && r.StopPath == path:
			return r, true
		case r.Path == path, r.Path == "" && (r.ContentType == "" || r.ContentType == contentType):
			return r, false
		}
	}
	return nil, false
}
