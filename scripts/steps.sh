#!/usr/bin/env bash
# Runs verbs of the Makefile one after the other and says how long each took; stops at the first that fails.
set -euo pipefail
cd "$(dirname "$0")/.."
summary=() begin=$SECONDS
for step in "$@"; do
  started=$SECONDS
  printf '\n=== make %s\n' "$step"
  if ! make --no-print-directory "$step"; then
    printf '\n=== failed: make %s (after %s s); so far:%s\n' "$step" $((SECONDS - started)) "${summary[*]/#/ }"
    exit 1
  fi
  summary+=("$step $((SECONDS - started)) s,")
done
printf '\n=== passed: %s all %s s\n' "${summary[*]}" $((SECONDS - begin))
