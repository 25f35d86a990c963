#!/usr/bin/env bash
# Three MySQL tables followed by an Elasticsearch index, on real servers, on this machine.
#
#   demo.sh         brings up what is not up yet, syncs, writes, shows; everything stays running
#   demo.sh down    stops what it started (the data goes too)
#
# MYSQL_URL=mysql://user:password@host:port and ELASTICSEARCH_URL=http://host:port: use your own servers
# (the user must be able to create the database `shop`, which is made anew, and to read the binlog).
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
DEMO=$CACHE/demo
MYSQL_PORT=${DEMO_MYSQL_PORT:-13306} ES_PORT=${DEMO_ES_PORT:-19200} LISTEN=${DEMO_LISTEN:-127.0.0.1:8222}
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$CACHE/target}

alive() { [ -f "$1/pid" ] && kill -0 "$(cat "$1/pid")" 2>/dev/null; }
head_line() { printf '\n\033[1m%s\033[0m\n' "$*"; }

down() {
  stop_pid "$DEMO/operator/pid"
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

operator() {
  local binary=${BINLOG_OPERATOR_BIN:-$CARGO_TARGET_DIR/release/binlog-operator}
  if [ -z "${BINLOG_OPERATOR_BIN:-}" ]; then
    need cargo "curl -sSf https://sh.rustup.rs | sh"
    say "building binlog-operator (the first build takes some minutes)"
    (cd "$PROJECT" && cargo build --workspace --release --locked --bin binlog-operator >&2)
  fi
  alive "$DEMO/operator" && return
  mkdir -p "$DEMO/operator"
  nohup "$binary" run -f "$DEMO/orders.yaml" --state-dir "$DEMO/operator/state" \
    --listen "$LISTEN" >"$DEMO/operator/log" 2>&1 </dev/null &
  local pid=$!
  echo "$pid" >"$DEMO/operator/pid"
  wait_for 30 "$pid" "$DEMO/operator/log" curl -fs "http://$LISTEN/healthz"
  say "binlog-operator runs (process $pid); the full build begins"
}

count() { curl -fs -X POST "$ELASTICSEARCH_URL/orders/_refresh" >/dev/null && curl -fs "$ELASTICSEARCH_URL/orders/_count" | sed 's/.*"count":\([0-9]*\).*/\1/'; }
lag() { curl -fs "http://$LISTEN/metrics" | grep -E '^[a-z_]*lag_seconds' | head -n 1 || true; }
document() { curl -fs "$ELASTICSEARCH_URL/orders/_source/$1"; }

until_ready() {
  local begin=$SECONDS
  until curl -fs "http://$LISTEN/readyz" >/dev/null; do
    kill -0 "$(cat "$DEMO/operator/pid")" 2>/dev/null || { tail -n 20 "$DEMO/operator/log" >&2; die "the operator ended"; }
    [ $((SECONDS - begin)) -lt 120 ] || { tail -n 20 "$DEMO/operator/log" >&2; die "not ready after 120 s"; }
    printf '    documents: %s\n' "$(count 2>/dev/null || echo 0)"
    sleep 1
  done
  printf '    documents: %s, %s\n' "$(count)" "$(lag)"
}

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

show() {
  head_line "One document, and three changes in three tables"
  printf 'GET orders/_source/7\n%s\n\n' "$(document 7)"
  local mark=demo-$RANDOM total=$RANDOM.42
  follow "UPDATE shop.orders SET status = 'shipped', total = $total WHERE id = 7" 7 "$total"
  follow "INSERT INTO shop.order_items (order_id, sku, qty) VALUES (7, '$mark', 3)" 7 "$mark"
  follow "UPDATE shop.users SET name = 'Renamed $mark' WHERE id = (SELECT user_id FROM shop.orders WHERE id = 7)" 7 "Renamed $mark"
  head_line "2,000 updates in a few seconds; the lag meanwhile"
  awk 'BEGIN { for (i = 1; i <= 2000; i++) { printf "UPDATE shop.orders SET total = total + 1 WHERE id = %d;\n", i * 7 % 20000 + 1
    if (i % 10 == 0) print "DO SLEEP(0.02);" } }' | sql &
  local writer=$!
  while kill -0 "$writer" 2>/dev/null; do
    printf '    %s\n' "$(lag)"
    sleep 1
  done
  wait "$writer"
  until_ready
}

how_to_go_on() {
  head_line "It goes on running. By hand:"
  cat <<T
  MySQL:      MYSQL_PWD='...' scripts/mysql.sh client -u$SQL_USER -h$SQL_HOST -P$SQL_PORT shop
  documents:  curl '$ELASTICSEARCH_URL/orders/_search?q=customer:Renamed&pretty'
  state:      curl http://$LISTEN/readyz ; curl -s http://$LISTEN/metrics | grep lag
  the task:   $DEMO/orders.yaml
  its log:    tail -f $DEMO/operator/log
  stop:       make down
T
}

case ${1:-up} in
up)
  mkdir -p "$DEMO"
  head_line "Servers"
  servers
  load
  render
  head_line "The operator"
  operator
  until_ready
  show
  how_to_go_on
  ;;
down) down ;;
*) die "usage: demo.sh [down]" ;;
esac
