#!/usr/bin/env bash
# The operator in Kubernetes, on this machine: MySQL, Elasticsearch and a control plane are brought up, the chart is
# installed, the example applied; then tables change, and the documents follow.
#
#   demo.sh         brings up what is not up yet and shows it; everything stays running
#   demo.sh down    stops what it started, takes back what it installed
#
# KUBECONFIG=FILE uses your cluster. The operator runs on this machine even then, with the chart's service account as
# all its rights; DEMO_IMAGE=REPOSITORY:TAG runs it as the chart's pods instead (an image that your nodes can pull).
# MYSQL_URL=mysql://user:password@host:port and ELASTICSEARCH_URL=http://host:port: your own servers; pods need them.
# Where the control plane cannot be had: demo-local.sh.
set -euo pipefail
# shellcheck source=scripts/demo-servers.sh
. "$(dirname "${BASH_SOURCE[0]}")/demo-servers.sh"
NAMESPACE=shop RELEASE=binlog-operator
KUBE_PORT=${DEMO_KUBERNETES_PORT:-16443}
PLANE=$DEMO/kubernetes

# Ours, or what the user of an own cluster has.
program() {
  local name=$1
  shift
  # not `command -v`: functions below have the same names
  if [ -f "$DEMO/their-cluster" ] && type -P "$name" >/dev/null; then
    command "$name" "$@"
  else
    "$PROJECT/scripts/kubernetes.sh" "$name" "$@"
  fi
}
kubectl() { program kubectl --namespace "$NAMESPACE" "$@"; }
helm() { program helm --namespace "$NAMESPACE" "$@"; }

cluster() {
  if [ -n "${KUBECONFIG:-}" ] && [ "$KUBECONFIG" != "$PLANE/kubeconfig" ]; then
    [ ! -d "$PLANE" ] || die "the demo runs in its own cluster; stop it first: make down"
    printf '%s\n' "$KUBECONFIG" >"$DEMO/their-cluster"
    say "using your cluster: $(kubectl config current-context) of $KUBECONFIG"
    return
  fi
  [ ! -f "$DEMO/their-cluster" ] || die "the demo runs in the cluster of $(cat "$DEMO/their-cluster"); set KUBECONFIG to it, or stop it: make down"
  export KUBECONFIG=$PLANE/kubeconfig
  if [ ! -f "$KUBECONFIG" ]; then
    refuse_taken "$KUBE_PORT" KUBERNETES
  fi
  "$PROJECT/scripts/kubernetes.sh" start "$PLANE" "$KUBE_PORT" ||
    die "no control plane; without Kubernetes: make demo-local"
}

install() {
  kubectl get namespace "$NAMESPACE" >/dev/null 2>&1 || kubectl create namespace "$NAMESPACE"
  local values=(--set replicas=0)
  [ -z "${DEMO_IMAGE:-}" ] || values=(--set "image.repository=${DEMO_IMAGE%:*},image.tag=${DEMO_IMAGE##*:}")
  helm upgrade --install "$RELEASE" "$PROJECT/charts/binlog-operator" "${values[@]}"
}

# A kubeconfig with the token of the chart's service account, and nothing else.
own_kubeconfig() {
  local own=$DEMO/operator.kubeconfig ca=$DEMO/cluster-ca.crt server
  server=$(kubectl config view --minify --output 'jsonpath={.clusters[0].cluster.server}')
  kubectl config view --minify --flatten --raw --output 'jsonpath={.clusters[0].cluster.certificate-authority-data}' | base64 -d >"$ca"
  (
    umask 077
    : >"$own"
    config() { program kubectl config --kubeconfig "$own" "$@" >/dev/null; }
    if [ -s "$ca" ]; then
      config set-cluster demo --server "$server" --certificate-authority "$ca" --embed-certs
    else
      config set-cluster demo --server "$server"
    fi
    config set-credentials operator --token "$(kubectl create token "$RELEASE" --duration 24h)"
    config set-context demo --cluster demo --user operator
    config use-context demo
  )
}

operator() {
  if [ -n "${DEMO_IMAGE:-}" ]; then
    kubectl rollout status "deployment/$RELEASE" --timeout=120s
    return
  fi
  say "no pods here: the operator runs as a process of this machine, with the rights of the chart's service account"
  built
  own_kubeconfig
  KUBECONFIG=$DEMO/operator.kubeconfig background operator --namespace "$NAMESPACE" --lease-namespace "$NAMESPACE" --lease-name "$RELEASE"
}

state() { kubectl get synctasks,reindexes; }

until_ready() {
  local end=$((SECONDS + 180))
  until [ "$(kubectl get synctask orders --output 'jsonpath={.status.conditions[?(@.type=="CaughtUp")].status}')" = True ]; do
    [ "$SECONDS" -lt "$end" ] || { kubectl describe synctask orders >&2; die "not caught up after 180 s; log: $DEMO/operator/log"; }
    printf '    documents: %s\n' "$(count 2>/dev/null || echo 0)"
    sleep 2
  done
  kubectl wait reindex --all --for=condition=Complete --timeout=120s >/dev/null
  printf '    documents: %s\n' "$(count)"
}

down() {
  # before the cluster: the operator may still have something to take back
  if [ -f "$DEMO/their-cluster" ]; then
    KUBECONFIG=$(cat "$DEMO/their-cluster")
    export KUBECONFIG
    # a cluster that is gone must not keep the rest from stopping
    { kubectl delete --ignore-not-found --timeout=60s -f "$DEMO/orders.yaml" && helm uninstall "$RELEASE" --ignore-not-found; } ||
      say "the demo's task and chart could not be taken back from the cluster of $KUBECONFIG"
    say "the CRDs and the namespace $NAMESPACE stay in your cluster; to remove them, and ALL tasks with them:"
    say "  kubectl delete namespace $NAMESPACE; kubectl delete -f crds/"
  fi
  stop_pid "$DEMO/operator/pid"
  [ ! -d "$PLANE" ] || "$PROJECT/scripts/kubernetes.sh" stop "$PLANE"
  stop_servers
}

how_to_go_on() {
  head_line "It goes on running. By hand:"
  cat <<T
  the cluster:   export KUBECONFIG=$KUBECONFIG
  its tools:     scripts/kubernetes.sh kubectl --namespace $NAMESPACE get synctasks,reindexes
                 scripts/kubernetes.sh kubectl --namespace $NAMESPACE describe synctask orders
  MySQL:         MYSQL_PWD='...' scripts/mysql.sh client -u$SQL_USER -h$SQL_HOST -P$SQL_PORT shop
  documents:     curl '$ELASTICSEARCH_URL/orders/_search?q=customer:Renamed&pretty'
  the task:      $DEMO/orders.yaml
  operator:      tail -f $DEMO/operator/log ; curl -s http://$LISTEN/metrics | grep lag
  stop:          make down
T
}

up() {
  mkdir -p "$DEMO"
  [ ! -d "$DEMO/operator/state" ] || die "the demo without Kubernetes runs; stop it first: make down"
  head_line "Servers"
  servers
  load
  render
  head_line "Kubernetes"
  cluster
  install
  operator
  head_line "kubectl apply"
  kubectl apply -f "$DEMO/orders.yaml"
  until_ready
  state
  head_line "One document, and three changes in three tables"
  three_changes
  head_line "2,000 updates in a few seconds"
  burst state
  until_ready
  state
  how_to_go_on
}

verb=${1:-up}
case $verb in
up | down) "$verb" ;;
*) die "usage: demo.sh [down]" ;;
esac
