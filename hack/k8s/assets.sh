#!/usr/bin/env bash
# Builds the Kubernetes that tests run on from Go modules: no download of binaries, no container engine.
#   hack/k8s/assets.sh envtest   kube-apiserver, etcd, kubectl and the rest of Kubernetes: what controller tests need
#   hack/k8s/assets.sh cluster   the same, and CoreDNS, the NetworkPolicy agent, pause and helm: what hack/cluster needs
#   hack/k8s/assets.sh folder    builds nothing
# The last line of the output is the folder. It lies outside of the tree and is named by what goes into the build, so what is there is never
# built again; about 8 minutes and 4 GB of Go's build cache when nothing of it is there.
set -euo pipefail
cd "$(dirname "$0")"
what=${1:-envtest}
kubernetes=$(awk '$1 == "k8s.io/kubernetes" { print $2; exit }' go.mod)
cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/millrace/k8s

export CGO_ENABLED=0 GOTOOLCHAIN=local GOWORK=off GOFLAGS="-trimpath -buildvcs=false -mod=readonly"
tags=grpcnotrace # as upstream: lets the linker drop more
links="etcd kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl"

# Versions as upstream's build sets them: kubelet and apiserver compare theirs.
ldflags="-s -w"
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
  ldflags+=" -X $package.gitVersion=$kubernetes -X $package.gitMajor=1 -X $package.gitMinor=$(cut -d. -f2 <<<"$kubernetes")"
  ldflags+=" -X $package.gitTreeState=clean -X $package.gitCommit=$kubernetes -X $package.buildDate=2026-01-01T00:00:00Z"
done

# digest of some files, of Go and of the flags.
digest() { { sha256sum "$@"; go env GOVERSION GOARCH; echo "$tags $ldflags $GOFLAGS"; } | sha256sum | cut -c1-12; }

folder=$cache/$kubernetes-$(digest go.mod go.sum cmd/hyper/*.go)
if [ "$what" = folder ]; then
  echo "$folder"
  exit
fi

# build NAME PACKAGE [FILE...]: builds NAME when it is not there, or when a file of its own has changed since.
build() {
  local name=$1 package=$2 stamp start=$SECONDS
  shift 2
  stamp=$(digest go.sum "$@")
  if [ -x "$folder/$name" ] && [ "$(cat "$folder/.$name" 2>/dev/null)" = "$stamp" ]; then return; fi
  echo "Building $name" >&2
  nice -n "${BUILD_NICE:-5}" go build -p "${BUILD_JOBS:-2}" -tags "$tags" -ldflags "$ldflags" -o "$folder/$name.new" "$package" >&2
  mv "$folder/$name.new" "$folder/$name"
  echo "$stamp" >"$folder/.$name"
  echo "Built $name in $((SECONDS - start)) s" >&2
}

mkdir -p "$folder"
# One build at a time; the second finds what the first has built.
exec {lock}>"$folder/.lock"
flock "$lock"

build hyper ./cmd/hyper cmd/hyper/*.go
for link in $links; do [ -L "$folder/$link" ] || ln -s hyper "$folder/$link"; done
ln -sfn "$folder" "$cache/current"
if [ "$what" = cluster ]; then
  build coredns ./cmd/coredns cmd/coredns/*.go
  build netpol ./cmd/netpol cmd/netpol/*.go
  build pause ./cmd/pause cmd/pause/*.go
  build helm helm.sh/helm/v4/cmd/helm tools.go
fi
echo "$folder"
