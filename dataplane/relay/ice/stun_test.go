package ice

import (
	"net"
	"net/netip"
	"testing"

	"github.com/pion/stun/v4"
)

func bindingRequest(t testing.TB, user, password string, extra ...stun.Setter) []byte {
	t.Helper()
	setters := append([]stun.Setter{stun.TransactionID, stun.BindingRequest, stun.NewUsername(user)}, extra...)
	m, err := stun.Build(append(setters, stun.NewShortTermIntegrity(password), stun.Fingerprint)...)
	if err != nil {
		t.Fatal(err)
	}
	return m.Raw
}

type useCandidate struct{}

func (useCandidate) AddTo(m *stun.Message) error {
	m.Add(stun.AttrUseCandidate, nil)
	return nil
}

// The other side of every exchange here is pion/stun.
func TestAnswersBindingRequest(t *testing.T) {
	for _, from := range []string{"192.0.2.1:4711", "[2001:db8::7]:65535", "[::ffff:192.0.2.9]:1"} {
		addr := netip.MustParseAddrPort(from)
		raw := bindingRequest(t, "ours:theirs", "secret", useCandidate{})
		var req Request
		if err := req.Parse(raw); err != nil {
			t.Fatal(err)
		}
		if string(req.LocalUfrag()) != "ours" || !req.UseCandidate {
			t.Fatalf("parsed %q, use-candidate %v", req.LocalUfrag(), req.UseCandidate)
		}
		auth := NewAuthenticator("secret")
		if !auth.Verify(&req) {
			t.Fatal("a good MESSAGE-INTEGRITY was refused")
		}
		if NewAuthenticator("other").Verify(&req) {
			t.Fatal("a wrong password was accepted")
		}
		res := &stun.Message{Raw: auth.AppendSuccess(nil, &req, addr)}
		if len(res.Raw) > MaxResponseSize {
			t.Fatalf("response of %d bytes", len(res.Raw))
		}
		if err := res.Decode(); err != nil {
			t.Fatal(err)
		}
		if res.Type != stun.BindingSuccess || string(res.TransactionID[:]) != string(raw[8:20]) {
			t.Fatalf("response %v", res)
		}
		if err := stun.NewShortTermIntegrity("secret").Check(res); err != nil {
			t.Fatal(err)
		}
		if err := stun.Fingerprint.Check(res); err != nil {
			t.Fatal(err)
		}
		var mapped stun.XORMappedAddress
		if err := mapped.GetFrom(res); err != nil {
			t.Fatal(err)
		}
		if !mapped.IP.Equal(net.IP(addr.Addr().AsSlice())) || mapped.Port != int(addr.Port()) {
			t.Fatalf("mapped %v, want %v", mapped, addr)
		}
	}
}

func TestRefusesWhatIsNotABindingRequest(t *testing.T) {
	good := bindingRequest(t, "ours:theirs", "secret")
	indication, err := stun.Build(stun.TransactionID, stun.NewType(stun.MethodBinding, stun.ClassIndication))
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{
		"empty": nil, "cut": good[:len(good)-1], "longer": append(append([]byte{}, good...), 0, 0, 0, 0),
		"indication": indication.Raw,
		"RTP":        {0x80, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8},
	} {
		var req Request
		if req.Parse(b) == nil {
			t.Errorf("%s was taken for a binding request", name)
		}
	}
	unsigned, err := stun.Build(stun.TransactionID, stun.BindingRequest, stun.NewUsername("ours:theirs"))
	if err != nil {
		t.Fatal(err)
	}
	var req Request
	if err := req.Parse(unsigned.Raw); err != nil {
		t.Fatal(err)
	}
	if NewAuthenticator("secret").Verify(&req) {
		t.Error("a request without MESSAGE-INTEGRITY was accepted")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(bindingRequest(f, "ours:theirs", "secret", useCandidate{}))
	f.Add([]byte{0, 1, 0, 4, 0x21, 0x12, 0xa4, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 6, 0xff, 0xff})
	auth := NewAuthenticator("secret")
	f.Fuzz(func(t *testing.T, b []byte) {
		var req Request
		if req.Parse(b) != nil {
			return
		}
		_ = req.LocalUfrag()
		if auth.Verify(&req) {
			ref := &stun.Message{Raw: append([]byte{}, b...)}
			if err := ref.Decode(); err != nil || stun.NewShortTermIntegrity("secret").Check(ref) != nil {
				t.Fatalf("accepted what pion/stun refuses: %x", b)
			}
		}
	})
}

func BenchmarkConsent(b *testing.B) {
	raw := bindingRequest(b, "ours:theirs", "secret")
	auth := NewAuthenticator("secret")
	from := netip.MustParseAddrPort("192.0.2.1:4711")
	buf := make([]byte, 0, MaxResponseSize)
	var req Request
	b.ReportAllocs()
	for b.Loop() {
		if req.Parse(raw) != nil || !auth.Verify(&req) {
			b.Fatal("refused")
		}
		buf = auth.AppendSuccess(buf[:0], &req, from)
	}
}
