package kube

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/testr"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/millrace/millrace/dataplane/announce"
	"github.com/millrace/millrace/dataplane/pod/delivery"
	"github.com/millrace/millrace/internal/contract"
	"github.com/millrace/millrace/internal/contract/bundle"
	"github.com/millrace/millrace/internal/contract/plan"
	"github.com/millrace/millrace/internal/testkit"
)

const namespace = "default"

// apiServer starts a real kube-apiserver. This package may not import the controllers' own helper for it.
func apiServer(t *testing.T) *rest.Config {
	t.Helper()
	folder, err := testkit.KubernetesAssets()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(folder, "kube-apiserver")); err != nil {
		testkit.Missing(t, "there is no kube-apiserver: make envtest-assets builds one")
	}
	env := &envtest.Environment{
		BinaryAssetsDirectory:    folder,
		ControlPlaneStartTimeout: 2 * time.Minute,
		ControlPlaneStopTimeout:  time.Minute,
	}
	conf, err := env.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := env.Stop(); err != nil {
			t.Error(err)
		}
	})
	return conf
}

func service(n, seed int) *plan.Plan {
	p := &plan.Plan{Class: "default"}
	for i := range n {
		host := fmt.Sprintf("play%04d.example.com", i)
		p.Play = append(p.Play, plan.PlayDomain{
			Hostname: host, Type: plan.RTS, Role: plan.Main, Space: host,
			Auth: plan.Auth{
				Type:    plan.AuthA,
				Primary: fmt.Sprintf("key%d%s", seed, strings.Repeat(fmt.Sprintf("%x", i*7919+seed), 60)),
			},
		})
	}
	return p
}

// write writes a Plan as the operator does: the first Secret last.
func write(t *testing.T, api kubernetes.Interface, p *plan.Plan) string {
	t.Helper()
	secrets, hash, err := bundle.Encode(p, bundle.Pool{Role: contract.Relay, Region: "local"})
	if err != nil {
		t.Fatal(err)
	}
	for n, data := range slices.Backward(secrets) {
		s := &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: contract.PlanSecretName("default", contract.Relay, n)},
			Data:       data,
		}
		if _, err := api.CoreV1().Secrets(namespace).Update(t.Context(), s, metav1.UpdateOptions{}); err != nil {
			if _, err := api.CoreV1().Secrets(namespace).Create(t.Context(), s, metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	return hash
}

// front passes connections on to an API server, until it is closed: an API server that is away.
type front struct {
	to    string
	mu    sync.Mutex
	l     net.Listener
	conns []net.Conn
	at    string
}

func (f *front) open(t *testing.T) {
	t.Helper()
	at := f.at
	if at == "" {
		at = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	f.l, f.at = l, l.Addr().String()
	f.mu.Unlock()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			up, err := net.Dial("tcp", f.to)
			if err != nil {
				_ = c.Close()
				continue
			}
			f.mu.Lock()
			f.conns = append(f.conns, c, up)
			f.mu.Unlock()
			go pipe(c, up)
			go pipe(up, c)
		}
	}()
}

func pipe(to, from net.Conn) {
	defer to.Close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func (f *front) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	_ = f.l.Close()
	for _, c := range f.conns {
		_ = c.Close()
	}
	f.conns = nil
}

func TestAPlanComesThroughTheAPIServer(t *testing.T) {
	conf := apiServer(t)
	api, err := kubernetes.NewForConfig(conf)
	if err != nil {
		t.Fatal(err)
	}
	f := &front{to: strings.Trim(strings.TrimPrefix(conf.Host, "https://"), "/")}
	f.open(t)
	t.Cleanup(f.close)
	behind := rest.CopyConfig(conf)
	behind.Host = "https://" + f.at
	behind.ServerName = "127.0.0.1"
	f.close() // away when the pod starts

	current := plan.NewCurrent()
	r, err := delivery.New(
		delivery.Options{Current: current, Class: "default", Role: contract.Relay, StateDir: t.TempDir(), Log: testr.New(t)},
	)
	if err != nil {
		t.Fatal(err)
	}
	c, err := For(behind, Options{Namespace: namespace, Log: testr.New(t)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.WatchPlan(ctx, "default", contract.Relay, func(s []map[string][]byte) error { return r.Offer(delivery.API, s) })
	}()
	t.Cleanup(func() { cancel(); <-done })

	hash := write(t, api, service(20, 0))
	time.Sleep(50 * time.Millisecond)
	if r.Hash() != "" {
		t.Fatal("a plan came from an API server that is away")
	}
	f.open(t)
	testkit.Eventually(t, "the first plan", func() bool { return r.Hash() == hash })

	var took []time.Duration
	for i := range 30 {
		began := time.Now()
		hash := write(t, api, service(20, i+1))
		testkit.Eventually(t, "the changed plan", func() bool { return r.Hash() == hash })
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	t.Logf(
		"a changed key is in force after p50 %v, p95 %v, writing of 8 Secrets included",
		took[15].Round(time.Millisecond),
		took[28].Round(time.Millisecond),
	)

	// A Plan of several pieces, in one step from old to new.
	hash = write(t, api, service(6000, 100))
	testkit.Eventually(t, "a large plan", func() bool { return r.Hash() == hash })
	if n := len(current.Load().Plan.Play); n != 6000 {
		t.Errorf("%d domains", n)
	}

	// Away, and back: what held goes on, then the newest comes.
	f.close()
	hash = write(t, api, service(6000, 101))
	if r.Hash() == hash {
		t.Error("a plan came from an API server that is away")
	}
	f.open(t)
	began := time.Now()
	testkit.Eventually(t, "what was missed", func() bool { return r.Hash() == hash })
	t.Logf("what was missed came %v after the API server was back", time.Since(began).Round(time.Millisecond))

	// Shrunken, deleted: refused.
	write(t, api, service(2, 1))
	if err := api.CoreV1().Secrets(namespace).Delete(t.Context(), contract.PlanSecretName("default", contract.Relay, 0),
		metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	last := write(t, api, service(6000, 102))
	testkit.Eventually(t, "the next good plan", func() bool { return r.Hash() == last })
}

func TestPeersAreReadFromEndpointSlices(t *testing.T) {
	conf := apiServer(t)
	api, err := kubernetes.NewForConfig(conf)
	if err != nil {
		t.Fatal(err)
	}
	c, err := For(conf, Options{Namespace: namespace, Log: logr.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var last []announce.Peer
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.WatchPeers(ctx, "local", []contract.Role{contract.Ingest}, func(all []announce.Peer) {
			mu.Lock()
			defer mu.Unlock()
			last = all
		})
	}()
	t.Cleanup(func() { cancel(); <-done })
	slice := func(name, region string, role contract.Role, addresses ...string) *discoveryv1.EndpointSlice {
		internal, rtsp, p1, p2 := contract.NameInternal, contract.NameRTSP, int32(9443), int32(9554)
		ready := false
		s := &discoveryv1.EndpointSlice{
			ObjectMeta: metav1.ObjectMeta{
				Name:   name,
				Labels: contract.Labels("default", region, role),
			}, AddressType: discoveryv1.AddressTypeIPv4,
			Ports: []discoveryv1.EndpointPort{{Name: &internal, Port: &p1}, {Name: &rtsp, Port: &p2}},
		}
		for i, a := range addresses {
			s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{
				Addresses: []string{
					a,
				}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}, TargetRef: &corev1.ObjectReference{Kind: "Pod",
					Name: fmt.Sprintf("%s-%d", name, i)},
			})
		}
		return s
	}
	create := func(s *discoveryv1.EndpointSlice) {
		t.Helper()
		if _, err := api.DiscoveryV1().EndpointSlices(namespace).Create(t.Context(), s, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	create(slice("ingest", "local", contract.Ingest, "10.1.0.1", "10.1.0.2"))
	create(slice("elsewhere", "other", contract.Ingest, "10.2.0.1"))
	create(slice("relay", "local", contract.Relay, "10.1.0.3"))
	public := slice("public", "local", contract.Ingest, "10.1.0.1") // of the Service that encoders use
	public.Ports = nil
	create(public)
	addresses := func() string {
		mu.Lock()
		defer mu.Unlock()
		var out []string
		for _, p := range last {
			out = append(out, p.Pod+" "+p.Announce+" "+p.RTSP)
		}
		return strings.Join(out, ", ")
	}
	testkit.Eventually(t, "two peers", func() bool {
		return addresses() == "ingest-0 10.1.0.1:9443 10.1.0.1:9554, ingest-1 10.1.0.2:9443 10.1.0.2:9554"
	})
	if err := api.DiscoveryV1().EndpointSlices(namespace).Delete(t.Context(), "ingest",
		metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "no peer", func() bool { return addresses() == "" })
}
