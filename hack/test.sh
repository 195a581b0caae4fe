#!/usr/bin/env bash
# Every test: go vet, the web player's unit tests, then all Go tests. With CI=true a skipped test is a failure.
# The last lines are go test's own.
set -euo pipefail
cd "$(dirname "$0")/.."

go vet ./...

if [ -f dataplane/player/web/package.json ]; then
  hack/install-npm.sh
  (cd dataplane/player/web && npm test --silent </dev/null)
fi

# End-to-end tests run other processes and browsers: the race detector sees nothing there but slows the harness down.
plain=$(go list ./... | grep -E '/e2e(/|$)' || true)
raced=$(go list ./... | grep -vE '/e2e(/|$)' || true)

# One package at a time where processes and browsers run, two where they do not: 2 cores are enough for all tests.
{
  status=0
  CGO_ENABLED=1 go test -json -race -timeout 20m -p 2 $raced || status=1
  if [ -n "$plain" ]; then
    go test -json -timeout 20m -p 1 $plain || status=1
  fi
  exit $status
} | node hack/test-report.mjs
