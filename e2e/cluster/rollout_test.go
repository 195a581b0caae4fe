package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/e2e/kube"
	"github.com/millrace/millrace/internal/contract"
	"github.com/millrace/millrace/internal/testsrc"
)

// The relay pool is replaced under official SDKs that watch: new pods start beside the old ones, which hand their
// viewers over and end by the deadline of their drain.
func TestRelaysAreReplacedUnderViewers(t *testing.T) {
	ctx, c := millrace(t)
	service(ctx, t, c, "rolled", "")
	n, base, o, how := 4, 20, small(), ""
	if long() {
		// So many decoders share the machine with three nodes, and a join costs Chromium a quarter of a second of CPU.
		// Without the track of sound, which this stream does not have, they leave some of it to the nodes.
		n, base, o, how = 50, 120, testsrc.Options{Width: 160, Height: 90, FPS: 6, BitrateKbps: 100}, "@subaudio=no"
		drainFor(ctx, t, c, base) // pods drain as they were told when they began
		if err := renewed(ctx, c); err != nil {
			t.Fatal(err)
		}
	}
	publish(ctx, t, c, "rolled", "cam", o)
	old := map[types.UID]time.Time{} // when each was asked to end
	pods, err := c.Pods(ctx, kube.MediaNamespace, pool(contract.Relay))
	if err != nil {
		t.Fatal(err)
	}
	for i := range pods {
		old[pods[i].UID] = time.Time{}
	}
	v := watch(ctx, t, c, n, sdkReturn, signed(t, "rolled", "cam", "")+how)
	drain := otherDrain(ctx, t, c, base)
	start := time.Now()
	drainFor(ctx, t, c, drain)
	var longestDrain time.Duration
	if err := kube.PollEvery(ctx, time.Second, 4*time.Minute, "the old relays to be gone",
		func(ctx context.Context) error {
			var list corev1.PodList
			if err := c.List(ctx, &list, client.InNamespace(kube.MediaNamespace),
				client.MatchingLabels(pool(contract.Relay))); err != nil {
				return err
			}
			there := map[types.UID]bool{}
			for i := range list.Items {
				p := &list.Items[i]
				there[p.UID] = true
				if since, ok := old[p.UID]; ok && since.IsZero() && p.DeletionTimestamp != nil {
					old[p.UID] = time.Now()
				}
			}
			for uid, since := range old {
				switch {
				case there[uid]:
					err = errors.New("there is one")
				case !since.IsZero():
					longestDrain = max(longestDrain, time.Since(since))
					delete(old, uid)
				default:
					delete(old, uid)
				}
			}
			if len(old) > 0 {
				return err
			}
			return nil
		}); err != nil {
		t.Fatal(err)
	}
	rolled := time.Since(start)
	if _, err := c.WaitPods(ctx, time.Minute, kube.MediaNamespace, pool(contract.Relay), 2); err != nil {
		t.Fatal(err)
	}
	pause(ctx, afterwards)
	gaps, offers := frozen(t, v.end(), start)
	if len(gaps) == 0 {
		t.Fatal("no viewer has a picture")
	}
	t.Logf(
		"relay pool replaced in %.1f s under %d viewers, which asked again %d times; an old pod was gone at most %.1f s "+
			"after it was asked to end (drain of %d s); longest time of a viewer without a new picture: p50 %v, p99 %v, max "+
			"%v (0: below 300 ms)",
		rolled.Seconds(),
		n,
		offers,
		longestDrain.Seconds(),
		drain,
		quantile(gaps, 0.5),
		quantile(gaps, 0.99),
		gaps[len(gaps)-1],
	)
	if offers < n {
		t.Errorf("%d viewers asked again %d times: nothing was shown", n, offers)
	}
	if over := time.Duration(drain+contract.KillAfterDrain) * time.Second; longestDrain > over {
		t.Errorf("a drain took %s", longestDrain)
	}
}

// drainFor returns the relays of the class a time for drains, in seconds, which replaces them.
func drainFor(ctx context.Context, t *testing.T, c *kube.Cluster, seconds int) {
	t.Helper()
	text := strings.Replace(
		class,
		"relay: {replicas: 2, drainSeconds: 20}",
		fmt.Sprintf("relay: {replicas: 2, drainSeconds: %d}", seconds),
		1,
	)
	if _, err := c.Kubectl(ctx, text, "apply", "--server-side", "--force-conflicts", "-f", "-"); err != nil {
		t.Fatal(err)
	}
}

// otherDrain is a time for drains, of that many seconds or one more, other than the class has now: a change of the
// pods' template.
func otherDrain(ctx context.Context, t *testing.T, c *kube.Cluster, seconds int) int {
	t.Helper()
	var now v1alpha1.MediaClass
	if err := c.Get(ctx, client.ObjectKey{Name: "default"}, &now); err != nil {
		t.Fatal(err)
	}
	if s := now.Spec.Pools.Relay.DrainSeconds; s != nil && int(*s) == seconds {
		return seconds + 1
	}
	return seconds
}

// quantile is that of sorted times.
func quantile(sorted []time.Duration, q float64) time.Duration {
	i := int(q*float64(len(sorted))+0.5) - 1
	return sorted[min(max(i, 0), len(sorted)-1)]
}
