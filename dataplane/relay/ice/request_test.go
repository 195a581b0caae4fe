package ice

import (
	"net"
	"testing"

	"github.com/pion/stun/v4"
)

// answered is what a peer sends back to a request, by pion/stun.
func answered(t testing.TB, request []byte, password string) []byte {
	t.Helper()
	m := &stun.Message{Raw: request}
	if err := m.Decode(); err != nil {
		t.Fatal(err)
	}
	answer, err := stun.Build(m, stun.BindingSuccess, &stun.XORMappedAddress{IP: net.IPv4(192, 0, 2, 1), Port: 8000},
		stun.NewShortTermIntegrity(password), stun.Fingerprint)
	if err != nil {
		t.Fatal(err)
	}
	return answer.Raw
}

// A full agent takes our requests, for user names of every length, and we its answers.
func TestAsksForConsent(t *testing.T) {
	auth := NewAuthenticator("theirs")
	for _, ufrag := range []string{"abcd", "abcde", "abcdef", "abcdefg"} {
		ask := Ours{RemoteUfrag: ufrag, LocalUfrag: "ours", Tag: 0xfeedbeef, Random: 0x0123456789abcdef}
		m := &stun.Message{Raw: auth.AppendRequest(nil, &ask)}
		if err := m.Decode(); err != nil {
			t.Fatal(err)
		}
		var user stun.Username
		if err := user.GetFrom(m); err != nil || user.String() != ufrag+":ours" || m.Type != stun.BindingRequest {
			t.Errorf("%v for %q (%v)", m, user, err)
		}
		if !m.Contains(stun.AttrICEControlled) || !m.Contains(stun.AttrPriority) {
			t.Error("ICE-CONTROLLED or PRIORITY is missing")
		}
		if err := stun.NewShortTermIntegrity("theirs").Check(m); err != nil {
			t.Error(err)
		}
		if err := stun.Fingerprint.Check(m); err != nil {
			t.Error(err)
		}
		var answer Answer
		if err := answer.Parse(answered(t, m.Raw, "theirs")); err != nil {
			t.Fatal(err)
		}
		if answer.Tag != ask.Tag || answer.Random != ask.Random || !auth.VerifyAnswer(&answer) {
			t.Errorf("answer %x %x, signature right: %v", answer.Tag, answer.Random, auth.VerifyAnswer(&answer))
		}
		if answer.Parse(answered(t, m.Raw, "guessed")) != nil || auth.VerifyAnswer(&answer) {
			t.Error("an answer with a wrong password is taken")
		}
		if answer.Parse(m.Raw) == nil {
			t.Error("a request is taken for an answer")
		}
	}
}

func FuzzAnswer(f *testing.F) {
	auth := NewAuthenticator("theirs")
	f.Add(answered(f, auth.AppendRequest(nil, &Ours{RemoteUfrag: "abcd", LocalUfrag: "ours"}), "theirs"))
	f.Add([]byte{1, 1, 0, 4, 0x21, 0x12, 0xa4, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		var answer Answer
		if answer.Parse(b) == nil && auth.VerifyAnswer(&answer) {
			ref := &stun.Message{Raw: append([]byte{}, b...)}
			if err := ref.Decode(); err != nil || stun.NewShortTermIntegrity("theirs").Check(ref) != nil {
				t.Fatalf("accepted what pion/stun refuses: %x", b)
			}
		}
	})
}

func BenchmarkAsk(b *testing.B) {
	auth, ask := NewAuthenticator("theirs"), Ours{RemoteUfrag: "abcd", LocalUfrag: "ours"}
	raw := answered(b, auth.AppendRequest(nil, &ask), "theirs")
	var buf []byte
	var answer Answer
	b.ReportAllocs()
	for b.Loop() {
		buf = auth.AppendRequest(buf[:0], &ask)
		if answer.Parse(raw) != nil || !auth.VerifyAnswer(&answer) {
			b.Fatal("refused")
		}
	}
}
