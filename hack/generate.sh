#!/usr/bin/env bash
# Writes every generated file of the tree. The result is committed; .ci/run fails when it differs.
set -euo pipefail
cd "$(dirname "$0")/.."
. hack/tools.sh

if compgen -G 'api/v1alpha1/*.go' >/dev/null; then
  "$(controller_gen)" object paths=./api/... crd paths=./api/... output:crd:artifacts:config=config/crd
fi
if compgen -G 'controllers/*.go' >/dev/null; then
  "$(controller_gen)" rbac:roleName=millrace-operator paths=./controllers/... output:rbac:artifacts:config=config/rbac
fi
if [ -f dataplane/player/web/package.json ]; then
  hack/install-npm.sh
  (cd dataplane/player/web && npm run --silent build </dev/null)
fi
