package bundle

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"testing"

	"github.com/millrace/millrace/internal/contract"
	"github.com/millrace/millrace/internal/contract/plan"
)

func pool() Pool { return Pool{Role: contract.Relay, Region: "local"} }

// big is a Plan of n play domains that does not compress well.
func big(n int) *plan.Plan {
	random := rand.NewChaCha8([32]byte{1})
	p := &plan.Plan{Class: "default"}
	for i := range n {
		host := fmt.Sprintf("play%d.example.com", i)
		key := make([]byte, 1024)
		_, _ = random.Read(key) // never fails
		p.Play = append(p.Play, plan.PlayDomain{
			Hostname: host, Type: plan.RTS, Role: plan.Main, Space: host,
			Auth: plan.Auth{Type: plan.AuthA, Primary: base64.StdEncoding.EncodeToString(key)},
		})
	}
	return p
}

func encode(t *testing.T, p *plan.Plan) ([]map[string][]byte, string) {
	t.Helper()
	secrets, hash, err := Encode(p, pool())
	if err != nil {
		t.Fatal(err)
	}
	return secrets, hash
}

func TestAPlanComesBackAsItWas(t *testing.T) {
	for _, n := range []int{0, 1, 100, 2000} {
		p := big(n)
		secrets, hash := encode(t, p)
		again, sameHash := encode(t, p)
		if !reflect.DeepEqual(secrets, again) || hash != sameHash {
			t.Errorf("%d domains: two encodings differ", n)
		}
		if len(secrets) != contract.PlanChunks {
			t.Fatalf("%d Secrets", len(secrets))
		}
		used := 0
		for i, s := range secrets {
			if len(s[KeyData]) > 700<<10 {
				t.Errorf("piece %d has %d bytes", i, len(s[KeyData]))
			}
			if m, err := ReadMeta(s); err != nil || m.Hash != hash || m.Chunk != i || m.Role != contract.Relay ||
				m.Region != "local" {
				t.Errorf("piece %d says %v, %v", i, m, err)
			}
			if len(s[KeyData]) > 0 {
				used++
			}
		}
		if n == 2000 && used < 3 {
			t.Errorf("2000 domains fit into %d pieces, so that cutting is not tested", used)
		}
		b, err := Decode(secrets[:used])
		if err != nil {
			t.Fatalf("%d domains: %v", n, err)
		}
		if !reflect.DeepEqual(b.Plan, p) || b.Meta.Hash != hash || b.Meta.Chunks != used {
			t.Errorf("%d domains: another plan came back", n)
		}
	}
}

func TestAPlanThatDoesNotFitIsRefused(t *testing.T) {
	if _, _, err := Encode(big(8000), pool()); err == nil {
		t.Error("a plan of 8000 large domains is taken")
	}
}

func TestPiecesOfTwoPlansAreNotMixed(t *testing.T) {
	old, _ := encode(t, big(2000))
	changed := big(2000)
	changed.Play[1999].Offline = true
	new, _ := encode(t, changed)
	for n := range 3 {
		mixed := append([]map[string][]byte{}, new...)
		mixed[n] = old[n]
		if _, err := Decode(mixed); !errors.Is(err, ErrMixed) {
			t.Errorf("piece %d of the old plan in the new one: %v", n, err)
		}
		missing := append([]map[string][]byte{}, new...)
		missing[n] = nil
		if _, err := Decode(missing); !errors.Is(err, ErrMissing) {
			t.Errorf("piece %d is missing: %v", n, err)
		}
	}
	if _, err := Decode(nil); !errors.Is(err, ErrMissing) {
		t.Errorf("nothing: %v", err)
	}
	swapped := append([]map[string][]byte{}, new...)
	swapped[0], swapped[1] = swapped[1], swapped[0]
	if _, err := Decode(swapped); !errors.Is(err, ErrMixed) {
		t.Errorf("pieces in the wrong order: %v", err)
	}
	// The right names on the wrong content.
	damaged := append([]map[string][]byte{}, new...)
	damaged[1] = map[string][]byte{KeyMeta: new[1][KeyMeta], KeyData: old[0][KeyData]}
	if _, err := Decode(damaged); err == nil {
		t.Error("damaged content is taken")
	}
}

func TestAddressesAreNotPartOfTheHash(t *testing.T) {
	secrets, hash := encode(t, big(3))
	want := map[string]Address{
		"relay-1": {Addresses: []netip.AddrPort{netip.MustParseAddrPort("203.0.113.7:30000")}, Rule: "NodeExternalIP"},
	}
	text, err := EncodeAddresses(want)
	if err != nil {
		t.Fatal(err)
	}
	secrets[0][KeyAddresses] = text
	b, err := Decode(secrets)
	if err != nil || b.Meta.Hash != hash || !reflect.DeepEqual(b.Addresses, want) {
		t.Errorf("%v, %v", b.Addresses, err)
	}
	secrets[0][KeyAddresses] = []byte("[nonsense")
	if b, err = Decode(secrets); err != nil || b.Addresses != nil {
		t.Errorf("addresses that cannot be read: %v, %v", b, err)
	}
}

func FuzzDecode(f *testing.F) {
	secrets, _, err := Encode(big(2), pool())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(secrets[0][KeyMeta], secrets[0][KeyData], []byte(`{"a":{"addresses":["1.2.3.4:5"],"rule":"x"}}`))
	f.Add([]byte(`{"hash":"x","chunk":0,"chunks":1}`), []byte("\x1f\x8b"), []byte("{}"))
	f.Fuzz(func(t *testing.T, meta, data, addresses []byte) {
		b, err := Decode([]map[string][]byte{{KeyMeta: meta, KeyData: data, KeyAddresses: addresses}})
		if err != nil {
			return
		}
		if b.Plan == nil || b.Meta.Class != b.Plan.Class {
			t.Error("a bundle without a plan, or with that of another class")
		}
		if _, err := json.Marshal(b.Plan); err != nil {
			t.Error(err)
		}
	})
}

// Bound is what the operator asks instead of encoding: it must not be less than what encoding gives.
func TestBoundAndSizeAreNotLessThanWhatIsDelivered(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	p := &plan.Plan{Class: "default"}
	for i := range 300 {
		der, key := make([]byte, 1500), make([]byte, 1200)
		for _, b := range [][]byte{der, key} {
			for k := range b {
				b[k] = byte(random.Uint32())
			}
		}
		p.Push = append(p.Push, plan.PushDomain{
			Hostname: fmt.Sprintf("p%d.example.com", random.Uint64()), Space: fmt.Sprintf("s%d.example.com", i),
			Auth: plan.Auth{
				Type: plan.AuthA, Primary: fmt.Sprintf("%032x", random.Uint64()), Backup: fmt.Sprint(random.Uint64()),
			},
			TLS: &plan.KeyPair{Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
				Key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})},
		})
		p.Templates = append(p.Templates, plan.Template{
			Space: p.Push[i].Space, ID: fmt.Sprint(random.Uint64()), Apps: []string{fmt.Sprint(random.Uint64())},
		})
	}
	chunks, _, err := Encode(p, Pool{})
	if err != nil {
		t.Fatal(err)
	}
	delivered := 0
	for _, c := range chunks {
		delivered += len(c[KeyData])
	}
	size, err := Size(p)
	if err != nil || size < delivered || Bound(p) < size {
		t.Errorf("delivered %d, size %d, bound %d, %v: want them in this order", delivered, size, Bound(p), err)
	}
}
