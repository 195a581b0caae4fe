//go:build tools

// Package k8s holds what the test cluster is built of in one module, so that all of it shares one compilation of
// k8s.io/*.
package k8s

import _ "helm.sh/helm/v4/cmd/helm"
