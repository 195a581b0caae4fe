package manifests

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/millrace/millrace/api/v1alpha1"
	"github.com/millrace/millrace/config"
	"github.com/millrace/millrace/internal/compile"
	"github.com/millrace/millrace/internal/compile/schema"
)

// Set is what files hold.
type Set struct {
	// Files that were read, in order.
	Files []string
	// Input has the objects that passed their CRDs, with their defaults. Those that were never created, which is what
	// manifests commonly are, have creation times that count up in the order of the files, after all that a dump of a
	// cluster has.
	Input compile.Input
	// Objects are all objects of our kinds, Secrets and Namespaces, in the order of the files, valid or not.
	Objects []Object
}

// Object is where an object stands.
type Object struct {
	compile.Object
	File  string
	Line  int
	Valid bool

	doc   *document
	order int
}

// Load reads manifests from files, from folders (the *.yaml, *.yml and *.json directly in them), and from standard
// input ("-").
func Load(paths []string) (Set, []Finding) {
	files, findings := readFiles(paths)
	loader, err := NewLoader()
	if err != nil {
		return Set{}, append(
			findings,
			Finding{File: strings.Join(paths, " "), Severity: Error, Reason: ReasonUnreadable, Message: err.Error()},
		)
	}
	set, more := loader.load(files)
	findings = append(findings, more...)
	sortFindings(findings)
	return set, findings
}

// notCreatedYet is the beginning of the year 9000 in Unix seconds.
const notCreatedYet = 221845392000

// Loader reads manifests. It keeps the CRDs, which take a while to prepare.
type Loader struct {
	validator *schema.Validator
}

// NewLoader prepares the CRDs that are built into the program.
func NewLoader() (*Loader, error) {
	validator, err := schema.New(config.CRDs, "crd/bases")
	if err != nil {
		return nil, fmt.Errorf("prepare the built-in CRDs: %w", err)
	}
	return &Loader{validator}, nil
}

// Parse reads the manifests of one file whose text is at hand.
func (l *Loader) Parse(name string, text []byte) (Set, []Finding) {
	set, findings := l.load([]file{{name, text}})
	sortFindings(findings)
	return set, findings
}

func (l *Loader) load(files []file) (Set, []Finding) {
	b := &builder{loader: l, seen: map[compile.Object]Object{}}
	for i, f := range files {
		b.set.Files = append(b.set.Files, f.name)
		b.file, b.order = f.name, i
		for _, text := range split(f.text) {
			b.addDocument(text)
		}
	}
	return b.set, b.findings
}

// builder collects the objects of files.
type builder struct {
	loader   *Loader
	set      Set
	findings []Finding
	seen     map[compile.Object]Object
	file     string
	order    int
}

func (b *builder) unreadable(line int, message string) {
	b.findings = append(
		b.findings,
		Finding{File: b.file, Line: line, Severity: Error, Reason: ReasonUnreadable, Message: message, order: b.order},
	)
}

func (b *builder) addDocument(text textDocument) {
	doc, line, err := parse(text)
	if err != nil {
		b.unreadable(line, err.Error())
		return
	}
	if doc == nil {
		return
	}
	items, err := doc.items()
	if err != nil {
		b.unreadable(line, err.Error())
		return
	}
	for _, item := range items {
		if len(b.set.Objects) == MaxObjects {
			b.unreadable(item.line(""), fmt.Sprintf("there are more than %d objects: give fewer", MaxObjects))
			return
		}
		b.addObject(item)
	}
}

func (b *builder) addObject(doc *document) {
	obj := &unstructured.Unstructured{Object: doc.content}
	apiVersion, kind := stringAt(doc.content, "apiVersion"), stringAt(doc.content, "kind")
	o := Object{
		Object: compile.Object{Kind: kind, Name: obj.GetName()},
		File:   b.file,
		Line:   doc.line("kind"),
		doc:    doc,
		order:  b.order,
	}
	if apiVersion == "" || kind == "" {
		b.report(o, "", Error, ReasonUnreadable, "is not an object: it needs apiVersion, kind and metadata")
		return
	}
	group, _, _ := strings.Cut(apiVersion, "/")
	core := apiVersion == "v1" && (kind == "Secret" || kind == "Namespace")
	if !core && !b.loader.validator.Knows(apiVersion, kind) {
		switch {
		case group != v1alpha1.Group:
			b.report(o, "", Warning, ReasonNotOurs, "is not a Millrace object: it is not looked at")
		case apiVersion != v1alpha1.GroupVersion.String():
			b.report(
				o,
				"apiVersion",
				Error,
				ReasonSchema,
				fmt.Sprintf("%q is not served: use %s", apiVersion, v1alpha1.GroupVersion),
			)
		default:
			b.report(o, "kind", Error, ReasonSchema, unknownKind(kind))
		}
		return
	}
	if _, ok := doc.content["metadata"].(map[string]any); !ok {
		b.report(o, "metadata", Error, ReasonSchema, "is required: it needs a name")
		return
	}
	if obj.GetNamespace() == "" && kind != "Namespace" && (core || b.loader.validator.Namespaced(apiVersion, kind)) {
		obj.SetNamespace(metav1.NamespaceDefault)
	}
	o.Namespace = obj.GetNamespace()
	if first, twice := b.seen[o.Object]; twice && o.Name != "" {
		b.report(
			o,
			"metadata.name",
			Error,
			ReasonSchema,
			fmt.Sprintf("is given twice: the first is at %s:%d", first.File, first.Line),
		)
		return
	}
	b.seen[o.Object] = o
	o.Valid = b.check(o, obj, core) && b.convert(o, obj)
	b.set.Objects = append(b.set.Objects, o)
}

// check runs the rules of the CRD.
func (b *builder) check(o Object, obj *unstructured.Unstructured, core bool) bool {
	ok := true
	for _, message := range unknownMeta(obj) {
		b.report(o, "metadata", Error, ReasonSchema, message)
		ok = false
	}
	if core || !ok {
		return ok
	}
	for _, e := range b.loader.validator.Check(context.Background(), obj) {
		b.report(o, strings.TrimPrefix(e.Field, "<nil>"), Error, ReasonSchema, describe(e))
		ok = false
	}
	return ok
}

// convert puts the object into the Input.
func (b *builder) convert(o Object, obj *unstructured.Unstructured) bool {
	in := &b.set.Input
	if created := obj.GetCreationTimestamp(); created.IsZero() {
		obj.SetCreationTimestamp(metav1.Unix(notCreatedYet+int64(len(b.set.Objects)), 0))
	}
	var err error
	switch o.Kind {
	case v1alpha1.KindPushDomain:
		in.PushDomains, err = add(in.PushDomains, obj)
	case v1alpha1.KindPlayDomain:
		in.PlayDomains, err = add(in.PlayDomains, obj)
	case v1alpha1.KindDomainAssociation:
		in.Associations, err = add(in.Associations, obj)
	case v1alpha1.KindRTSTranscodeTemplate:
		in.Templates, err = add(in.Templates, obj)
	case v1alpha1.KindMediaClass:
		in.Classes, err = add(in.Classes, obj)
	case v1alpha1.KindDomainClaim:
		in.Claims, err = add(in.Claims, obj)
	case "Namespace":
		in.Namespaces, err = add(in.Namespaces, obj)
	case "Secret":
		if in.Secrets, err = add(in.Secrets, obj); err == nil {
			foldStringData(&in.Secrets[len(in.Secrets)-1])
		}
	}
	if err != nil {
		message := strings.TrimPrefix(err.Error(), "strict decoding error: ")
		b.report(o, "", Error, ReasonSchema, strings.TrimPrefix(message, "error decoding from json: "))
	}
	return err == nil
}

func add[T any](list []T, obj *unstructured.Unstructured) ([]T, error) {
	var typed T
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(obj.Object, &typed, true); err != nil {
		return list, err
	}
	return append(list, typed), nil
}

// foldStringData does what the API server does on a write.
func foldStringData(s *corev1.Secret) {
	for name, value := range s.StringData {
		if s.Data == nil {
			s.Data = map[string][]byte{}
		}
		s.Data[name] = []byte(value)
	}
	s.StringData = nil
}

func (b *builder) report(o Object, field string, severity Severity, reason v1alpha1.Reason, message string) {
	line := o.Line
	if field != "" {
		line = o.doc.line(field)
	}
	b.findings = append(b.findings, Finding{File: o.File, Line: line, Kind: o.Kind, Namespace: o.Namespace, Name: o.Name,
		Field: field, Severity: severity, Reason: reason, Message: message, order: o.order})
}

func stringAt(m map[string]any, key string) string {
	s, _ := m[key].(string)
	return s
}

func unknownKind(kind string) string {
	kinds := []string{v1alpha1.KindPushDomain, v1alpha1.KindPlayDomain, v1alpha1.KindDomainAssociation,
		v1alpha1.KindRTSTranscodeTemplate, v1alpha1.KindMediaClass, v1alpha1.KindDomainClaim}
	slices.Sort(kinds)
	if near := schema.Closest(kind, kinds); near != "" {
		return fmt.Sprintf("unknown kind, did you mean %s?", near)
	}
	return "unknown kind, there are " + strings.Join(kinds, ", ")
}
