//go:build linux

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// daemon is a process of the control plane.
type daemon struct {
	name string
	args []string
}

// The API server's name as commands know it.
const apiserver = "kube-apiserver"

// daemons are those of the control plane, in the order in which they start.
func (l layout) daemons() []daemon {
	return []daemon{
		{name: "etcd", args: []string{
			// Losing a test cluster to a power cut is no loss.
			"--unsafe-no-fsync", "--data-dir=" + l.path("etcd"),
			"--listen-client-urls=http://127.0.0.1:2379", "--advertise-client-urls=http://127.0.0.1:2379",
			"--listen-peer-urls=http://127.0.0.1:2380", "--initial-advertise-peer-urls=http://127.0.0.1:2380",
			"--initial-cluster=default=http://127.0.0.1:2380",
		}},
		{name: apiserver, args: []string{
			"--bind-address=" + gateway, "--advertise-address=" + gateway, "--secure-port=6443",
			"--etcd-servers=http://127.0.0.1:2379",
			"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction", "--allow-privileged=true",
			"--service-cluster-ip-range=" + serviceRange, "--service-account-issuer=https://kubernetes.default.svc." + domain,
			"--service-account-key-file=" + l.pki("sa.pub"), "--service-account-signing-key-file=" + l.pki("sa.key"),
			"--client-ca-file=" + l.pki(
				"ca.crt",
			), "--tls-cert-file=" + l.pki("apiserver.crt"), "--tls-private-key-file=" + l.pki("apiserver.key"),
			"--kubelet-client-certificate=" + l.pki(
				"apiserver-kubelet-client.crt",
			), "--kubelet-client-key=" + l.pki("apiserver-kubelet-client.key"),
			"--kubelet-certificate-authority=" + l.pki("ca.crt"), "--kubelet-preferred-address-types=InternalIP",
			"--requestheader-client-ca-file=" + l.pki("front-proxy-ca.crt"), "--requestheader-allowed-names=front-proxy-client",
			"--requestheader-extra-headers-prefix=X-Remote-Extra-", "--requestheader-group-headers=X-Remote-Group",
			"--requestheader-username-headers=X-Remote-User",
			"--proxy-client-cert-file=" + l.pki(
				"front-proxy-client.crt",
			), "--proxy-client-key-file=" + l.pki("front-proxy-client.key"),
			// The API server stands outside of the pod network and has routes to pods only: webhooks are called at their pods'
			// addresses.
			"--enable-aggregator-routing=true",
			"--default-not-ready-toleration-seconds=5", "--default-unreachable-toleration-seconds=5",
		}},
		{name: "kube-controller-manager", args: []string{
			"--kubeconfig=" + l.kubeconfig(
				"controller-manager",
			), "--authentication-kubeconfig=" + l.kubeconfig("controller-manager"),
			"--authorization-kubeconfig=" + l.kubeconfig(
				"controller-manager",
			), "--leader-elect=false", "--bind-address=127.0.0.1",
			"--use-service-account-credentials", "--service-account-private-key-file=" + l.pki("sa.key"), "--root-ca-file=" +
				l.pki("ca.crt"),
			"--cluster-signing-cert-file=" + l.pki("ca.crt"), "--cluster-signing-key-file=" + l.pki("ca.key"),
			// A dead node is noticed after 12 s instead of 40.
			"--node-monitor-period=1s", "--node-monitor-grace-period=12s",
			"--kube-api-qps=300", "--kube-api-burst=600", "--concurrent-gc-syncs=40",
		}},
		{name: "kube-scheduler", args: []string{
			"--kubeconfig=" + l.kubeconfig("scheduler"), "--authentication-kubeconfig=" + l.kubeconfig("scheduler"),
			"--authorization-kubeconfig=" + l.kubeconfig(
				"scheduler",
			), "--leader-elect=false", "--bind-address=127.0.0.1", "--kube-api-qps=300", "--kube-api-burst=600",
		}},
	}
}

// startDaemon starts one of them by its name and, for the API server, waits until it answers.
func (l layout) startDaemon(ctx context.Context, d daemon) error {
	command := exec.Command(filepath.Join(l.assets, d.name), d.args...) //nolint:noctx // it outlives this program
	if err := l.process(d.name).start(command, l.log(d.name)); err != nil {
		return err
	}
	if d.name != apiserver {
		return nil
	}
	return l.waitForAPI(ctx)
}

func (l layout) waitForAPI(ctx context.Context) error {
	pem, err := os.ReadFile(l.pki("ca.crt"))
	if err != nil {
		return fmt.Errorf("reading the cluster's authority: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()
	client := http.Client{Timeout: 2 * time.Second, Transport: transport}
	return poll(ctx, 90*time.Second, "the API server to be ready; see "+l.log(apiserver), func() error {
		if l.process(apiserver).pid() == 0 {
			return errors.New("it has ended")
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, server+"/readyz", nil)
		if err != nil {
			return fmt.Errorf("asking: %w", err)
		}
		res, err := client.Do(req)
		if err != nil {
			return fmt.Errorf("asking: %w", err)
		}
		defer res.Body.Close()
		io.Copy(io.Discard, res.Body) //nolint:errcheck // the status says it
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("it says %s", res.Status)
		}
		return nil
	})
}

// poll tries until it works; the last failure is in the error.
func poll(ctx context.Context, limit time.Duration, what string, try func() error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w: %w", what, context.Cause(ctx), err)
		case <-tick.C:
		}
	}
}
