//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// ip runs the command ip; what it said is in the error.
func ip(ctx context.Context, args ...string) error {
	if out, err := exec.CommandContext(ctx, "ip", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

func addBridge(ctx context.Context) error {
	if err := ip(ctx, "link", "show", bridge); err == nil {
		return nil
	}
	for _, args := range [][]string{
		{"link", "add", bridge, "type", "bridge"},
		{"addr", "add", gateway + prefix, "dev", bridge},
		{"link", "set", bridge, "up"},
	} {
		if err := ip(ctx, args...); err != nil {
			return err
		}
	}
	return nil
}

func removeBridge(ctx context.Context) error {
	if err := ip(ctx, "link", "show", bridge); err != nil {
		return nil //nolint:nilerr // it is not there
	}
	return ip(ctx, "link", "del", bridge)
}

// plug returns the node whose first process is pid its network card, and the machine a route to its pods.
func (n node) plug(ctx context.Context, pid int) error {
	ip(ctx, "link", "del", n.link()) //nolint:errcheck // of a node that has just died
	if err := ip(ctx, "link", "add", n.link(), "type", "veth", "peer", "name", "eth0", "netns",
		fmt.Sprint(pid)); err != nil {
		return err
	}
	return n.heal(ctx)
}

// heal joins the node to the others, partition takes it away from them and from the machine.
func (n node) heal(ctx context.Context) error {
	if err := ip(ctx, "link", "set", n.link(), "master", bridge, "up"); err != nil {
		return err
	}
	return ip(ctx, "route", "replace", n.pods(), "via", n.address())
}

func (n node) partition(ctx context.Context) error {
	return ip(ctx, "link", "set", n.link(), "nomaster", "down")
}

// route leads this machine to Services by way of the node.
func (n node) route(ctx context.Context) error {
	return ip(ctx, "route", "replace", serviceRange, "via", n.address())
}
