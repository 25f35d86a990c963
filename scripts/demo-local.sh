#!/usr/bin/env bash
# Three MySQL tables followed by an Elasticsearch index, on real servers, on this machine, without Kubernetes.
#
#   demo-local.sh         brings up what is not up yet, syncs, writes, shows; everything stays running
#   demo-local.sh down    stops what it started (the data goes too)
#
# MYSQL_URL=mysql://user:password@host:port and ELASTICSEARCH_URL=http://host:port: use your own servers
# (the user must be able to create the database `shop`, which is made anew, and to read the binlog).
set -euo pipefail
# shellcheck source=scripts/demo-servers.sh
. "$(dirname "${BASH_SOURCE[0]}")/demo-servers.sh"

down() {
  stop_pid "$DEMO/operator/pid"
  stop_servers
}

until_ready() {
  local begin=$SECONDS
  # ready means that it makes progress; caught up, that every document is there
  until curl -s "http://$LISTEN/readyz" | grep -q ^CaughtUp=True; do
    kill -0 "$(cat "$DEMO/operator/pid")" 2>/dev/null || { tail -n 20 "$DEMO/operator/log" >&2; die "the operator ended"; }
    [ $((SECONDS - begin)) -lt 120 ] || { tail -n 20 "$DEMO/operator/log" >&2; die "not caught up after 120 s"; }
    printf '    documents: %s\n' "$(count 2>/dev/null || echo 0)"
    sleep 1
  done
  printf '    documents: %s, %s\n' "$(count)" "$(lag)"
}

show() {
  head_line "One document, and three changes in three tables"
  three_changes
  head_line "2,000 updates in a few seconds; the lag meanwhile"
  burst show_lag
  until_ready
}

show_lag() { printf '    %s\n' "$(lag)"; }

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
  [ ! -d "$DEMO/kubernetes" ] || die "the demo in Kubernetes runs; stop it first: make down"
  built
  background run -f "$DEMO/orders.yaml" --state-dir "$DEMO/operator/state"
  until_ready
  show
  how_to_go_on
  ;;
down) down ;;
*) die "usage: demo-local.sh [down]" ;;
esac
