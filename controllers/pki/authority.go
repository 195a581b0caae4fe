package pki

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/millrace/millrace/internal/contract"
)

// ErrNotLoaded says that the CA has not been read from its Secret yet.
var ErrNotLoaded = errors.New("the CA is not loaded yet")

// Options of an Authority.
type Options struct {
	// Client reads and writes the Secret, past any cache.
	Client client.Client
	// Secret that holds the CA.
	Secret types.NamespacedName
	Policy Policy
	// Labels of the Secret.
	Labels map[string]string
	// Every is how often the Secret is read again; 0: 30 s.
	Every time.Duration
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	Log logr.Logger
}

// Authority signs leaves with the CA of a Secret. Every replica of the operator has one; they agree through the Secret,
// whose creation is the lock and whose updates carry the resourceVersion that they were decided on. It is safe for
// concurrent use.
type Authority struct {
	opt Options

	mu        sync.RWMutex
	state     State
	listeners []chan struct{}
}

// NewAuthority makes an Authority. Refresh or Start loads it.
func NewAuthority(opt Options) *Authority {
	if opt.Every == 0 {
		opt.Every = 30 * time.Second
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	return &Authority{opt: opt}
}

// NeedLeaderElection says that every replica runs it.
func (a *Authority) NeedLeaderElection() bool { return false }

// Start reads the Secret again and again, and rotates the CA when it is due, until the context ends.
func (a *Authority) Start(ctx context.Context) error {
	tick := time.NewTicker(a.opt.Every)
	defer tick.Stop()
	for {
		if err := a.Refresh(ctx); err != nil && ctx.Err() == nil {
			a.opt.Log.Error(err, "Reading the CA failed, what is in memory stays in use", "Secret", a.opt.Secret)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Refresh reads the Secret, makes or rotates the CA when that is due, and takes over what it holds.
func (a *Authority) Refresh(ctx context.Context) error {
	// Another replica may be faster with the same step: then its result is read, once.
	for attempt := 0; ; attempt++ {
		state, err := a.step(ctx)
		if attempt < 3 && (apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err)) {
			continue
		}
		if err != nil {
			return err
		}
		a.take(state)
		return nil
	}
}

// step reads the Secret and writes it back when a step is due.
func (a *Authority) step(ctx context.Context) (State, error) {
	var secret corev1.Secret
	err := a.opt.Client.Get(ctx, a.opt.Secret, &secret)
	if apierrors.IsNotFound(err) {
		return a.create(ctx)
	}
	if err != nil {
		return State{}, fmt.Errorf("read Secret %s with the CA: %w", a.opt.Secret, err)
	}
	state, err := decode(secret.Data, secret.Annotations)
	if err != nil {
		// Making a new CA here would cut off every pod because of a slip of somebody's hand.
		const form = "Secret %s does not hold a CA (%w): restore it, or delete it to have a new one made"
		return State{}, fmt.Errorf(form, a.opt.Secret, err) //nolint:staticcheck // Secret is a kind
	}
	_, asked := secret.Annotations[AnnotationRotate]
	next, done, err := a.opt.Policy.Advance(state, a.opt.Now(), asked)
	if err != nil {
		return State{}, fmt.Errorf("rotate the CA of Secret %s: %w", a.opt.Secret, err)
	}
	if done == StepNone {
		return state, nil
	}
	if err := a.fill(&secret, next, done); err != nil {
		return State{}, err
	}
	if err := a.opt.Client.Update(ctx, &secret); err != nil {
		return State{}, fmt.Errorf("write Secret %s with the CA: %w", a.opt.Secret, err)
	}
	a.opt.Log.Info(string(done), "Secret", a.opt.Secret)
	return next, nil
}

// create makes the Secret. What is in memory goes back into it: somebody deleted it under running pods.
func (a *Authority) create(ctx context.Context) (State, error) {
	a.mu.RLock()
	state := a.state
	a.mu.RUnlock()
	done := Step("Put back the CA from memory: its Secret was deleted")
	if state.Current == nil {
		var err error
		if state, done, err = a.opt.Policy.Advance(State{}, a.opt.Now(), false); err != nil {
			return State{}, fmt.Errorf("make a CA for Secret %s: %w", a.opt.Secret, err)
		}
	}
	secret := corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: a.opt.Secret.Namespace,
			Name:      a.opt.Secret.Name,
			Labels:    maps.Clone(a.opt.Labels),
		},
		Type: corev1.SecretTypeOpaque,
	}
	if err := a.fill(&secret, state, done); err != nil {
		return State{}, err
	}
	if err := a.opt.Client.Create(ctx, &secret); err != nil {
		return State{}, fmt.Errorf("create Secret %s with the CA: %w", a.opt.Secret, err)
	}
	a.opt.Log.Info(string(done), "Secret", a.opt.Secret)
	return state, nil
}

func (a *Authority) fill(secret *corev1.Secret, s State, done Step) error {
	data, annotations, err := s.encode()
	if err != nil {
		return fmt.Errorf("encode the CA of Secret %s: %w", a.opt.Secret, err)
	}
	secret.Data = data
	if secret.Annotations == nil {
		secret.Annotations = map[string]string{}
	}
	delete(secret.Annotations, annotationNextSince)
	delete(secret.Annotations, annotationOldSince)
	if done == StepPublish {
		delete(secret.Annotations, AnnotationRotate)
	}
	maps.Copy(secret.Annotations, annotations)
	return nil
}

// take makes a state the one in use and tells the listeners when it differs.
func (a *Authority) take(s State) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if s.equal(a.state) {
		return
	}
	a.state = s
	for _, l := range a.listeners {
		select {
		case l <- struct{}{}:
		default: // it has not looked since the last time, so it will see this too
		}
	}
}

// Changes returns a channel that gets a value after each change of the CA or of the bundle.
func (a *Authority) Changes() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	l := make(chan struct{}, 1)
	a.listeners = append(a.listeners, l)
	return l
}

// Loaded reports whether the CA has been read.
func (a *Authority) Loaded() bool {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.state.Current != nil
}

// Bundle returns every CA that a leaf in use may be signed by, in PEM; nil before the CA is loaded.
func (a *Authority) Bundle() []byte {
	a.mu.RLock()
	defer a.mu.RUnlock()
	if a.state.Current == nil {
		return nil
	}
	return a.state.Bundle()
}

func (a *Authority) current() (*CA, error) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	if a.state.Current == nil {
		return nil, fmt.Errorf("%w: Secret %s", ErrNotLoaded, a.opt.Secret)
	}
	return a.state.Current, nil
}

// IssuePod signs a leaf for the pods of a pool.
func (a *Authority) IssuePod(class string, role contract.Role) (Issued, error) {
	return a.issue(contract.Identity{Class: class, Role: role})
}

// IssueOperator signs a leaf for the operator itself.
func (a *Authority) IssueOperator() (Issued, error) { return a.issue(contract.OperatorIdentity()) }

func (a *Authority) issue(identity contract.Identity) (Issued, error) {
	ca, err := a.current()
	if err != nil {
		return Issued{}, err
	}
	l, err := ca.identityLeaf(identity, a.opt.Policy.Leaf, a.opt.Now())
	if err != nil {
		return Issued{}, fmt.Errorf("issue a certificate for %s: %w", identity.URI(), err)
	}
	key, err := encodeKey(l.key)
	if err != nil {
		return Issued{}, err
	}
	return Issued{
		Cert:     encodeCertificates(l.cert),
		Key:      key,
		Bundle:   a.Bundle(),
		NotAfter: l.cert.NotAfter,
		RenewAt:  renewAt(l.cert),
	}, nil
}

// KeepPod tells until when a leaf that was issued to a pool may stay. It is false when a new one is due: two thirds of
// its life are over, it is for somebody else, another CA signs by now, or it cannot be read.
func (a *Authority) KeepPod(certPEM []byte, class string, role contract.Role) (time.Time, bool) {
	ca, err := a.current()
	if err != nil {
		return time.Time{}, false
	}
	certs, err := ParseCertificates(certPEM)
	if err != nil {
		return time.Time{}, false
	}
	cert := certs[0]
	if len(cert.URIs) != 1 || cert.URIs[0].String() != (contract.Identity{Class: class, Role: role}).URI() ||
		cert.CheckSignatureFrom(ca.Cert) != nil {
		return time.Time{}, false
	}
	until := renewAt(cert)
	return until, a.opt.Now().Before(until)
}
