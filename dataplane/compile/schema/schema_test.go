package schema_test

import (
	"io/fs"
	"strings"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"

	"github.com/millrace/millrace/config"
	"github.com/millrace/millrace/dataplane/compile/schema"
)

// TestCRDsAreValid checks what the API server checks when a CRD is created: structure, and defaults that obey the rules of their
// fields.
func TestCRDsAreValid(t *testing.T) {
	paths, err := fs.Glob(config.CRDs, "crd/bases/*.yaml")
	if err != nil || len(paths) != 6 {
		t.Fatalf("there are %d CRDs (%v), want 6", len(paths), err)
	}
	for _, path := range paths {
		text, err := fs.ReadFile(config.CRDs, path)
		if err != nil {
			t.Fatal(err)
		}
		if len(text) >= 100<<10 {
			t.Errorf("%s has %d bytes, which is too large for kubectl apply and for Helm", path, len(text))
		}
		var crd apiextensionsv1.CustomResourceDefinition
		if err := yaml.UnmarshalStrict(text, &crd); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		var props apiextensions.JSONSchemaProps
		if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(crd.Spec.Versions[0].Schema.OpenAPIV3Schema, &props, nil); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		s, err := structural.NewStructural(&props)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		for _, e := range structural.ValidateStructural(field.NewPath("schema"), s) {
			t.Errorf("%s: %v", path, e)
		}
		errs, err := defaulting.ValidateDefaults(t.Context(), field.NewPath("schema"), s, true, true)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		for _, e := range errs {
			t.Errorf("%s: %v", path, e)
		}
	}
}

func newValidator(t *testing.T) *schema.Validator {
	t.Helper()
	v, err := schema.New(config.CRDs, "crd/bases")
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func object(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	var obj map[string]any
	json, err := yaml.YAMLToJSON([]byte("apiVersion: live.millrace.dev/v1alpha1\n" + text))
	if err != nil {
		t.Fatal(err)
	}
	if err := utiljson.Unmarshal(json, &obj); err != nil {
		t.Fatal(err)
	}
	return &unstructured.Unstructured{Object: obj}
}

// The smallest valid object of each kind.
const (
	push  = "kind: PushDomain\nmetadata: {name: p, namespace: team}\nspec:\n  hostname: push.example.com\n"
	play  = "kind: PlayDomain\nmetadata: {name: p, namespace: team}\nspec:\n  hostname: play.example.com\n  type: RTS\n"
	flv   = "kind: PlayDomain\nmetadata: {name: p, namespace: team}\nspec:\n  hostname: play.example.com\n  type: Standard\n"
	assoc = "kind: DomainAssociation\nmetadata: {name: a, namespace: team}\nspec:\n  type: PushToPlay\n  pushDomainRef: {name: p}\n  mainPlayDomainRef: {name: m}\n"
	tmpl  = "kind: RTSTranscodeTemplate\nmetadata: {name: t, namespace: team}\nspec:\n  templateID: low\n  type: H264Origin\n  playDomainRef: {name: m}\n  video: {}\n"
	class = "kind: MediaClass\nmetadata: {name: default}\n"
	claim = "kind: DomainClaim\nmetadata: {name: push.example.com}\nspec:\n  namespace: team\n"
)

// TestRules has each rule of the CRDs, kept and broken. An empty want means valid.
func TestRules(t *testing.T) {
	v := newValidator(t)
	for _, tc := range []struct{ name, text, want string }{
		{"push", push, ""},
		{"play", play, ""},
		{"standard play", flv, ""},
		{"association", assoc, ""},
		{"template", tmpl, ""},
		{"class", class, ""},
		{"claim", claim, ""},
		{"status is not looked at", push + "status: {nonsense: true}\n", ""},

		{"hostname of one label", strings.Replace(push, "push.example.com", "localhost", 1), ""},
		{"hostname punycode", strings.Replace(push, "push.example.com", "xn--fiq228c.xn--fiqs8s", 1), ""},
		{"hostname upper case", strings.Replace(push, "push.example.com", "Push.example.com", 1), "spec.hostname"},
		{"hostname with port", strings.Replace(push, "push.example.com", "push.example.com:1935", 1), "spec.hostname"},
		{"hostname wildcard", strings.Replace(push, "push.example.com", "'*.example.com'", 1), "spec.hostname"},
		{"hostname trailing dot", strings.Replace(push, "push.example.com", "push.example.com.", 1), "spec.hostname"},
		{"hostname address", strings.Replace(push, "push.example.com", "10.0.0.1", 1), "spec.hostname"},
		{"hostname label too long", strings.Replace(push, "push.example.com", strings.Repeat("a", 64)+".com", 1), "spec.hostname"},
		{"hostname too long", strings.Replace(push, "push.example.com", strings.Repeat("abcdefg.", 32)+"com", 1), "spec.hostname"},
		{"hostname empty", strings.Replace(push, "push.example.com", "''", 1), "spec.hostname"},
		{"hostname a number", strings.Replace(push, "push.example.com", "12", 1), "spec.hostname"},

		{"auth", push + "  auth: {type: A, secretRef: {name: s}, validitySeconds: 0}\n", ""},
		{"auth unknown", push + "  auth: {type: D, secretRef: {name: s}}\n", "spec.auth.type"},
		{"auth without secret", push + "  auth: {type: B}\n", "spec.auth.secretRef"},
		{"auth secret without type", push + "  auth: {secretRef: {name: s}}\n", "spec.auth.type"},
		{"auth secret without name", push + "  auth: {type: A, secretRef: {}}\n", "spec.auth.secretRef.name"},
		{"auth negative validity", push + "  auth: {type: A, secretRef: {name: s}, validitySeconds: -1}\n", "spec.auth.validitySeconds"},
		{"source", push + "  source: {bFrames: Reject, h265: Allow, maxGOPMilliseconds: 100}\n", ""},
		{"source unknown policy", push + "  source: {bFrames: Refuse}\n", "spec.source.bFrames"},
		{"source GOP too short", push + "  source: {maxGOPMilliseconds: 99}\n", "spec.source.maxGOPMilliseconds"},
		{"duplicate unknown", push + "  duplicatePublish: Both\n", "spec.duplicatePublish"},
		{"limits negative", push + "  limits: {maxStreams: -1}\n", "spec.limits.maxStreams"},
		{"notify", push + "  notify: {url: 'https://api.example.com:8443/live?x=1', authKeySecretRef: {name: s}}\n", ""},
		{"notify other scheme", push + "  notify: {url: 'ftp://api.example.com/'}\n", "spec.notify.url"},
		{"notify without host", push + "  notify: {url: 'https:///live'}\n", "spec.notify.url"},
		{"state unknown", push + "  state: Paused\n", "spec.state"},
		{"unknown field", push + "  hostnam: x\n", "spec.hostnam"},
		{"unknown field deep", push + "  auth: {typ: A}\n", "spec.auth.typ"},

		{"play without type", strings.Replace(play, "  type: RTS\n", "", 1), "spec.type"},
		{"play of both types", strings.Replace(play, "RTS", "Both", 1), "spec.type"},
		{"rts settings", play + "  rts: {autoRepair: Enabled}\n", ""},
		{"rts settings on standard", flv + "  rts: {}\n", "spec.rts"},
		{"standard settings", flv + "  standard: {protocols: [HLS]}\n", ""},
		{"standard settings on rts", play + "  standard: {}\n", "spec.standard"},
		{"no protocol", flv + "  standard: {protocols: []}\n", "spec.standard.protocols"},
		{"protocol twice", flv + "  standard: {protocols: [HLS, HLS]}\n", "spec.standard.protocols[1]"},
		{"protocol unknown", flv + "  standard: {protocols: [SRT]}\n", "spec.standard.protocols[0]"},
		{"access", play + "  access: {referers: [none, a.example.com, '*.b.example.com'], ips: [10.0.0.0/8, '2001:db8::1']}\n", ""},
		{"referer with scheme", play + "  access: {referers: ['https://a.example.com']}\n", "spec.access.referers[0]"},
		{"referer with inner wildcard", play + "  access: {referers: ['a.*.example.com']}\n", "spec.access.referers[0]"},
		{"address not valid", play + "  access: {ips: [10.0.0.256]}\n", "spec.access.ips[0]"},
		{"range not valid", play + "  access: {ips: [10.0.0.0/33]}\n", "spec.access.ips[0]"},
		{"billing unknown", play + "  billingMode: Free\n", "spec.billingMode"},

		{"main to sub", strings.NewReplacer("PushToPlay", "MainToSub", "pushDomainRef", "subPlayDomainRef").Replace(assoc), ""},
		{"push to play without push", strings.Replace(assoc, "  pushDomainRef: {name: p}\n", "", 1), "spec.pushDomainRef"},
		{"push to play with sub", assoc + "  subPlayDomainRef: {name: s}\n", "spec.subPlayDomainRef"},
		{"main to sub without sub", strings.NewReplacer("PushToPlay", "MainToSub", "  pushDomainRef: {name: p}\n", "").Replace(assoc), "spec.subPlayDomainRef"},
		{"main to sub with push", strings.Replace(assoc, "PushToPlay", "MainToSub", 1) + "  subPlayDomainRef: {name: s}\n", "spec.pushDomainRef"},
		{"sub of itself", strings.NewReplacer("PushToPlay", "MainToSub", "pushDomainRef", "subPlayDomainRef", "{name: p}", "{name: m}").Replace(assoc), "spec.subPlayDomainRef"},
		{"without main", strings.Replace(assoc, "  mainPlayDomainRef: {name: m}\n", "", 1), "spec.mainPlayDomainRef"},

		{"template id begins with -", strings.Replace(tmpl, "low", "-low", 1), "spec.templateID"},
		{"template id reserved", strings.Replace(tmpl, "low", "lud", 1), "spec.templateID"},
		{"template id with a dot", strings.Replace(tmpl, "low", "a.b", 1), "spec.templateID"},
		{"template without video", strings.Replace(tmpl, "  video: {}\n", "", 1), "spec.video"},
		{"origin with a size", strings.Replace(tmpl, "video: {}", "video: {width: 640}", 1), "spec.video"},
		{"h264 too large", strings.NewReplacer("H264Origin", "H264", "video: {}", "video: {width: 1442, height: 1442, fps: 60, bitrateKbps: 6000}").Replace(tmpl), "spec.video"},
		{"h264 portrait", strings.NewReplacer("H264Origin", "H264", "video: {}", "video: {width: 1440, height: 2560, fps: 60, bitrateKbps: 6000}").Replace(tmpl), ""},
		{"h264 without fps", strings.NewReplacer("H264Origin", "H264", "video: {}", "video: {width: 640, height: 360, bitrateKbps: 600}").Replace(tmpl), "spec.video"},
		{"h264 too wide", strings.NewReplacer("H264Origin", "H264", "video: {}", "video: {width: 2562, height: 360, fps: 25, bitrateKbps: 600}").Replace(tmpl), "spec.video.width"},
		{"h264 odd", strings.NewReplacer("H264Origin", "H264", "video: {}", "video: {width: 641, height: 360, fps: 25, bitrateKbps: 600}").Replace(tmpl), "spec.video.width"},
		{"GOP too long", strings.Replace(tmpl, "video: {}", "video: {gopMilliseconds: 3001}", 1), "spec.video.gopMilliseconds"},
		{"bFrames unknown", strings.Replace(tmpl, "video: {}", "video: {bFrames: Maybe}", 1), "spec.video.bFrames"},
		{"audio template", strings.NewReplacer("H264Origin", "Audio", "  video: {}\n", "").Replace(tmpl), ""},
		{"audio template with video", strings.Replace(tmpl, "H264Origin", "Audio", 1), "spec.video"},
		{"audio template with AAC", strings.NewReplacer("H264Origin", "Audio", "video: {}", "audio: {codec: AAC}").Replace(tmpl), "spec.audio.codec"},
		{"AAC", tmpl + "  audio: {codec: AAC, bitrateKbps: 64, channels: 1, sampleRateHz: 22050}\n", ""},
		{"AAC other rate", tmpl + "  audio: {codec: AAC, sampleRateHz: 8000}\n", "spec.audio.sampleRateHz"},
		{"Copy with a bit rate", tmpl + "  audio: {codec: Copy, bitrateKbps: 64}\n", "spec.audio"},
		{"Opus at 44100", tmpl + "  audio: {codec: Opus, sampleRateHz: 44100}\n", "spec.audio.sampleRateHz"},
		{"Opus too fast", tmpl + "  audio: {codec: Opus, bitrateKbps: 511}\n", "spec.audio.bitrateKbps"},
		{"three channels", tmpl + "  audio: {channels: 3}\n", "spec.audio.channels"},
		{"app twice", tmpl + "  apps: [live, live]\n", "spec.apps[1]"},
		{"app with a slash", tmpl + "  apps: [live/x]\n", "spec.apps[0]"},

		{"class full", class + "spec:\n  region: r\n  image: i\n  claims: Never\n  rts: {namespaceSelector: {}}\n  pools:\n    relay:\n      autoscaling: {minReplicas: 1, maxReplicas: 3}\n" +
			"      resources: {requests: {cpu: 500m}}\n      nodeSelector: {a: b}\n      tolerations: [{key: a, operator: Exists}]\n      drainSeconds: 540\n      exposure: {type: NodePort, ports: {media: 8000}, advertise: [192.0.2.1]}\n    transcoder: {encoder: NVENC, maxSessions: 4, replicas: 2}\n", ""},
		{"class replicas and autoscaling", class + "spec: {pools: {edge: {replicas: 1, autoscaling: {maxReplicas: 3}}}}\n", "spec.pools.edge.autoscaling"},
		{"class transcoder replicas and autoscaling", class + "spec: {pools: {transcoder: {replicas: 1, autoscaling: {maxReplicas: 3}}}}\n", "spec.pools.transcoder.autoscaling"},
		{"class autoscaling backwards", class + "spec: {pools: {edge: {autoscaling: {minReplicas: 4, maxReplicas: 3}}}}\n", "spec.pools.edge.autoscaling.maxReplicas"},
		{"class drain", class + "spec: {pools: {edge: {drainSeconds: 541}}}\n", "spec.pools.edge.drainSeconds"},
		{"class exposure", class + "spec: {pools: {edge: {exposure: {type: Ingress}}}}\n", "spec.pools.edge.exposure.type"},
		{"class port", class + "spec: {pools: {edge: {exposure: {ports: {http: 65536}}}}}\n", "spec.pools.edge.exposure.ports.http"},
		{"class encoder", class + "spec: {pools: {transcoder: {encoder: AMF}}}\n", "spec.pools.transcoder.encoder"},
		{"class encoder elsewhere", class + "spec: {pools: {relay: {encoder: x264}}}\n", "spec.pools.relay.encoder"},
		{"class in a namespace", strings.Replace(class, "{name: default}", "{name: default, namespace: team}", 1), "metadata.namespace"},

		{"claim bound", claim + "  claimRef: {kind: PushDomain, namespace: team, name: p, uid: u}\n", ""},
		{"claim bound elsewhere", claim + "  claimRef: {kind: PushDomain, namespace: other, name: p}\n", "spec.claimRef"},
		{"claim of another kind", claim + "  claimRef: {kind: Pod, namespace: team, name: p}\n", "spec.claimRef.kind"},
		{"claim without namespace", strings.Replace(claim, "  namespace: team\n", "  {}\n", 1), "spec.namespace"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var fields []string
			errs := v.Check(t.Context(), object(t, tc.text))
			for _, e := range errs {
				fields = append(fields, e.Field)
			}
			if got := strings.Join(fields, " "); got != tc.want {
				t.Errorf("errors at %q, want %q: %v", got, tc.want, errs)
			}
		})
	}
}

// TestIdentityIsImmutable changes what must not be changed, and what may.
func TestIdentityIsImmutable(t *testing.T) {
	v := newValidator(t)
	for _, tc := range []struct{ name, object, from, to, want string }{
		{"push hostname", push, "push.example.com", "other.example.com", "spec.hostname"},
		{"push setting", push + "  state: Online\n", "Online", "Offline", ""},
		{"play hostname", play, "play.example.com", "other.example.com", "spec.hostname"},
		{"play type", play, "RTS", "Standard", "spec.type"},
		{"play class", play + "  className: a\n", "className: a", "className: b", ""},
		{"association main", assoc, "{name: m}", "{name: other}", "spec"},
		{"association type", strings.Replace(assoc, "{name: p}", "{name: q}", 1), "{name: q}", "{name: r}", "spec"},
		{"template id", tmpl, "low", "high", "spec.templateID"},
		{"template type", tmpl + "  audio: {}\n", "type: H264Origin", "type: Audio", "spec.type"},
		{"template main", tmpl, "{name: m}", "{name: other}", "spec.playDomainRef"},
		{"template video", tmpl, "video: {}", "video: {fps: 30}", ""},
		{"template apps", tmpl + "  apps: [a]\n", "[a]", "[b]", ""},
		{"claim namespace", claim, "namespace: team", "namespace: other", "spec.namespace"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			old, changed := object(t, tc.object), strings.Replace(tc.object, tc.from, tc.to, 1)
			if tc.name == "template type" {
				changed = strings.Replace(changed, "  video: {}\n", "", 1)
			}
			new := object(t, changed)
			for _, obj := range []*unstructured.Unstructured{old, new} {
				if errs := v.Check(t.Context(), obj); len(errs) > 0 {
					t.Fatalf("the case itself is not valid: %v", errs)
				}
			}
			if errs := v.CheckUpdate(t.Context(), old, old); len(errs) > 0 {
				t.Errorf("nothing changed: %v", errs)
			}
			var fields []string
			errs := v.CheckUpdate(t.Context(), old, new)
			for _, e := range errs {
				fields = append(fields, e.Field)
			}
			if got := strings.Join(fields, " "); got != tc.want {
				t.Errorf("errors at %q, want %q: %v", got, tc.want, errs)
			}
		})
	}
}

// TestDefaults checks that Check fills in what the CRDs say.
func TestDefaults(t *testing.T) {
	v := newValidator(t)
	for _, tc := range []struct{ text, want string }{
		{push, "auth: {type: None, validitySeconds: 1800}\nclassName: default\nduplicatePublish: RejectNew\nhostname: push.example.com\nsource: {bFrames: Warn, h265: Warn, maxGOPMilliseconds: 3000}\nstate: Online\n"},
		{play, "auth: {type: None, validitySeconds: 1800}\nclassName: default\nhostname: play.example.com\nstate: Online\ntype: RTS\n"},
		{play + "  rts: {}\n", "auth: {type: None, validitySeconds: 1800}\nclassName: default\nhostname: play.example.com\nrts: {autoRepair: Disabled}\nstate: Online\ntype: RTS\n"},
		{tmpl, "audio: {codec: Opus}\nplayDomainRef: {name: m}\ntemplateID: low\ntrigger: OnDemand\ntype: H264Origin\nvideo: {bFrames: Drop, gopMilliseconds: 2000}\n"},
	} {
		obj := object(t, tc.text)
		if errs := v.Check(t.Context(), obj); len(errs) > 0 {
			t.Fatal(errs)
		}
		var want any
		if err := yaml.Unmarshal([]byte(tc.want), &want); err != nil {
			t.Fatal(err)
		}
		got, _ := yaml.Marshal(obj.Object["spec"])
		wanted, _ := yaml.Marshal(want)
		if string(got) != string(wanted) {
			t.Errorf("got\n%swant\n%s", got, wanted)
		}
	}
	obj := object(t, class)
	if errs := v.Check(t.Context(), obj); len(errs) > 0 {
		t.Fatal(errs)
	}
	drain, _, _ := unstructured.NestedInt64(obj.Object, "spec", "pools", "transcoder", "drainSeconds")
	exposure, _, _ := unstructured.NestedString(obj.Object, "spec", "pools", "relay", "exposure", "type")
	claims, _, _ := unstructured.NestedString(obj.Object, "spec", "claims")
	if drain != 540 || exposure != "HostPort" || claims != "Always" {
		t.Errorf("a class without spec has drainSeconds %d, exposure %q, claims %q", drain, exposure, claims)
	}
}

func TestClosest(t *testing.T) {
	fields := []string{"auth", "className", "duplicatePublish", "hostname", "limits", "tls"}
	for name, want := range map[string]string{
		"hostnam": "hostname", "hostName": "hostname", "duplicatepublish": "duplicatePublish", "classname": "className", "limit": "limits",
		"tsl": "tls", "zzz": "", "": "", "somethingElseEntirely": "",
	} {
		if got := schema.Closest(name, fields); got != want {
			t.Errorf("Closest(%q) = %q, want %q", name, got, want)
		}
	}
}
