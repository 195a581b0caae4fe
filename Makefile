# Everything a developer does with Millrace. `make` alone lists the targets.
SHELL := /usr/bin/env bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# Flags for `millrace play` in `make load`, and the time that each fuzz target gets in `make fuzz`.
PLAY ?= --viewers 200 --duration 60s
FUZZTIME ?= 10s
BENCH ?=
# How long `make soak` takes.
SOAK ?= 1h
# Which cluster tests `make e2e` runs: a regular expression, as of go test -run.
E2E ?= .

.PHONY: help demo build generate test test-under-load lint bench measure soak load fuzz clean envtest-assets cluster-up cluster-down e2e

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-16s %s\n", $$1, $$2 }'

demo: ## Build, serve the quick start, publish a moving picture and print the URLs (DEMO_SECONDS=20 plays it and ends)
	@hack/demo.sh

build: ## Build bin/millrace, static and reproducible
	CGO_ENABLED=0 go build -trimpath -buildvcs=auto -o bin/millrace .

generate: ## Write deepcopy functions, CRDs, RBAC and the player's built files
	hack/generate.sh

test: ## Vet, all Go tests (with the race detector), all tests of the web player
	hack/test.sh

test-under-load: ## The same without e2e/cluster, beside four busy processes: what fails here asserts a time
	hack/under-load.sh hack/test.sh clusterless

lint: ## golangci-lint and govulncheck
	hack/lint.sh

bench: ## Go benchmarks of the frame path, then the cost of a viewer against stock pion and the floor, memory, crowd, neighbours, HTTP-FLV, loss (one case: BENCH="--viewers 200 --mbps 2")
	go test -run '^$$' -bench . -benchmem ./dataplane/relay/... ./dataplane/hub ./dataplane/media
	go run ./e2e/bench $(or $(BENCH),all) --out docs/benchmarks

measure: ## First picture and latency in a real browser (docs/latency.md)
	hack/install-apt.sh ffmpeg chromium node npm
	hack/install-npm.sh e2e/browser
	go run ./e2e/measure join
	go run ./e2e/measure latency
	go run ./e2e/measure standard

soak: ## Renditions for an hour: the slope of latency and the drift of sound against picture, with their errors (SOAK=3m)
	hack/install-apt.sh ffmpeg
	go run ./e2e/measure soak --for $(SOAK) --check

load: build ## Many viewers of one stream on this machine (PLAY="--viewers 200 --duration 60s")
	hack/load.sh $(PLAY)

fuzz: ## Every fuzz target for FUZZTIME (10s)
	hack/fuzz.sh $(FUZZTIME)

envtest-assets: ## Build kube-apiserver and etcd for controller tests and print their folder (8 minutes once, then nothing)
	@hack/k8s/assets.sh envtest

cluster-up: ## A Kubernetes of three nodes on this machine (Linux, root; 10 minutes once, then 15 s)
	@hack/cluster.sh up

cluster-down: ## End it and leave nothing behind
	@hack/cluster.sh down

e2e: ## All cluster tests, on that cluster or on the one that KUBECONFIG names (E2E=TestRelay selects some)
	hack/e2e.sh '$(E2E)'

clean: ## Remove what the targets above built
	rm -rf bin .cache e2e/browser/.work
