package cluster

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/millrace/millrace/dataplane/urlauth"
	"github.com/millrace/millrace/e2e/kube"
	"github.com/millrace/millrace/internal/contract"
	"github.com/millrace/millrace/internal/contract/plan"
	"github.com/millrace/millrace/internal/play"
	"github.com/millrace/millrace/internal/play/join"
	"github.com/millrace/millrace/internal/play/lean"
)

// A changed key is in force in all relays soon. A rotation as the API says it under viewers and joins refuses no valid
// URL and ends no viewer.
func TestKeysAreRotatedUnderViewers(t *testing.T) {
	t.Parallel()
	ctx, c := millrace(t)
	const service1 = "keys"
	key := func(n int) string { return fmt.Sprintf("exampleKey%06d", n) }
	service(ctx, t, c, service1, key(0))
	publish(ctx, t, c, service1, "cam", small())
	relays, err := c.WaitPods(ctx, time.Minute, kube.MediaNamespace, pool(contract.Relay), 2)
	if err != nil {
		t.Fatal(err)
	}
	set := func(primary, backup string) {
		t.Helper()
		var s corev1.Secret
		if err := c.Get(ctx, client.ObjectKey{Namespace: service1, Name: "keys"}, &s); err != nil {
			t.Fatal(err)
		}
		s.Data = map[string][]byte{"primary": []byte(primary)}
		if backup != "" {
			s.Data["backup"] = []byte(backup)
		}
		if err := c.Update(ctx, &s); err != nil {
			t.Fatal(err)
		}
	}
	changes := 10
	if long() {
		changes = 40
	}
	var took []time.Duration // per change and pod
	for n := range changes {
		set(key(n+1), key(n))
		began := time.Now()
		var mu sync.Mutex
		var all sync.WaitGroup
		for i := range relays {
			all.Go(func() {
				if err := kube.PollEvery(ctx, 10*time.Millisecond, time.Minute, "the new key", func(ctx context.Context) error {
					return accepted(ctx, &relays[i], service1, key(n+1))
				}); err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				took = append(took, time.Since(began))
			})
		}
		all.Wait()
		if t.Failed() {
			t.FailNow()
		}
	}
	slices.Sort(took)
	t.Logf(
		"%d changes of a key, %d relays: in force after p50 %v, p95 %v, max %v",
		changes,
		len(relays),
		quantile(took, 0.5),
		quantile(took, 0.95),
		took[len(took)-1],
	)

	// The rotation: a new backup, URLs with it, then it is the primary.
	viewers, per := 50, 20
	old, next := key(changes), key(changes+1)
	watching, stop := context.WithCancel(ctx)
	defer stop()
	reports := make(chan *play.Report, 1)
	go func() {
		at := net.JoinHostPort(relays[0].Status.PodIP, strconv.Itoa(contract.PortHTTP))
		r, err := play.Run(watching, play.Options{
			URL: "http" + signed(t, service1, "cam", old)[len("artc"):], Join: join.Options{Connect: at}, Viewers: viewers,
			Ramp: 2 * time.Second, Wait: time.Minute, Lean: true, Decrypt: lean.DecryptSample,
		})
		if err != nil {
			t.Error(err)
		}
		reports <- r
	}()
	pause(ctx, 4*time.Second)
	var signer atomic.Value
	signer.Store(old)
	var joins, refused atomic.Int64
	var asking sync.WaitGroup
	asking.Go(func() {
		tick := time.NewTicker(time.Second / time.Duration(per))
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-watching.Done():
				return
			case <-tick.C:
			}
			asking.Go(func() {
				with := signer.Load().(string) //nolint:forcetypeassert // nothing else is stored
				err := accepted(ctx, &relays[n%len(relays)], service1, with)
				if ctx.Err() == nil && err != nil {
					refused.Add(1)
					t.Errorf("a URL signed with a valid key: %v", err)
				}
				joins.Add(1)
			})
		}
	})
	set(old, next)
	for i := range relays { // one signs with a key when it is in force
		if err := kube.Poll(ctx, time.Minute, "the backup to be in force",
			func(ctx context.Context) error { return accepted(ctx, &relays[i], service1, next) }); err != nil {
			t.Fatal(err)
		}
	}
	signer.Store(next)
	pause(ctx, 2*time.Second)
	set(next, old)
	pause(ctx, 3*time.Second)
	set(next, "")
	pause(ctx, 3*time.Second)
	stop()
	asking.Wait()
	r := <-reports
	t.Logf(
		"rotation under %d viewers and %d joins a second: %d of %d joins with a valid URL refused, %d viewers play at the end",
		viewers,
		per,
		refused.Load(),
		joins.Load(),
		r.Playing,
	)
	if joins.Load() < int64(5*per) {
		t.Errorf("%d joins: nothing was shown", joins.Load())
	}
	for i := range r.Each {
		if e := r.Each[i]; !e.Playing() || e.Ended != "interrupted" {
			t.Errorf("viewer %d: %s %s", i, e.Ended, e.Error)
			break
		}
	}
}

// accepted asks a relay for the stream of a service with a URL signed with a key; an error says that it was refused.
func accepted(ctx context.Context, p *corev1.Pod, service, key string) error {
	u := &url.URL{Scheme: "http", Host: "rts-" + service + ".example.com", Path: "/live/cam"}
	signed, err := urlauth.Sign(plan.Auth{Type: plan.AuthA, Primary: key}, u, time.Now())
	if err != nil {
		return err
	}
	status, err := offer(
		ctx,
		net.JoinHostPort(p.Status.PodIP, strconv.Itoa(contract.PortHTTP)),
		u.Host,
		signed.RequestURI(),
	)
	if err != nil {
		return err
	}
	if status != http.StatusBadRequest && status != http.StatusUnsupportedMediaType {
		return fmt.Errorf("relay %s: status %d", p.Name, status)
	}
	return nil
}
