package cluster

import (
	"context"
	"crypto/tls"
	"time"
)

// asks is what a client of TLS needs: which certificate it gets is looked at elsewhere.
func (a apart) asks() *tls.Config {
	return &tls.Config{ServerName: a.sni + ".example.com", InsecureSkipVerify: true} // the authority is the test's own
}

// over is the same with a name that is asked for.
func (a apart) over(sni string) apart {
	a.sni = sni
	return a
}

// names are the crossings over TLS. The name there chooses the certificate, and an encoder's domain, before tcUrl; who
// gets a stream is decided by the host of the request, as without TLS.
func (a apart) names() []crossing {
	const red = "/live/onlyred"
	var all []crossing
	add := func(what, want string, ask func(context.Context) string) {
		all = append(all, crossing{what, want, ask})
	}
	for _, x := range []struct{ what, at, host string }{{"HTTPS of RTS", a.rts, "rts-"}, {"HTTPS of standard play", a.std,
		"std-"}, {"RTMPS", a.rtmp, "push-"}} {
		for _, tenant := range []string{"red", "blue"} {
			add(
				x.what+": certificate for "+tenant+"'s name",
				tenant,
				func(ctx context.Context) string { return a.over(x.host+tenant).owner(ctx, x.at) },
			)
		}
		add(
			x.what+": certificate for a name of nobody",
			"none",
			func(ctx context.Context) string { return a.over(x.host+"nobody").owner(ctx, x.at) },
		)
	}
	for _, x := range []struct{ what, sni, host, key, want string }{
		{"name, host and key of red", "red", "red", redKey, "found"},
		{"name of red, blue's host, red's key", "red", "blue", redKey, "403"},
		{"name of red, blue's host and key", "red", "blue", blueKey, "absent"},
		{"name of blue, red's host, blue's key", "blue", "red", blueKey, "403"},
		{"name of blue, red's host, no key", "blue", "red", "", "403"},
	} {
		want := func(absent string) string {
			if x.want == "absent" {
				return absent
			}
			return x.want
		}
		add("WHEP over TLS, red's stream: "+x.what, want("409"), func(ctx context.Context) string {
			return a.over("rts-"+x.sni).whep(ctx, "rts-"+x.host, red, x.key)
		})
		add("HTTP-FLV over TLS, red's stream: "+x.what, want("404"), func(ctx context.Context) string {
			return a.over("std-"+x.sni).get(ctx, "std-"+x.host, red+".flv", x.key)
		})
	}
	for _, x := range []struct{ what, sni, host, key, stream, want string }{
		{"name, tcUrl and key of red", "push-red", "push-red", redKey, "/live/fourth", "published"},
		{"name and key of red, tcUrl of blue: red's", "push-red", "push-blue", redKey, "/live/fifth", "published"},
		{"name of red, tcUrl and key of blue", "push-red", "push-blue", blueKey, "/live/sixth", "refused"},
		{"name of blue, tcUrl and key of red", "push-blue", "push-red", redKey, "/live/sixth", "refused"},
		{"name of nobody, tcUrl and key of red", "push-nobody", "push-red", redKey, "/live/sixth", "refused"},
		{"name and tcUrl of red, no key", "push-red", "push-red", "", "/live/sixth", "refused"},
	} {
		add("RTMPS publish: "+x.what, x.want, func(ctx context.Context) string {
			return a.over(x.sni).publish(ctx, x.host, "", x.stream, x.key)
		})
	}
	return all
}

// owner is the tenant that the certificate for the name is of.
func (a apart) owner(ctx context.Context, at string) string {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	conn, err := (&tls.Dialer{Config: a.asks()}).DialContext(ctx, "tcp", at)
	if err != nil {
		return "none"
	}
	defer conn.Close()
	leaf := conn.(*tls.Conn).ConnectionState().PeerCertificates[0]
	for _, tenant := range []string{"red", "blue"} {
		if leaf.VerifyHostname("rts-"+tenant+".example.com") == nil && leaf.VerifyHostname(a.sni+".example.com") == nil {
			return tenant
		}
	}
	return "somebody else's"
}
