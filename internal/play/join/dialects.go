package join

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/millrace/millrace/dataplane/media"
)

// artcRequest is the body that the official H5 SDK sends.
type artcRequest struct {
	Version     int          `json:"version"`
	SDKVersion  string       `json:"sdk_version"`
	Mode        string       `json:"mode"`
	PullStreams []pullStream `json:"pull_streams"`
	JSEP        jsep         `json:"jsep"`
}

type pullStream struct {
	URL   string   `json:"url"`
	AMSID []string `json:"amsid,omitempty"`
	VMSID []string `json:"vmsid,omitempty"`
}

type jsep struct {
	Type string `json:"type"`
	SDP  string `json:"sdp"`
}

type artcAnswer struct {
	Code    json.Number `json:"code"`
	Message string      `json:"message"`
	TraceID string      `json:"trace_id"`
	JSEP    *jsep       `json:"jsep"`
}

func (s *Session) artc(ctx context.Context, t *Target, sdp string) error {
	stream := pullStream{URL: t.Stream}
	if t.Without != media.Audio {
		stream.AMSID = []string{"rts audio"}
	}
	if t.Without != media.Video {
		stream.VMSID = []string{"rts video"}
	}
	body, err := json.Marshal(artcRequest{
		Version: 2, SDKVersion: "0.0.1", Mode: "live", PullStreams: []pullStream{stream}, JSEP: jsep{Type: "offer", SDP: sdp},
	})
	if err != nil {
		return err
	}
	// The SDK names this content type although the body is JSON: it keeps the request free of a CORS pre-flight.
	answered, err := s.post(ctx, t.URL, "application/x-www-form-urlencoded; charset=UTF-8",
		"application/json, text/plain, */*", body)
	if err != nil {
		return err
	}
	if answered.status != http.StatusOK {
		return statusError(answered, http.StatusOK)
	}
	var answer artcAnswer
	if err := json.Unmarshal(answered.body, &answer); err != nil {
		return fmt.Errorf("the server's answer is no JSON: %s", shorten(string(answered.body)))
	}
	s.TraceID = answer.TraceID
	if answer.JSEP == nil || answer.JSEP.SDP == "" {
		return fmt.Errorf("the server's answer has no SDP: code %q, message %q", answer.Code, shorten(answer.Message))
	}
	s.Answer = answer.JSEP.SDP
	return nil
}

func (s *Session) whep(ctx context.Context, t *Target, sdp string) error {
	answered, err := s.post(ctx, t.URL, "application/sdp", "application/sdp", []byte(sdp))
	if err != nil {
		return err
	}
	if answered.status != http.StatusCreated {
		return statusError(answered, http.StatusCreated)
	}
	location := answered.header.Get("Location")
	if location == "" {
		return errors.New("the server's answer has no Location header")
	}
	// A redirect (307) may have led elsewhere: Location is relative to where the answer came from.
	if s.resource, err = answered.from.Parse(location); err != nil {
		return fmt.Errorf("the server's Location header %q is no URL", shorten(location))
	}
	if !strings.HasPrefix(string(answered.body), "v=0") {
		return fmt.Errorf("the server's answer is no SDP: %s", shorten(string(answered.body)))
	}
	s.Answer = string(answered.body)
	return nil
}

// message finds the server's own words in the body of a refusal: plain text, or the usual members of a JSON object.
func message(body []byte) string {
	var object map[string]any
	if json.Unmarshal(body, &object) != nil {
		return shorten(string(body))
	}
	for _, name := range []string{"message", "error", "errmsg", "detail", "title", "reason"} {
		if text, ok := object[name].(string); ok && text != "" {
			return shorten(text)
		}
	}
	return shorten(string(body))
}
