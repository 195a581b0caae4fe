package plan

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestDiffSeesEveryField changes each field of each kind in turn, by reflection, and wants it in the Difference: a
// field that is added to a Plan and forgotten in Diff fails here.
func TestDiffSeesEveryField(t *testing.T) {
	identity := map[string][]string{"push domain": {"Hostname"}, "play domain": {"Hostname"}, "template": {"ID", "Space"}}
	for _, field := range exportedFields(reflect.TypeFor[PushDomain]()) {
		old, new := samplePlan(), samplePlan()
		mutate(t, reflect.ValueOf(&new.Push[0]).Elem().FieldByName(field))
		wantField(t, Diff(old, new), "push domain", field, identity["push domain"])
	}
	for _, field := range exportedFields(reflect.TypeFor[PlayDomain]()) {
		old, new := samplePlan(), samplePlan()
		mutate(t, reflect.ValueOf(&new.Play[0]).Elem().FieldByName(field))
		wantField(t, Diff(old, new), "play domain", field, identity["play domain"])
	}
	for _, field := range exportedFields(reflect.TypeFor[Template]()) {
		old, new := samplePlan(), samplePlan()
		mutate(t, reflect.ValueOf(&new.Templates[0]).Elem().FieldByName(field))
		wantField(t, Diff(old, new), "template", field, identity["template"])
	}
	for _, field := range exportedFields(reflect.TypeFor[Plan]()) {
		old, new := samplePlan(), samplePlan()
		mutate(t, reflect.ValueOf(new).Elem().FieldByName(field))
		if Diff(old, new).Empty() {
			t.Errorf("Plan.%s: changed, and the Difference is empty", field)
		}
	}
	for _, nested := range []struct {
		name string
		of   func(*Plan) reflect.Value
	}{
		{"Auth", func(p *Plan) reflect.Value { return reflect.ValueOf(&p.Push[0].Auth).Elem() }},
		{"Auth", func(p *Plan) reflect.Value { return reflect.ValueOf(&p.Play[0].Auth).Elem() }},
		{"TLS", func(p *Plan) reflect.Value { return reflect.ValueOf(p.Push[0].TLS).Elem() }},
		{"TLS", func(p *Plan) reflect.Value { return reflect.ValueOf(p.Play[0].TLS).Elem() }},
		{"Notify", func(p *Plan) reflect.Value { return reflect.ValueOf(p.Push[0].Notify).Elem() }},
	} {
		for _, field := range exportedFields(nested.of(samplePlan()).Type()) {
			old, new := samplePlan(), samplePlan()
			mutate(t, nested.of(new).FieldByName(field))
			d := Diff(old, new)
			if len(d.Changes) != 1 || len(d.Changes[0].Fields) != 1 || d.Changes[0].Fields[0].Field != nested.name {
				t.Errorf("%s.%s: changed, got %v", nested.name, field, d)
			}
		}
	}
}

// TestDiffHidesSecrets wants no key in what is printed.
func TestDiffHidesSecrets(t *testing.T) {
	old, new := samplePlan(), samplePlan()
	new.Push[0].Auth.Primary, new.Push[0].Auth.Backup = "secretsecret0001", "secretsecret0002"
	new.Push[0].Notify.Key, new.Play[0].TLS.Key, new.Play[0].Auth.Primary = "secretsecret0003", []byte(
		"secretsecret0004",
	), "secretsecret0005"
	for _, printed := range []string{Diff(old, new).String(), Diff(new, old).String()} {
		if strings.Contains(printed, "secretsecret") || strings.Contains(printed, "oldkey") {
			t.Errorf("a key is printed:\n%s", printed)
		}
		if !strings.Contains(printed, "Auth") || !strings.Contains(printed, "Notify") || !strings.Contains(printed, "TLS") {
			t.Errorf("a changed key is not reported:\n%s", printed)
		}
	}
}

// TestDiffSaysWhoIsDisconnected has each change that takes a right, and its neighbours that do not.
func TestDiffSaysWhoIsDisconnected(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*Plan)
		want   string
	}{
		{"nothing", func(*Plan) {}, ""},
		{"push removed", func(p *Plan) { p.Push = nil },
			"removed push domain push.example.com (publishers closed: the domain does not exist any more)\n"},
		{"push offline", func(p *Plan) { p.Push[0].Offline = true },
			"changed push domain push.example.com: Offline false -> true (publishers closed: the domain is offline)\n"},
		{"push fed elsewhere", func(p *Plan) { p.Push[0].Space = "other.example.com" },
			"changed push domain push.example.com: Space play.example.com -> other.example.com (publishers closed: the " +
				"domain feeds another main play domain)\n"},
		{"push key rotated", func(p *Plan) { p.Push[0].Auth.Primary = "another0another0" },
			"changed push domain push.example.com: Auth A, 30m0s, with backup -> A, 30m0s, with backup (other)\n"},
		{"push limit", func(p *Plan) { p.Push[0].MaxStreams = 1 },
			"changed push domain push.example.com: MaxStreams 10 -> 1\n"},
		{"play removed", func(p *Plan) { p.Play = p.Play[:0] },
			"removed play domain play.example.com (viewers closed: the domain does not exist any more)\n"},
		{"play added", func(p *Plan) {
			p.Play = append(p.Play, PlayDomain{Hostname: "z.example.com", Type: RTS, Role: Unassociated, Space: "z.example.com",
				Auth: Auth{Type: AuthNone}})
		}, "added play domain z.example.com\n"},
		{"protocol removed", func(p *Plan) { p.Play[0].Protocols = []Protocol{RTMP} },
			"changed play domain play.example.com: Protocols [RTMP FLV] -> [RTMP] (viewers closed: those by FLV)\n"},
		{"protocol added", func(p *Plan) { p.Play[0].Protocols = []Protocol{RTMP, FLV, HLS} },
			"changed play domain play.example.com: Protocols [RTMP FLV] -> [RTMP FLV HLS]\n"},
		{"addresses wider", func(p *Plan) { p.Play[0].IPs = []string{"10.0.0.0/8", "192.0.2.1"} },
			"changed play domain play.example.com: IPs [10.1.0.0/16] -> [10.0.0.0/8 192.0.2.1]\n"},
		{"addresses narrower", func(p *Plan) { p.Play[0].IPs = []string{"10.1.1.0/24"} },
			"changed play domain play.example.com: IPs [10.1.0.0/16] -> [10.1.1.0/24] (viewers closed: those with an address " +
				"that is not in the list)\n"},
		{"addresses for all", func(p *Plan) { p.Play[0].IPs = nil },
			"changed play domain play.example.com: IPs [10.1.0.0/16] -> (all)\n"},
		{"referers narrower", func(p *Plan) { p.Play[0].Referers = []string{"b.example.com"} },
			"changed play domain play.example.com: Referers [a.example.com] -> [b.example.com] (viewers closed: those with a " +
				"referer that is not in the list)\n"},
		{"referers wider", func(p *Plan) { p.Play[0].Referers = []string{"a.example.com", "b.example.com"} },
			"changed play domain play.example.com: Referers [a.example.com] -> [a.example.com b.example.com]\n"},
		{"template removed", func(p *Plan) { p.Templates = nil },
			"removed template tpl of play.example.com (viewers closed: those of this rendition)\n"},
		{"template changed", func(p *Plan) { p.Templates[0].Width = 1280 },
			"changed template tpl of play.example.com: Width 640 -> 1280\n"},
		{"template for more apps", func(p *Plan) { p.Templates[0].Apps = nil },
			"changed template tpl of play.example.com: Apps [live] -> (all)\n"},
		{"template for other apps", func(p *Plan) { p.Templates[0].Apps = []string{"other"} },
			"changed template tpl of play.example.com: Apps [live] -> [other] (viewers closed: those of this rendition in " +
				"apps that do not have it any more)\n"},
		{"template split over apps", func(p *Plan) {
			second := p.Templates[0]
			second.Apps = []string{"other"}
			p.Templates = append(p.Templates, second)
		}, "added template tpl of play.example.com [other]\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			new := samplePlan()
			tc.change(new)
			if got := Diff(samplePlan(), new).String(); got != tc.want {
				t.Errorf("got\n%swant\n%s", got, tc.want)
			}
		})
	}
}

// TestDiffAndRightsAgree: when a Difference closes nobody, no session loses its right.
func TestDiffAndRightsAgree(t *testing.T) {
	viewer := PlayRight{
		Host:     "play.example.com",
		Space:    "play.example.com",
		RemoteIP: addr("10.1.2.3"),
		Referer:  "https://a.example.com/x",
		Template: "tpl",
		App:      "live",
		Type:     Standard,
		Protocol: FLV,
	}
	check := func(kind, field string, new *Plan) {
		d, x := Diff(samplePlan(), new), NewIndex(new)
		closed := slices.ContainsFunc(d.Changes, func(c Change) bool { return c.Consequence != ConsequenceNone })
		errPublish, errPlay := x.MayKeepPublishing("push.example.com", "play.example.com"), x.MayKeepPlaying(viewer)
		if !closed && (errPublish != nil || errPlay != nil) {
			t.Errorf("%s.%s: the difference closes nobody, but: %v, %v", kind, field, errPublish, errPlay)
		}
	}
	for _, field := range exportedFields(reflect.TypeFor[PushDomain]()) {
		new := samplePlan()
		mutate(t, reflect.ValueOf(&new.Push[0]).Elem().FieldByName(field))
		check("PushDomain", field, new)
	}
	for _, field := range exportedFields(reflect.TypeFor[PlayDomain]()) {
		new := samplePlan()
		mutate(t, reflect.ValueOf(&new.Play[0]).Elem().FieldByName(field))
		check("PlayDomain", field, new)
	}
	for _, field := range exportedFields(reflect.TypeFor[Template]()) {
		new := samplePlan()
		mutate(t, reflect.ValueOf(&new.Templates[0]).Elem().FieldByName(field))
		check("Template", field, new)
	}
}

func wantField(t *testing.T, d Difference, kind, field string, identity []string) {
	t.Helper()
	if slices.Contains(identity, field) {
		if len(d.Changes) != 2 || d.Changes[0].Kind != kind {
			t.Errorf("%s.%s is the identity: want one removed and one added, got %v", kind, field, d)
		}
		return
	}
	if len(d.Changes) != 1 || d.Changes[0].Kind != kind || len(d.Changes[0].Fields) != 1 ||
		d.Changes[0].Fields[0].Field != field {
		t.Errorf("%s.%s: changed, and the Difference is %v", kind, field, d)
	}
}

func exportedFields(typ reflect.Type) []string {
	var out []string
	for f := range typ.Fields() {
		if f.IsExported() {
			out = append(out, f.Name)
		}
	}
	return out
}

// mutate returns a field another value.
func mutate(t *testing.T, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int, reflect.Int64:
		v.SetInt(v.Int() + 1)
	case reflect.Slice:
		if v.Len() == 0 {
			t.Fatalf("the sample has an empty list of %v", v.Type())
		}
		v.Set(v.Slice(0, v.Len()-1))
	case reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
			return
		}
		v.SetZero()
	case reflect.Struct:
		mutate(t, v.Field(0))
	default:
		t.Fatalf("a field of kind %v: teach the test to change it", v.Kind())
	}
}

// samplePlan has a value in every field but the fallback, which an RTS domain may have.
func samplePlan() *Plan {
	return &Plan{
		Class: "default",
		Push: []PushDomain{
			{Hostname: "push.example.com", Space: "play.example.com", Auth: sampleAuth(), BFrames: Warn, H265: Reject,
				MaxGOP: 3 * time.Second, Duplicate: RejectNew, MaxStreams: 10, MaxBitrateKbps: 8000,
				TLS:    &KeyPair{Cert: []byte("c1"), Key: []byte("oldkey")},
				Notify: &Notify{URL: "https://api.example.com/", Key: "oldkeyoldkey1234"}},
		},
		Play: []PlayDomain{
			{
				Hostname:      "play.example.com",
				Type:          Standard,
				Role:          Main,
				Space:         "play.example.com",
				Protocols:     []Protocol{RTMP, FLV},
				Auth:          sampleAuth(),
				Referers:      []string{"a.example.com"},
				IPs:           []string{"10.1.0.0/16"},
				TLS:           &KeyPair{Cert: []byte("c2"), Key: []byte("oldkey")},
				Billing:       "Traffic",
				MaxViewers:    100,
				MaxEgressMbps: 10,
			},
		},
		Templates: []Template{
			{Space: "play.example.com", ID: "tpl", Type: TemplateH264, Apps: []string{"live"}, Width: 640, Height: 360, FPS: 25,
				VideoKbps: 800, GOP: 2 * time.Second, DropB: true, AudioCodec: "Opus", AudioKbps: 96, Channels: 2,
				SampleRate: 48000},
		},
	}
}

func sampleAuth() Auth {
	return Auth{Type: AuthA, Primary: "oldkeyoldkey1234", Backup: "oldkeyoldkey5678", Validity: 30 * time.Minute}
}
