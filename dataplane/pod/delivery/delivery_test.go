package delivery

import (
	"errors"
	"fmt"
	"testing"

	"github.com/go-logr/logr"

	"github.com/millrace/millrace/internal/contract"
	"github.com/millrace/millrace/internal/contract/bundle"
	"github.com/millrace/millrace/internal/contract/plan"
)

// service is a Plan of n domains; seed makes it another one.
func service(n, seed int) *plan.Plan {
	p := &plan.Plan{Class: "default"}
	for i := range n {
		host := fmt.Sprintf("play%d.example.com", i)
		p.Play = append(p.Play, plan.PlayDomain{
			Hostname: host, Type: plan.RTS, Role: plan.Main, Space: host, Auth: plan.Auth{Type: plan.AuthA,
				Primary: fmt.Sprintf("examplePrimary%02d", seed)},
		})
	}
	return p
}

func encode(t *testing.T, p *plan.Plan, change func(*bundle.Pool)) Secrets {
	t.Helper()
	pool := bundle.Pool{Role: contract.Relay, Region: "local"}
	if change != nil {
		change(&pool)
	}
	secrets, _, err := bundle.Encode(p, pool)
	if err != nil {
		t.Fatal(err)
	}
	return secrets
}

func receiver(t *testing.T, dir string) (*Receiver, *plan.Current) {
	t.Helper()
	current := plan.NewCurrent()
	r, err := New(Options{Current: current, Class: "default", Role: contract.Relay, StateDir: dir, Log: logr.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	return r, current
}

func key(c *plan.Current) string { return c.Load().Plan.Play[0].Auth.Primary }

// The kubelet is a minute behind: what it shows was replaced already, before a restart of the process and after it.
func TestAFolderThatIsBehindTakesNothingBack(t *testing.T) {
	dir := t.TempDir()
	r, current := receiver(t, dir)
	plans := []Secrets{encode(t, service(3, 0), nil), encode(t, service(3, 1), nil), encode(t, service(3, 2), nil)}
	for n, from := range []Source{Volume, API, API} {
		if err := r.Offer(from, plans[n]); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		for _, old := range plans[:2] {
			if err := r.Offer(Volume, old); !errors.Is(err, errOlder) {
				t.Errorf("a replaced plan: %v", err)
			}
		}
		if key(current) != "examplePrimary02" {
			t.Errorf("the key is %s", key(current))
		}
		r, current = receiver(t, dir) // a restart of the container
		if err := r.Recall(); err != nil {
			t.Fatal(err)
		}
	}
	// What is new in the folder is newer: the API server is away.
	if err := r.Offer(Volume, encode(t, service(3, 3), nil)); err != nil || key(current) != "examplePrimary03" {
		t.Errorf("a new plan of the folder: %v, %s", err, key(current))
	}
	// The API server is believed when it takes something back.
	if err := r.Offer(API, plans[0]); err != nil || key(current) != "examplePrimary00" {
		t.Errorf("an old plan of the API server: %v, %s", err, key(current))
	}
	if err := r.Offer(Volume, plans[0]); err != nil {
		t.Errorf("the folder has followed: %v", err)
	}
}

func TestWhatIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		secrets Secrets
		err     error
	}{
		"nothing":       {nil, bundle.ErrMissing},
		"another class": {encode(t, &plan.Plan{Class: "other"}, nil), errOtherPool},
		"another role":  {encode(t, service(20, 1), func(p *bundle.Pool) { p.Role = contract.Edge }), errOtherPool},
		"empty":         {encode(t, service(0, 0), nil), plan.ErrEmpty},
		"shrunken":      {encode(t, service(5, 0), nil), plan.ErrShrunken},
		"invalid":       {encode(t, &plan.Plan{Class: "default", Play: []plan.PlayDomain{{Hostname: "UPPER"}}}, nil), nil},
	} {
		for _, from := range []Source{Volume, API} {
			r, current := receiver(t, "")
			if err := r.Offer(API, encode(t, service(20, 0), nil)); err != nil {
				t.Fatal(err)
			}
			hash := r.Hash()
			err := r.Offer(from, c.secrets)
			if err == nil || c.err != nil && !errors.Is(err, c.err) {
				t.Errorf("%s from the %s: %v", name, from, err)
			}
			if r.Hash() != hash || len(current.Load().Plan.Play) != 20 {
				t.Errorf("%s from the %s: the last good plan is gone", name, from)
			}
		}
	}
}

func TestALossThatIsMeant(t *testing.T) {
	r, current := receiver(t, "")
	for _, n := range []int{20, 5, 0} {
		if err := r.Offer(API, encode(t, service(n, 0), func(p *bundle.Pool) { p.AllowShrink = true })); err != nil {
			t.Errorf("%d domains: %v", n, err)
		}
		if got := len(current.Load().Plan.Play); got != n {
			t.Errorf("%d domains, want %d", got, n)
		}
	}
	// The flag does not make an invalid plan good.
	bad := &plan.Plan{Class: "default", Play: []plan.PlayDomain{{Hostname: "UPPER"}}}
	if err := r.Offer(API, encode(t, bad, func(p *bundle.Pool) { p.AllowShrink = true })); err == nil {
		t.Error("an invalid plan is taken")
	}
}
