package cluster

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/bluenviron/gortmplib"

	"github.com/millrace/millrace/dataplane/urlauth"
	"github.com/millrace/millrace/e2e/kube"
	"github.com/millrace/millrace/internal/contract"
	"github.com/millrace/millrace/internal/contract/plan"
	"github.com/millrace/millrace/internal/testkit/testca"
	"github.com/millrace/millrace/internal/testsrc"
)

// Two tenants share all pods. The keys of their URLs:
const (
	redKey  = "exampleRedKey0001"
	blueKey = "exampleBlueKey001"
)

// tenant has everything: signed publishing, signed RTS and standard play, a certificate, and a template.
func tenant(t *testing.T, ca *testca.Authority, name, key string) string {
	t.Helper()
	cert, private, err := ca.ForHosts("push-"+name+".example.com", "std-"+name+".example.com", "rts-"+name+".example.com")
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(`
apiVersion: v1
kind: Secret
metadata: {name: keys, namespace: %[1]s}
stringData: {primary: "%[2]s"}
---
apiVersion: v1
kind: Secret
type: kubernetes.io/tls
metadata: {name: cert, namespace: %[1]s}
data: {tls.crt: %[3]s, tls.key: %[4]s}
---
apiVersion: live.millrace.dev/v1alpha1
kind: PushDomain
metadata: {name: push, namespace: %[1]s}
spec: {hostname: push-%[1]s.example.com, auth: {type: A, secretRef: {name: keys}}, tls: {secretRef: {name: cert}}}
---
apiVersion: live.millrace.dev/v1alpha1
kind: PlayDomain
metadata: {name: main, namespace: %[1]s}
spec: {hostname: std-%[1]s.example.com, type: Standard, auth: {type: A, secretRef: {name: keys}}, tls: {secretRef: {name: cert}}}
---
apiVersion: live.millrace.dev/v1alpha1
kind: PlayDomain
metadata: {name: rts, namespace: %[1]s}
spec: {hostname: rts-%[1]s.example.com, type: RTS, auth: {type: A, secretRef: {name: keys}}, tls: {secretRef: {name: cert}}}
---
apiVersion: live.millrace.dev/v1alpha1
kind: DomainAssociation
metadata: {name: push-to-main, namespace: %[1]s}
spec: {type: PushToPlay, pushDomainRef: {name: push}, mainPlayDomainRef: {name: main}}
---
apiVersion: live.millrace.dev/v1alpha1
kind: DomainAssociation
metadata: {name: main-to-rts, namespace: %[1]s}
spec: {type: MainToSub, mainPlayDomainRef: {name: main}, subPlayDomainRef: {name: rts}}
---
apiVersion: live.millrace.dev/v1alpha1
kind: RTSTranscodeTemplate
metadata: {name: small, namespace: %[1]s}
spec: {playDomainRef: {name: main}, templateID: %[1]ssmall, type: H264, video: {width: 160, height: 100, fps: 15, bitrateKbps: 100}}
`, name, key, base64.StdEncoding.EncodeToString(cert), base64.StdEncoding.EncodeToString(private))
}

// crossing is one question that a player or an encoder of one tenant asks, and what it must be told.
type crossing struct {
	what string
	want string
	ask  func(context.Context) string
}

// Two tenants on the same pods, crossed in every way: nobody gets a stream of the other, and nobody publishes for the
// other.
func TestTenantsAreApart(t *testing.T) {
	t.Parallel()
	ctx, c := millrace(t)
	ca, err := testca.New()
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]string{"red": redKey, "blue": blueKey} {
		namespace(ctx, t, c, name)
		apply(ctx, t, c, tenant(t, ca, name, key))
	}
	for _, name := range []string{"red", "blue"} {
		ready(ctx, t, c, name, 2*time.Minute)
	}
	for _, role := range []contract.Role{contract.Ingest, contract.Relay, contract.Edge} {
		if _, err := c.WaitPods(ctx, 2*time.Minute, kube.MediaNamespace, pool(role), 1); err != nil {
			t.Fatal(err)
		}
	}
	at := apart{
		rtmp: address(
			ctx,
			t,
			c,
			contract.Ingest,
			contract.NameRTMP,
		), rts: address(ctx, t, c, contract.Relay, contract.NameHTTP), std: address(ctx, t, c, contract.Edge,
			contract.NameHTTP),
	}
	secure := apart{
		rtmp: address(
			ctx,
			t,
			c,
			contract.Ingest,
			contract.NameRTMPS,
		), rts: address(ctx, t, c, contract.Relay, contract.NameHTTPS), std: address(ctx, t, c, contract.Edge,
			contract.NameHTTPS),
	}
	for name, key := range map[string]string{"red": redKey, "blue": blueKey} {
		o := withURL(small(), at.rtmp, name, "only"+name)
		o.URL = sign(o.URL, key)
		// the publisher outlives the waiting
		if err := kube.Poll(ctx, time.Minute, name+"'s stream", func(context.Context) error {
			if got := at.whep(ctx, "rts-"+name, "/live/only"+name, key); got == "found" {
				return nil
			}
			p, err := testsrc.Publish(ctx, o)
			if err != nil {
				return err
			}
			for end := time.Now().Add(10 * time.Second); time.Now().Before(end); pause(ctx, 200*time.Millisecond) {
				if at.whep(ctx, "rts-"+name, "/live/only"+name, key) == "found" {
					return nil
				}
			}
			p.Kill()
			return fmt.Errorf("it is not there: %s", p.Output())
		}); err != nil {
			t.Fatal(err)
		}
	}
	var table bytes.Buffer
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	bad := 0
	for _, x := range append(at.crossings(), secure.names()...) {
		got := x.ask(ctx)
		verdict := ""
		if got != x.want {
			verdict = "WRONG, want " + x.want
			bad++
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", x.what, got, verdict)
	}
	w.Flush()
	t.Logf("two tenants, red and blue, on the same pods\n%s", table.String())
	if bad > 0 {
		t.Errorf("%d crossings are wrong", bad)
	}
}

// apart are the addresses that both tenants are served at: those of TLS with the name that is asked for there (SNI), or
// the others.
type apart struct{ rtmp, rts, std, sni string }

func (a apart) crossings() []crossing {
	const red, blue = "/live/onlyred", "/live/onlyblue"
	var all []crossing
	add := func(what, want string, ask func(context.Context) string) {
		all = append(all, crossing{what, want, ask})
	}
	for _, k := range []struct {
		kind   string
		absent string // what is said when there is no such stream
		host   string // before the tenant's name
		suffix string
		ask    func(ctx context.Context, host, path, key string) string
	}{
		{"ARTC", "404", "rts-", "", a.artc}, {"WHEP", "409", "rts-", "", a.whep}, {"SRS", "404", "rts-", "", a.srs},
		{"LEB", "404", "rts-", "", a.leb},
		{"HTTP-FLV", "404", "std-", ".flv", a.get}, {"HLS", "404", "std-", ".m3u8", a.get},
	} {
		r, b := k.host+"red", k.host+"blue"
		ask := func(host, path, key string) func(context.Context) string {
			return func(ctx context.Context) string { return k.ask(ctx, host, path+k.suffix, key) }
		}
		add(k.kind+": red's stream, red's host and key", "found", ask(r, red, redKey))
		add(k.kind+": red's stream, blue's host and key", k.absent, ask(b, red, blueKey))
		add(k.kind+": red's stream, blue's host, red's key", "403", ask(b, red, redKey))
		add(k.kind+": red's stream, red's host, blue's key", "403", ask(r, red, blueKey))
		add(k.kind+": red's stream, red's host, no key", "403", ask(r, red, ""))
		add(k.kind+": blue's stream with red's template, blue's host and key", k.absent, ask(b, blue+"_redsmall", blueKey))
		add(k.kind+": red's stream with blue's template, red's host and key", k.absent, ask(r, red+"_bluesmall", redKey))
		add(k.kind+": red's host in the path, blue's host and key", "404", ask(b, "/rts-red.example.com"+red, blueKey))
		add(k.kind+": a way up in the path, blue's host and key", k.absent, ask(b, "/live/%2e%2e%2fred%2fonlyred", blueKey))
	}
	add("SRS: red's URL in the body, sent to blue's host", "403", func(ctx context.Context) string {
		return a.post(ctx, "rts-blue", "/rtc/v1/play/", named("streamurl", "rts-red", red, redKey, false))
	})
	add("LEB: red's URL in the body, sent to blue's host", "403", func(ctx context.Context) string {
		return a.post(ctx, "rts-blue", "/webrtc/v1/pullstream", named("streamurl", "rts-red", red, redKey, true))
	})
	add(
		"RTS host at the edge",
		"404",
		func(ctx context.Context) string { return a.get(ctx, "rts-red", red+".flv", redKey) },
	)
	add(
		"Standard host at the relay",
		"404",
		func(ctx context.Context) string { return a.whep(ctx, "std-red", red, redKey) },
	)
	for _, x := range []struct{ what, host, vhost, path, key, want string }{
		{"red's domain and key", "push-red", "", "/live/second", redKey, "published"},
		{"red's domain, blue's key", "push-red", "", "/live/third", blueKey, "refused"},
		{"red's domain, no key", "push-red", "", "/live/third", "", "refused"},
		{"tcUrl of blue, vhost of red, blue's key", "push-blue", "push-red", "/live/third", blueKey, "refused"},
		{"tcUrl of red, vhost of blue, red's key", "push-red", "push-blue", "/live/third", redKey, "refused"},
		{"a play domain, its key", "rts-red", "", "/live/third", redKey, "refused"},
	} {
		add(
			"RTMP publish: "+x.what,
			x.want,
			func(ctx context.Context) string { return a.publish(ctx, x.host, x.vhost, x.path, x.key) },
		)
	}
	return all
}

func sign(raw, key string) string {
	u, err := url.Parse(raw)
	if err != nil || key == "" {
		return raw
	}
	s, err := urlauth.Sign(plan.Auth{Type: plan.AuthA, Primary: key}, u, time.Now())
	if err != nil {
		return raw
	}
	return s.String()
}

const noOffer = "v=0\r\n" // is answered only by "400" when the stream is there

func (a apart) ask(ctx context.Context, at, method, host, path, content, body string) string {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	scheme, transport := "http://", &http.Transport{DisableKeepAlives: true}
	if a.sni != "" {
		scheme, transport.TLSClientConfig = "https://", a.asks()
	}
	req, err := http.NewRequestWithContext(ctx, method, scheme+at+path, strings.NewReader(body))
	if err != nil {
		return err.Error()
	}
	req.Host = host + ".example.com"
	req.Header.Set("Content-Type", content)
	res, err := transport.RoundTrip(req)
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(res.Body, 2048)) // a live stream does not end
	switch {
	case res.StatusCode == http.StatusBadRequest,
		res.StatusCode == http.StatusUnsupportedMediaType,
		method == http.MethodGet && res.StatusCode == http.StatusOK:
		return "found"
	case res.StatusCode == http.StatusOK: // dialects that put the status into the body
		var b struct {
			Code    int `json:"code"`
			Errcode int `json:"errcode"`
		}
		if json.Unmarshal(text, &b) == nil && b.Code+b.Errcode != 0 {
			return code(b.Code + b.Errcode)
		}
	}
	return fmt.Sprint(res.StatusCode)
}

// code returns the HTTP status that a dialect's own code means.
func code(n int) string {
	switch {
	case n == 100010:
		return "404"
	case n > 100000:
		n -= 100000
	}
	if n == http.StatusBadRequest || n == http.StatusUnsupportedMediaType {
		return "found"
	}
	return fmt.Sprint(n)
}

func (a apart) path(path, key string) string {
	u, err := url.Parse(sign("http://host"+path, key))
	if err != nil {
		return path
	}
	return u.RequestURI()
}

func (a apart) whep(ctx context.Context, host, path, key string) string {
	return a.ask(ctx, a.rts, http.MethodPost, host, a.path(path, key), "application/sdp", noOffer)
}

func (a apart) artc(ctx context.Context, host, path, key string) string {
	return a.ask(ctx, a.rts, http.MethodPost, host, a.path(path, key), "text/plain;charset=utf-8", "{}")
}

func (a apart) get(ctx context.Context, host, path, key string) string {
	return a.ask(ctx, a.std, http.MethodGet, host, a.path(path, key), "", "")
}

func (a apart) post(ctx context.Context, host, path, body string) string {
	return a.ask(ctx, a.rts, http.MethodPost, host, path, "application/json", body)
}

func (a apart) srs(ctx context.Context, host, path, key string) string {
	return a.post(ctx, host, "/rtc/v1/play/", named("streamurl", host, path, key, false))
}

func (a apart) leb(ctx context.Context, host, path, key string) string {
	return a.post(ctx, host, "/webrtc/v1/pullstream", named("streamurl", host, path, key, true))
}

// named is a body that names the stream, with an offer that cannot be answered.
func named(field, host, path, key string, leb bool) string {
	scheme := "webrtc://"
	m := map[string]any{
		field: strings.Replace(sign("http://"+host+".example.com"+path, key), "http://", scheme, 1),
		"sdp": noOffer,
	}
	if leb {
		m["localsdp"] = map[string]string{"type": "offer", "sdp": noOffer}
	}
	b, err := json.Marshal(m)
	if err != nil {
		return ""
	}
	return string(b)
}

// publish asks to publish as an encoder does whose tcUrl names a host.
func (a apart) publish(ctx context.Context, host, vhost, path, key string) string {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	app, stream, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	query := ""
	if vhost != "" {
		query = "?vhost=" + vhost + ".example.com"
	}
	signed, err := url.Parse(sign("rtmp://host"+path+query, key))
	if err != nil {
		return err.Error()
	}
	if signed.RawQuery != "" {
		stream += "?" + signed.RawQuery
	}
	_, port, _ := net.SplitHostPort(a.rtmp)
	one := &gortmplib.Client{Publish: true}
	scheme := "rtmp://"
	if a.sni != "" {
		scheme, one.TLSConfig = "rtmps://", a.asks()
	}
	u, err := url.Parse(scheme + host + ".example.com:" + port + "/" + app + "#" + stream)
	if err != nil {
		return err.Error()
	}
	one.URL, one.DialContext = u, func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, a.rtmp)
	}
	if err := one.Initialize(ctx); err != nil {
		return "refused"
	}
	one.Close()
	return "published"
}
