//go:build linux

package main

import (
	"fmt"
	"path/filepath"
)

// Addresses of the cluster. They are fixed: one cluster per machine. The bridge stands in the machine's own network
// namespace, so that a test reaches nodes and pods from outside of the cluster as players do.
const (
	bridge       = "millrace0"
	gateway      = "10.200.0.1" // the machine on the bridge: the control plane listens here
	prefix       = "/24"
	podRange     = "10.244.0.0/16"
	serviceRange = "10.96.0.0/16"
	serviceFirst = "10.96.0.1" // the API server's
	dnsAddress   = "10.96.0.10"
	domain       = "cluster.local"
	cgroupName   = "millrace-cluster"
	outsideName  = "millrace-outside"
	server       = "https://" + gateway + ":6443"
)

// layout is where everything of the cluster is.
type layout struct {
	state  string // folder of all files that it writes
	assets string // folder of Kubernetes' binaries
	count  int    // nodes
}

func (l layout) path(elements ...string) string {
	return filepath.Join(append([]string{l.state}, elements...)...)
}
func (l layout) pki(name string) string        { return l.path("pki", name) }
func (l layout) kubeconfig(name string) string { return l.path("pki", name+".kubeconfig") }
func (l layout) log(name string) string        { return l.path("log", name+".log") }
func (l layout) images() string                { return l.path("images") }

func (l layout) nodes() []node {
	nodes := make([]node, l.count)
	for i := range nodes {
		nodes[i] = node{layout: l, number: i + 1}
	}
	return nodes
}

// node is one node: namespaces of its own with a containerd, a kubelet and a kube-proxy in them.
type node struct {
	layout layout
	number int
}

func (n node) name() string    { return fmt.Sprintf("node%d", n.number) }
func (n node) address() string { return fmt.Sprintf("10.200.0.%d", 10+n.number) }
func (n node) pods() string    { return fmt.Sprintf("10.244.%d.0/24", n.number) }
func (n node) link() string    { return fmt.Sprintf("millrace-n%d", n.number) }
func (n node) cgroup() string  { return "/" + cgroupName + "/" + n.name() }
func (n node) path(elements ...string) string {
	return n.layout.path(append([]string{n.name()}, elements...)...)
}
