#!/usr/bin/env bash
# cargo-deny, installed once into the cache. Advisories need the advisory database of GitHub: where it cannot
# be reached they are left out, and that is said.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
VERSION=0.20.2

build() {
  # unoptimized: it builds in half the time and still checks in seconds
  CARGO_PROFILE_DEV_DEBUG=0 CARGO_TARGET_DIR=$1/target cargo install --debug --quiet --locked --root "$1" "cargo-deny@$VERSION" >&2
  rm -rf "$1/target"
}

DENY=$(command -v cargo-deny || echo "$(install_once "cargo-deny-$VERSION" build)/bin/cargo-deny")
cd "$PROJECT"
checks=(bans licenses sources)
if timeout 60 "$DENY" fetch db >/dev/null 2>&1; then
  checks+=(advisories)
else
  say "advisories are left out: the database at github.com/RustSec/advisory-db cannot be reached"
fi
"$DENY" --all-features check --hide-inclusion-graph "${checks[@]}"
