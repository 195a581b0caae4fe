#!/usr/bin/env bash
# Installs the Debian packages that hold the given commands, when a command is missing: hack/install-apt.sh ffmpeg chromium
# Needs root; otherwise it says the command to run and fails.
set -euo pipefail

missing=()
for command in "$@"; do
  command -v "$command" >/dev/null 2>&1 && continue
  case $command in
    node) missing+=(nodejs) ;;
    ctr) missing+=(containerd) ;;
    ip) missing+=(iproute2) ;;
    nft) missing+=(nftables) ;;
    nsenter) missing+=(util-linux) ;;
    /usr/lib/cni/*) missing+=(containernetworking-plugins) ;;
    *) missing+=("$command") ;;
  esac
done
[ ${#missing[@]} -eq 0 ] && exit 0

if ! command -v apt-get >/dev/null 2>&1 || [ "$(id -u)" -ne 0 ]; then
  echo "Missing: ${missing[*]}. Install with: sudo apt-get update && sudo apt-get install -y --no-install-recommends ${missing[*]}" >&2
  exit 1
fi
echo "Installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { apt-get update && apt-get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 </dev/null; then
  tail -n 30 "$log" >&2
  echo "apt-get could not install ${missing[*]}" >&2
  exit 1
fi
