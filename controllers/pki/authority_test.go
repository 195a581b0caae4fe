package pki_test

import (
	"bytes"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/millrace/millrace/controllers/envtest"
	"github.com/millrace/millrace/controllers/pki"
	"github.com/millrace/millrace/internal/contract"
)

var cluster *envtest.Cluster

func TestMain(m *testing.M) { os.Exit(envtest.Main(m, &cluster)) }

// clock is a clock that a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func authority(t *testing.T, namespace string, clock *clock) *pki.Authority {
	return pki.NewAuthority(pki.Options{
		Client: cluster,
		Secret: types.NamespacedName{Namespace: namespace, Name: "ca"},
		Policy: pki.Policy{Name: "Test CA", CA: 300 * time.Hour, Leaf: 30 * time.Hour, Overlap: time.Hour},
		Now:    clock.Now, Log: testr.New(t),
	})
}

func refresh(t *testing.T, all ...*pki.Authority) {
	t.Helper()
	for _, a := range all {
		if err := a.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// Replicas that start at once agree on one CA: the creation of the Secret is the lock.
func TestReplicasAgreeOnOneCA(t *testing.T) {
	c := envtest.Need(t, cluster)
	ns := c.Namespace(t, nil)
	clock := &clock{now: time.Now()}
	replicas := make([]*pki.Authority, 8)
	var all sync.WaitGroup
	for i := range replicas {
		replicas[i] = authority(t, ns, clock)
		all.Go(func() {
			if err := replicas[i].Refresh(t.Context()); err != nil {
				t.Errorf("replica %d: %v", i, err)
			}
		})
	}
	all.Wait()
	for i, r := range replicas {
		if !bytes.Equal(r.Bundle(), replicas[0].Bundle()) || len(r.Bundle()) == 0 {
			t.Errorf("replica %d has another CA", i)
		}
	}
}

// A rotation: every replica has the new CA in its bundle before any signs with it, pods are told to renew, and the old
// CA leaves last.
func TestReplicasRotateTogether(t *testing.T) {
	c := envtest.Need(t, cluster)
	clock := &clock{now: time.Now()}
	ns := c.Namespace(t, nil)
	one, two := authority(t, ns, clock), authority(t, ns, clock)
	refresh(t, one, two)
	changes := two.Changes()
	issued, err := one.IssuePod("default", contract.Relay)
	if err != nil {
		t.Fatal(err)
	}
	if until, ok := two.KeepPod(issued.Cert, "default", contract.Relay); !ok || !until.Equal(issued.RenewAt) {
		t.Errorf("the other replica keeps the certificate until %s (%v), want until %s", until, ok, issued.RenewAt)
	}
	if _, ok := two.KeepPod(issued.Cert, "default", contract.Ingest); ok {
		t.Error("a certificate of another role is kept")
	}

	clock.add(201 * time.Hour)
	refresh(t, one, two)
	certs, err := pki.ParseCertificates(two.Bundle())
	if err != nil || len(certs) != 2 {
		t.Fatalf("the bundle has %d CAs (%v), want 2", len(certs), err)
	}
	select {
	case <-changes:
	default:
		t.Error("nobody is told of the new bundle")
	}
	fresh, err := one.IssuePod("default", contract.Relay)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := one.KeepPod(fresh.Cert, "default", contract.Relay); !ok {
		t.Error("a certificate is to be renewed while the same CA signs")
	}

	clock.add(time.Hour)
	refresh(t, two, one)
	if _, ok := one.KeepPod(fresh.Cert, "default", contract.Relay); ok {
		t.Error("a certificate of the old CA is kept although the new one signs")
	}
	if !bytes.Equal(one.Bundle(), two.Bundle()) {
		t.Error("the bundles differ")
	}
	clock.add(31 * time.Hour)
	refresh(t, one, two)
	if certs, err := pki.ParseCertificates(two.Bundle()); err != nil || len(certs) != 1 {
		t.Errorf("the bundle has %d CAs (%v), want the new one alone", len(certs), err)
	}
}

// The Secret is deleted under running pods: the same CA comes back.
func TestADeletedSecretIsPutBack(t *testing.T) {
	c := envtest.Need(t, cluster)
	ns := c.Namespace(t, nil)
	a := authority(t, ns, &clock{now: time.Now()})
	refresh(t, a)
	before := bytes.Clone(a.Bundle())
	var secret corev1.Secret
	key := client.ObjectKey{Namespace: ns, Name: "ca"}
	if err := c.Get(t.Context(), key, &secret); err != nil {
		t.Fatal(err)
	}
	if err := c.Delete(t.Context(), &secret); err != nil {
		t.Fatal(err)
	}
	refresh(t, a)
	if err := c.Get(t.Context(), key, &secret); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(secret.Data[pki.KeyBundle], before) {
		t.Error("another CA is in the Secret")
	}
}

// A Secret that somebody damaged changes nothing: what is in memory stays in use, and the Secret is not overwritten.
func TestADamagedSecretChangesNothing(t *testing.T) {
	c := envtest.Need(t, cluster)
	ns := c.Namespace(t, nil)
	a := authority(t, ns, &clock{now: time.Now()})
	refresh(t, a)
	before := bytes.Clone(a.Bundle())
	var secret corev1.Secret
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: "ca"}, &secret); err != nil {
		t.Fatal(err)
	}
	secret.Data["tls.key"] = []byte("oops")
	if err := c.Update(t.Context(), &secret); err != nil {
		t.Fatal(err)
	}
	version := secret.ResourceVersion
	if err := a.Refresh(t.Context()); err == nil {
		t.Error("a damaged Secret is accepted")
	}
	if !bytes.Equal(a.Bundle(), before) {
		t.Error("the CA in use changed")
	}
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(&secret), &secret); err != nil ||
		secret.ResourceVersion != version {
		t.Errorf("the damaged Secret was written: %v", err)
	}
}
