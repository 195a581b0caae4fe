// Package join asks a server for a stream by HTTP: it sends an SDP offer and gets the answer, as ARTC (JSON) or as
// WHEP.
package join

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/millrace/millrace/dataplane/media"
)

// Dialect is a way to exchange offer and answer.
type Dialect string

// The dialects.
const (
	Auto Dialect = "auto" // ARTC for artc:// URLs, WHEP for http(s):// URLs
	ARTC Dialect = "artc" // JSON POST to the play URL itself, answered with 200 and a member "jsep"
	WHEP Dialect = "whep" // draft-ietf-wish-whep: SDP POST, answered with 201 and a Location
)

// Options say how a URL is reached.
type Options struct {
	Dialect  Dialect
	TLS      bool   // ARTC over https whatever the port
	Plain    bool   // ARTC over http whatever the port
	Connect  string // host:port that is dialled instead of the URL's; Host and SNI stay those of the URL
	Insecure bool   // accept any certificate
}

// Target is a stream at a server.
type Target struct {
	Dialect  Dialect
	Stream   string     // the play URL as it is named in an ARTC request
	URL      *url.URL   // where the request goes
	Without  media.Kind // the kind of media that @subaudio=no or @subvideo=no takes out; 0 for none
	connect  string
	insecure bool
}

// Parse reads a play URL: artc://host[:port]/app/stream[?query][@subaudio=no|@subvideo=no] or http(s)://.
//
// ARTC goes to https unless the port (the URL's, else that of Connect) says otherwise: every port that does not end in
// 443 means http, and so do those from 32768 on, which systems hand out by chance.
func Parse(raw string, o Options) (*Target, error) {
	t := &Target{Dialect: o.Dialect, connect: o.Connect, insecure: o.Insecure}
	if o.TLS && o.Plain {
		return nil, errors.New("either https or plain http, not both")
	}
	if o.Connect != "" {
		if _, _, err := net.SplitHostPort(o.Connect); err != nil {
			return nil, fmt.Errorf("address to connect to %q: want host:port", o.Connect)
		}
	}
	raw = t.cutSuffix(raw)
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("play URL: want artc://host/app/stream or http(s)://host/app/stream")
	}
	switch u.Scheme {
	case "artc":
		if t.Dialect == Auto || t.Dialect == "" {
			t.Dialect = ARTC
		}
	case "http", "https":
		if t.Dialect == Auto || t.Dialect == "" {
			t.Dialect = WHEP
		}
	default:
		return nil, fmt.Errorf("play URL has the scheme %q: want artc, http or https", u.Scheme)
	}
	if t.Dialect != ARTC && t.Dialect != WHEP {
		return nil, fmt.Errorf("dialect %q: want auto, artc or whep", t.Dialect)
	}
	named := *u
	named.Scheme = "artc"
	t.Stream = named.String()
	if u.Scheme == "artc" {
		u.Scheme = "https"
		if o.Plain || (!o.TLS && !securePort(u.Port(), o.Connect)) {
			u.Scheme = "http"
		}
	}
	t.URL = u
	return t, nil
}

// firstEphemeral is the first port that Linux gives to who asks for any (net.ipv4.ip_local_port_range); NodePorts end
// below.
const firstEphemeral = 32768

// securePort reports whether the port of an ARTC URL means https.
func securePort(port, connect string) bool {
	if port == "" && connect != "" {
		_, port, _ = net.SplitHostPort(connect)
	}
	n, _ := strconv.Atoi(port)
	return port == "" || strings.HasSuffix(port, "443") && n < firstEphemeral
}

// cutSuffix takes the official SDK's suffixes off the URL; the SDK cuts them before its request, too.
func (t *Target) cutSuffix(raw string) string {
	at := strings.LastIndex(raw, "@sub")
	if at < 0 {
		return raw
	}
	for _, part := range strings.Split(raw[at+1:], "&") {
		switch part {
		case "subaudio=no":
			t.Without = media.Audio
		case "subvideo=no":
			t.Without = media.Video
		default:
			return raw
		}
	}
	return raw[:at]
}

// String names the target without its query, which may hold a signature.
func (t *Target) String() string {
	shown := *t.URL
	shown.RawQuery, shown.Fragment, shown.User = "", "", nil
	if t.Dialect == ARTC {
		shown.Scheme = "artc"
	}
	return shown.String()
}
