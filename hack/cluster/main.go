//go:build linux

// Command cluster makes a Kubernetes of several nodes on one Linux machine, without a registry and without a container
// engine: each node is a set of namespaces with a containerd, a kubelet and a kube-proxy of its own. It needs root, and
// the programs that hack/cluster.sh installs and builds. See docs/testing-cluster.md.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	if len(os.Args) == 3 && os.Args[1] == "node-init" {
		stop() // the node's first process has signals of its own
		if err := beNode(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, "node:", err)
			os.Exit(1)
		}
		return
	}
	err := commands().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

func commands() *cobra.Command {
	var state string
	root := &cobra.Command{
		Use:           "cluster",
		Short:         "A Kubernetes of several nodes on this machine, for tests",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.PersistentFlags().StringVar(&state, "state", "/var/tmp/millrace-cluster", "folder of all that the cluster writes")
	root.AddCommand(upCommand(&state))
	// with runs a command on the cluster that there is, alone where it changes it.
	with := func(alone bool, do func(ctx context.Context, l layout, args []string) error) func(*cobra.Command,
		[]string) error {
		return func(cmd *cobra.Command, args []string) error {
			if alone {
				unlock, err := lock(state)
				if err != nil {
					return err
				}
				defer unlock()
			}
			l, err := open(state)
			if err != nil {
				return err
			}
			return do(cmd.Context(), l, args)
		}
	}
	onNode := func(use, short string, do func(context.Context, node) error) {
		root.AddCommand(
			&cobra.Command{
				Use:   use + " NODE",
				Short: short,
				Args:  cobra.ExactArgs(1),
				RunE: with(true, func(ctx context.Context, l layout, args []string) error {
					i := slices.IndexFunc(l.nodes(), func(n node) bool { return n.name() == args[0] })
					if i < 0 {
						return fmt.Errorf("no node %q: they are node1 to node%d", args[0], l.count)
					}
					return do(ctx, l.nodes()[i])
				}),
			},
		)
	}
	onNode("kill", "Cut the power of a node", func(_ context.Context, n node) error { return n.kill() })
	onNode(
		"stop",
		"Shut a node down: its processes are asked to end first",
		func(_ context.Context, n node) error { return n.stop() },
	)
	onNode("boot", "Start a node again, with its disk as it was", func(ctx context.Context, n node) error {
		return errors.Join(n.boot(ctx), n.importImages(ctx))
	})
	onNode("partition", "Take a node's network away", func(ctx context.Context, n node) error { return n.partition(ctx) })
	onNode("heal", "Give a node its network back", func(ctx context.Context, n node) error { return n.heal(ctx) })
	onNode(
		"route",
		"Reach Services from this machine by way of a node (at first node1)",
		func(ctx context.Context, n node) error { return n.route(ctx) },
	)
	root.AddCommand(
		&cobra.Command{
			Use:   "down",
			Short: "End all of it and remove its state",
			Args:  cobra.NoArgs,
			RunE: func(cmd *cobra.Command, args []string) error {
				err := with(
					true,
					func(ctx context.Context, l layout, _ []string) error { return l.down(ctx, cmd.OutOrStdout()) },
				)(
					cmd,
					args,
				)
				if errors.Is(err, errNone) {
					return nil
				}
				return err
			},
		},
		&cobra.Command{
			Use:   "load ARCHIVE...",
			Short: "Import images into all nodes",
			Args:  cobra.MinimumNArgs(1),
			RunE: with(true, func(ctx context.Context, l layout, args []string) error {
				return l.load(ctx, args)
			}),
		},
		&cobra.Command{
			Use:   "stop-daemon NAME",
			Short: "End a process of the control plane, such as " + apiserver,
			Args:  cobra.ExactArgs(1),
			RunE: with(true, func(_ context.Context, l layout, args []string) error {
				return l.process(args[0]).stop(10 * time.Second)
			}),
		},
		&cobra.Command{
			Use:   "start-daemon NAME",
			Short: "Start it again",
			Args:  cobra.ExactArgs(1),
			RunE: with(true, func(ctx context.Context, l layout, args []string) error {
				for _, d := range l.daemons() {
					if d.name == args[0] {
						return l.startDaemon(ctx, d)
					}
				}
				return fmt.Errorf("no process %q in the control plane", args[0])
			}),
		},
		&cobra.Command{
			Use:                "exec NODE COMMAND...",
			Short:              "Run a command in a node",
			Args:               cobra.MinimumNArgs(2),
			DisableFlagParsing: true,
			RunE: with(false, func(ctx context.Context, l layout, args []string) error {
				for _, n := range l.nodes() {
					if n.name() == args[0] {
						cmd := n.exec(ctx, args[1:]...)
						cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
						return cmd.Run()
					}
				}
				return fmt.Errorf("no node %q", args[0])
			}),
		},
		&cobra.Command{
			Use: "outside COMMAND...", Short: "Become a command outside of the cluster, which weighs twice as much as all pods",
			Args: cobra.MinimumNArgs(1), DisableFlagParsing: true,
			RunE: with(false, func(_ context.Context, _ layout, args []string) error {
				path, err := exec.LookPath(args[0])
				if err != nil {
					return err
				}
				if err := enterOutside(); err != nil {
					return err
				}
				return unix.Exec(path, args, os.Environ())
			}),
		},
		&cobra.Command{
			Use:   "env",
			Short: "Print what a shell needs to use the cluster",
			Args:  cobra.NoArgs,
			RunE: with(false, func(_ context.Context, l layout, _ []string) error {
				fmt.Printf("export KUBECONFIG=%s\nexport PATH=%s:$PATH\n", l.kubeconfig("admin"), l.assets)
				return nil
			}),
		},
		&cobra.Command{
			Use:   "status",
			Short: "Print what runs",
			Args:  cobra.NoArgs,
			RunE: with(false, func(_ context.Context, l layout, _ []string) error {
				for _, d := range l.daemons() {
					fmt.Printf("%-24s %s\n", d.name, running(l.process(d.name)))
				}
				for _, n := range l.nodes() {
					fmt.Printf("%-24s %s  %s\n", n.name(), running(n.process()), n.address())
				}
				return nil
			}),
		},
	)
	return root
}

func running(p process) string {
	if pid := p.pid(); pid != 0 {
		return fmt.Sprintf("process %d", pid)
	}
	return "does not run"
}

func upCommand(state *string) *cobra.Command {
	var assets string
	var nodes int
	up := &cobra.Command{Use: "up", Short: "Bring the cluster up, or what of it does not run", Args: cobra.NoArgs}
	up.Flags().StringVar(&assets, "assets", "", "folder of Kubernetes' binaries (hack/k8s/assets.sh cluster)")
	up.Flags().IntVar(&nodes, "nodes", 3, "how many nodes")
	up.RunE = func(cmd *cobra.Command, _ []string) error {
		if os.Geteuid() != 0 {
			return errors.New("namespaces and cgroups need root; or point KUBECONFIG to a cluster of yours for the tests")
		}
		if _, err := os.Stat(filepath.Join(assets, "kubelet")); err != nil {
			return fmt.Errorf("no Kubernetes in --assets %q; build it: hack/k8s/assets.sh cluster", assets)
		}
		if nodes < 1 || nodes > 9 {
			return fmt.Errorf("--nodes %d: 1 to 9", nodes)
		}
		unlock, err := lock(*state)
		if err != nil {
			return err
		}
		defer unlock()
		want := layout{state: *state, assets: assets, count: nodes}
		switch have, err := open(*state); {
		case errors.Is(err, errNone):
		case err != nil:
			return err
		case have != want:
			fmt.Fprintln(cmd.OutOrStdout(), "There is another cluster, of other binaries or with other nodes: it goes first")
			if err := have.down(cmd.Context(), cmd.OutOrStdout()); err != nil {
				return err
			}
		}
		if err := os.MkdirAll(*state, 0o755); err != nil {
			return fmt.Errorf("making the folder of the state: %w", err)
		}
		return want.up(cmd.Context(), cmd.OutOrStdout())
	}
	return up
}
