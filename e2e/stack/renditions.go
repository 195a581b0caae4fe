package stack

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/millrace/millrace/dataplane/transcode"
)

// Templates are what renditions are tested and measured with: rts-web does the least that browsers need, rts-hd is 720p
// at 30 and at most 2 Mbit/s, rts-small is encoded from anything larger than 320x180.
const Templates = `apiVersion: live.millrace.dev/v1alpha1
kind: RTSTranscodeTemplate
metadata: {name: web}
spec: {templateID: rts-web, type: H264Origin, playDomainRef: {name: rts}, video: {bFrames: Drop}}
---
apiVersion: live.millrace.dev/v1alpha1
kind: RTSTranscodeTemplate
metadata: {name: hd}
spec:
  templateID: rts-hd
  type: H264
  playDomainRef: {name: rts}
  video: {width: 1280, height: 720, fps: 30, bitrateKbps: 2000, bFrames: Drop}
---
apiVersion: live.millrace.dev/v1alpha1
kind: RTSTranscodeTemplate
metadata: {name: small}
spec:
  templateID: rts-small
  type: H264
  playDomainRef: {name: rts}
  video: {width: 320, height: 180, fps: 30, bitrateKbps: 300, bFrames: Drop}
`

// Renditions are those that are made now, as /state tells them.
func (s *Stack) Renditions(ctx context.Context) ([]transcode.Info, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/state", s.Admin), nil)
	if err != nil {
		return nil, fmt.Errorf("asking for the state: %w", err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking for the state: %w", err)
	}
	defer res.Body.Close()
	var state struct {
		Renditions []transcode.Info `json:"renditions"`
	}
	if err := json.NewDecoder(res.Body).Decode(&state); err != nil {
		return nil, fmt.Errorf("reading the state: %w", err)
	}
	return state.Renditions, nil
}
