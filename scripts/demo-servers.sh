# What both demos share: the servers, the tables, the changes that are shown. Sourced, never run.
# shellcheck shell=bash
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
DEMO=$CACHE/demo
MYSQL_PORT=${DEMO_MYSQL_PORT:-13306} ES_PORT=${DEMO_ES_PORT:-19200} LISTEN=${DEMO_LISTEN:-127.0.0.1:8222}
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$CACHE/target}

alive() { [ -f "$1/pid" ] && kill -0 "$(cat "$1/pid")" 2>/dev/null; }
head_line() { printf '\n\033[1m%s\033[0m\n' "$*"; }

stop_servers() {
  stop_pid "$DEMO/mysql/pid"
  stop_pid "$DEMO/elasticsearch/pid"
  rm -rf "$DEMO"
  say "stopped; the installed servers stay in $CACHE"
}

# refuse_taken PORT NAME: a port that somebody else uses is no place for our server
refuse_taken() {
  if (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; then
    die "port $1 is taken; choose another: DEMO_$2_PORT=... make demo"
  fi
}

servers() {
  if [ -z "${MYSQL_URL:-}" ]; then
    if ! alive "$DEMO/mysql"; then
      refuse_taken "$MYSQL_PORT" MYSQL
      "$PROJECT/scripts/mysql.sh" start "$DEMO/mysql" "$MYSQL_PORT" --gtid-mode=ON --enforce-gtid-consistency=ON
    fi
    MYSQL_URL=mysql://root@127.0.0.1:$MYSQL_PORT OWN_MYSQL=1
  fi
  if [ -z "${ELASTICSEARCH_URL:-}" ]; then
    if ! alive "$DEMO/elasticsearch"; then
      refuse_taken "$ES_PORT" ES
      "$PROJECT/scripts/elasticsearch.sh" start es9 "$DEMO/elasticsearch" "$ES_PORT"
    fi
    ELASTICSEARCH_URL=http://127.0.0.1:$ES_PORT
  fi
  ELASTICSEARCH_URL=${ELASTICSEARCH_URL%/}
  local pattern='^mysql://([^:@/]+)(:([^@]*))?@([^:/]+)(:([0-9]+))?/?.*$'
  [[ $MYSQL_URL =~ $pattern ]] || die "MYSQL_URL must look like mysql://user:password@host:port"
  SQL_USER=${BASH_REMATCH[1]} SQL_PASSWORD=${BASH_REMATCH[3]} SQL_HOST=${BASH_REMATCH[4]} SQL_PORT=${BASH_REMATCH[6]:-3306}
}

sql() {
  # by the environment, not as an argument: arguments are visible to everybody on the machine
  MYSQL_PWD=$SQL_PASSWORD "$PROJECT/scripts/mysql.sh" client --no-defaults -u"$SQL_USER" -h"$SQL_HOST" -P"$SQL_PORT" --table "$@"
}

load() {
  local where="$SQL_HOST:$SQL_PORT $ELASTICSEARCH_URL"
  if [ -f "$DEMO/loaded" ]; then
    [ "$(cat "$DEMO/loaded")" = "$where" ] || die "the demo runs on other servers; stop it first: make down"
    return
  fi
  say "loading shop.sql (20,000 orders)"
  sql <"$PROJECT/manifests/examples/shop.sql"
  if [ -n "${OWN_MYSQL:-}" ]; then
    sql -e "CREATE USER IF NOT EXISTS sync@'%' IDENTIFIED BY 'sync-pw';
      GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO sync@'%'; GRANT SELECT ON shop.* TO sync@'%'"
  fi
  printf '%s\n' "$where" >"$DEMO/loaded"
}

# The example with the addresses and credentials of the servers at hand.
render() {
  local user=sync password=sync-pw
  [ -n "${OWN_MYSQL:-}" ] || user=$SQL_USER password=$SQL_PASSWORD
  (
    umask 077
    USER_JSON=$(json "$user") PASSWORD_JSON=$(json "$password") HOST=$SQL_HOST PORT=$SQL_PORT URL=$ELASTICSEARCH_URL awk '
      /^stringData:/ { print "stringData: {username: " ENVIRON["USER_JSON"] ", password: " ENVIRON["PASSWORD_JSON"] "}"; next }
      /^    host:/ { print "    host: " ENVIRON["HOST"]; next }
      /^    port:/ { print "    port: " ENVIRON["PORT"]; next }
      /^      addresses:/ { print "      addresses: [\"" ENVIRON["URL"] "\"]"; next }
      { print }' "$PROJECT/manifests/examples/orders.yaml" >"$DEMO/orders.yaml"
  )
}

json() { printf '%s' "$1" | sed 's/\\/\\\\/g; s/"/\\"/g; s/^/"/; s/$/"/'; }

# The program, built when BINLOG_OPERATOR_BIN does not name one.
built() {
  BINARY=${BINLOG_OPERATOR_BIN:-$CARGO_TARGET_DIR/release/binlog-operator}
  [ -z "${BINLOG_OPERATOR_BIN:-}" ] || return 0
  need cargo "curl -sSf https://sh.rustup.rs | sh"
  say "building binlog-operator (the first build takes some minutes)"
  (cd "$PROJECT" && cargo build --workspace --release --locked --bin binlog-operator >&2)
}

# background ARG...: the operator with these arguments, in the background; returns when it answers
background() {
  alive "$DEMO/operator" && return
  mkdir -p "$DEMO/operator"
  nohup "$BINARY" "$@" --listen "$LISTEN" >"$DEMO/operator/log" 2>&1 </dev/null &
  local pid=$!
  echo "$pid" >"$DEMO/operator/pid"
  wait_for 30 "$pid" "$DEMO/operator/log" curl -fs "http://$LISTEN/healthz"
  say "binlog-operator runs (process $pid)"
}

count() { curl -fs -X POST "$ELASTICSEARCH_URL/orders/_refresh" >/dev/null && curl -fs "$ELASTICSEARCH_URL/orders/_count" | sed 's/.*"count":\([0-9]*\).*/\1/'; }
document() { curl -fs "$ELASTICSEARCH_URL/orders/_source/$1"; }
lag() { curl -fs "http://$LISTEN/metrics" | grep -E '^[a-z_]*lag_seconds' | head -n 1 || true; }

# follow STATEMENT ID TEXT: runs the statement, then waits until the document holds the text
follow() {
  printf 'mysql> %s\n' "$1"
  sql -e "$1"
  local end=$((SECONDS + 20))
  until document "$2" 2>/dev/null | grep -qF "$3"; do
    [ "$SECONDS" -lt "$end" ] || die "the document did not follow within 20 s; log: $DEMO/operator/log"
    sleep 0.05
  done
  printf 'GET orders/_source/%s\n%s\n' "$2" "$(document "$2")"
}

three_changes() {
  printf 'GET orders/_source/7\n%s\n\n' "$(document 7)"
  local mark=demo-$RANDOM total=$RANDOM.42
  follow "UPDATE shop.orders SET status = 'shipped', total = $total WHERE id = 7" 7 "$total"
  follow "INSERT INTO shop.order_items (order_id, sku, qty) VALUES (7, '$mark', 3)" 7 "$mark"
  follow "UPDATE shop.users SET name = 'Renamed $mark' WHERE id = (SELECT user_id FROM shop.orders WHERE id = 7)" 7 "Renamed $mark"
}

# 2,000 updates in a few seconds; meanwhile COMMAND is shown each second
burst() {
  awk 'BEGIN { for (i = 1; i <= 2000; i++) { printf "UPDATE shop.orders SET total = total + 1 WHERE id = %d;\n", i * 7 % 20000 + 1
    if (i % 10 == 0) print "DO SLEEP(0.02);" } }' | sql &
  local writer=$!
  while kill -0 "$writer" 2>/dev/null; do
    "$@"
    sleep 1
  done
  wait "$writer"
}
