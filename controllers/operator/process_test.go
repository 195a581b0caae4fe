package operator_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/millrace/millrace/controllers/admission"
	"github.com/millrace/millrace/controllers/envtest"
	"github.com/millrace/millrace/internal/testkit"
)

const root = "../.."

// The cluster that all tests of the package share, with config/default applied to it, and the built command.
var (
	cluster *envtest.Cluster
	binary  string
)

func TestMain(m *testing.M) { os.Exit(prepare(m)) }

func prepare(m *testing.M) int {
	folder, err := os.MkdirTemp("", "millrace-operator-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(folder)
	binary = filepath.Join(folder, "millrace")
	if out, err := exec.Command("go", "build", "-o", binary, root).CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build millrace: %v\n%s", err, out)
		return 1
	}
	return envtest.Main(m, &cluster)
}

// installed applies config/default as a user does, and gives the cluster.
func installed(t *testing.T) *envtest.Cluster {
	t.Helper()
	c := envtest.Need(t, cluster)
	if out, err := c.Kubectl(t, "apply", "-k", filepath.Join(root, "config/default")); err != nil {
		t.Fatalf("kubectl apply -k config/default: %v\n%s", err, out)
	}
	return c
}

// process is a running operator.
type process struct {
	cmd    *exec.Cmd
	health string
	done   chan struct{}
	err    error
	log    *testkit.Output
}

// run starts an operator with the rights that config/rbac gives it, and waits until it is ready.
func run(t *testing.T, c *envtest.Cluster, args ...string) *process {
	t.Helper()
	p := begin(t, c, args...)
	p.waitReady(t)
	return p
}

// begin starts an operator.
func begin(t *testing.T, c *envtest.Cluster, args ...string) *process {
	t.Helper()
	ports := testkit.FreePorts(t, 2)
	webhook := ports[0]
	p := &process{health: "127.0.0.1:" + strconv.Itoa(ports[1]), done: make(chan struct{}), log: &testkit.Output{}}
	p.cmd = exec.Command(binary, append([]string{
		"operator", "--webhook-port", strconv.Itoa(webhook), "--webhook-address", "127.0.0.1",
		"--webhook-url", fmt.Sprintf("https://127.0.0.1:%d%s", webhook, admission.Path),
		"--metrics-address", "0", "--health-address", p.health, "--shutdown-delay", "0s", "--media-image",
		"registry.example/media:1", "-v", "1",
	}, args...)...)
	p.cmd.Env = append(os.Environ(), "KUBECONFIG="+operatorKubeconfig(t, c))
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.stop(t)
		if t.Failed() {
			t.Logf("the operator's log:\n%s", p.log)
		}
	})
	return p
}

// stop ends the operator as a kubelet does.
func (p *process) stop(t *testing.T) {
	t.Helper()
	select {
	case <-p.done:
		return
	default:
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
		if p.err != nil {
			t.Errorf("the operator ended with %v", p.err)
		}
	case <-time.After(time.Minute):
		_ = p.cmd.Process.Kill()
		<-p.done
		t.Error("the operator did not end within a minute of SIGTERM")
	}
}

func (p *process) waitReady(t *testing.T) {
	t.Helper()
	testkit.Succeeds(t, func() error {
		select {
		case <-p.done:
			t.Fatalf("the operator ended: %v\n%s", p.err, p.log)
		default:
		}
		return p.ready(t.Context())
	})
}

// ready asks the readiness probe.
func (p *process) ready(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.health+"/readyz?verbose", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d: %s", resp.StatusCode, text)
	}
	return nil
}

// operatorKubeconfig writes a file that makes a process the service account of config/rbac.
func operatorKubeconfig(t *testing.T, c *envtest.Cluster) string {
	t.Helper()
	rc := c.AsServiceAccount(t, "millrace-system", "millrace-operator")
	file := filepath.Join(t.TempDir(), "kubeconfig")
	err := clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters: map[string]*clientcmdapi.Cluster{"c": {Server: rc.Host, CertificateAuthorityData: rc.CAData}},
		AuthInfos: map[string]*clientcmdapi.AuthInfo{
			"u": {ClientCertificateData: rc.CertData, ClientKeyData: rc.KeyData},
		},
		Contexts:       map[string]*clientcmdapi.Context{"c": {Cluster: "c", AuthInfo: "u"}},
		CurrentContext: "c",
	}, file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(rc.Host, "https://") {
		t.Fatalf("the API server is at %s", rc.Host)
	}
	return file
}

// webhookConfiguration reads what the operator keeps.
func webhookConfiguration(
	ctx context.Context,
	c client.Client,
) (*admissionregistrationv1.ValidatingWebhookConfiguration, error) {
	var there admissionregistrationv1.ValidatingWebhookConfiguration
	if err := c.Get(ctx, client.ObjectKey{Name: admission.ConfigurationName}, &there); err != nil {
		return nil, err
	}
	if len(there.Webhooks) != 1 {
		return &there, fmt.Errorf("there are %d webhooks, want 1", len(there.Webhooks))
	}
	return &there, nil
}

// waitEnforced waits until the webhook refuses what it should, by failurePolicy Fail.
func waitEnforced(t *testing.T, c *envtest.Cluster) {
	t.Helper()
	testkit.Succeeds(t, func() error {
		there, err := webhookConfiguration(t.Context(), c)
		if err != nil {
			return err
		}
		if p := there.Webhooks[0].FailurePolicy; p == nil || *p != admissionregistrationv1.Fail {
			return errors.New("failurePolicy is not Fail yet")
		}
		return admission.SelfTest(t.Context(), c, "default")
	})
}
