package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/millrace/millrace/e2e/browser"
	"github.com/millrace/millrace/e2e/kube"
	"github.com/millrace/millrace/internal/contract"
)

// The official SDKs of these tests.
const (
	sdkPlain  = "2.2.7" // asks for a stream once
	sdkReturn = "2.7.2" // asks again when its connection has ended: up to 5 times, 2 s apart
)

// Clients of the SDK share pages of Chromium, which cost more than what they show; clients of one page reach the same
// pod, for they share a connection.
const (
	perPage  = 25
	fewPages = 4 // of which up to perPage viewers have so many
)

// viewers are official SDKs in Chromium that watch until they are told that it is enough.
type viewers struct {
	t      *testing.T
	enough chan struct{}
	done   chan error
	raw    []json.RawMessage
}

// watch starts n viewers of a URL through a Service's address, and returns when all have a picture.
func watch(ctx context.Context, t *testing.T, c *kube.Cluster, n int, version, url string) *viewers {
	t.Helper()
	if err := browser.Ready(); err != nil {
		t.Fatal(err)
	}
	host := hostOf(t, address(ctx, t, c, contract.Relay, contract.NameHTTP))
	pages := min(n, fewPages)
	if n > perPage {
		pages = (n + perPage - 1) / perPage
	}
	steps := make([]browser.Step, pages)
	for i := range steps {
		steps[i] = browser.Step{
			Kind: browser.Crowd, Version: version, PageScheme: "http", URL: url, Clients: (n + i) / len(steps),
			WatchSeconds: limit.Seconds(), LimitSeconds: 120,
			DelaySeconds: float64(i), // Chromium that starts all at once has no time to answer
		}
	}
	outside, err := c.Outside()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(ctx) // of Chromium, whatever becomes of the test
	t.Cleanup(cancel)
	v := &viewers{t: t, enough: make(chan struct{}), done: make(chan error, 1)}
	playing, failed := make(chan struct{}, len(steps)), make(chan string, len(steps))
	go func() {
		var err error
		v.raw, err = browser.Drive(ctx, browser.Scenario{
			Address: host, HTTPPort: 80, HTTPSPort: 443, TimeoutSeconds: limit.Seconds(), Parallel: true, Steps: steps,
			Enough: v.enough, Under: outside,
		}, func(e browser.Event) {
			switch e.Event {
			case "playing":
				playing <- struct{}{}
			case "failure":
				failed <- e.Message
			}
			if testing.Verbose() && e.Event != "result" && e.Event != "watched" {
				fmt.Println(e.Line)
			}
		})
		v.done <- err
	}()
	for range steps {
		select {
		case <-playing:
		case why := <-failed:
			t.Fatal("no picture:", why)
		case err := <-v.done:
			t.Fatalf("viewers ended before they had a picture: %v: %s", err, v.raw)
		case <-ctx.Done():
			t.Fatal("no picture:", ctx.Err())
		}
	}
	return v
}

// hostOf is an address without its port.
func hostOf(t *testing.T, address string) string {
	t.Helper()
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return host
}

// end tells the viewers that it is enough and gives what they saw, and the answers to all their offers.
func (v *viewers) end() browser.CrowdResult {
	v.t.Helper()
	close(v.enough)
	if err := <-v.done; err != nil {
		v.t.Fatal(err)
	}
	var all browser.CrowdResult
	for i, r := range v.raw {
		var one browser.CrowdResult
		if err := json.Unmarshal(r, &one); err != nil {
			v.t.Fatalf("result %d: %v: %s", i, err, r)
		}
		all.Posts, all.Clients = append(all.Posts, one.Posts...), append(all.Clients, one.Clients...)
	}
	return all
}

// still is after which time without a new picture a viewer has none. On a machine that has too much to do pictures come
// seconds late.
const still = 6 * time.Second

// afterwards is how long the watching goes on after what was done to the viewers.
const afterwards = still + 2*time.Second

// frozen tells how long each viewer was without a new picture after a moment, the longest time each, and how often they
// asked for the stream after it. A viewer that has had no new picture for the last seconds is an error: the watching
// goes on for longer than that after what was done.
func frozen(t *testing.T, all browser.CrowdResult, since time.Time) (longest []time.Duration, offers int) {
	t.Helper()
	for i, r := range all.Clients {
		worst := 0.0
		for _, g := range r.Gaps {
			if g.At >= since.UnixMilli() {
				worst = max(worst, g.Ms)
			}
		}
		if ms := r.SinceLastMs; ms != nil && *ms >= 300 { // it stands still now
			worst = max(worst, *ms)
		}
		if r.SinceLastMs == nil || *r.SinceLastMs > still.Seconds()*1000 {
			t.Errorf("viewer %d has no picture: %+v", i, r)
			continue
		}
		longest = append(longest, time.Duration(worst)*time.Millisecond)
	}
	for _, p := range all.Posts {
		if p.At >= since.UnixMilli() {
			offers++
		}
	}
	slices.Sort(longest)
	return longest, offers
}

// pause lets traffic run for a while: how long it stands still is what is measured.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
