// Package schema checks objects by the CRDs, offline: what the API server would say of an object on its own (defaults,
// bounds, CEL rules), and unknown fields as errors.
package schema

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	metav1validation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"
)

// The cost that CEL rules may have, in the units and with the limits of the API server.
const (
	celPerRule   = 1_000_000
	celPerObject = 10_000_000
)

// Validator checks objects of the kinds whose CRDs it was made from. It is safe for concurrent use.
type Validator struct {
	kinds map[string]*kind
}

type kind struct {
	namespaced bool
	structural *structural.Structural
	basic      validation.SchemaValidator
	cel        *cel.Validator
}

// New reads all CRDs (*.yaml, one in each file) below dir of a file system.
func New(crds fs.FS, dir string) (*Validator, error) {
	paths, err := fs.Glob(crds, dir+"/*.yaml")
	if err != nil {
		return nil, fmt.Errorf("list CRDs in %s: %w", dir, err)
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("list CRDs in %s: there are none", dir)
	}
	v := &Validator{kinds: map[string]*kind{}}
	for _, path := range paths {
		if err := v.add(crds, path); err != nil {
			return nil, fmt.Errorf("read CRD %s: %w", path, err)
		}
	}
	return v, nil
}

func (v *Validator) add(crds fs.FS, path string) error {
	text, err := fs.ReadFile(crds, path)
	if err != nil {
		return err
	}
	var crd apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(text, &crd); err != nil {
		return err
	}
	if len(crd.Spec.Versions) == 0 {
		return errors.New("it has no version")
	}
	for _, version := range crd.Spec.Versions {
		var props apiextensions.JSONSchemaProps
		if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(version.Schema.OpenAPIV3Schema,
			&props, nil); err != nil {
			return err
		}
		s, err := structural.NewStructural(&props)
		if err != nil {
			return err
		}
		basic, _, err := validation.NewSchemaValidator(&props)
		if err != nil {
			return err
		}
		v.kinds[key(crd.Spec.Group+"/"+version.Name, crd.Spec.Names.Kind)] = &kind{
			namespaced: crd.Spec.Scope == apiextensionsv1.NamespaceScoped,
			structural: s,
			basic:      basic,
			cel:        cel.NewValidator(s, true, celPerRule),
		}
	}
	return nil
}

func key(apiVersion, kind string) string { return apiVersion + "\x00" + kind }

// Knows reports whether there is a CRD for the kind.
func (v *Validator) Knows(apiVersion, kind string) bool { return v.kinds[key(apiVersion, kind)] != nil }

// Namespaced reports whether objects of the kind live in a namespace.
func (v *Validator) Namespaced(apiVersion, kind string) bool {
	k := v.kinds[key(apiVersion, kind)]
	return k != nil && k.namespaced
}

// Check sets the defaults of an object and returns what is wrong with it. Status is removed: only the operator writes
// it. Unknown fields are errors, and are removed too. It panics when the kind is not known.
func (v *Validator) Check(ctx context.Context, obj *unstructured.Unstructured) field.ErrorList {
	k := v.kinds[key(obj.GetAPIVersion(), obj.GetKind())]
	content := obj.UnstructuredContent()
	delete(content, "status")

	var errs field.ErrorList
	unknown := pruning.PruneWithOptions(
		content,
		k.structural,
		true,
		structural.UnknownFieldPathOptions{TrackUnknownFieldPaths: true},
	)
	for _, path := range unknown {
		errs = append(errs, unknownField(k.structural, path))
	}
	errs = append(errs, metaErrors(obj, k.namespaced)...)

	defaulting.PruneNonNullableNullsWithoutDefaults(content, k.structural)
	defaulting.Default(content, k.structural)
	shape := validation.ValidateCustomResource(nil, content, k.basic)
	shape = append(shape, listtype.ValidateListSetsAndMaps(nil, k.structural, content)...)
	errs = append(errs, readable(shape)...)
	if len(shape) == 0 {
		broken, _ := k.cel.Validate(ctx, nil, k.structural, content, nil, celPerObject)
		errs = append(errs, broken...)
	}
	return errs
}

// CheckUpdate returns what forbids the change from old to new: the transition rules of the CRD. Both must have passed
// Check.
func (v *Validator) CheckUpdate(ctx context.Context, old, new *unstructured.Unstructured) field.ErrorList {
	k := v.kinds[key(new.GetAPIVersion(), new.GetKind())]
	errs, _ := k.cel.Validate(ctx, nil, k.structural, new.UnstructuredContent(), old.UnstructuredContent(), celPerObject)
	return errs
}

func metaErrors(obj *unstructured.Unstructured, namespaced bool) field.ErrorList {
	errs := metav1validation.ValidateObjectMetaAccessor(
		obj,
		namespaced,
		metav1validation.NameIsDNSSubdomain,
		field.NewPath("metadata"),
	)
	return slices.DeleteFunc(errs, func(e *field.Error) bool { return e.Field == "metadata.finalizers" })
}
