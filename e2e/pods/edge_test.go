package pods

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/internal/contract"
	"github.com/millrace/millrace/internal/contract/plan"
	"github.com/millrace/millrace/internal/testkit"
	"github.com/millrace/millrace/internal/testsrc"
)

const standard = "live.example.com"

// withStandard is the service with a Standard domain as the main of the RTS one.
func withStandard() *plan.Plan {
	p := service(0)
	p.Push[0].Space = standard
	p.Play[0].Role, p.Play[0].Space = plan.Sub, standard
	p.Play = append([]plan.PlayDomain{{
		Hostname: standard, Type: plan.Standard, Role: plan.Main, Space: standard, Auth: plan.Auth{Type: plan.AuthNone},
		Protocols: []plan.Protocol{plan.RTMP, plan.FLV, plan.HLS},
	}}, p.Play...)
	return p
}

// A stream of an ingest pod is played by real players through edge pods; one that is killed is replaced by another at
// once.
func TestEdgePodsPlay(t *testing.T) {
	testkit.NeedFFmpeg(t)
	c := newCluster(t)
	c.mkdirs()
	c.deliver(contract.Ingest, withStandard(), false)
	c.deliver(contract.Edge, withStandard(), false)
	ingest := c.place(contract.Ingest, "ingest-0")
	ingest.start()
	edges := [2]*proc{c.place(contract.Edge, "edge-0"), c.place(contract.Edge, "edge-1")}
	for _, e := range edges {
		e.start()
	}
	ingest.publish("one", testsrc.Options{GOPSeconds: 1})
	ingest.wait("it is announced", func() bool { return ingest.announces("one") })
	for _, url := range []string{
		fmt.Sprintf("http://127.0.0.1:%d/live/one.flv", edges[0].http),
		fmt.Sprintf("http://127.0.0.1:%d/live/one.m3u8?format=ts", edges[0].http),
		fmt.Sprintf("rtmp://127.0.0.1:%d/live/one?vhost=%s", edges[0].rtmp, standard),
	} {
		ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience())
		args := []string{"-v", "error", "-xerror"}
		if strings.HasPrefix(url, "http") {
			args = append(args, "-headers", "Host: "+standard+"\r\n")
		}
		said, err := exec.CommandContext(ctx, "ffmpeg", append(args, "-i", url, "-frames:v", "30", "-f", "null", "-")...).
			CombinedOutput()
		cancel()
		if err != nil {
			t.Errorf("ffmpeg cannot play %s: %v: %s", url, err, said)
		}
	}

	// A reader whose edge dies plays again from the other one.
	if n := readFLV(t, edges[0]); n == 0 {
		t.Error("nothing came from the first edge")
	}
	edges[0].kill()
	began := time.Now()
	readFLV(t, edges[1])
	t.Logf("media from the other edge %v after the first was killed", time.Since(began).Round(time.Millisecond))
}

// readFLV reads the head and the first tags of a stream.
func readFLV(t *testing.T, p *proc) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience())
	defer cancel()
	req := request(t, fmt.Sprintf("http://127.0.0.1:%d/live/one.flv", p.http)).WithContext(ctx)
	req.Host = standard
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatalf("asking %s: %v", p.name, err)
	}
	defer res.Body.Close()
	b := make([]byte, 8192)
	n, err := io.ReadFull(res.Body, b)
	if err != nil || !bytes.HasPrefix(b, []byte("FLV\x01")) {
		t.Fatalf("%s: status %d, %d bytes, %v", p.name, res.StatusCode, n, err)
	}
	return n
}
