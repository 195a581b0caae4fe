// Package kube is what a media pod asks of the API server: its pool's Plan, and which other pods there are. Nothing
// depends on it: while the API server is away, the pod runs on what it knows.
package kube

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

const (
	retryFirst = 200 * time.Millisecond
	retryMost  = 5 * time.Second
	listTime   = 10 * time.Second
	watchTime  = 5 * time.Minute // and up to as much again, so that not all pods begin anew at once
)

// Options say who asks.
type Options struct {
	Namespace string
	Log       logr.Logger
}

// Client asks the API server of the cluster that the process runs in.
type Client struct {
	opt Options
	api kubernetes.Interface
}

// InCluster makes a Client from the pod's service account. An error says that the process runs in no cluster.
func InCluster(opt Options) (*Client, error) {
	conf, err := rest.InClusterConfig()
	if err != nil {
		return nil, fmt.Errorf("reading the pod's service account: %w", err)
	}
	return For(conf, opt)
}

// For makes a Client for an API server.
func For(conf *rest.Config, opt Options) (*Client, error) {
	conf = rest.CopyConfig(conf)
	conf.UserAgent = "millrace-pod"
	conf.QPS, conf.Burst = 5, 20 // a pod reads some Secrets when a Plan changes, and is quiet otherwise
	api, err := kubernetes.NewForConfig(conf)
	if err != nil {
		return nil, fmt.Errorf("making a client of the API server: %w", err)
	}
	return &Client{opt: opt, api: api}, nil
}

var errWatchEnded = errors.New("the watch ended")

// again runs something that lasts, until the context ends, with growing pauses after it failed soon. The first time
// fails like any other: an API server that is away at the start is nothing special.
func (c *Client) again(ctx context.Context, what string, once func(context.Context) error) {
	pause, said := retryFirst, ""
	for ctx.Err() == nil {
		began := time.Now()
		err := once(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > retryMost {
			pause, said = retryFirst, ""
		}
		if err != nil && !errors.Is(err, errWatchEnded) && err.Error() != said {
			said = err.Error()
			c.opt.Log.Info("The API server does not answer; going on with what is known", "asked", what, "error", said)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause/2 + rand.N(pause)):
		}
		pause = min(2*pause, retryMost)
	}
}

// watchOptions asks for changes since a version.
func watchOptions(options metav1.ListOptions, version string) metav1.ListOptions {
	seconds := int64((watchTime + rand.N(watchTime)).Seconds())
	options.ResourceVersion, options.TimeoutSeconds, options.AllowWatchBookmarks = version, &seconds, true
	return options
}

// events passes on what a watch says, until it ends.
func events(ctx context.Context, w watch.Interface, each func(watch.Event) error) error {
	defer w.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e, ok := <-w.ResultChan():
			switch {
			case !ok:
				return errWatchEnded
			case e.Type == watch.Error:
				return fmt.Errorf("%w: %v", errWatchEnded, e.Object)
			case e.Type == watch.Bookmark:
				continue
			}
			if err := each(e); err != nil {
				return err
			}
		}
	}
}
