package plan

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestValidate(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*Plan)
		want   string // part of the error; empty: valid
	}{
		{"valid", func(*Plan) {}, ""},
		{"empty but named", func(p *Plan) { *p = Plan{Class: "default"} }, ""},
		{"no class", func(p *Plan) { p.Class = "" }, "no class"},
		{"no hostname", func(p *Plan) { p.Push[0].Hostname = "" }, "not a hostname"},
		{"hostname with a port", func(p *Plan) { p.Push[0].Hostname = "push.example.com:1935" }, "not a hostname"},
		{"hostname in upper case", func(p *Plan) { p.Play[0].Hostname = "Play.example.com" }, "not a hostname"},
		{"one hostname for push and play", func(p *Plan) { p.Push[0].Hostname = "play.example.com" }, "given twice"},
		{"RTS with protocols", func(p *Plan) { p.Play[0].Type = RTS }, "no other protocols"},
		{"standard without protocols", func(p *Plan) { p.Play[0].Protocols = nil }, "has protocols"},
		{"unknown protocol", func(p *Plan) { p.Play[0].Protocols = []Protocol{"SRT"} }, `"SRT" is not known`},
		{"unknown type", func(p *Plan) { p.Play[0].Type = "Both" }, `"Both" is not known`},
		{"unknown role", func(p *Plan) { p.Play[0].Role = "Boss" }, `"Boss" is not known`},
		{"main in another space", func(p *Plan) { p.Play[0].Space = "x" }, "not its own"},
		{"sub in its own space", func(p *Plan) { p.Play[0].Role = Sub }, "space of its main"},
		{"sub", func(p *Plan) { p.Play[0].Role, p.Play[0].Space = Sub, "main.example.com" }, ""},
		{"fallback", func(p *Plan) { p.Play[0] = fallingBack("main.example.com", FLV, HLS) }, ""},
		{"fallback elsewhere", func(p *Plan) { p.Play[0] = fallingBack("other.example.com", FLV) }, "is not its main"},
		{"fallback by RTMP", func(p *Plan) { p.Play[0] = fallingBack("main.example.com", RTMP) }, "FLV and HLS alone"},
		{"fallback by nothing", func(p *Plan) { p.Play[0] = fallingBack("main.example.com") }, "FLV and HLS alone"},
		{"fallback of a Standard domain", func(p *Plan) { p.Play[0].Fallback = &Fallback{} }, "no fallback"},
		{"signing without a key", func(p *Plan) { p.Push[0].Auth.Primary = "" }, "no primary key"},
		{"unknown signing", func(p *Plan) { p.Push[0].Auth.Type = "D" }, `"D" is not known`},
		{"unreadable keys", func(p *Plan) { p.Push[0].Auth = Auth{Type: AuthRefuse} }, ""},
		{"unknown policy", func(p *Plan) { p.Push[0].BFrames = "" }, "policy"},
		{"unknown duplicate", func(p *Plan) { p.Push[0].Duplicate = "Both" }, `"Both" is not known`},
		{"negative limit", func(p *Plan) { p.Play[0].MaxViewers = -1 }, "negative"},
		{"callback without host", func(p *Plan) { p.Push[0].Notify = &Notify{URL: "file:///etc/passwd"} }, "not an http URL"},
		{"address list", func(p *Plan) { p.Play[0].IPs = []string{"10.0.0.0/33"} }, "neither an address nor"},
		{"certificate", func(p *Plan) { p.Play[0].TLS = &KeyPair{Cert: []byte("x"), Key: []byte("y")} }, "cannot be used"},
		{"template without id", func(p *Plan) { p.Templates[0].ID = "" }, "needs an id"},
		{"template without size", func(p *Plan) { p.Templates[0].Width = 0 }, "needs a size"},
		{"template of unknown type", func(p *Plan) { p.Templates[0].Type = "H266" }, "not known"},
		{"origin template with a size", func(p *Plan) { p.Templates[0].Type = TemplateH264Origin }, "size of the source"},
		{"audio template with AAC", func(p *Plan) { p.Templates[0].Type, p.Templates[0].AudioCodec = TemplateAudio, "AAC" },
			"makes Opus"},
		{"unknown audio", func(p *Plan) { p.Templates[0].AudioCodec = "MP3" }, `"MP3" is not known`},
		{"id twice for an app", func(p *Plan) { p.Templates = append(p.Templates, p.Templates[0]) },
			"given twice for an app"},
		{"id twice, one for all apps", func(p *Plan) {
			all := p.Templates[0]
			all.Apps = nil
			p.Templates = append(p.Templates, all)
		}, "given twice for an app"},
		{"id twice for other apps", func(p *Plan) {
			other := p.Templates[0]
			other.Apps = []string{"other"}
			p.Templates = append(p.Templates, other)
		}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := samplePlan()
			p.Push[0].TLS, p.Play[0].TLS = nil, nil
			tc.change(p)
			err := Validate(p)
			switch {
			case tc.want == "" && err != nil:
				t.Errorf("not valid: %v", err)
			case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func TestAcceptable(t *testing.T) {
	of := func(n int) *Plan {
		p := &Plan{Class: "default"}
		for i := range n {
			host := fmt.Sprintf("p%03d.example.com", i)
			p.Play = append(
				p.Play,
				PlayDomain{Hostname: host, Type: RTS, Role: Unassociated, Space: host, Auth: Auth{Type: AuthNone}},
			)
		}
		return p
	}
	other := of(3)
	other.Class = "other"
	broken := of(3)
	broken.Play[0].Type = ""
	for _, tc := range []struct {
		name     string
		old, new *Plan
		want     error
	}{
		{"first", nil, of(0), nil},
		{"first after nothing", &Plan{}, of(3), nil},
		{"empty stays empty", of(0), of(0), nil},
		{"grows", of(3), of(30), nil},
		{"small one loses most", of(5), of(1), nil},
		{"loses a half", of(20), of(10), nil},
		{"loses more than a half", of(20), of(9), ErrShrunken},
		{"loses few of many", of(100), of(80), nil},
		{"becomes empty", of(1), of(0), ErrEmpty},
		{"is nil", of(1), nil, ErrEmpty},
		{"is for another class", of(3), other, ErrOtherClass},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := Acceptable(tc.old, tc.new); !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
	if err := Acceptable(nil, broken); err == nil {
		t.Error("a plan that is not valid is accepted")
	}
}

// fallingBack is an RTS sub of main.example.com.
func fallingBack(host string, by ...Protocol) PlayDomain {
	return PlayDomain{Hostname: "rts.example.com", Type: RTS, Role: Sub, Space: "main.example.com", Auth: sampleAuth(),
		Fallback: &Fallback{Hostname: host, Protocols: by}}
}
