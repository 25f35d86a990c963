#!/usr/bin/env bash
# Everything `make test` runs, the operator in a cluster, then what only the feature `long` has: the large and slow tests and the other kinds
# of servers; writes docs/test-all.md with date, commit and the end of the log.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$PROJECT"
LOG=$CACHE/test-all.log
mkdir -p "$CACHE" docs

# Every part runs, whatever became of those before it: one run shows all that fails.
part() {
  local started=$SECONDS
  printf '\n=== %s\n' "$*"
  if "$@"; then
    printf '=== passed: %s (%s s)\n' "$*" $((SECONDS - started))
  else
    printf '=== FAILED: %s (%s s)\n' "$*" $((SECONDS - started))
    missed=1
  fi
}

kinds() { scripts/elasticsearch.sh install es7 && scripts/mariadb.sh install; }
property() { PROPERTY_CASES=3000 PROPERTY_SEED=1000 cargo test --workspace --locked --test servers -- property; }
# Fifteen times what `make test` tries: what is left is rare.
simulator() { SIM_FROM=2000 SIM_SEEDS=28000 cargo test --workspace --locked --test simulator -- converges; }
long() { cargo test --workspace --locked --no-fail-fast --features e2e/long --test long -- --test-threads 1; }
others() {
  cargo test --workspace --locked --no-fail-fast --features e2e/long --test servers -- \
    --test-threads "${E2E_THREADS:-4}" mariadb es7 opensearch speed every_table same_count key_types
}

all() {
  local missed=0
  part kinds
  part make test
  part make cluster
  part make pods
  part long
  part others
  part make large
  part core
  part property
  part simulator
  return "$missed"
}

# The core suite on pairs of servers.
core() {
  local pair
  for pair in "mysql es9" "mariadb opensearch" "mysql es7"; do
    read -r CORE_SOURCE CORE_SINK <<<"$pair"
    say "core suite: $pair"
    CORE_SOURCE=$CORE_SOURCE CORE_SINK=$CORE_SINK cargo test --workspace --locked --test core || return 1
  done
}

# before this very file is written
commit=$(git rev-parse --short HEAD) changed=''
git diff --quiet HEAD || changed=' (with uncommitted changes)'
begin=$SECONDS result=passed
all 2>&1 | tee "$LOG" || result=FAILED
{
  # shellcheck disable=SC2016  # backticks of Markdown
  printf '# The last run of `make test-all`\n\n'
  printf -- '- date: %s\n' "$(date -u '+%Y-%m-%d %H:%M UTC')"
  printf -- '- commit: %s%s\n' "$commit" "$changed"
  printf -- '- machine: %s cores, %s\n' "$(nproc)" "$(uname -srm)"
  printf -- '- result: %s after %s s\n\n' "$result" $((SECONDS - begin))
  printf 'The end of its log, test results only:\n\n```\n'
  grep -E '^(===|test |test result|     Running)' "$LOG" | sed 's# (/.*/deps/# (#' | tail -n 300
  printf '```\n'
} >docs/test-all.md
say "docs/test-all.md: $result"
[ "$result" = passed ]
