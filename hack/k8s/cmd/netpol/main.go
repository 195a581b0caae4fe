// Command netpol enforces NetworkPolicies on one node of a test cluster: it watches pods, namespaces and policies and
// writes one nftables table at each change. Traffic of the node itself to its pods (probes) is not filtered, as usual.
// For tests: it knows IPv4 only, and writes the whole table each time.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

func main() {
	kubeconfig := flag.String("kubeconfig", "", "file with the address of the API server and a client certificate")
	node := flag.String("node", "", "name of this node: policies of its pods are enforced")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, *kubeconfig, *node); err != nil {
		log.Fatalf("netpol: %v", err) //nolint:gocritic // the process ends
	}
}

func run(ctx context.Context, kubeconfig, node string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return fmt.Errorf("reading %s: %w", kubeconfig, err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("making a client of %s: %w", config.Host, err)
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	pods, namespaces, policies := factory.Core().V1().Pods(), factory.Core().V1().Namespaces(),
		factory.Networking().V1().NetworkPolicies()
	changed := make(chan struct{}, 1)
	wake := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	for _, informer := range []cache.SharedIndexInformer{pods.Informer(), namespaces.Informer(), policies.Informer()} {
		if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc:    func(any) { wake() },
			UpdateFunc: func(any, any) { wake() },
			DeleteFunc: func(any) { wake() },
		}); err != nil {
			return fmt.Errorf("watching: %w", err)
		}
	}
	factory.Start(ctx.Done())
	for kind, ok := range factory.WaitForCacheSync(ctx.Done()) {
		if !ok {
			return fmt.Errorf("listing %v: %w", kind, context.Cause(ctx))
		}
	}
	written := ""
	for {
		state := cluster{node: node}
		var failed [3]error
		state.pods, failed[0] = pods.Lister().List(labels.Everything())
		state.namespaces, failed[1] = namespaces.Lister().List(labels.Everything())
		state.policies, failed[2] = policies.Lister().List(labels.Everything())
		if err := errors.Join(failed[:]...); err != nil {
			return fmt.Errorf("reading the cache: %w", err)
		}
		if table := state.table(); table != written {
			if err := apply(ctx, table); err != nil {
				log.Printf("Could not write the table, trying again: %v", err)
				wake()
			} else {
				written = table
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(50 * time.Millisecond): // what changes together is written together
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
	}
}

// apply replaces the table in one transaction: there is no moment without rules.
func apply(ctx context.Context, table string) error {
	cmd := exec.CommandContext(ctx, "nft", "-f", "-")
	cmd.Stdin = strings.NewReader("table ip netpol\ndelete table ip netpol\n" + table)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("nft: %w: %s", err, out)
	}
	return nil
}

// cluster is what the rules are made of.
type cluster struct {
	node       string
	pods       []*corev1.Pod
	namespaces []*corev1.Namespace
	policies   []*networkingv1.NetworkPolicy
}
