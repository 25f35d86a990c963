#!/usr/bin/env bash
# A real MariaDB 10.11 in the cache, unpacked from Debian's packages and run with their own dynamic linker.
#
#   mariadb.sh install                   prints the folder it is in
#   mariadb.sh run DIR PORT [FLAG...]    the server in the foreground (exec); DIR keeps data, socket and binlogs
#   mariadb.sh start DIR PORT [FLAG...]  the same in the background, returns when it answers
#   mariadb.sh stop DIR                  ends a started server
#   mariadb.sh client|mariadb-admin|mariadb-binlog ARG...
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

unpack() { debian_unpack bookworm "$1/root" mariadb-server-core,mariadb-client,libstdc++6; }

ROOT=$(install_once mariadb unpack)/root
program() { printf '%s\n' "$ROOT/lib64/ld-linux-x86-64.so.2" --library-path "$ROOT/usr/lib/x86_64-linux-gnu:$ROOT/lib/x86_64-linux-gnu" "$ROOT/usr/$1"; }
mapfile -t SERVER < <(program sbin/mariadbd)
SERVER+=(--no-defaults "--user=$(id -un)" "--basedir=$ROOT/usr" "--lc-messages-dir=$ROOT/usr/share/mysql"
  "--plugin-dir=$ROOT/usr/lib/mysql/plugin")

initialize() {
  local share=$ROOT/usr/share/mysql
  mkdir "$1/data"
  {
    # a bootstrapping server reads one statement a line
    printf '%s;\n' 'CREATE DATABASE mysql' 'USE mysql'
    cat "$share"/mysql_system_tables.sql "$share"/mysql_performance_tables.sql "$share"/mysql_system_tables_data.sql
    printf '%s;\n' 'FLUSH PRIVILEGES' 'CREATE OR REPLACE USER root@localhost' "CREATE OR REPLACE USER root@'127.0.0.1'" \
      'GRANT ALL ON *.* TO root@localhost WITH GRANT OPTION' "GRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION"
  } >"$1/init.sql"
  "${SERVER[@]}" --datadir="$1/data" --bootstrap --skip-log-bin <"$1/init.sql" >"$1/init.log" 2>&1 ||
    { tail -n 5 "$1/init.log" >&2; die "mariadbd --bootstrap failed"; }
}

data() {
  [ -d "$1/data" ] && return
  local template
  template=$(install_once mariadb-data initialize)
  mkdir -p "$1"
  cp -a --reflink=auto "$template/data" "$1/data.part"
  mv "$1/data.part" "$1/data"
}

run() {
  local dir=$1 port=$2
  shift 2
  data "$dir"
  exec "${SERVER[@]}" --datadir="$dir/data" --bind-address=127.0.0.1 --port="$port" --socket="$dir/mysql.sock" \
    --pid-file="$dir/mariadbd.pid" --server-id=1 --log-bin="$dir/binlog" --binlog-format=ROW \
    --innodb-flush-log-at-trx-commit=2 --skip-name-resolve "$@"
}

start() {
  local admin pid
  data "$1" # in the foreground, so that its progress is seen
  nohup bash "$0" run "$@" >"$1/mariadbd.log" 2>&1 </dev/null &
  pid=$!
  echo "$pid" >"$1/pid"
  mapfile -t admin < <(program bin/mariadb-admin)
  wait_for 60 "$pid" "$1/mariadbd.log" "${admin[@]}" --no-defaults -uroot --socket="$1/mysql.sock" ping
  say "MariaDB answers on 127.0.0.1:$2"
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
client) tool mariadb "$@" ;;
mariadb-admin | mariadb-binlog) tool "$verb" "$@" ;;
*) die "unknown verb $verb; see the head of $0" ;;
esac
