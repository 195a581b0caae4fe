#!/usr/bin/env bash
# Writes all generated files: deepcopy, CRDs, RBAC, the chart's copies of these two, docs/api.md from the API types and the markers, and the
# built files of the web player. The same input gives the same output.
set -euo pipefail
cd "$(dirname "$0")/.."
. hack/tools.sh

generator=$(controller_gen)
rm -f config/crd/bases/*.yaml
"$generator" object paths=./api/...
"$generator" crd paths=./api/... output:crd:artifacts:config=config/crd/bases
"$generator" rbac:roleName=millrace-operator paths=./controllers/... output:rbac:artifacts:config=config/rbac
hack/chart.sh
go run ./hack/apidoc -crds config/crd/bases -o docs/api.md
dataplane/player/build.sh
