#!/usr/bin/env bash
# Installs the npm packages of the folders that have a package-lock.json, when the lock file changed since the last time.
set -euo pipefail
cd "$(dirname "$0")/.."

git ls-files -z --cached --others --exclude-standard -- 'package-lock.json' '*/package-lock.json' | while IFS= read -r -d '' lock; do
  dir=$(dirname "$lock")
  stamp=$dir/node_modules/.installed
  want=$(sha256sum <"$lock")
  [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$want" ] && continue
  echo "Installing the npm packages of $dir"
  (cd "$dir" && npm ci --no-audit --no-fund --loglevel=error </dev/null)
  printf '%s\n' "$want" >"$stamp"
done
