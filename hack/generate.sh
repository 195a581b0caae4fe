#!/usr/bin/env bash
# Writes all generated files: deepcopy, CRDs, RBAC and docs/api.md from the API types, and the built files of the web player. The same
# input gives the same output.
set -euo pipefail
cd "$(dirname "$0")/.."

version=v0.21.0
tool="bin/controller-gen-$version"
if [ ! -x "$tool" ]; then
	mkdir -p bin
	GOBIN="$PWD/bin" go install "sigs.k8s.io/controller-tools/cmd/controller-gen@$version"
	mv bin/controller-gen "$tool"
fi

rm -f config/crd/bases/*.yaml
"$tool" object paths=./api/...
"$tool" crd paths=./api/... output:crd:artifacts:config=config/crd/bases
"$tool" rbac:roleName=millrace-operator paths=./controllers/... output:rbac:artifacts:config=config/rbac
go run ./hack/apidoc -crds config/crd/bases -o docs/api.md
dataplane/player/build.sh
