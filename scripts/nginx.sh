#!/usr/bin/env bash
# A real nginx in the cache, unpacked from Debian's packages and run with its own dynamic linker.
#
#   nginx.sh install           prints the folder it is in
#   nginx.sh run DIR CONFIG    nginx in the foreground (exec) with this configuration; DIR keeps its files
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

unpack() { debian_unpack bookworm "$1/root" nginx,libc6; }

ROOT=$(install_once nginx unpack)/root

run() {
  local dir=$1 config=$2
  mkdir -p "$dir"
  exec "$ROOT/lib64/ld-linux-x86-64.so.2" --library-path "$ROOT/usr/lib/x86_64-linux-gnu:$ROOT/lib/x86_64-linux-gnu" \
    "$ROOT/usr/sbin/nginx" -p "$dir" -c "$config" -e "$dir/error.log"
}

verb=${1:-install}
[ $# -eq 0 ] || shift
case $verb in
install) printf '%s\n' "$ROOT" ;;
run) run "$@" ;;
*) die "unknown verb $verb; see the head of $0" ;;
esac
