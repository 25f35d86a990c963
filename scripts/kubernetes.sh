#!/usr/bin/env bash
# A real Kubernetes control plane in the cache: kube-apiserver, kube-controller-manager, kubectl and helm are built from
# the Go modules that e2e/kubernetes/go.mod pins, etcd is Debian's. Many can run side by side, each in a folder of its own.
#
#   kubernetes.sh install                    prints the folder they are in (the first build takes some minutes)
#   kubernetes.sh start DIR PORT             a control plane in the background, returns when it is ready; DIR/kubeconfig
#   kubernetes.sh stop DIR                   ends it
#   kubernetes.sh prepare DIR PORT           its certificates and kubeconfigs only, and then one by one
#   kubernetes.sh run PROGRAM DIR PORT       etcd, apiserver or controller-manager in the foreground (exec)
#   kubernetes.sh kubectl|helm ARG...
#   kubernetes.sh build DIR PACKAGE...       more programs of the pinned modules (kubernetes-node.sh)
#
# PORT is the API server's; etcd listens on sockets in DIR, all else on nothing. DIR/audit.log says who asked for what.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
PINS=$PROJECT/e2e/kubernetes
PARTS=(etcd apiserver controller-manager)

version() { sed -n 's/^[[:space:]]*k8s.io\/kubernetes v\([0-9.]*\).*/\1/p' "$PINS/go.mod"; }

# go_build DIR PACKAGE...: the programs in DIR, with the version that they report
go_build() {
  need go "https://go.dev/dl (1.21 or newer fetches the version it needs)"
  local dir=$1 version stamp=k8s.io/component-base/version
  shift
  version=$(version)
  say "building Kubernetes $version from Go modules (Go's cache keeps what is built)"
  (cd "$PINS" && CGO_ENABLED=0 GOFLAGS='' go build -v -trimpath -buildvcs=false -o "$dir/" \
    -ldflags "-s -w -X $stamp.gitVersion=v$version -X $stamp.gitMajor=${version%%.*} -X $stamp.gitMinor=$(cut -d. -f2 <<<"$version")" "$@" 2>&1 |
    awk '/^[a-z0-9.]+(\/[A-Za-z0-9_.~-]+)*$/ { if (++n % 250 == 0) print "    " n " packages"; next } /^go: downloading/ { next } { print }' >&2)
}

# A package's files without its scripts: nothing of it is started.
debian_files() { # PACKAGE DIR
  command -v apt-get >/dev/null || die "this machine has no apt-get; etcd comes from Debian"
  (
    cd "$2"
    apt-get download -qq "$1" >/dev/null 2>&1 || {
      apt-get update -qq >&2
      apt-get download -qq "$1" 2> >(grep -v _apt >&2)
    }
    dpkg-deb -x "$1"_*.deb .
    rm -f "$1"_*.deb
  )
}

build() {
  debian_files etcd-server "$1"
  mv "$1/usr/bin/etcd" "$1/etcd"
  rm -rf "${1:?}"/{usr,lib,etc,var}
  go_build "$1" k8s.io/kubernetes/cmd/kube-apiserver k8s.io/kubernetes/cmd/kube-controller-manager \
    k8s.io/kubernetes/cmd/kubectl helm.sh/helm/v4/cmd/helm
}

if [ "${1:-}" = build ]; then
  shift
  go_build "$@"
  exit
fi
# The pins are part of the name: other versions are another install.
PINNED=$(cksum <"$PINS/go.mod" | cut -d' ' -f1)
ROOT=$(install_once "kubernetes-$PINNED" build)

certificates() {
  need openssl "apt-get install -y openssl"
  local address=$1 curve=(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes)
  openssl genrsa -out sa.key 2048 2>/dev/null
  openssl req -x509 "${curve[@]}" -days 3650 -subj /CN=local-ca -keyout ca.key -out ca.crt 2>/dev/null
  openssl req "${curve[@]}" -subj /CN=kube-apiserver -keyout server.key -out server.csr 2>/dev/null
  openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 3650 -out server.crt -extfile \
    <(printf 'basicConstraints=CA:FALSE\nsubjectAltName=IP:127.0.0.1,IP:10.0.0.1,IP:%s,DNS:localhost,DNS:kubernetes.default.svc\n' "$address") 2>/dev/null
}

prepare() {
  local dir=$1 port=$2 token
  [ -f "$dir/kubeconfig" ] && return
  mkdir -p "$dir"
  (
    umask 077
    cd "$dir"
    certificates "$(address)"
    token=$(openssl rand -hex 16)
    echo "$token,admin,1,system:masters" >tokens.csv
    printf 'apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules: [{level: Metadata}]\n' >audit.yaml
    cat >kubeconfig.part <<T
apiVersion: v1
kind: Config
clusters: [{name: local, cluster: {server: "https://127.0.0.1:$port", certificate-authority-data: "$(base64 -w0 ca.crt)"}}]
users: [{name: admin, user: {token: "$token"}}]
contexts: [{name: local, context: {cluster: local, user: admin}}]
current-context: local
T
    mv kubeconfig.part kubeconfig
  )
}

# The address that pods of a node would find the API server at.
address() { hostname -I 2>/dev/null | cut -d' ' -f1 | grep . || echo 127.0.0.1; }

run() {
  local program=$1 dir=$2 port=$3 listen=127.0.0.1
  cd "$dir"
  case $program in
  # Socket names are kept relative: a socket's path may have 107 characters only.
  etcd) exec "$ROOT/etcd" --data-dir etcd --listen-client-urls unix://etcd:0 --advertise-client-urls unix://etcd:0 \
    --listen-peer-urls unix://etcd:1 --initial-advertise-peer-urls unix://etcd:1 --initial-cluster default=unix://etcd:1 \
    --logger zap --log-level warn ;;
  apiserver)
    [ ! -e for-node ] || listen=0.0.0.0
    exec "$ROOT/kube-apiserver" --etcd-servers=unix://etcd:0 --secure-port="$port" --bind-address="$listen" \
      --advertise-address="$(address)" --tls-cert-file=server.crt --tls-private-key-file=server.key \
      --service-account-key-file=sa.key --service-account-signing-key-file=sa.key --service-account-issuer=https://localhost \
      --service-cluster-ip-range=10.0.0.0/24 --endpoint-reconciler-type=none --authorization-mode=Node,RBAC \
      --token-auth-file=tokens.csv --audit-policy-file=audit.yaml --audit-log-path=audit.log --audit-log-maxsize=1000
    ;;
  controller-manager) exec "$ROOT/kube-controller-manager" --kubeconfig kubeconfig --service-account-private-key-file=sa.key \
    --root-ca-file=ca.crt --use-service-account-credentials=true --secure-port=0 --leader-elect=false ;;
  *) die "unknown program $program: ${PARTS[*]}" ;;
  esac
}

alive() { [ -f "$1" ] && kill -0 "$(cat "$1")" 2>/dev/null; }
kubectl() { "$ROOT/kubectl" --kubeconfig "$@"; }

start() {
  local dir=$1 port=$2 part
  prepare "$dir" "$port"
  for part in "${PARTS[@]}"; do
    alive "$dir/$part.pid" && continue
    nohup bash "$0" run "$part" "$dir" "$port" >>"$dir/$part.log" 2>&1 </dev/null &
    echo $! >"$dir/$part.pid"
    [ "$part" != apiserver ] || wait_for 120 $! "$dir/apiserver.log" kubectl "$dir/kubeconfig" get --raw /readyz
  done
  # Without it no pod and no token of the namespace's service account could be made.
  wait_for 60 "$(cat "$dir/controller-manager.pid")" "$dir/controller-manager.log" \
    kubectl "$dir/kubeconfig" get serviceaccount default --namespace default
  say "Kubernetes $(version) answers on https://127.0.0.1:$port; export KUBECONFIG=$dir/kubeconfig"
}

stop() {
  local part
  for part in controller-manager apiserver etcd; do stop_pid "$1/$part.pid"; done
}

verb=${1:-install}
[ $# -eq 0 ] || shift
case $verb in
install) printf '%s\n' "$ROOT" ;;
prepare | run | start | stop) "$verb" "$@" ;;
kubectl | helm) exec "$ROOT/$verb" "$@" ;;
*) die "unknown verb $verb; see the head of $0" ;;
esac
