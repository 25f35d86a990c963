#!/usr/bin/env bash
# cargo-deny, installed once into the cache. Advisories need the advisory database of GitHub: where it cannot
# be reached they are left out, and that is said.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
VERSION=0.20.2

build() {
  CARGO_TARGET_DIR=$1/target cargo install --quiet --locked --root "$1" "cargo-deny@$VERSION" >&2
  rm -rf "$1/target"
}

DENY=$(command -v cargo-deny || echo "$(install_once "cargo-deny-$VERSION" build)/bin/cargo-deny")
cd "$PROJECT"
"$DENY" --all-features --offline check --hide-inclusion-graph bans licenses sources
