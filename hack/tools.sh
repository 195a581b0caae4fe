#!/usr/bin/env bash
# Sourced by the other scripts: pinned Go tools, built once into a cache outside of the tree.
set -euo pipefail

golangci_lint_version=v2.15.0
govulncheck_version=v1.9.0
controller_gen_version=v0.21.0

tools_dir=${MILLRACE_TOOLS:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/millrace/tools}

# go_tool MODULE/PATH VERSION prints the path of the tool's binary, after building it when it is not there yet.
go_tool() {
  local path=$1 version=$2 name dir
  name=$(basename "$path")
  dir=$tools_dir/$name-$version-$(go env GOVERSION)
  if [ ! -x "$dir/$name" ]; then
    echo "Building $name $version" >&2
    GOFLAGS= GOBIN=$dir nice -n 10 go install "$path@$version" >&2
  fi
  printf '%s\n' "$dir/$name"
}

golangci_lint() { go_tool github.com/golangci/golangci-lint/v2/cmd/golangci-lint "$golangci_lint_version"; }
govulncheck() { go_tool golang.org/x/vuln/cmd/govulncheck "$govulncheck_version"; }
controller_gen() { go_tool sigs.k8s.io/controller-tools/cmd/controller-gen "$controller_gen_version"; }
