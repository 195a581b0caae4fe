#!/usr/bin/env bash
# Every test: go vet, the web player's unit tests, then all Go tests. With CI=true a skipped test is a failure.
# The last lines are go test's own.
#   hack/test.sh              everything
#   hack/test.sh clusterless  everything but e2e/cluster
# TEST_TIMEOUT (20m) is how long the tests of one package may take.
set -euo pipefail
cd "$(dirname "$0")/.."
what=${1:-all}
timeout=${TEST_TIMEOUT:-20m}

# As `make build` does: what one compiles, the other finds in Go's cache, from whatever folder. The race detector needs cgo.
export GOFLAGS=${GOFLAGS:--trimpath} CGO_ENABLED=0

go vet ./...

if [ -f dataplane/player/web/package.json ]; then
  hack/install-npm.sh
  (cd dataplane/player/web && npm test --silent </dev/null)
fi

# End-to-end tests run other processes and browsers: the race detector sees nothing there but slows the harness down.
packages=$(go list ./...)
cluster=$(grep -E '/e2e/cluster$' <<<"$packages" || true)
plain=$(grep -E '/e2e(/|$)' <<<"$packages" | grep -vE '/e2e/cluster$' || true)
operator=$(grep -E '/(controllers/operator|charts)$' <<<"$packages" || true) # they run programs that were built
controllers=$(grep -E '/(controllers|internal/kube)(/|$)' <<<"$packages" | grep -vE '/controllers/operator$' || true)
raced=$(grep -vE '/(e2e|controllers|charts|internal/kube)(/|$)' <<<"$packages")

# Real Kubernetes: for the controllers' tests its API server, for e2e/cluster three nodes. CI wants them; elsewhere they are used where they are there.
kubernetes() { [ "${CI:-}" != true ] || hack/k8s/assets.sh envtest >&2; }
nodes() {
  [ "${CI:-}" = true ] || return 0
  [ -z "${KUBECONFIG:-}" ] || return 0
  hack/cluster.sh status >/dev/null 2>&1 || trap 'hack/cluster.sh down >&2' EXIT # what was not here before goes again
  hack/cluster.sh up >&2
}

# One package at a time where processes and browsers run, two where they do not: 2 cores are enough for all tests. What needs Kubernetes
# comes after the rest, because a new machine builds it meanwhile; browsers come after that, because they need a machine that is not building.
{
  status=0
  CGO_ENABLED=1 go test -json -race -timeout "$timeout" -p 2 $raced || status=1
  kubernetes && CGO_ENABLED=1 go test -json -race -timeout "$timeout" -p 1 $controllers || status=1
  go test -json -timeout "$timeout" -p 1 $operator || status=1
  go test -json -timeout "$timeout" -p 1 $plain || status=1
  [ "$what" = clusterless ] || { nodes && go test -json -timeout 40m -p 1 $cluster; } || status=1
  exit $status
} | node hack/test-report.mjs
