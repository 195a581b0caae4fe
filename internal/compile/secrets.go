package compile

import (
	"bytes"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/internal/contract/keypair"
	"github.com/millrace/millrace/internal/contract/plan"
)

// The keys of the Secrets that domains refer to.
const (
	secretPrimary = "primary"
	secretBackup  = "backup"
	secretAuthKey = "authKey"
)

// TrimSecret drops what no Compile looks at: other keys, and what values have beyond the largest that is ever read. So
// a Secret that is kept costs little, whatever is in it.
func TrimSecret(s *corev1.Secret) {
	kept := map[string][]byte{}
	for _, key := range []string{
		secretPrimary, secretBackup, secretAuthKey, corev1.TLSCertKey, corev1.TLSPrivateKeyKey,
	} {
		if value, ok := s.Data[key]; ok {
			kept[key] = bytes.Clone(value[:min(len(value), keypair.MaxChain+1)])
		}
	}
	s.Data = kept
}

func secrets(objects []corev1.Secret) map[ref]*corev1.Secret {
	out := map[ref]*corev1.Secret{}
	for i := range objects {
		out[refOf(&objects[i].ObjectMeta)] = &objects[i]
	}
	return out
}

// resolveSecrets reads the Secrets of an accepted domain. What cannot be read fails closed: without signing keys no new
// URL is good, without a certificate there is no TLS, without the key of the callback there is no callback.
func (c *compiler) resolveSecrets(d *domain) {
	if d.push != nil {
		c.resolveAuth(d, &d.push.Spec.Auth)
		c.resolveTLS(d, d.push.Spec.TLS)
		c.resolveNotify(d, d.push.Spec.Notify)
		return
	}
	c.resolveAuth(d, &d.play.Spec.Auth)
	c.resolveTLS(d, d.play.Spec.TLS)
}

func (c *compiler) resolveAuth(d *domain, a *v1alpha1.Auth) {
	if a.Type == v1alpha1.AuthNone || a.Type == "" {
		d.auth = plan.Auth{Type: plan.AuthNone}
		return
	}
	d.auth = plan.Auth{Type: plan.AuthRefuse}
	secret, ok := c.secret(d, "spec.auth.secretRef.name", a.SecretRef, "no URL is accepted until then")
	if !ok {
		return
	}
	primary, backup := string(secret.Data[secretPrimary]), string(secret.Data[secretBackup])
	switch {
	case primary == "":
		d.badSecret("spec.auth.secretRef.name", secret, "has no key primary: add it with 16 to 64 letters and digits")
		return
	case !isSigningKey(primary):
		d.badSecret(
			"spec.auth.secretRef.name",
			secret,
			"has a key primary that is not 16 to 64 letters and digits: replace it",
		)
		return
	case backup != "" && !isSigningKey(backup):
		d.badSecret(
			"spec.auth.secretRef.name",
			secret,
			"has a key backup that is not 16 to 64 letters and digits: replace or remove it",
		)
		return
	}
	d.auth = plan.Auth{Type: plan.AuthType(a.Type), Primary: primary, Backup: backup}
	if a.ValiditySeconds != nil {
		d.auth.Validity = time.Duration(*a.ValiditySeconds) * time.Second
	}
}

func (c *compiler) resolveTLS(d *domain, t *v1alpha1.DomainTLS) {
	if t == nil {
		return
	}
	const field = "spec.tls.secretRef.name"
	secret, ok := c.secret(d, field, &t.SecretRef, "there is no TLS until then")
	if !ok {
		return
	}
	cert, key := secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey]
	if len(cert) == 0 || len(key) == 0 {
		d.badSecret(field, secret, "lacks tls.crt or tls.key: both are needed, PEM")
		return
	}
	known, err := c.pairs.Get(cert, key)
	if err != nil {
		d.badSecret(field, secret, fmt.Sprintf("cannot be used for TLS: %v", err))
		return
	}
	if err := known.names.VerifyHostname(d.hostname); err != nil {
		d.badSecret(
			field,
			secret,
			fmt.Sprintf("has a certificate that is not for %s: issue one with that DNS name", d.hostname),
		)
		return
	}
	d.tls = known.pair
}

func (c *compiler) resolveNotify(d *domain, n *v1alpha1.Notify) {
	if n == nil {
		return
	}
	if n.AuthKeySecretRef == nil {
		d.notify = &plan.Notify{URL: n.URL}
		return
	}
	const field = "spec.notify.authKeySecretRef.name"
	secret, ok := c.secret(d, field, n.AuthKeySecretRef, "there are no callbacks until then")
	if !ok {
		return
	}
	key := string(secret.Data[secretAuthKey])
	if !isSigningKey(key) {
		d.badSecret(field, secret, "needs a key authKey of 16 to 64 letters and digits")
		return
	}
	d.notify = &plan.Notify{URL: n.URL, Key: key}
}

func (c *compiler) secret(d *domain, field string, r *v1alpha1.SecretReference, until string) (*corev1.Secret, bool) {
	if r == nil {
		d.verdict.unresolved(v1alpha1.ReasonSecretNotFound, field, "no Secret is named; "+until, nil)
		return nil, false
	}
	at := ref{d.meta.Namespace, r.Name}
	secret := c.secrets[at]
	if secret == nil {
		d.verdict.unresolved(
			v1alpha1.ReasonSecretNotFound,
			field,
			fmt.Sprintf("there is no Secret %s in this namespace: create it; %s", r.Name, until),
			&Object{Kind: "Secret", Namespace: at.namespace, Name: at.name},
		)
		return nil, false
	}
	return secret, true
}

func (d *domain) badSecret(field string, s *corev1.Secret, what string) {
	d.verdict.unresolved(v1alpha1.ReasonSecretInvalid, field, fmt.Sprintf("Secret %s %s", s.Name, what),
		&Object{Kind: "Secret", Namespace: s.Namespace, Name: s.Name})
}

// isSigningKey reports whether a key is 16 to 64 ASCII letters and digits.
func isSigningKey(key string) bool {
	if len(key) < 16 || len(key) > 64 {
		return false
	}
	for _, r := range key {
		if (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
			return false
		}
	}
	return true
}
