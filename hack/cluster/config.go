//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"text/template"
)

// settings are what the files below files/ are filled with.
type settings struct {
	Node, Address, Pods, PodRange, DNS, Domain, Cgroup, Dir, PKI, Authority, Runc, Pause, CoreDNS, ProxyKubeconfig string
}

// render fills one of the files.
func render(name string, s settings) ([]byte, error) {
	t, err := template.ParseFS(files, "files/"+name)
	if err != nil {
		return nil, fmt.Errorf("parsing %s: %w", name, err)
	}
	var out bytes.Buffer
	if err := t.Execute(&out, s); err != nil {
		return nil, fmt.Errorf("filling %s: %w", name, err)
	}
	return out.Bytes(), nil
}

// writeConfig writes the files that the node's daemons read.
func (n node) writeConfig() error {
	runc, err := exec.LookPath("runc")
	if err != nil {
		return fmt.Errorf("finding runc: %w", err)
	}
	s := settings{
		Node: n.name(), Address: n.address(), Pods: n.pods(), PodRange: podRange, DNS: dnsAddress, Domain: domain,
		Cgroup: n.cgroup(), Dir: n.path(),
		PKI: n.layout.pki(
			n.name(),
		), Authority: n.layout.pki("ca.crt"), Runc: runc, Pause: pauseImage,
		ProxyKubeconfig: n.layout.kubeconfig("kube-proxy"),
	}
	for name, at := range map[string]string{
		"containerd.toml": n.path("containerd.toml"), "kubelet.yaml": n.path("kubelet.yaml"),
		"kube-proxy.yaml": n.path("kube-proxy.yaml"),
		"cni.conflist":    n.path("etc-cni", "10-millrace.conflist"),
	} {
		body, err := render(name, s)
		if err != nil {
			return err
		}
		if err := os.WriteFile(at, body, 0o644); err != nil {
			return fmt.Errorf("writing the configuration of %s: %w", n.name(), err)
		}
	}
	return nil
}
