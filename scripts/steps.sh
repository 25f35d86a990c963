#!/usr/bin/env bash
# Runs verbs of the Makefile one after the other and says how long each took; stops at the first that fails.
# MEANWHILE names a verb that downloads: it runs beside the others, which compile, and has ended before the last.
set -euo pipefail
cd "$(dirname "$0")/.."
summary=() begin=$SECONDS meanwhile='' log=''

cleanup() {
  if [ -n "$meanwhile" ]; then kill -- "-$meanwhile" 2>/dev/null || true; fi
  rm -f "$log"
}
trap cleanup EXIT

if [ -n "${MEANWHILE:-}" ]; then
  log=$(mktemp)
  printf '=== make %s, beside what follows\n' "$MEANWHILE"
  set -m # a group of its own, so that it can be ended whole
  make --no-print-directory "$MEANWHILE" >"$log" 2>&1 &
  meanwhile=$!
  set +m
fi

for step in "$@"; do
  if [ -n "$meanwhile" ] && [ "$step" = "${*: -1}" ]; then
    wait "$meanwhile" || true # the step that needs it tries again, and says what is wrong
    meanwhile=''
    printf '\n=== make %s said\n' "$MEANWHILE"
    cat "$log"
  fi
  started=$SECONDS
  printf '\n=== make %s\n' "$step"
  if ! make --no-print-directory "$step"; then
    printf '\n=== failed: make %s (after %s s); so far:%s\n' "$step" $((SECONDS - started)) "${summary[*]/#/ }"
    exit 1
  fi
  summary+=("$step $((SECONDS - started)) s,")
done
printf '\n=== passed: %s all %s s\n' "${summary[*]}" $((SECONDS - begin))
