#!/usr/bin/env bash
# Writes the list of the CRDs, and those templates of charts/millrace that are generated files of config/ with a few values in them: the CRDs,
# and the roles that come from markers beside the code.
set -euo pipefail
cd "$(dirname "$0")/.."
templates=charts/millrace/templates

{
  printf 'apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n'
  for crd in config/crd/bases/*.yaml; do echo "- bases/$(basename "$crd")"; done
} >config/crd/kustomization.yaml

{
  echo '{{- if .Values.crds.enabled }}'
  for crd in config/crd/bases/*.yaml; do
    # "keep" has to be there from the first release on: adding it by hand later is ignored.
    awk '{ print }
      /^  annotations:$/ && !done { print "    {{- if .Values.crds.keep }}\n    helm.sh/resource-policy: keep\n    {{- end }}"; done = 1 }' "$crd"
  done
  echo '{{- end }}'
} >$templates/crds.yaml

sed -e 's/^  namespace: millrace-system$/  namespace: {{ .Release.Namespace }}/' \
    -e 's/^  namespace: millrace-media$/  namespace: {{ .Values.mediaNamespace.name }}/' config/rbac/role.yaml >$templates/role.yaml

{
  echo '{{- if .Values.rbac.tenantRoles }}'
  cat config/rbac/tenant_roles.yaml
  echo '{{- end }}'
} >$templates/tenant_roles.yaml
