package compile

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/millrace/millrace/api/v1alpha1"
)

// DefaultClass is the class that a process without a platform offers: named default, RTS for all, hostnames for all.
func DefaultClass() v1alpha1.MediaClass {
	return v1alpha1.MediaClass{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: v1alpha1.KindMediaClass},
		ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.DefaultClassName},
		Spec: v1alpha1.MediaClassSpec{
			Region: "default",
			RTS:    &v1alpha1.RTSGrant{},
			Claims: v1alpha1.ClaimsAlways,
		},
	}
}

// class is a MediaClass and what is decided about it.
type class struct {
	object  *v1alpha1.MediaClass
	serves  labels.Selector // namespaces
	rts     labels.Selector // namespaces that are granted RTS
	verdict Verdict
}

func classes(objects []v1alpha1.MediaClass) map[string]*class {
	out := map[string]*class{}
	for i := range objects {
		o := &objects[i]
		k := &class{
			object: o, serves: labels.Everything(), rts: labels.Nothing(),
			verdict: Verdict{Kind: v1alpha1.KindMediaClass, Name: o.Name},
		}
		if o.Spec.NamespaceSelector != nil {
			k.serves = k.selector("spec.namespaceSelector", o.Spec.NamespaceSelector)
		}
		if o.Spec.RTS != nil {
			k.rts = k.selector("spec.rts.namespaceSelector", &o.Spec.RTS.NamespaceSelector)
		}
		out[o.Name] = k
	}
	return out
}

// selector reads a selector of namespaces. One that cannot be used selects nothing, and makes the class unusable.
func (k *class) selector(field string, s *metav1.LabelSelector) labels.Selector {
	selector, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		k.verdict.reject(v1alpha1.ReasonInvalid, field, fmt.Sprintf("the selector cannot be used: %v", err))
		return labels.Nothing()
	}
	return selector
}

func (k *class) valid() bool { return !k.verdict.has(v1alpha1.ConditionAccepted) }

func namespaces(objects []corev1.Namespace) map[string]*corev1.Namespace {
	out := map[string]*corev1.Namespace{}
	for i := range objects {
		out[objects[i].Name] = &objects[i]
	}
	return out
}

// selects reports whether a selector of a class matches a namespace. Every namespace has its name as a label, as the
// API server sets it.
func (c *compiler) selects(selector labels.Selector, namespace string) bool {
	set := labels.Set{}
	if ns := c.namespaces[namespace]; ns != nil {
		for name, value := range ns.Labels {
			set[name] = value
		}
	}
	set[corev1.LabelMetadataName] = namespace
	return selector.Matches(set)
}

// allowsSuffix reports whether the namespace may take a hostname by its annotation.
func (c *compiler) allowsSuffix(namespace, hostname string) bool {
	ns := c.namespaces[namespace]
	if ns == nil {
		return false
	}
	for suffix := range strings.SplitSeq(ns.Annotations[v1alpha1.AnnotationAllowedSuffixes], ",") {
		suffix = strings.Trim(strings.TrimSpace(suffix), ".")
		if suffix != "" && (hostname == suffix || strings.HasSuffix(hostname, "."+suffix)) {
			return true
		}
	}
	return false
}
