// Package config embeds the CRDs, so that every command checks manifests by the very rules that the API server has.
package config

import "embed"

// CRDs holds crd/bases/*.yaml: one CustomResourceDefinition in each file.
//
//go:embed crd/bases/*.yaml
var CRDs embed.FS
