package compile

import (
	"cmp"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/internal/contract/plan"
)

// domain is a PushDomain or a PlayDomain and what is decided about it.
type domain struct {
	meta      *metav1.ObjectMeta
	push      *v1alpha1.PushDomain // one of the two
	play      *v1alpha1.PlayDomain
	hostname  string
	className string

	class   *class // set when accepted
	verdict Verdict
	main    *domain // that a push domain feeds or that a sub has
	hasKids bool    // it is the main of an association that is resolved

	auth   plan.Auth
	tls    *plan.KeyPair
	notify *plan.Notify
}

func (d *domain) accepted() bool { return d.class != nil }

func (d *domain) kind() string { return d.verdict.Kind }

// decideDomains accepts or rejects all domains, oldest first.
func (c *compiler) decideDomains(push []v1alpha1.PushDomain, play []v1alpha1.PlayDomain) {
	for i := range push {
		o := &push[i]
		d := &domain{meta: &o.ObjectMeta, push: o, hostname: string(o.Spec.Hostname), className: o.Spec.ClassName}
		d.verdict = Verdict{
			Kind:      v1alpha1.KindPushDomain,
			Namespace: o.Namespace,
			Name:      o.Name,
			Hostname:  d.hostname,
			Type:      "Push",
		}
		c.push[refOf(d.meta)] = d
		c.domains = append(c.domains, d)
	}
	for i := range play {
		o := &play[i]
		d := &domain{meta: &o.ObjectMeta, play: o, hostname: string(o.Spec.Hostname), className: o.Spec.ClassName}
		d.verdict = Verdict{
			Kind:      v1alpha1.KindPlayDomain,
			Namespace: o.Namespace,
			Name:      o.Name,
			Hostname:  d.hostname,
			Type:      string(o.Spec.Type),
		}
		c.play[refOf(d.meta)] = d
		c.domains = append(c.domains, d)
	}
	slices.SortStableFunc(
		c.domains,
		func(a, b *domain) int { return cmp.Or(older(a.meta, b.meta), cmp.Compare(a.kind(), b.kind())) },
	)
	for _, d := range c.domains {
		c.decideDomain(d)
	}
}

func (c *compiler) decideDomain(d *domain) {
	if d.className == "" {
		d.className = v1alpha1.DefaultClassName
	}
	k := c.classes[d.className]
	if reason, field, message, ok := c.admits(d, k); !ok {
		d.verdict.reject(reason, field, message)
		if field == "spec.className" {
			d.verdict.Problems[0].Of = &Object{Kind: v1alpha1.KindMediaClass, Name: d.className}
		}
		return
	}
	if c.boundOnly && !c.holds(d) {
		c.claimants[d.hostname] = d
		d.verdict.WantsClaim = true
		d.verdict.reject(
			v1alpha1.ReasonPending,
			"spec.hostname",
			fmt.Sprintf("hostname %s is free: it is being claimed for this domain", d.hostname),
		)
		return
	}
	d.class = k
	c.owners[d.hostname] = d
	c.resolveSecrets(d)
}

// admits decides whether a domain may have its hostname in its class.
func (c *compiler) admits(d *domain, k *class) (reason v1alpha1.Reason, field, message string, ok bool) {
	switch {
	case d.meta.DeletionTimestamp != nil:
		return v1alpha1.ReasonTerminating, "", "the domain is being deleted: its hostname is free when the pods have " +
			"dropped it", false
	case k == nil:
		return v1alpha1.ReasonClassNotFound, "spec.className", fmt.Sprintf(
			"there is no MediaClass %s: create it, or name another class",
			d.className,
		), false
	case !k.valid():
		return v1alpha1.ReasonClassInvalid, "spec.className", fmt.Sprintf(
			"MediaClass %s is not usable: the platform has to correct it",
			d.className,
		), false
	}
	if !c.selects(k.serves, d.meta.Namespace) {
		return v1alpha1.ReasonNamespaceNotServed, "spec.className", fmt.Sprintf(
			"MediaClass %s does not serve this namespace: name another class, or ask the platform to add the namespace to "+
				"spec.namespaceSelector of the class",
			d.className,
		), false
	}
	if reason, message, ok := c.mayClaim(d, k); !ok {
		return reason, "spec.hostname", message, false
	}
	if d.play != nil && d.play.Spec.Type == v1alpha1.PlayRTS && !c.selects(k.rts, d.meta.Namespace) {
		return v1alpha1.ReasonRTSNotGranted, "spec.type", fmt.Sprintf(
			"MediaClass %s does not grant RTS to this namespace: ask the platform to add the namespace to "+
				"spec.rts.namespaceSelector of the class",
			d.className,
		), false
	}
	return "", "", "", true
}

// mayClaim decides whether a domain may have its hostname. A claim decides; without one, the first accepted domain has
// it.
func (c *compiler) mayClaim(d *domain, k *class) (v1alpha1.Reason, string, bool) {
	claim := c.claims[d.hostname]
	if claim != nil && claim.Spec.Namespace != d.meta.Namespace {
		return v1alpha1.ReasonHostnameConflict, taken(d.hostname), false
	}
	if claim != nil && claim.Spec.ClaimRef != nil && !isOwner(claim.Spec.ClaimRef, d) {
		if r := claim.Spec.ClaimRef; r.Kind != d.kind() || r.Name != d.meta.Name {
			return v1alpha1.ReasonHostnameConflict, takenBy(d.hostname, r.Kind, r.Name), false
		}
		return v1alpha1.ReasonHostnameConflict, fmt.Sprintf(
			"hostname %s is still held for the deleted %s of this name: it is free when the pods have dropped it",
			d.hostname,
			d.kind(),
		), false
	}
	if owner := cmp.Or(c.owners[d.hostname], c.claimants[d.hostname]); owner != nil {
		if owner.meta.Namespace == d.meta.Namespace {
			return v1alpha1.ReasonHostnameConflict, takenBy(d.hostname, owner.kind(), owner.meta.Name), false
		}
		return v1alpha1.ReasonHostnameConflict, taken(d.hostname), false
	}
	if claim != nil {
		return "", "", true
	}
	switch k.object.Spec.Claims {
	case v1alpha1.ClaimsNever:
		return v1alpha1.ReasonHostnameNotPermitted, fmt.Sprintf(
			"MediaClass %s gives hostnames by DomainClaim only: ask the platform for a DomainClaim %s for this namespace",
			d.className,
			d.hostname,
		), false
	case v1alpha1.ClaimsSameSuffix:
		if !c.allowsSuffix(d.meta.Namespace, d.hostname) {
			return v1alpha1.ReasonHostnameNotPermitted, fmt.Sprintf(
				"hostname %s is not below a suffix that this namespace may use: ask the platform to add it to the annotation %s "+
					"of the namespace",
				d.hostname,
				v1alpha1.AnnotationAllowedSuffixes,
			), false
		}
	}
	return "", "", true
}

// holds reports whether the claim of the domain's hostname names the domain, this very one.
func (c *compiler) holds(d *domain) bool {
	claim := c.claims[d.hostname]
	return claim != nil && claim.Spec.ClaimRef != nil && isOwner(claim.Spec.ClaimRef, d) &&
		claim.Spec.ClaimRef.UID == string(d.meta.UID)
}

func taken(hostname string) string {
	return fmt.Sprintf("hostname %s is already taken: choose another, or ask the platform who has it", hostname)
}

func takenBy(hostname, kind, name string) string {
	return fmt.Sprintf(
		"hostname %s already belongs to %s %s: a hostname is one push domain or one play domain, choose another",
		hostname,
		kind,
		name,
	)
}

func isOwner(r *v1alpha1.ClaimReference, d *domain) bool {
	same := r.Kind == d.kind() && r.Namespace == d.meta.Namespace && r.Name == d.meta.Name
	return same && (r.UID == "" || d.meta.UID == "" || r.UID == string(d.meta.UID))
}

func (c *compiler) concludeDomain(d *domain) {
	if d.push != nil {
		notServed(&d.verdict, d.push, unservedOfPush())
	} else if d.main == nil {
		notServed(&d.verdict, d.play, unservedOfPlay())
	}
	d.verdict.conclude("The domain obeys all rules", "All Secrets exist and are usable")
	if !d.accepted() {
		return
	}
	switch {
	case d.push != nil && d.main != nil:
		d.verdict.Main = d.main.hostname
	case d.play != nil:
		d.verdict.Role = d.role()
		if d.main != nil {
			d.verdict.Main = d.main.hostname
			if d.play.Spec.BillingMode != "" {
				d.verdict.IgnoredFields = []string{"spec.billingMode"}
			}
		}
	}
}

// role is the place of a play domain in its associations.
func (d *domain) role() v1alpha1.PlayRole {
	switch {
	case d.main != nil:
		return v1alpha1.RoleSub
	case d.hasKids:
		return v1alpha1.RoleMain
	}
	return v1alpha1.RoleUnassociated
}
