package status

import (
	"time"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/internal/compile"
)

// PlayDomain computes the status of a play domain, and when to look again.
func PlayDomain(
	o *v1alpha1.PlayDomain,
	v *compile.Verdict,
	s Serving,
	viewers, egressKbps int,
	now time.Time,
) (v1alpha1.PlayDomainStatus, time.Duration) {
	b := begin(o.Status.Conditions, o.Generation, now)
	b.verdict(v)
	b.programmed(v, s)
	lacks := offline(o.Spec.State)
	if v.Accepted && v.Role == v1alpha1.RoleUnassociated && lacks == nil {
		lacks = &lack{
			v1alpha1.ReasonNotAssociated,
			"No DomainAssociation names this domain, so it has no streams to play: associate a push domain with it, or make " +
				"it a sub of a main",
		}
	}
	wait := b.conclude(lacks, whole()...)
	out := v1alpha1.PlayDomainStatus{
		ObservedGeneration: o.Generation,
		Conditions:         b.conditions,
		Role:               v.Role,
		IgnoredFields:      v.IgnoredFields,
		Viewers:            int32(viewers),
		EgressMbps:         int32((egressKbps + 500) / 1000),
	}
	if v.Role == v1alpha1.RoleSub {
		out.Main = v.Main
	}
	if v.Accepted {
		out.Endpoints = s.Endpoints
		out.PlayURLs = playURLs(o)
	}
	return out, wait
}

// playURLs are what a person can copy: {app} and {stream} stand for what is published.
func playURLs(o *v1alpha1.PlayDomain) []string {
	host, path, signed := string(o.Spec.Hostname), "/{app}/{stream}", ""
	switch o.Spec.Auth.Type {
	case v1alpha1.AuthA:
		signed = "?auth_key={time}-{rand}-{uid}-{md5}"
	case v1alpha1.AuthB:
		path = "/{time}/{md5}" + path
	case v1alpha1.AuthC:
		path = "/{md5}/{time}" + path
	}
	web := "http://"
	if o.Spec.TLS != nil {
		web = "https://"
	}
	if o.Spec.Type == v1alpha1.PlayRTS {
		return []string{"artc://" + host + path + signed, web + host + path + signed}
	}
	served := []v1alpha1.PlayProtocol{"RTMP", "FLV", "HLS"}
	if o.Spec.Standard != nil && len(o.Spec.Standard.Protocols) > 0 {
		served = o.Spec.Standard.Protocols
	}
	var out []string
	for _, p := range served {
		switch p {
		case "RTMP":
			out = append(out, "rtmp://"+host+path+signed)
		case "FLV":
			out = append(out, web+host+path+".flv"+signed)
		case "HLS":
			out = append(out, web+host+path+".m3u8"+signed)
		}
	}
	return out
}
