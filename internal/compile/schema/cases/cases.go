// Package cases holds the rules of the CRDs as objects that keep or break one each, for tests: those of the offline
// check, and those that compare it with the API server.
package cases

import "strings"

// Rule is an object that keeps or breaks one rule.
type Rule struct {
	Name string
	Text string // YAML without apiVersion
	Want string // the fields that errors are about; empty: valid
}

// Change is a change of an object.
type Change struct {
	Name     string
	Object   string // YAML without apiVersion
	From, To string // what is replaced in it by what
	Want     string // the field that forbids it; empty: allowed
}

// The smallest valid object of each kind.
const (
	Push = "kind: PushDomain\nmetadata: {name: p, namespace: team}\nspec:\n  hostname: push.example.com\n"
	Play = "kind: PlayDomain\nmetadata: {name: p, namespace: team}\nspec:\n  hostname: play.example.com\n  " +
		"type: RTS\n"
	Standard = "kind: PlayDomain\nmetadata: {name: p, namespace: team}\nspec:\n  hostname: play.example.com\n  " +
		"type: Standard\n"
	Association = "kind: DomainAssociation\nmetadata: {name: a, namespace: team}\nspec:\n  type: PushToPlay\n  " +
		"pushDomainRef: {name: p}\n  mainPlayDomainRef: {name: m}\n"
	Template = "kind: RTSTranscodeTemplate\nmetadata: {name: t, namespace: team}\nspec:\n  templateID: low\n  type: " +
		"H264Origin\n  playDomainRef: {name: m}\n  video: {}\n"
	Class = "kind: MediaClass\nmetadata: {name: default}\n"
	Claim = "kind: DomainClaim\nmetadata: {name: push.example.com}\nspec:\n  namespace: team\n"
)

// Rules has each rule of the CRDs, kept and broken.
func Rules() []Rule {
	return []Rule{
		{"push", Push, ""},
		{"play", Play, ""},
		{"standard play", Standard, ""},
		{"association", Association, ""},
		{"template", Template, ""},
		{"class", Class, ""},
		{"claim", Claim, ""},
		{"status is not looked at", Push + "status: {nonsense: true}\n", ""},

		{"hostname of one label", strings.Replace(Push, "push.example.com", "localhost", 1), ""},
		{"hostname punycode", strings.Replace(Push, "push.example.com", "xn--fiq228c.xn--fiqs8s", 1), ""},
		{"hostname upper case", strings.Replace(Push, "push.example.com", "Push.example.com", 1), "spec.hostname"},
		{"hostname with port", strings.Replace(Push, "push.example.com", "push.example.com:1935", 1), "spec.hostname"},
		{"hostname wildcard", strings.Replace(Push, "push.example.com", "'*.example.com'", 1), "spec.hostname"},
		{"hostname trailing dot", strings.Replace(Push, "push.example.com", "push.example.com.", 1), "spec.hostname"},
		{"hostname address", strings.Replace(Push, "push.example.com", "10.0.0.1", 1), "spec.hostname"},
		{
			"hostname label too long",
			strings.Replace(Push, "push.example.com", strings.Repeat("a", 64)+".com", 1),
			"spec.hostname",
		},
		{
			"hostname too long",
			strings.Replace(Push, "push.example.com", strings.Repeat("abcdefg.", 32)+"com", 1),
			"spec.hostname",
		},
		{"hostname empty", strings.Replace(Push, "push.example.com", "''", 1), "spec.hostname"},
		{"hostname a number", strings.Replace(Push, "push.example.com", "12", 1), "spec.hostname"},

		{"auth", Push + "  auth: {type: A, secretRef: {name: s}, validitySeconds: 0}\n", ""},
		{"auth unknown", Push + "  auth: {type: D, secretRef: {name: s}}\n", "spec.auth.type"},
		{"auth without secret", Push + "  auth: {type: B}\n", "spec.auth.secretRef"},
		{"auth secret without type", Push + "  auth: {secretRef: {name: s}}\n", "spec.auth.type"},
		{"auth secret without name", Push + "  auth: {type: A, secretRef: {}}\n", "spec.auth.secretRef.name"},
		{
			"auth negative validity",
			Push + "  auth: {type: A, secretRef: {name: s}, validitySeconds: -1}\n",
			"spec.auth.validitySeconds",
		},
		{"source", Push + "  source: {bFrames: Reject, h265: Allow, maxGOPMilliseconds: 100}\n", ""},
		{"source unknown policy", Push + "  source: {bFrames: Refuse}\n", "spec.source.bFrames"},
		{"source GOP too short", Push + "  source: {maxGOPMilliseconds: 99}\n", "spec.source.maxGOPMilliseconds"},
		{"duplicate unknown", Push + "  duplicatePublish: Both\n", "spec.duplicatePublish"},
		{"limits negative", Push + "  limits: {maxStreams: -1}\n", "spec.limits.maxStreams"},
		{"notify", Push + "  notify: {url: 'https://api.example.com:8443/live?x=1', authKeySecretRef: {name: s}}\n", ""},
		{"notify other scheme", Push + "  notify: {url: 'ftp://api.example.com/'}\n", "spec.notify.url"},
		{"notify without host", Push + "  notify: {url: 'https:///live'}\n", "spec.notify.url"},
		{"state unknown", Push + "  state: Paused\n", "spec.state"},
		{"unknown field", Push + "  hostnam: x\n", "spec.hostnam"},
		{"unknown field deep", Push + "  auth: {typ: A}\n", "spec.auth.typ"},

		{"play without type", strings.Replace(Play, "  type: RTS\n", "", 1), "spec.type"},
		{"play of both types", strings.Replace(Play, "RTS", "Both", 1), "spec.type"},
		{"rts settings", Play + "  rts: {autoRepair: Enabled}\n", ""},
		{"rts settings on standard", Standard + "  rts: {}\n", "spec.rts"},
		{"standard settings", Standard + "  standard: {protocols: [HLS]}\n", ""},
		{"standard settings on rts", Play + "  standard: {}\n", "spec.standard"},
		{"no protocol", Standard + "  standard: {protocols: []}\n", "spec.standard.protocols"},
		{"protocol twice", Standard + "  standard: {protocols: [HLS, HLS]}\n", "spec.standard.protocols[1]"},
		{"protocol unknown", Standard + "  standard: {protocols: [SRT]}\n", "spec.standard.protocols[0]"},
		{
			"access",
			Play + "  access: {referers: [none, a.example.com, '*.b.example.com'], ips: [10.0.0.0/8, '2001:db8::1']}\n",
			"",
		},
		{"referer with scheme", Play + "  access: {referers: ['https://a.example.com']}\n", "spec.access.referers[0]"},
		{"referer with inner wildcard", Play + "  access: {referers: ['a.*.example.com']}\n", "spec.access.referers[0]"},
		{"address not valid", Play + "  access: {ips: [10.0.0.256]}\n", "spec.access.ips[0]"},
		{"range not valid", Play + "  access: {ips: [10.0.0.0/33]}\n", "spec.access.ips[0]"},
		{"billing unknown", Play + "  billingMode: Free\n", "spec.billingMode"},

		{
			"main to sub",
			strings.NewReplacer("PushToPlay", "MainToSub", "pushDomainRef", "subPlayDomainRef").Replace(Association),
			"",
		},
		{
			"push to play without push",
			strings.Replace(Association, "  pushDomainRef: {name: p}\n", "", 1),
			"spec.pushDomainRef",
		},
		{"push to play with sub", Association + "  subPlayDomainRef: {name: s}\n", "spec.subPlayDomainRef"},
		{
			"main to sub without sub",
			strings.NewReplacer("PushToPlay", "MainToSub", "  pushDomainRef: {name: p}\n", "").Replace(Association),
			"spec.subPlayDomainRef",
		},
		{
			"main to sub with push",
			strings.Replace(Association, "PushToPlay", "MainToSub", 1) + "  subPlayDomainRef: {name: s}\n",
			"spec.pushDomainRef",
		},
		{
			"sub of itself",
			strings.NewReplacer("PushToPlay", "MainToSub", "pushDomainRef", "subPlayDomainRef", "{name: p}", "{name: m}").
				Replace(Association),
			"spec.subPlayDomainRef",
		},
		{"without main", strings.Replace(Association, "  mainPlayDomainRef: {name: m}\n", "", 1), "spec.mainPlayDomainRef"},

		{"template id begins with -", strings.Replace(Template, "low", "-low", 1), "spec.templateID"},
		{"template id reserved", strings.Replace(Template, "low", "lud", 1), "spec.templateID"},
		{"template id with a dot", strings.Replace(Template, "low", "a.b", 1), "spec.templateID"},
		{"template without video", strings.Replace(Template, "  video: {}\n", "", 1), "spec.video"},
		{"origin with a size", strings.Replace(Template, "video: {}", "video: {width: 640}", 1), "spec.video"},
		{
			"h264 too large",
			strings.NewReplacer("H264Origin", "H264", "video: {}", "video: {width: 1442, height: 1442, fps: 60, bitrateKbps: "+
				"6000}").
				Replace(Template),
			"spec.video",
		},
		{
			"h264 portrait",
			strings.NewReplacer("H264Origin", "H264", "video: {}", "video: {width: 1440, height: 2560, fps: 60, bitrateKbps: "+
				"6000}").
				Replace(Template),
			"",
		},
		{
			"h264 without fps",
			strings.NewReplacer("H264Origin", "H264", "video: {}", "video: {width: 640, height: 360, bitrateKbps: 600}").
				Replace(Template),
			"spec.video",
		},
		{
			"h264 too wide",
			strings.NewReplacer("H264Origin", "H264", "video: {}",
				"video: {width: 2562, height: 360, fps: 25, bitrateKbps: 600}").
				Replace(Template),
			"spec.video.width",
		},
		{
			"h264 odd",
			strings.NewReplacer("H264Origin", "H264", "video: {}",
				"video: {width: 641, height: 360, fps: 25, bitrateKbps: 600}").
				Replace(Template),
			"spec.video.width",
		},
		{
			"GOP too long",
			strings.Replace(Template, "video: {}", "video: {gopMilliseconds: 3001}", 1),
			"spec.video.gopMilliseconds",
		},
		{"bFrames unknown", strings.Replace(Template, "video: {}", "video: {bFrames: Maybe}", 1), "spec.video.bFrames"},
		{"audio template", strings.NewReplacer("H264Origin", "Audio", "  video: {}\n", "").Replace(Template), ""},
		{"audio template with video", strings.Replace(Template, "H264Origin", "Audio", 1), "spec.video"},
		{
			"audio template with AAC",
			strings.NewReplacer("H264Origin", "Audio", "video: {}", "audio: {codec: AAC}").Replace(Template),
			"spec.audio.codec",
		},
		{"AAC", Template + "  audio: {codec: AAC, bitrateKbps: 64, channels: 1, sampleRateHz: 22050}\n", ""},
		{"AAC other rate", Template + "  audio: {codec: AAC, sampleRateHz: 8000}\n", "spec.audio.sampleRateHz"},
		{"Copy with a bit rate", Template + "  audio: {codec: Copy, bitrateKbps: 64}\n", "spec.audio"},
		{"Opus at 44100", Template + "  audio: {codec: Opus, sampleRateHz: 44100}\n", "spec.audio.sampleRateHz"},
		{"Opus too fast", Template + "  audio: {codec: Opus, bitrateKbps: 511}\n", "spec.audio.bitrateKbps"},
		{"three channels", Template + "  audio: {channels: 3}\n", "spec.audio.channels"},
		{"app twice", Template + "  apps: [live, live]\n", "spec.apps[1]"},
		{"app with a slash", Template + "  apps: [live/x]\n", "spec.apps[0]"},

		{
			"class full",
			Class + "spec:\n  region: r\n  image: i\n  claims: Never\n  rts: {namespaceSelector: {}}\n  pools:\n    relay:\n " +
				"     autoscaling: {minReplicas: 1, maxReplicas: 3}\n" +
				"      resources: {requests: {cpu: 500m}}\n      nodeSelector: {a: b}\n      tolerations: [{key: a, operator: " +
				"Exists}]\n      drainSeconds: 540\n      exposure: {type: NodePort, ports: {media: 8000}, advertise: " +
				"[192.0.2.1]}\n    transcoder: {encoder: NVENC, maxSessions: 4, replicas: 2}\n",
			"",
		},
		{
			"class replicas and autoscaling",
			Class + "spec: {pools: {edge: {replicas: 1, autoscaling: {maxReplicas: 3}}}}\n",
			"spec.pools.edge.autoscaling",
		},
		{
			"class transcoder replicas and autoscaling",
			Class + "spec: {pools: {transcoder: {replicas: 1, autoscaling: {maxReplicas: 3}}}}\n",
			"spec.pools.transcoder.autoscaling",
		},
		{
			"class autoscaling backwards",
			Class + "spec: {pools: {edge: {autoscaling: {minReplicas: 4, maxReplicas: 3}}}}\n",
			"spec.pools.edge.autoscaling.maxReplicas",
		},
		{"class drain", Class + "spec: {pools: {edge: {drainSeconds: 541}}}\n", "spec.pools.edge.drainSeconds"},
		{"class exposure", Class + "spec: {pools: {edge: {exposure: {type: Ingress}}}}\n", "spec.pools.edge.exposure.type"},
		{
			"class port",
			Class + "spec: {pools: {edge: {exposure: {ports: {http: 65536}}}}}\n",
			"spec.pools.edge.exposure.ports.http",
		},
		{"class encoder", Class + "spec: {pools: {transcoder: {encoder: AMF}}}\n", "spec.pools.transcoder.encoder"},
		{"class encoder elsewhere", Class + "spec: {pools: {relay: {encoder: x264}}}\n", "spec.pools.relay.encoder"},
		{
			"class in a namespace",
			strings.Replace(Class, "{name: default}", "{name: default, namespace: team}", 1),
			"metadata.namespace",
		},

		{"claim bound", Claim + "  claimRef: {kind: PushDomain, namespace: team, name: p, uid: u}\n", ""},
		{"claim bound elsewhere", Claim + "  claimRef: {kind: PushDomain, namespace: other, name: p}\n", "spec.claimRef"},
		{"claim of another kind", Claim + "  claimRef: {kind: Pod, namespace: team, name: p}\n", "spec.claimRef.kind"},
		{"claim without namespace", strings.Replace(Claim, "  namespace: team\n", "  {}\n", 1), "spec.namespace"},
	}
}

// Changes has what must not be changed, and what may.
func Changes() []Change {
	return []Change{
		{"push hostname", Push, "push.example.com", "other.example.com", "spec.hostname"},
		{"push setting", Push + "  state: Online\n", "Online", "Offline", ""},
		{"play hostname", Play, "play.example.com", "other.example.com", "spec.hostname"},
		{"play type", Play, "RTS", "Standard", "spec.type"},
		{"play class", Play + "  className: a\n", "className: a", "className: b", ""},
		{"association main", Association, "{name: m}", "{name: other}", "spec"},
		{"association type", strings.Replace(Association, "{name: p}", "{name: q}", 1), "{name: q}", "{name: r}", "spec"},
		{"template id", Template, "low", "high", "spec.templateID"},
		{
			"template type",
			Template + "  audio: {}\n",
			"  type: H264Origin\n  playDomainRef: {name: m}\n  video: {}\n",
			"  type: Audio\n  playDomainRef: {name: m}\n",
			"spec.type",
		},
		{"template main", Template, "{name: m}", "{name: other}", "spec.playDomainRef"},
		{"template video", Template, "video: {}", "video: {fps: 30}", ""},
		{"template apps", Template + "  apps: [a]\n", "[a]", "[b]", ""},
		{"claim namespace", Claim, "namespace: team", "namespace: other", "spec.namespace"},
	}
}
