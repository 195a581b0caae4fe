#!/usr/bin/env bash
# Runs every fuzz target of the tree for the given time each: hack/fuzz.sh 10s
set -euo pipefail
cd "$(dirname "$0")/.."

time=${1:-10s}
found=0
while IFS=: read -r file target; do
  found=$((found + 1))
  echo "== $target in $(dirname "$file")"
  go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "./$(dirname "$file")"
done < <(grep -roE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' . --exclude-dir=node_modules | sed 's/func //; s#^\./##' | sort)
echo "$found fuzz targets ran for $time each"
[ "$found" -gt 0 ]
