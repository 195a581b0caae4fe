package controllers

import (
	"bytes"
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/millrace/millrace/controllers/apply"
	"github.com/millrace/millrace/controllers/fleet"
	"github.com/millrace/millrace/internal/contract"
)

// The key of the certificates of all authorities in a Secret of type kubernetes.io/tls.
const keyBundle = "ca.crt"

// certificate keeps the Secret with the identity of a pool's pods: made when it is missing, renewed when it is due,
// with every CA that is in use. It gives the time until then.
func (r mediaClasses) certificate(
	ctx context.Context,
	k fleet.PoolKey,
	labels map[string]string,
) (time.Duration, error) {
	if r.Certificates == nil {
		return 0, nil
	}
	key := client.ObjectKey{Namespace: r.MediaNamespace, Name: contract.TLSSecretName(k.Class, k.Role)}
	var live corev1.Secret
	err := r.live.Get(ctx, key, &live)
	if client.IgnoreNotFound(err) != nil {
		return 0, fmt.Errorf("read Secret %s: %w", key, err)
	}
	found := !apierrors.IsNotFound(err)
	data := live.Data
	until, keep := r.Certificates.KeepPod(data[corev1.TLSCertKey], k.Class, k.Role)
	if found && keep && len(data[corev1.TLSPrivateKeyKey]) > 0 {
		if bytes.Equal(data[keyBundle], r.Certificates.Bundle()) {
			return max(until.Sub(r.Now()), time.Second), nil
		}
		data = map[string][]byte{
			corev1.TLSCertKey: data[corev1.TLSCertKey], corev1.TLSPrivateKeyKey: data[corev1.TLSPrivateKeyKey],
			keyBundle: r.Certificates.Bundle(),
		}
	} else {
		issued, err := r.Certificates.IssuePod(k.Class, k.Role)
		if err != nil {
			return 0, err
		}
		until = issued.RenewAt
		data = map[string][]byte{corev1.TLSCertKey: issued.Cert, corev1.TLSPrivateKeyKey: issued.Key,
			keyBundle: issued.Bundle}
		log.FromContext(ctx).V(1).Info("Issued a certificate for pods", "pool", contract.PoolName(k.Class, k.Role),
			"notAfter", issued.NotAfter)
	}
	wanted, err := apply.Plain(&corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name, Labels: labels},
		Type:       corev1.SecretTypeTLS,
		Data:       data,
	})
	if err != nil {
		return 0, err
	}
	return max(until.Sub(r.Now()), time.Second), apply.Write(ctx, r.client, wanted)
}
