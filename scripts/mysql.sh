#!/usr/bin/env bash
# A real MySQL (9.x LTS) in the cache, without touching the host's libraries: Debian sid's packages are
# unpacked into a folder and run with that folder's own dynamic linker.
#
#   mysql.sh install                     prints the folder it is in
#   mysql.sh run DIR PORT [FLAG...]      the server in the foreground (exec); DIR keeps data, socket and binlogs
#   mysql.sh start DIR PORT [FLAG...]    the same in the background, returns when it answers
#   mysql.sh stop DIR                    ends a started server
#   mysql.sh client|mysqladmin|mysqlbinlog|mysqldump ARG...
#
# MYSQL_INIT_FLAGS: flags that already count when the data folder is made (--lower-case-table-names=1).
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

unpack() { debian_unpack sid "$1/root" mysql-server-core,mysql-client-core,libstdc++6; }

ROOT=$(install_once mysql unpack)/root
program() { printf '%s\n' "$ROOT/usr/lib64/ld-linux-x86-64.so.2" --library-path "$ROOT/usr/lib/x86_64-linux-gnu" "$ROOT/usr/$1"; }
mapfile -t SERVER < <(program sbin/mysqld)
SERVER+=(--no-defaults "--user=$(id -un)" "--basedir=$ROOT/usr" "--lc-messages-dir=$ROOT/usr/share/mysql"
  "--plugin-dir=$ROOT/usr/lib/mysql/plugin" --secure-file-priv=NULL)
INIT_FLAGS=()
[ -z "${MYSQL_INIT_FLAGS:-}" ] || read -r -a INIT_FLAGS <<<"$MYSQL_INIT_FLAGS"

initialize() {
  # root also by TCP: connections by 127.0.0.1 are not "localhost" without name resolution
  echo "CREATE USER root@'127.0.0.1' IDENTIFIED BY ''; GRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;" >"$1/root.sql"
  "${SERVER[@]}" ${INIT_FLAGS[@]+"${INIT_FLAGS[@]}"} --initialize-insecure --innodb-redo-log-capacity=32M --init-file="$1/root.sql" \
    --datadir="$1/data" >"$1/init.log" 2>&1 || { tail -n 5 "$1/init.log" >&2; die "mysqld --initialize failed"; }
  rm -f "$1/data/auto.cnf" # every copy gets a server UUID of its own
}

# data DIR: an initialized data folder, copied from a template that is made once per set of flags
data() {
  [ -d "$1/data" ] && return
  local key template
  key=$(printf '%s' "${MYSQL_INIT_FLAGS:-}" | cksum | cut -d' ' -f1)
  template=$(install_once "mysql-data-$key" initialize)
  mkdir -p "$1"
  cp -a --reflink=auto "$template/data" "$1/data.part"
  mv "$1/data.part" "$1/data"
}

run() {
  local dir=$1 port=$2
  shift 2
  data "$dir"
  # A killed process loses nothing with these (only a killed machine would): commits reach the kernel at once.
  exec "${SERVER[@]}" ${INIT_FLAGS[@]+"${INIT_FLAGS[@]}"} --datadir="$dir/data" --bind-address=127.0.0.1 --port="$port" \
    --socket="$dir/mysql.sock" --pid-file="$dir/mysqld.pid" --mysqlx=OFF --server-id=1 --log-bin="$dir/binlog" \
    --innodb-flush-log-at-trx-commit=2 --sync-binlog=0 --innodb-doublewrite=OFF --innodb-redo-log-capacity=64M \
    --skip-name-resolve "$@"
}

start() {
  local admin pid
  data "$1" # in the foreground, so that its progress is seen
  nohup bash "$0" run "$@" >"$1/mysqld.log" 2>&1 </dev/null &
  pid=$!
  echo "$pid" >"$1/pid"
  mapfile -t admin < <(program bin/mysqladmin)
  wait_for 60 "$pid" "$1/mysqld.log" "${admin[@]}" --no-defaults -uroot --socket="$1/mysql.sock" ping
  say "MySQL answers on 127.0.0.1:$2"
}

tool() {
  local command
  mapfile -t command < <(program "bin/$1")
  shift
  exec "${command[@]}" "$@"
}

verb=${1:-install}
[ $# -eq 0 ] || shift
case $verb in
install) printf '%s\n' "$ROOT" ;;
run | start) "$verb" "$@" ;;
stop) stop_pid "$1/pid" ;;
client) tool mysql "$@" ;;
mysqladmin | mysqlbinlog | mysqldump) tool "$verb" "$@" ;;
*) die "unknown verb $verb; see the head of $0" ;;
esac
