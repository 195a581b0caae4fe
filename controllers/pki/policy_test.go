package pki

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/millrace/millrace/internal/contract"
)

func policy() Policy {
	return Policy{Name: "Millrace test CA", CA: 300 * time.Hour, Leaf: 30 * time.Hour, Overlap: time.Hour}
}

func start() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }

// advance takes a state to a moment and wants the step that it names.
func advance(t *testing.T, s State, now time.Time, rotate bool, want Step) State {
	t.Helper()
	next, done, err := policy().Advance(s, now, rotate)
	if err != nil {
		t.Fatalf("advance at %s: %v", now, err)
	}
	if done != want {
		t.Fatalf("advance at %s: %q, want %q", now, done, want)
	}
	return next
}

// verify wants that a bundle proves a leaf for a name.
func verify(bundle []byte, leaf *x509.Certificate, name string, now time.Time) error {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(bundle)
	_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name, CurrentTime: now})
	return err
}

// The bundle that goes into caBundle holds CAs, and never what they signed: with a leaf in it, verification works until
// the leaf is renewed.
func TestTheBundleHoldsTheCAAndNeverALeaf(t *testing.T) {
	s := advance(t, State{}, start(), false, StepCreate)
	const name = "millrace-webhook.millrace-system.svc"
	leaf, err := s.Current.serverLeaf([]string{name}, policy().Leaf, start())
	if err != nil {
		t.Fatal(err)
	}
	if err := verify(s.Bundle(), leaf.cert, name, start()); err != nil {
		t.Errorf("the bundle does not prove the leaf: %v", err)
	}
	if verify(s.Bundle(), leaf.cert, "other.svc", start()) == nil {
		t.Error("the leaf is good for another name")
	}
	if verify(s.Bundle(), leaf.cert, name, start().Add(31*time.Hour)) == nil {
		t.Error("the leaf is good after its end")
	}
	certs, err := ParseCertificates(s.Bundle())
	if err != nil || len(certs) != 1 {
		t.Fatalf("the bundle has %d certificates (%v), want 1", len(certs), err)
	}
	for _, c := range certs {
		if !c.IsCA || c.Equal(leaf.cert) {
			t.Errorf("the bundle holds %s, which is no CA", c.Subject)
		}
	}
	if leaf.cert.IsCA || leaf.cert.CheckSignatureFrom(s.Current.Cert) != nil {
		t.Error("the leaf is a CA, or is not signed by the CA")
	}
	other := advance(t, State{}, start(), false, StepCreate)
	if verify(other.Bundle(), leaf.cert, name, start()) == nil {
		t.Error("the bundle of another CA proves the leaf")
	}
}

// Whoever has read the bundle at any moment trusts every leaf that is signed up to an overlap later, through a whole
// rotation.
func TestARotationCutsNobodyOff(t *testing.T) {
	const name = "a.svc"
	const step = time.Hour
	policy := policy()
	policy.Overlap = 3 * step
	s := advance(t, State{}, start(), false, StepCreate)
	type reader struct {
		bundle []byte
		at     time.Time
	}
	type signed struct {
		leaf *x509.Certificate
		at   time.Time
	}
	var readers []reader
	var leaves []signed
	var steps []Step
	cas := map[string]bool{}
	for now := start(); now.Before(start().Add(500 * time.Hour)); now = now.Add(step) {
		next, done, err := policy.Advance(s, now, false)
		if err != nil {
			t.Fatal(err)
		}
		s = next
		if done != StepNone {
			steps = append(steps, done)
		}
		cas[string(s.Current.Cert.Raw)] = true
		readers = append(readers, reader{s.Bundle(), now})
		l, err := s.Current.serverLeaf([]string{name}, policy.Leaf, now)
		if err != nil {
			t.Fatal(err)
		}
		leaves = append(leaves, signed{l.cert, now})
	}
	want := []Step{StepPublish, StepPromote, StepForget, StepPublish, StepPromote, StepForget}
	if !slices.Equal(steps, want) {
		t.Errorf("the steps are %q, want %q", steps, want)
	}
	if len(cas) != 3 {
		t.Errorf("%d CAs signed, want 3", len(cas))
	}
	checked := 0
	for _, r := range readers {
		for _, l := range leaves {
			// The reader re-reads within less than an overlap; the leaf may be up to its own life old.
			if age := r.at.Sub(l.at); age > policy.Leaf-step || age < -policy.Overlap+step {
				continue
			}
			checked++
			now := r.at
			if l.at.After(now) {
				now = l.at
			}
			if err := verify(r.bundle, l.leaf, name, now); err != nil {
				t.Fatalf("read at %s, signed at %s: %v", r.at, l.at, err)
			}
		}
	}
	if checked < 1000 {
		t.Errorf("only %d pairs were checked", checked)
	}
}

func TestAPersonCanAskForARotation(t *testing.T) {
	s := advance(t, State{}, start(), false, StepCreate)
	first := s.Current.Cert
	s = advance(t, s, start(), true, StepPublish)
	if !s.Current.Cert.Equal(first) || s.Next == nil || len(s.Trusted()) != 2 {
		t.Fatal("the next CA is not published beside the first, or signs already")
	}
	s = advance(t, s, start().Add(59*time.Minute), true, StepNone)
	s = advance(t, s, start().Add(time.Hour), false, StepPromote)
	if s.Current.Cert.Equal(first) || len(s.Trusted()) != 2 {
		t.Fatal("the second CA does not sign, or the first has left the bundle already")
	}
	s = advance(t, s, start().Add(30*time.Hour), false, StepNone)
	s = advance(t, s, start().Add(31*time.Hour), false, StepForget)
	if len(s.Trusted()) != 1 {
		t.Error("the first CA is still in the bundle")
	}
}

func TestAnExpiredCAIsReplacedAtOnce(t *testing.T) {
	s := advance(t, State{}, start(), false, StepCreate)
	old := s.Current.Cert
	s = advance(t, s, start().Add(300*time.Hour), false, StepReplace)
	if s.Current.Cert.Equal(old) || len(s.Trusted()) != 1 {
		t.Error("the expired CA is still there")
	}
}

func TestALeafNeverOutlivesItsCA(t *testing.T) {
	s := advance(t, State{}, start(), false, StepCreate)
	l, err := s.Current.serverLeaf([]string{"a.svc"}, policy().Leaf, start().Add(290*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if l.cert.NotAfter.After(s.Current.Cert.NotAfter) {
		t.Errorf("the leaf ends at %s, its CA at %s", l.cert.NotAfter, s.Current.Cert.NotAfter)
	}
}

// What a Secret holds gives back the same state in each phase of a rotation.
func TestASecretKeepsTheWholeState(t *testing.T) {
	s := advance(t, State{}, start(), false, StepCreate)
	states := []State{s}
	s = advance(t, s, start(), true, StepPublish)
	states = append(states, s)
	s = advance(t, s, start().Add(time.Hour), false, StepPromote)
	states = append(states, s)
	for i, s := range states {
		data, annotations, err := s.encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := decode(data, annotations)
		if err != nil {
			t.Fatalf("state %d: %v", i, err)
		}
		if !got.equal(s) || !got.NextSince.Equal(s.NextSince) || !got.OldSince.Equal(s.OldSince) ||
			!got.Current.Key.Equal(s.Current.Key) {
			t.Errorf("state %d changed on its way through a Secret", i)
		}
		if i > 0 && got.equal(states[i-1]) {
			t.Errorf("states %d and %d are said to be equal", i, i-1)
		}
	}
}

func TestADamagedSecretIsRefused(t *testing.T) {
	s := advance(t, State{}, start(), false, StepCreate)
	other := advance(t, State{}, start(), false, StepCreate)
	l, err := s.Current.serverLeaf([]string{"a.svc"}, policy().Leaf, start())
	if err != nil {
		t.Fatal(err)
	}
	leafKey, err := encodeKey(l.key)
	if err != nil {
		t.Fatal(err)
	}
	otherKey, err := encodeKey(other.Current.Key)
	if err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func(data map[string][]byte){
		"no certificate":    func(d map[string][]byte) { delete(d, keyCert) },
		"no key":            func(d map[string][]byte) { delete(d, keyKey) },
		"key of another CA": func(d map[string][]byte) { d[keyKey] = otherKey },
		"a leaf, not a CA":  func(d map[string][]byte) { d[keyCert], d[keyKey] = encodeCertificates(l.cert), leafKey },
		"not PEM":           func(d map[string][]byte) { d[keyCert] = []byte("hello") },
		"a broken key": func(d map[string][]byte) {
			d[keyKey] = pem.EncodeToMemory(&pem.Block{Type: pemKey, Bytes: []byte("x")})
		},
		"next without since": func(d map[string][]byte) { d[keyNextCert], d[keyNextKey] = d[keyCert], d[keyKey] },
		"old is not PEM":     func(d map[string][]byte) { d[keyOld] = []byte("hello") },
	} {
		data, annotations, err := s.encode()
		if err != nil {
			t.Fatal(err)
		}
		damage(data)
		if _, err := decode(data, annotations); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// Two pods of the CA prove to each other who they are, over TLS, as client and as server.
func TestPodCertificatesWorkOnBothSidesOfTLS(t *testing.T) {
	s := advance(t, State{}, time.Now(), false, StepCreate)
	certificate := func(role contract.Role) tls.Certificate {
		l, err := s.Current.identityLeaf(contract.Identity{Class: "default", Role: role}, policy().Leaf, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return tls.Certificate{Certificate: [][]byte{l.cert.Raw}, PrivateKey: l.key}
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.Bundle())
	peer := func(seen *string) func(tls.ConnectionState) error {
		return func(cs tls.ConnectionState) error {
			_, err := cs.PeerCertificates[0].Verify(
				x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}},
			)
			if err == nil && len(cs.PeerCertificates[0].URIs) == 1 {
				*seen = cs.PeerCertificates[0].URIs[0].String()
			}
			return err
		}
	}
	var seenByServer, seenByClient string
	server := &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{certificate(contract.Ingest)},
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: roots, VerifyConnection: peer(&seenByServer)}
	client := &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{certificate(contract.Relay)},
		InsecureSkipVerify: true, VerifyConnection: peer(&seenByClient)}
	a, b := net.Pipe()
	done := make(chan error, 1)
	go func() { done <- tls.Server(a, server).HandshakeContext(t.Context()) }()
	if err := tls.Client(b, client).HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if seenByServer != "spiffe://millrace/default/relay" || seenByClient != "spiffe://millrace/default/ingest" {
		t.Errorf("the server saw %q, the client %q", seenByServer, seenByClient)
	}
}
