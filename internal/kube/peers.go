package kube

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/millrace/millrace/dataplane/announce"
	"github.com/millrace/millrace/internal/contract"
)

// WatchPeers tells which pods of some roles there are in a region (empty: in all), whenever that changes, until the
// context ends. It tells nothing before the API server answered.
func (c *Client) WatchPeers(ctx context.Context, region string, roles []contract.Role, tell func([]announce.Peer)) {
	wanted := labels.Set{contract.LabelManagedBy: contract.ManagedBy}
	if region != "" {
		wanted[contract.LabelRegion] = region
	}
	options := metav1.ListOptions{LabelSelector: wanted.String()}
	c.again(ctx, "peers", func(ctx context.Context) error {
		slices := c.api.DiscoveryV1().EndpointSlices(c.opt.Namespace)
		asking, cancel := context.WithTimeout(ctx, listTime)
		defer cancel()
		list, err := slices.List(asking, options)
		if err != nil {
			return fmt.Errorf("listing EndpointSlices: %w", err)
		}
		known := map[string][]announce.Peer{}
		for i := range list.Items {
			known[list.Items[i].Name] = Peers(&list.Items[i], roles)
		}
		tell(flat(known))
		w, err := slices.Watch(ctx, watchOptions(options, list.ResourceVersion))
		if err != nil {
			return fmt.Errorf("watching EndpointSlices: %w", err)
		}
		return events(ctx, w, func(e watch.Event) error {
			slice, ok := e.Object.(*discoveryv1.EndpointSlice)
			if !ok {
				return nil
			}
			if e.Type == watch.Deleted {
				delete(known, slice.Name)
			} else {
				known[slice.Name] = Peers(slice, roles)
			}
			tell(flat(known))
			return nil
		})
	})
}

// flat lists all peers in a fixed order.
func flat(known map[string][]announce.Peer) []announce.Peer {
	var out []announce.Peer
	for _, name := range slices.Sorted(maps.Keys(known)) {
		for _, p := range known[name] {
			if !slices.ContainsFunc(out, func(o announce.Peer) bool { return o.Announce == p.Announce }) {
				out = append(out, p)
			}
		}
	}
	return out
}

// Peers reads the pods of an EndpointSlice of a headless Service, ready or not: one that drains has streams still.
func Peers(slice *discoveryv1.EndpointSlice, roles []contract.Role) []announce.Peer {
	role := contract.Role(slice.Labels[contract.LabelRole])
	internal, rtsp := port(slice, contract.NameInternal), port(slice, contract.NameRTSP)
	if internal == "" || rtsp == "" || !slices.Contains(roles, role) {
		return nil
	}
	var out []announce.Peer
	for _, e := range slice.Endpoints {
		if len(e.Addresses) == 0 {
			continue
		}
		p := announce.Peer{
			Role:     role,
			Announce: net.JoinHostPort(e.Addresses[0], internal),
			RTSP:     net.JoinHostPort(e.Addresses[0], rtsp),
		}
		if e.TargetRef != nil {
			p.Pod = e.TargetRef.Name
		}
		out = append(out, p)
	}
	return out
}

func port(slice *discoveryv1.EndpointSlice, name string) string {
	for _, p := range slice.Ports {
		if p.Name != nil && *p.Name == name && p.Port != nil && (p.Protocol == nil || *p.Protocol == corev1.ProtocolTCP) {
			return strconv.Itoa(int(*p.Port))
		}
	}
	return ""
}
