package cluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/millrace/millrace/dataplane/hub"
	"github.com/millrace/millrace/dataplane/pull"
	"github.com/millrace/millrace/e2e/kube"
	"github.com/millrace/millrace/internal/contract"
	"github.com/millrace/millrace/internal/testkit/testca"
)

// What pods say to each other, streams and announcements, is for those whose certificate is of the operator's
// authority. It is asked from the pod's node, which no NetworkPolicy keeps out, so that nothing but the certificate
// decides.
func TestOnlyPodsWithTheRightCertificateGetMedia(t *testing.T) {
	onNodes(t)
	ctx, c := millrace(t)
	service(ctx, t, c, "inner", "")
	publish(ctx, t, c, "inner", "cam", small())
	ingest := ingestPod(ctx, t, c, live(ctx, t, c, "inner", "cam"))
	dir := t.TempDir()
	write := func(name string, data []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	other, err := testca.New()
	if err != nil {
		t.Fatal(err)
	}
	cert, key, err := other.Issue(contract.Identity{Class: "default", Role: contract.Relay}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	write("other.crt", cert)
	write("other.key", key)
	var s corev1.Secret
	if err := c.Get(ctx, client.ObjectKey{Namespace: kube.MediaNamespace, Name: contract.TLSSecretName("default",
		contract.Relay)}, &s); err != nil {
		t.Fatal(err)
	}
	write("relay.crt", s.Data[corev1.TLSCertKey])
	write("relay.key", s.Data[corev1.TLSPrivateKeyKey])
	for _, who := range []struct {
		name, identity string
		plain          bool
		hears          bool
	}{
		{name: "a relay's certificate", identity: "relay", hears: true},
		{name: "a relay's certificate of another authority", identity: "other"},
		{name: "no certificate"},
		{name: "no TLS", plain: true},
	} {
		args := []string{"exec", ingest.Spec.NodeName, "curl", "-sS", "-k", "-N", "--max-time", "4", "-w", "%{http_code}"}
		url := fmt.Sprintf("https://%s:%d%s", ingest.Status.PodIP, contract.PortInternal, contract.PathAnnounce)
		if who.identity != "" {
			args = append(
				args,
				"--cert",
				filepath.Join(dir, who.identity+".crt"),
				"--key",
				filepath.Join(dir, who.identity+".key"),
			)
		}
		if who.plain {
			url = strings.Replace(url, "https", "http", 1)
		}
		out, err := c.Tool(ctx, append(args, url)...)
		heard := strings.Contains(out, "cam")
		if heard != who.hears {
			t.Errorf("announcements, %s: heard %t, want %t: %.300s %v", who.name, heard, who.hears, out, err)
		}
		got := describe(ctx, t, c, ingest, dir, who.identity, who.plain)
		given := strings.Contains(got, "m=video")
		if given != who.hears {
			t.Errorf("RTSP, %s: given %t, want %t: %.300s", who.name, given, who.hears, got)
		}
		t.Logf("%s: announcements given: %t, streams given: %t", who.name, heard, given)
	}
}

// describe asks a pod for a stream by RTSP and gives what it says.
func describe(
	ctx context.Context,
	t *testing.T,
	c *kube.Cluster,
	p *corev1.Pod,
	dir, identity string,
	plain bool,
) string {
	t.Helper()
	at := fmt.Sprintf("%s:%d", p.Status.PodIP, contract.PortRTSP)
	// curl's RTSP has no TLS.
	scheme, connect := "rtsps", "openssl s_client -quiet -connect "+at
	if identity != "" {
		connect += fmt.Sprintf(" -cert %[1]s.crt -key %[1]s.key", filepath.Join(dir, identity))
	}
	if plain {
		scheme, connect = "rtsp", fmt.Sprintf("curl -sS -N --max-time 4 telnet://%s", at)
	}
	path := pull.Path(hub.Key{Space: "rts-inner.example.com", App: "live", Name: "cam"})
	request := fmt.Sprintf(`DESCRIBE %s://%s%s RTSP/1.0\r\nCSeq: 1\r\nAccept: application/sdp\r\n\r\n`, scheme, at, path)
	script := fmt.Sprintf(`(printf '%s'; sleep 3) | timeout 5 %s 2>&1 || true`, request, connect)
	out, err := c.Tool(ctx, "exec", p.Spec.NodeName, "sh", "-c", script)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
