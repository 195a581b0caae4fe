#!/usr/bin/env bash
# The cluster for tests: hack/cluster.sh up | down | status | kill node2 | boot node2 | partition node3 | heal node3 | ... (docs/testing-cluster.md).
# up installs and builds what is missing first.
set -euo pipefail
cd "$(dirname "$0")/.."
packages() { hack/install-apt.sh containerd ctr runc /usr/lib/cni/bridge ip nft iptables conntrack ethtool socat nsenter; }
if [ "${1:-}" = packages ]; then
  packages
  exit
fi
bin=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/millrace/bin
mkdir -p "$bin"
CGO_ENABLED=0 go build -trimpath -buildvcs=false -o "$bin/.cluster.$$" ./hack/cluster
# Nodes go on with the file that they were started from.
cmp -s "$bin/.cluster.$$" "$bin/cluster" && rm "$bin/.cluster.$$" || mv "$bin/.cluster.$$" "$bin/cluster"
if [ "${1:-}" = up ]; then
  start=$SECONDS
  packages
  assets=$(hack/k8s/assets.sh cluster | tail -n 1)
  [ $((SECONDS - start)) -lt 3 ] || printf '%6d s  packages and binaries\n' $((SECONDS - start))
  shift
  exec "$bin/cluster" up --assets "$assets" "$@"
fi
exec "$bin/cluster" "$@"
