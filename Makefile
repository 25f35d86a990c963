# The project's verbs. `make help` lists them; each is one line of work, so that it can be typed by hand too.
# CARGO_TARGET_DIR and BINLOG_OPERATOR_CACHE (~/.cache/binlog-operator) say where things are kept.

SHELL := /bin/bash
export BINLOG_OPERATOR_CACHE ?= $(HOME)/.cache/binlog-operator
# Tests wait for servers most of the time: six at a time keep two cores busy.
E2E_THREADS ?= 6
E2E_ARGS ?=
# Named, so that every verb selects the whole workspace and cargo builds dependencies once.
UNIT_TESTS := $(patsubst tests/%.rs,%,$(wildcard tests/*.rs)) simulator
# Builds the operator's binary with the features of the tests' dependencies: what the tests share is compiled once.
BINARY := cargo test --workspace --locked --no-run --test rooms
# Minutes of kills and restarts, replicas that lag, the harness itself: in `make test-all` only.
E2E_LARGE := large large_transaction

.PHONY: help
help: ## list the verbs
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{ printf "  %-12s %s\n", $$1, $$2 }'

.PHONY: fmt
fmt: ## format the code
	cargo fmt --all

.PHONY: lint
lint: libssl ## check format, then clippy without a single warning
	cargo fmt --all -- --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

.PHONY: unit
unit: libssl ## unit tests, rooms and simulator: no server needed
	cargo test --workspace --locked --lib --bins $(UNIT_TESTS:%=--test %)

.PHONY: libssl
libssl: ## what the peers that the decoder is tested against link to (mysql_cdc: OpenSSL)
	@scripts/libssl.sh

.PHONY: doc
doc: ## build the documentation without a warning
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked

.PHONY: deny
deny: ## licences, advisories and duplicates of the dependencies (cargo-deny, installed once)
	scripts/deny.sh

.PHONY: servers
servers: ## install the real servers that tests and demo need into the cache
	scripts/mysql.sh install
	scripts/elasticsearch.sh install es9
	scripts/elasticsearch.sh install opensearch
	scripts/nginx.sh install

.PHONY: e2e
e2e: servers ## tests on real servers; E2E_ARGS="NAME" picks some
	$(BINARY)
	cargo test --workspace --locked --no-fail-fast --test servers -- --test-threads $(E2E_THREADS) $(E2E_ARGS)

.PHONY: large
large: servers ## the tests on real servers that are too long for every change
	scripts/chromium.sh install
	$(BINARY)
	cargo test --workspace --locked --no-fail-fast $(E2E_LARGE:%=--test %) -- --test-threads $(E2E_THREADS) $(E2E_ARGS)

.PHONY: cluster
cluster: servers ## tests of the operator on a real Kubernetes API server (its first build takes minutes: not in `make test`)
	scripts/kubernetes.sh install
	$(BINARY)
	cargo test --workspace --locked --test cluster -- --test-threads 4 $(E2E_ARGS)

.PHONY: pods
pods: servers ## the operator and a task in real pods on a node (root; builds the kubelet once)
	scripts/kubernetes-node.sh install
	$(BINARY)
	cargo test --workspace --locked --test pods

.PHONY: test
test: ## all that a change must pass: lint, unit, doc, deny, e2e
	@scripts/steps.sh lint unit doc deny e2e

.PHONY: test-all
test-all: ## the large set as well; writes docs/test-all.md
	scripts/test-all.sh

.PHONY: bench
bench: servers ## measure speed against the raw limit (docs/benchmarks.md)
	cargo build --workspace --release --bin binlog-operator --locked
	cargo bench --workspace --locked --bench decoder --bench shards --bench sync --bench trace

.PHONY: manifests
manifests: ## write crds/, manifests/install.yaml and docs/reference.md anew, after a change of a resource or of the chart
	UPDATE=1 cargo test --workspace --locked --test crds --test reference
	UPDATE=1 cargo test --workspace --locked --test cluster -- the_committed_manifest

.PHONY: demo
demo: ## bring up servers and a Kubernetes, install the chart, apply a task, show documents follow (KUBECONFIG: your cluster)
	@scripts/demo.sh

.PHONY: demo-local
demo-local: ## the same without Kubernetes: one process, one file
	@scripts/demo-local.sh

.PHONY: down
down: ## stop what the demo started
	@scripts/demo.sh down

.PHONY: explain
explain: ## print the plan of the example (FILE=... for another file)
	cargo run --quiet --bin binlog-operator --locked -- explain -f $(or $(FILE),manifests/examples/orders.yaml)

.PHONY: clean
clean: ## remove the build output (the cache stays)
	cargo clean
