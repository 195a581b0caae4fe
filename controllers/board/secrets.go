package board

import (
	"context"
	"errors"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/millrace/millrace/internal/compile"
)

// readers is the number of Secrets that are read at once.
const readers = 8

// secretStore keeps the Secrets that domains name, and no others. Their metadata in the cache says when one has to be
// read again.
type secretStore struct {
	live client.Reader

	mu   sync.Mutex
	held map[client.ObjectKey]*corev1.Secret
	want map[client.ObjectKey]bool
}

func newSecretStore(live client.Reader) *secretStore {
	return &secretStore{live: live, held: map[client.ObjectKey]*corev1.Secret{}, want: map[client.ObjectKey]bool{}}
}

// wanted reports whether a domain named the Secret at the last pass.
func (s *secretStore) wanted(key client.ObjectKey) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.want[key]
}

// SecretMetadata is what the caches hold of Secrets.
func SecretMetadata() *metav1.PartialObjectMetadata {
	o := &metav1.PartialObjectMetadata{}
	o.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	return o
}

// fetch returns the Secrets of the keys that exist. One that cannot be read now counts as it was.
func (s *secretStore) fetch(
	ctx context.Context,
	metadata client.Reader,
	keys []client.ObjectKey,
) ([]corev1.Secret, error) {
	s.mu.Lock()
	held := s.held
	s.want = make(map[client.ObjectKey]bool, len(keys))
	for _, key := range keys {
		s.want[key] = true
	}
	s.mu.Unlock()

	next := make(map[client.ObjectKey]*corev1.Secret, len(keys))
	var stale []client.ObjectKey
	for _, key := range keys {
		about := SecretMetadata()
		err := metadata.Get(ctx, key, about)
		switch old := held[key]; {
		case apierrors.IsNotFound(err):
		case err != nil:
			return nil, fmt.Errorf("read the metadata of Secret %s: %w", key, err)
		case old != nil && old.UID == about.UID && old.ResourceVersion == about.ResourceVersion:
			next[key] = old
		default:
			stale = append(stale, key)
		}
	}
	err := s.read(ctx, stale, held, next)
	s.mu.Lock()
	s.held = next
	s.mu.Unlock()
	out := make([]corev1.Secret, 0, len(next))
	for _, key := range keys {
		if secret := next[key]; secret != nil {
			out = append(out, *secret)
		}
	}
	return out, err
}

// read fetches Secrets from the API server, some at once.
func (s *secretStore) read(
	ctx context.Context,
	keys []client.ObjectKey,
	held, next map[client.ObjectKey]*corev1.Secret,
) error {
	var (
		mu   sync.Mutex
		errs []error
		wg   sync.WaitGroup
		work = make(chan client.ObjectKey)
	)
	for range min(readers, len(keys)) {
		wg.Go(func() {
			for key := range work {
				secret := &corev1.Secret{}
				err := s.live.Get(ctx, key, secret)
				secret.ManagedFields = nil
				compile.TrimSecret(secret)
				mu.Lock()
				switch {
				case err == nil:
					next[key] = secret
				case !apierrors.IsNotFound(err):
					errs = append(errs, fmt.Errorf("read Secret %s: %w", key, err))
					if held[key] != nil {
						next[key] = held[key]
					}
				}
				mu.Unlock()
			}
		})
	}
	for _, key := range keys {
		work <- key
	}
	close(work)
	wg.Wait()
	return errors.Join(errs...)
}
