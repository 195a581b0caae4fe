//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// up brings up whatever does not run yet, and returns when pods can be used.
func (l layout) up(ctx context.Context, out io.Writer) error {
	whole := time.Now()
	step := func(what string, do func() error) error {
		start := time.Now()
		if err := do(); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		fmt.Fprintf(out, "%6.1f s  %s\n", time.Since(start).Seconds(), what)
		return nil
	}
	if err := step("certificates, bridge", func() error {
		return errors.Join(l.save(), l.writePKI(),
			addBridge(ctx))
	}); err != nil {
		return err
	}
	if err := step("control plane", func() error {
		for _, d := range l.daemons() {
			if err := l.startDaemon(ctx, d); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	if err := step("images of pause and CoreDNS", func() error { return l.writeSystemImages(ctx) }); err != nil {
		return err
	}
	if err := step(fmt.Sprintf("%d nodes with their images", l.count), func() error {
		return l.eachNode(func(n node) error { return errors.Join(n.boot(ctx), n.importImages(ctx)) })
	}); err != nil {
		return err
	}
	if err := step("nodes ready", func() error {
		return errors.Join(l.waitForNodes(ctx),
			l.nodes()[0].route(ctx))
	}); err != nil {
		return err
	}
	if err := step("service DNS", func() error { return l.addDNS(ctx) }); err != nil {
		return err
	}
	fmt.Fprintf(out, "%6.1f s  in all: the cluster is up\n", time.Since(whole).Seconds())
	return nil
}

// kubectl runs kubectl as the cluster's administrator.
func (l layout) kubectl(ctx context.Context, stdin string, args ...string) (string, error) {
	cmd := exec.CommandContext(
		ctx,
		l.binary("kubectl"),
		append([]string{"--kubeconfig", l.kubeconfig("admin")}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	var complaint strings.Builder
	cmd.Stderr = &complaint
	body, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(complaint.String()))
	}
	return string(body), nil
}

// readyNodes are the names of the nodes that are Ready.
func (l layout) readyNodes(ctx context.Context) ([]string, error) {
	out, err := l.kubectl(ctx, "", "get", "nodes", "-o",
		`jsonpath={range .items[*]}{.metadata.name}={.status.conditions[?(@.type=="Ready")].status}{"\n"}{end}`)
	if err != nil {
		return nil, err
	}
	var ready []string
	for _, line := range strings.Fields(out) {
		if name, ok := strings.CutSuffix(line, "=True"); ok {
			ready = append(ready, name)
		}
	}
	return ready, nil
}

func (l layout) waitForNodes(ctx context.Context) error {
	return poll(ctx, 2*time.Minute, "all nodes to be Ready; see "+l.node1Log(), func() error {
		ready, err := l.readyNodes(ctx)
		if err != nil {
			return err
		}
		for _, n := range l.nodes() {
			if !slices.Contains(ready, n.name()) {
				return fmt.Errorf("%s is not", n.name())
			}
		}
		return nil
	})
}

func (l layout) node1Log() string { return l.nodes()[0].path("log", "kubelet.log") }

func (l layout) addDNS(ctx context.Context) error {
	body, err := render("coredns.yaml", settings{DNS: dnsAddress, Domain: domain, CoreDNS: corednsImage})
	if err != nil {
		return err
	}
	if _, err := l.kubectl(ctx, string(body), "apply", "-f", "-"); err != nil {
		return err
	}
	_, err = l.kubectl(ctx, "", "-n", "kube-system", "rollout", "status", "deployment/coredns", "--timeout=90s")
	return err
}

// down ends all of it and leaves nothing behind. It goes on where something fails.
func (l layout) down(ctx context.Context, out io.Writer) error {
	start := time.Now()
	failed := []error{l.eachNode(func(n node) error {
		err := n.kill()
		ip(ctx, "link", "del", n.link()) //nolint:errcheck // it goes with the node, sooner or later
		return errors.Join(err, removeCgroup(n.cgroup()))
	})}
	daemons := l.daemons()
	slices.Reverse(daemons)
	for _, d := range daemons {
		failed = append(failed, l.process(d.name).stop(5*time.Second))
	}
	failed = append(failed, removeCgroup("/"+cgroupName), removeCgroup("/"+outsideName), removeBridge(ctx))
	for _, at := range mountpoints() {
		os.Remove(at) // only if nothing of somebody else is in it
	}
	if err := errors.Join(failed...); err != nil {
		return err
	}
	if err := os.RemoveAll(l.state); err != nil {
		return fmt.Errorf("removing the state: %w", err)
	}
	fmt.Fprintf(out, "%6.1f s  the cluster is down\n", time.Since(start).Seconds())
	return nil
}
