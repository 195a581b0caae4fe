package join

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// The bounds of an exchange.
const (
	maxAnswer      = 256 << 10
	requestTimeout = 10 * time.Second
	deleteTimeout  = 3 * time.Second
	defaultRetry   = time.Second
	maxRetry       = 30 * time.Second
)

// Session is an accepted offer.
type Session struct {
	Answer  string        // SDP
	TraceID string        // ARTC only
	Took    time.Duration // from the request to the answer

	resource *url.URL // WHEP: what DELETE ends
	client   *http.Client
}

// StatusError is an HTTP answer that is not the one the dialect asks for.
type StatusError struct {
	Status     int
	Message    string        // what the server said, shortened; may be empty
	RetryAfter time.Duration // 0 when the server named none
	Want       int
}

// Error returns status, the server's words and, where the status is no plain refusal, what was expected.
func (e *StatusError) Error() string {
	text := fmt.Sprintf("the server answered %d %s", e.Status, http.StatusText(e.Status))
	if e.Message != "" {
		text += ": " + e.Message
	}
	if e.Status < 400 {
		text += fmt.Sprintf(" (want %d)", e.Want)
	}
	return text
}

// Waitable reports whether the stream may come later (404 or 409, or 503 with a time), and when to ask again.
func Waitable(err error) (time.Duration, bool) {
	var status *StatusError
	if !errors.As(err, &status) {
		return 0, false
	}
	switch {
	case status.Status == http.StatusNotFound, status.Status == http.StatusConflict:
	case status.Status == http.StatusServiceUnavailable && status.RetryAfter > 0:
	default:
		return 0, false
	}
	if status.RetryAfter > 0 {
		return min(status.RetryAfter, maxRetry), true
	}
	return defaultRetry, true
}

// Offer sends the SDP offer and gives the session that the server opened for it.
func (t *Target) Offer(ctx context.Context, sdp string) (*Session, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	s := &Session{client: t.httpClient()}
	defer s.client.CloseIdleConnections()
	began := time.Now()
	var err error
	if t.Dialect == ARTC {
		err = s.artc(ctx, t, sdp)
	} else {
		err = s.whep(ctx, t, sdp)
	}
	s.Took = time.Since(began)
	if err != nil {
		return nil, fmt.Errorf("joining %s: %w", t, err)
	}
	return s, nil
}

// Close ends the session at the server where the dialect has a request for it. It is safe to call with a context that
// is over.
func (s *Session) Close(ctx context.Context) error {
	if s.resource == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deleteTimeout)
	defer cancel()
	defer s.client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodDelete, s.resource.String(), nil)
	if err != nil {
		return fmt.Errorf("ending the session: %w", err)
	}
	response, err := s.client.Do(request)
	if err != nil {
		return fmt.Errorf("ending the session: %w", bare(err))
	}
	defer func() { _ = response.Body.Close() }()
	// A session that is gone already is as good as ended.
	if response.StatusCode >= 300 && response.StatusCode != http.StatusNotFound {
		return fmt.Errorf(
			"ending the session: %w",
			statusError(&reply{status: response.StatusCode, header: response.Header}, http.StatusOK),
		)
	}
	return nil
}

// reply is an HTTP answer that was read.
type reply struct {
	status int
	header http.Header
	from   *url.URL // where a redirect has led
	body   []byte
}

// post sends one request and reads the answer.
func (s *Session) post(ctx context.Context, to *url.URL, contentType, accept string, body []byte) (*reply, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", contentType)
	request.Header.Set("Accept", accept)
	request.Header.Set("User-Agent", "millrace-play")
	response, err := s.client.Do(request)
	if err != nil {
		return nil, bare(err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	return &reply{status: response.StatusCode, header: response.Header, from: response.Request.URL, body: answer}, nil
}

// bare takes the URL out of an HTTP client's error: it may hold a signature.
func bare(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

func statusError(r *reply, want int) *StatusError {
	out := &StatusError{Status: r.status, Message: message(r.body), Want: want}
	if seconds, err := strconv.Atoi(r.header.Get("Retry-After")); err == nil && seconds > 0 {
		out.RetryAfter = time.Duration(seconds) * time.Second
	}
	return out
}

// shorten makes one line of at most 300 characters.
func shorten(text string) string {
	const most = 300
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > most {
		text = text[:most] + "…"
	}
	return text
}
