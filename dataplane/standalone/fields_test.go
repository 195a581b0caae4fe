package standalone

import (
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/dataplane/urlauth"
	"github.com/millrace/millrace/internal/contract/plan"
	"github.com/millrace/millrace/internal/testkit"
	"github.com/millrace/millrace/internal/testsrc"
)

// fieldsBase is a service in which every kind takes part. Viewers watch the main and the sub.
const fieldsBase = `
apiVersion: v1
kind: Namespace
metadata: {name: default, annotations: {live.millrace.dev/allowed-suffixes: example.com}}
---
apiVersion: live.millrace.dev/v1alpha1
kind: MediaClass
metadata: {name: default}
spec: {region: here, claims: Always, rts: {namespaceSelector: {}}}
---
apiVersion: live.millrace.dev/v1alpha1
kind: MediaClass
metadata: {name: second}
spec: {region: here, claims: Always, rts: {namespaceSelector: {}}}
---
apiVersion: live.millrace.dev/v1alpha1
kind: DomainClaim
metadata: {name: rts.example.com}
spec: {namespace: default, claimRef: {kind: PlayDomain, namespace: default, name: main}}
---
apiVersion: v1
kind: Secret
metadata: {name: keys}
stringData:
  primary: primarykey123456
  backup: backupkey1234567
  authKey: notifykey12345678
---
apiVersion: v1
kind: Secret
metadata: {name: other-keys}
stringData:
  primary: anotherkey123456
  authKey: othernotify1234567
---
apiVersion: live.millrace.dev/v1alpha1
kind: PushDomain
metadata: {name: push}
spec: {hostname: push.example.com, auth: {type: A, secretRef: {name: keys}}, tls: {secretRef: {name: keys}}, notify: {url: "https://hooks.example.com/a", authKeySecretRef: {name: keys}}}
---
apiVersion: live.millrace.dev/v1alpha1
kind: PlayDomain
metadata: {name: main}
spec: {hostname: rts.example.com, type: RTS, rts: {}, auth: {type: A, secretRef: {name: keys}}, tls: {secretRef: {name: keys}}}
---
apiVersion: live.millrace.dev/v1alpha1
kind: PlayDomain
metadata: {name: sub}
spec: {hostname: sub.example.com, type: RTS}
---
apiVersion: live.millrace.dev/v1alpha1
kind: PlayDomain
metadata: {name: std}
spec: {hostname: play.example.com, type: Standard, standard: {protocols: [FLV]}}
---
apiVersion: live.millrace.dev/v1alpha1
kind: DomainAssociation
metadata: {name: push-to-main}
spec: {type: PushToPlay, pushDomainRef: {name: push}, mainPlayDomainRef: {name: main}}
---
apiVersion: live.millrace.dev/v1alpha1
kind: DomainAssociation
metadata: {name: main-to-sub}
spec: {type: MainToSub, subPlayDomainRef: {name: sub}, mainPlayDomainRef: {name: main}}
---
apiVersion: live.millrace.dev/v1alpha1
kind: RTSTranscodeTemplate
metadata: {name: hd}
spec: {templateID: rts-hd, type: H264, playDomainRef: {name: main}, video: {width: 1280, height: 720, fps: 30, bitrateKbps: 2000}, audio: {codec: Opus}}
`

// edit is a change of one field of one object.
type edit struct {
	object string // Kind/name
	value  any
	also   map[string]any // other fields that must change with it
}

// keepers are the fields whose change takes nobody's right to watch, each with a change of it.
func keepers() map[string]edit {
	out := map[string]edit{
		"PushDomain.className":                    {"PushDomain/push", "second", nil},
		"PushDomain.auth.type":                    {"PushDomain/push", "C", nil},
		"PushDomain.auth.secretRef.name":          {"PushDomain/push", "other-keys", nil},
		"PushDomain.auth.validitySeconds":         {"PushDomain/push", 60, nil},
		"PushDomain.source.bFrames":               {"PushDomain/push", "Reject", nil},
		"PushDomain.source.h265":                  {"PushDomain/push", "Allow", nil},
		"PushDomain.source.maxGOPMilliseconds":    {"PushDomain/push", 5000, nil},
		"PushDomain.duplicatePublish":             {"PushDomain/push", "ReplaceOld", nil},
		"PushDomain.limits.maxStreams":            {"PushDomain/push", 7, nil},
		"PushDomain.limits.maxBitrateKbps":        {"PushDomain/push", 90_000, nil},
		"PushDomain.tls.secretRef.name":           {"PushDomain/push", "other-keys", nil},
		"PushDomain.notify.url":                   {"PushDomain/push", "https://hooks.example.com/b", nil},
		"PushDomain.notify.authKeySecretRef.name": {"PushDomain/push", "other-keys", nil},

		"PlayDomain.className":            {"PlayDomain/main", "second", nil},
		"PlayDomain.standard.protocols":   {"PlayDomain/std", []any{"HLS", "RTMP"}, nil},
		"PlayDomain.rts.autoRepair":       {"PlayDomain/main", "Enabled", nil},
		"PlayDomain.rts.fallback":         {"PlayDomain/main", "None", nil},
		"PlayDomain.auth.type":            {"PlayDomain/main", "B", nil},
		"PlayDomain.auth.secretRef.name":  {"PlayDomain/main", "other-keys", nil},
		"PlayDomain.auth.validitySeconds": {"PlayDomain/main", 1, nil},
		"PlayDomain.access.referers":      {"PlayDomain/main", []any{"none", "www.example.com"}, nil},
		"PlayDomain.access.ips":           {"PlayDomain/main", []any{"127.0.0.0/8", "::1"}, nil},
		"PlayDomain.tls.secretRef.name":   {"PlayDomain/main", "other-keys", nil},
		"PlayDomain.billingMode":          {"PlayDomain/main", "Bandwidth", nil},
		"PlayDomain.limits.maxViewers":    {"PlayDomain/main", 1, nil},
		"PlayDomain.limits.maxEgressMbps": {"PlayDomain/main", 1, nil},

		"RTSTranscodeTemplate.templateID":            {"RTSTranscodeTemplate/hd", "uhd", nil},
		"RTSTranscodeTemplate.type":                  {"RTSTranscodeTemplate/hd", "Audio", map[string]any{"video": nil}},
		"RTSTranscodeTemplate.playDomainRef.name":    {"RTSTranscodeTemplate/hd", "std", nil},
		"RTSTranscodeTemplate.apps":                  {"RTSTranscodeTemplate/hd", []any{"other"}, nil},
		"RTSTranscodeTemplate.video.width":           {"RTSTranscodeTemplate/hd", 960, nil},
		"RTSTranscodeTemplate.video.height":          {"RTSTranscodeTemplate/hd", 540, nil},
		"RTSTranscodeTemplate.video.fps":             {"RTSTranscodeTemplate/hd", 25, nil},
		"RTSTranscodeTemplate.video.bitrateKbps":     {"RTSTranscodeTemplate/hd", 900, nil},
		"RTSTranscodeTemplate.video.gopMilliseconds": {"RTSTranscodeTemplate/hd", 1000, nil},
		"RTSTranscodeTemplate.video.bFrames":         {"RTSTranscodeTemplate/hd", "Keep", nil},
		"RTSTranscodeTemplate.audio.codec":           {"RTSTranscodeTemplate/hd", "AAC", nil},
		"RTSTranscodeTemplate.audio.bitrateKbps":     {"RTSTranscodeTemplate/hd", 96, nil},
		"RTSTranscodeTemplate.audio.channels":        {"RTSTranscodeTemplate/hd", 1, nil},
		"RTSTranscodeTemplate.audio.sampleRateHz": {
			"RTSTranscodeTemplate/hd",
			44100,
			map[string]any{"audio.codec": "AAC"},
		},
		"RTSTranscodeTemplate.trigger": {"RTSTranscodeTemplate/hd", "OnPublish", nil},

		"MediaClass.namespaceSelector": { // one that selects no namespace leaves no Plan, and that is kept out
			"MediaClass/default",
			map[string]any{"matchLabels": map[string]any{"kubernetes.io/metadata.name": "default"}},
			nil,
		},
		"MediaClass.region":                       {"MediaClass/default", "there", nil},
		"MediaClass.image":                        {"MediaClass/default", "registry.example.com/millrace:v2", nil},
		"MediaClass.claims":                       {"MediaClass/default", "SameSuffix", nil},
		"MediaClass.pools.transcoder.encoder":     {"MediaClass/default", "x264", nil},
		"MediaClass.pools.transcoder.maxSessions": {"MediaClass/default", 9, nil},
		"DomainClaim.associationRef.name": {
			"DomainClaim/rts.example.com",
			"other",
			map[string]any{"associationRef.uid": "1"},
		},
		"DomainClaim.associationRef.uid": {
			"DomainClaim/rts.example.com",
			"1",
			map[string]any{"associationRef.name": "other"},
		},
		"DomainClaim.claimRef.uid": {
			"DomainClaim/rts.example.com",
			"00000000-0000-4000-8000-000000000000",
			nil,
		},
	}
	for _, pool := range []string{"ingest", "relay", "edge", "transcoder", "recorder"} {
		for field, value := range map[string]any{
			"replicas": 3, "autoscaling.minReplicas": 2, "autoscaling.maxReplicas": 5, "autoscaling.targetCPUPercent": 50,
			"resources": map[string]any{"requests": map[string]any{"cpu": "1"}}, "nodeSelector": map[string]any{"disk": "fast"},
			"tolerations": []any{map[string]any{"key": "media", "operator": "Exists"}}, "exposure.type": "NodePort",
			"exposure.ports.rtmp": 2935, "exposure.ports.rtmps": 2936, "exposure.ports.http": 2080, "exposure.ports.https": 2443,
			"exposure.ports.media": 2000,
			"exposure.admin":       "All",
			"exposure.advertise":   []any{"203.0.113.7"}, "drainSeconds": 60, "image": "registry.example.com/pool:v2",
		} {
			e := edit{"MediaClass/default", value, nil}
			if strings.HasPrefix(field, "autoscaling.") && field != "autoscaling.maxReplicas" {
				e.also = map[string]any{"pools." + pool + ".autoscaling.maxReplicas": 9}
			}
			out["MediaClass.pools."+pool+"."+field] = e
		}
	}
	return out
}

// takers are the fields whose change takes the right to watch, or the source of what is watched.
func takers() map[string]edit {
	return map[string]edit{
		"PlayDomain.hostname": {"PlayDomain/main", "new.example.com", nil},
		"PlayDomain.type": {
			"PlayDomain/main",
			"Standard",
			map[string]any{"rts": nil, "standard.protocols": []any{"FLV"}},
		},
		"PlayDomain.state": {"PlayDomain/main", "Offline", nil},
		"DomainClaim.namespace": {
			"DomainClaim/rts.example.com",
			"other",
			map[string]any{"claimRef.namespace": "other"},
		},
		"DomainClaim.claimRef.kind": {"DomainClaim/rts.example.com", "PushDomain", nil},
		"DomainClaim.claimRef.namespace": {
			"DomainClaim/rts.example.com",
			"other",
			map[string]any{"namespace": "other"},
		},
		"DomainClaim.claimRef.name": {"DomainClaim/rts.example.com", "other", nil},
		"MediaClass.rts.namespaceSelector": {
			"MediaClass/default",
			map[string]any{"matchLabels": map[string]any{"rts": "yes"}},
			nil,
		},
		"PushDomain.hostname": {"PushDomain/push", "new-push.example.com", nil},
		"PushDomain.state":    {"PushDomain/push", "Offline", nil},
		"DomainAssociation.type": {
			"DomainAssociation/main-to-sub",
			"PushToPlay",
			map[string]any{"subPlayDomainRef": nil, "pushDomainRef.name": "push"},
		},
		"DomainAssociation.pushDomainRef.name":     {"DomainAssociation/push-to-main", "other", nil},
		"DomainAssociation.subPlayDomainRef.name":  {"DomainAssociation/main-to-sub", "std", nil},
		"DomainAssociation.mainPlayDomainRef.name": {"DomainAssociation/push-to-main", "std", nil},
	}
}

// leaves lists the fields of a spec by their JSON paths; types of Kubernetes, lists and maps count as one field.
func leaves(prefix string, t reflect.Type) (out []string) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || t == reflect.TypeFor[metav1.LabelSelector]() ||
		strings.HasPrefix(t.PkgPath(), "k8s.io/") {
		return []string{prefix}
	}
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" { // inlined
			out = append(out, leaves(prefix, f.Type)...)
			continue
		}
		out = append(out, leaves(prefix+"."+name, f.Type)...)
	}
	return out
}

func TestEveryFieldIsInTheTable(t *testing.T) {
	var all []string
	for kind, spec := range map[string]reflect.Type{
		"PushDomain": reflect.TypeFor[v1alpha1.PushDomainSpec](), "PlayDomain": reflect.TypeFor[v1alpha1.PlayDomainSpec](),
		"DomainAssociation":    reflect.TypeFor[v1alpha1.DomainAssociationSpec](),
		"RTSTranscodeTemplate": reflect.TypeFor[v1alpha1.RTSTranscodeTemplateSpec](),
		"MediaClass":           reflect.TypeFor[v1alpha1.MediaClassSpec](),
		"DomainClaim":          reflect.TypeFor[v1alpha1.DomainClaimSpec](),
	} {
		all = append(all, leaves(kind, spec)...)
	}
	table := keepers()
	maps.Copy(table, takers())
	for _, field := range all {
		if _, ok := table[field]; !ok {
			t.Errorf("no change of %s is tried under viewers", field)
		}
		delete(table, field)
	}
	for field := range table {
		t.Errorf("%s is not a field", field)
	}
}

// edited is the base with a field changed, and a domain beside it whose name tells which edit is applied.
func edited(t *testing.T, field string, e edit, marker int) string {
	t.Helper()
	var docs []string
	found := false
	for _, doc := range strings.Split(fieldsBase, "---\n") {
		var o map[string]any
		if err := yaml.Unmarshal([]byte(doc), &o); err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprint(o["kind"], "/", o["metadata"].(map[string]any)["name"])
		if name == e.object {
			found = true
			spec := o["spec"].(map[string]any)
			for path, value := range e.also {
				set(spec, strings.Split(path, "."), value)
			}
			set(spec, strings.Split(field, ".")[1:], e.value)
		}
		b, err := yaml.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		docs = append(docs, string(b))
	}
	if !found && e.object != "" {
		t.Fatalf("there is no %s", e.object)
	}
	docs = append(
		docs,
		fmt.Sprintf(
			"apiVersion: live.millrace.dev/v1alpha1\nkind: PushDomain\nmetadata: {name: marker}\nspec: {hostname: "+
				"marker-%d.example.com}\n",
			marker,
		),
	)
	return strings.Join(docs, "---\n")
}

func set(o map[string]any, path []string, value any) {
	for _, key := range path[:len(path)-1] {
		next, ok := o[key].(map[string]any)
		if !ok {
			next = map[string]any{}
			o[key] = next
		}
		o = next
	}
	if value == nil {
		delete(o, path[len(path)-1])
		return
	}
	o[path[len(path)-1]] = value
}

// certificateAdder makes a certificate and gives a function that puts it into the Secrets, which the domains name as
// theirs.
func certificateAdder(t *testing.T) func(manifests string) string {
	t.Helper()
	cert, key := certificatePEM(t)
	indent := func(s string) string { return strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n    ") }
	data := fmt.Sprintf("stringData:\n  tls.crt: |\n    %s\n  tls.key: |\n    %s\n", indent(cert), indent(key))
	return func(manifests string) string { return strings.ReplaceAll(manifests, "stringData:\n", data) }
}

func signedQuery(t *testing.T, host string) string {
	t.Helper()
	u, err := urlauth.Sign(
		plan.Auth{Type: plan.AuthA, Primary: "primarykey123456"},
		&url.URL{Scheme: "http", Host: host, Path: "/live/stream"},
		time.Now().Add(time.Hour),
	)
	if err != nil {
		t.Fatal(err)
	}
	return u.RawQuery
}

func TestChangesOfFieldsUnderViewers(t *testing.T) {
	marker, withCertificate := 0, certificateAdder(t)
	p := start(t, withCertificate(edited(t, "", edit{}, marker)), nil)
	apply := func(field string, e edit) {
		t.Helper()
		marker++
		p.write("service.yaml", withCertificate(edited(t, field, e, marker)))
		p.awaitOutput(fmt.Sprintf("marker-%d.example.com", marker))
	}
	ids := func() (out []string) {
		for _, s := range p.state().Sessions {
			if s.Connected {
				out = append(out, s.ID)
			}
		}
		slices.Sort(out)
		return out
	}
	p.publishSigned(t)
	const viewers = 25
	p.watchFrom("rts.example.com", "?"+signedQuery(t, "rts.example.com"), viewers, time.Hour)
	p.watchFrom("sub.example.com", "", viewers, time.Hour)
	testkit.Eventually(t, "fifty viewers", func() bool { return len(ids()) == 2*viewers })
	before := ids()
	table := keepers()
	for _, field := range slices.Sorted(maps.Keys(table)) {
		apply(field, table[field])
		if strings.Contains(p.out.String(), "Kept the last good state") {
			t.Fatalf("%s: the change is not valid:\n%s", field, p.out)
		}
		if now := ids(); !slices.Equal(now, before) {
			t.Fatalf("%s: %d of %d viewers are left\n%s", field, len(now), len(before), p.out)
		}
	}
	apply("", edit{})
	if now := ids(); !slices.Equal(now, before) {
		t.Fatalf("the way back: %d of %d viewers are left", len(now), len(before))
	}
	// A change that takes the main's viewers their right leaves the sub's alone.
	apply("PlayDomain.access.ips", edit{"PlayDomain/main", []any{"203.0.113.1"}, nil})
	testkit.Eventually(t, "the end of the main's viewers", func() bool { return len(ids()) == viewers })
	for _, s := range p.state().Sessions {
		if s.Domain != "sub.example.com" {
			t.Errorf("a viewer of %s is left", s.Domain)
		}
	}
}

func (p *process) publishSigned(t *testing.T) {
	t.Helper()
	p.publishWith("push.example.com", "&"+signedQuery(t, "push.example.com"), testsrc.Options{BitrateKbps: 300})
}

// Each change that takes the right, or the source, is felt.
func TestChangesThatTakeTheRight(t *testing.T) {
	table := takers()
	for _, field := range slices.Sorted(maps.Keys(table)) {
		kind, _, _ := strings.Cut(field, ".")
		t.Run(field, func(t *testing.T) {
			marker, withCertificate := 0, certificateAdder(t)
			p := start(t, withCertificate(edited(t, "", edit{}, marker)), func(o *Options) { o.Hold = 100 * time.Millisecond })
			p.publishSigned(t)
			host, query := "rts.example.com", "?"+signedQuery(t, "rts.example.com")
			if field == "DomainAssociation.type" || field == "DomainAssociation.subPlayDomainRef.name" {
				host, query = "sub.example.com", ""
			}
			p.watchFrom(host, query, 2, time.Hour)
			testkit.Eventually(t, "two viewers", func() bool { return connected(p.state()) == 2 })
			p.write("service.yaml", withCertificate(edited(t, field, table[field], 1)))
			p.awaitOutput("marker-1.example.com")
			testkit.Eventually(
				t,
				"the end of the viewers after a change of "+kind,
				func() bool { return len(p.state().Sessions) == 0 },
			)
		})
	}
}
