//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// shutdown is how long the processes of a node have to end when it is stopped, not killed.
const shutdown = 60 * time.Second

// mountpoints are the machine's folders that a node sees its own content in, by the node's folder.
func mountpoints() map[string]string {
	return map[string]string{
		"kubelet": "/var/lib/kubelet", "containerd": "/var/lib/containerd", "cni": "/var/lib/cni",
		"etc-cni":  "/etc/cni/net.d",
		"log-pods": "/var/log/pods", "log-containers": "/var/log/containers",
	}
}

// birth is what the first process of a node is told.
type birth struct {
	Name, Address, Gateway string
	Dir                    string            // the node's folder
	Mounts                 map[string]string // path of the machine -> path of the node
	Routes                 map[string]string // pods of another node -> that node
	Daemons                [][]string
}

func (n node) process() process { return n.layout.process(n.name()) }

// boot starts the node, unless it runs. Its disk is as it was left.
func (n node) boot(ctx context.Context) error {
	if n.process().pid() != 0 {
		return nil
	}
	if err := makeCgroup(n.cgroup()); err != nil {
		return err
	}
	b := birth{
		Name: n.name(), Address: n.address(), Gateway: gateway, Dir: n.path(), Mounts: map[string]string{},
		Routes: map[string]string{},
		Daemons: [][]string{
			{"containerd", "--config", n.path("containerd.toml")},
			{
				n.layout.binary("kubelet"), "--config=" + n.path("kubelet.yaml"), "--kubeconfig=" + n.layout.kubeconfig(n.name()),
				"--hostname-override=" + n.name(), "--node-ip=" + n.address(), "--node-labels=topology.kubernetes.io/zone=zone-" +
					fmt.Sprint(n.number),
			},
			{n.layout.binary("kube-proxy"), "--config=" + n.path("kube-proxy.yaml")},
			{n.layout.binary("netpol"), "-kubeconfig=" + n.layout.kubeconfig("netpol"), "-node=" + n.name()},
		},
	}
	for own, at := range mountpoints() {
		b.Mounts[n.path(own)] = at
		for _, dir := range []string{n.path(own), at} {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return fmt.Errorf("making a folder of %s: %w", n.name(), err)
			}
		}
	}
	for _, other := range n.layout.nodes() {
		if other.number != n.number {
			b.Routes[other.pods()] = other.address()
		}
	}
	if err := n.writeConfig(); err != nil {
		return err
	}
	body, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding what %s starts with: %w", n.name(), err)
	}
	if err := os.WriteFile(n.path("birth.json"), body, 0o644); err != nil {
		return fmt.Errorf("writing what %s starts with: %w", n.name(), err)
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program's file: %w", err)
	}
	cmd := exec.Command(self, "node-init", n.path("birth.json")) //nolint:noctx // it outlives this program
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWUTS | syscall.CLONE_NEWNET | syscall.CLONE_NEWPID,
	}
	if err := n.process().start(cmd, n.layout.log(n.name())); err != nil {
		return err
	}
	pid := n.process().pid()
	if pid == 0 {
		return fmt.Errorf("%s ended at once; see %s", n.name(), n.layout.log(n.name()))
	}
	return n.plug(ctx, pid)
}

// kill is a power cut: all processes of the node end at once, in the middle of whatever they do.
func (n node) kill() error { return n.process().stop(0) }

// stop shuts the node down: its processes are asked to end first.
func (n node) stop() error { return n.process().stop(shutdown) }

// exec runs a command in the node, as its root.
func (n node) exec(ctx context.Context, args ...string) *exec.Cmd {
	enter := []string{"-t", fmt.Sprint(n.process().pid()), "-m", "-u", "-n", "-p", "--"}
	return exec.CommandContext(ctx, "nsenter", append(enter, args...)...)
}

func (l layout) binary(name string) string { return filepath.Join(l.assets, name) }
