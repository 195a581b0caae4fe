package controllers

import (
	"strings"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/controllers/board"
	"github.com/millrace/millrace/controllers/fleet"
	"github.com/millrace/millrace/internal/contract"
)

// feeds tell the controllers what to look at, beyond what they watch themselves.
type feeds struct {
	byKind map[string]*board.Feed
	plans  *board.Feed
}

func newFeeds() *feeds {
	f := &feeds{byKind: map[string]*board.Feed{}, plans: board.NewFeed()}
	for _, kind := range []string{
		v1alpha1.KindPushDomain, v1alpha1.KindPlayDomain, v1alpha1.KindDomainAssociation, v1alpha1.KindRTSTranscodeTemplate,
		v1alpha1.KindMediaClass, v1alpha1.KindDomainClaim,
	} {
		f.byKind[kind] = board.NewFeed()
	}
	return f
}

func (f *feeds) add(k board.Key) {
	if feed := f.byKind[k.Kind]; feed != nil {
		feed.Add(k.Namespace, k.Name)
	}
}

// poolChanged tells everybody whom a pool serves that it has other pods.
func (c *core) poolChanged(f *feeds, k fleet.PoolKey) {
	f.byKind[v1alpha1.KindMediaClass].Add("", k.Class)
	f.plans.Add("", k.Class)
	result := c.board.Result()
	result.Each(func(key board.Key, d *board.Decision) {
		switch key.Kind {
		case v1alpha1.KindPushDomain, v1alpha1.KindPlayDomain:
			if pool, _ := poolOf(d); pool == k {
				f.add(key)
			}
		case v1alpha1.KindDomainAssociation:
			if child := result.Domain(d.Child); child != nil {
				if pool, _ := poolOf(child); pool == k {
					f.add(key)
				}
			}
		case v1alpha1.KindRTSTranscodeTemplate:
			if main := result.Domain(d.Main); main != nil && main.Class == k.Class && k.Role != contract.Ingest {
				f.add(key)
			}
		}
	})
}

// entryChanged tells whom a part of a Plan is about that it is in force on more or fewer pods.
func (c *core) entryChanged(f *feeds, k fleet.PoolKey, entry string) {
	f.byKind[v1alpha1.KindMediaClass].Add("", k.Class)
	result := c.board.Result()
	part, name, _ := strings.Cut(entry, "/")
	if part == "template" {
		main, _, _ := strings.Cut(name, "/")
		for _, key := range result.Templates(main) {
			f.add(key)
		}
		return
	}
	d := result.Domain(name)
	if d == nil {
		return
	}
	f.add(board.Key{Kind: d.Kind, Namespace: d.Namespace, Name: d.Name})
	for _, key := range result.Associations(name) {
		f.add(key)
	}
}
