#!/usr/bin/env bash
# Installs the npm packages of the given folders, of all that have a package-lock.json without an argument, where the lock file
# changed since the last time.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ $# -eq 0 ]; then
  mapfile -t folders < <(git ls-files --cached --others --exclude-standard -- 'package-lock.json' '*/package-lock.json' | xargs -r -n 1 dirname)
  set -- "${folders[@]}"
fi
for dir in "$@"; do
  stamp=$dir/node_modules/.installed
  want=$(sha256sum <"$dir/package-lock.json")
  [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$want" ] && continue
  echo "Installing the npm packages of $dir"
  (cd "$dir" && npm ci --no-audit --no-fund --loglevel=error </dev/null)
  printf '%s\n' "$want" >"$stamp"
done
