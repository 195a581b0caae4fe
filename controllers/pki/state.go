package pki

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"time"
)

// The keys of a CA Secret. tls.crt and tls.key are those of the CA that signs.
const (
	keyCert     = "tls.crt"
	keyKey      = "tls.key"
	keyNextCert = "next.crt"
	keyNextKey  = "next.key"
	keyOld      = "old.crt"
	// KeyBundle is the key of the bundle: every CA that a leaf in use may be signed by.
	KeyBundle = "ca.crt"
)

// The annotations of a CA Secret.
const (
	annotationNextSince = "live.millrace.dev/next-since"
	annotationOldSince  = "live.millrace.dev/old-since"
	// AnnotationRotate, set to any value by a person, begins a rotation at once.
	AnnotationRotate = "live.millrace.dev/rotate"
)

// State is what a CA Secret holds.
type State struct {
	// Current signs.
	Current *CA
	// Next is in the bundle already and signs when everybody had the time to read the bundle; nil outside of a rotation.
	Next      *CA
	NextSince time.Time
	// Old CAs are still in the bundle because leaves of theirs may be in use.
	Old      []*x509.Certificate
	OldSince time.Time // when the last of them signed for the last time
}

// Trusted lists the CAs of the bundle, that which signs first.
func (s State) Trusted() []*x509.Certificate {
	out := []*x509.Certificate{s.Current.Cert}
	if s.Next != nil {
		out = append(out, s.Next.Cert)
	}
	return append(out, s.Old...)
}

// Bundle is Trusted in PEM.
func (s State) Bundle() []byte { return encodeCertificates(s.Trusted()...) }

// equal reports whether two states hold the same CAs.
func (s State) equal(o State) bool {
	return s.Current != nil && o.Current != nil && bytes.Equal(s.Bundle(), o.Bundle()) &&
		s.Current.Cert.Equal(o.Current.Cert) && (s.Next == nil) == (o.Next == nil)
}

// encode makes the data and the annotations of a Secret.
func (s State) encode() (data map[string][]byte, annotations map[string]string, err error) {
	data, annotations = map[string][]byte{}, map[string]string{}
	data[keyCert] = encodeCertificates(s.Current.Cert)
	if data[keyKey], err = encodeKey(s.Current.Key); err != nil {
		return nil, nil, err
	}
	if s.Next != nil {
		data[keyNextCert] = encodeCertificates(s.Next.Cert)
		if data[keyNextKey], err = encodeKey(s.Next.Key); err != nil {
			return nil, nil, err
		}
		annotations[annotationNextSince] = s.NextSince.UTC().Format(time.RFC3339)
	}
	if len(s.Old) > 0 {
		data[keyOld] = encodeCertificates(s.Old...)
		annotations[annotationOldSince] = s.OldSince.UTC().Format(time.RFC3339)
	}
	data[KeyBundle] = s.Bundle()
	return data, annotations, nil
}

// decode reads what encode made. The bundle is computed, never read.
func decode(data map[string][]byte, annotations map[string]string) (State, error) {
	var s State
	var err error
	if s.Current, err = parseCA(data[keyCert], data[keyKey]); err != nil {
		return State{}, fmt.Errorf("%s and %s: %w", keyCert, keyKey, err)
	}
	if len(data[keyNextCert]) > 0 {
		if s.Next, err = parseCA(data[keyNextCert], data[keyNextKey]); err != nil {
			return State{}, fmt.Errorf("%s and %s: %w", keyNextCert, keyNextKey, err)
		}
		if s.NextSince, err = time.Parse(time.RFC3339, annotations[annotationNextSince]); err != nil {
			return State{}, fmt.Errorf("annotation %s: %w", annotationNextSince, err)
		}
	}
	if len(data[keyOld]) > 0 {
		if s.Old, err = ParseCertificates(data[keyOld]); err != nil {
			return State{}, fmt.Errorf("%s: %w", keyOld, err)
		}
		if s.OldSince, err = time.Parse(time.RFC3339, annotations[annotationOldSince]); err != nil {
			return State{}, fmt.Errorf("annotation %s: %w", annotationOldSince, err)
		}
	}
	return s, nil
}
