#!/usr/bin/env bash
# The tests on a real Kubernetes: hack/e2e.sh [REGEXP]. KUBECONFIG names the cluster; without it, it is that of make cluster-up, which is brought
# up when it is not there.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -n "${KUBECONFIG:-}" ] || hack/cluster.sh up
hack/install-apt.sh ffmpeg chromium node npm
hack/install-npm.sh e2e/browser
go test -count 1 -timeout 60m -v -run "${1:-.}" ./e2e/cluster/
