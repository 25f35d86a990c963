#!/usr/bin/env bash
# A node that runs pods, for a control plane of kubernetes.sh: kubelet, scheduler and containerd. Needs root, a machine
# that lets it make containers, and nobody else's pods on 10.244.0.0/24. No registry is reached: images are imported.
#
#   kubernetes-node.sh install                   prints the folder
#   kubernetes-node.sh start DIR PORT            control plane and node, returns when the node is ready
#   kubernetes-node.sh image DIR NAME PROGRAM    imports an image NAME with PROGRAM, its libraries and the CA certificates
#   kubernetes-node.sh stop DIR                  ends all of it, pods too
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
HERE=$PROJECT/scripts
PLANE=$HERE/kubernetes.sh

build() {
  "$PLANE" build "$1" k8s.io/kubernetes/cmd/kubelet k8s.io/kubernetes/cmd/kube-scheduler
  # Debian 12's containerd is too old for this kubelet; sid's is a static Go program and runs as it is.
  debian_unpack sid "$1/sid" containerd
  mv "$1"/sid/usr/bin/{containerd,containerd-shim-runc-v2,ctr} "$1/"
  rm -rf "${1:?}/sid"
  mkdir "$1/pause"
  printf '%s\n' '#include <signal.h>' '#include <unistd.h>' '#include <sys/wait.h>' \
    'static void on(int s) { if (s == SIGCHLD) { while (waitpid(-1, 0, WNOHANG) > 0); } else _exit(0); }' \
    'int main() { signal(SIGINT, on); signal(SIGTERM, on); signal(SIGCHLD, on); for (;;) pause(); }' >"$1/pause.c"
  gcc -static -O2 -s -o "$1/pause/pause" "$1/pause.c"
  archive localhost/pause:1 "$1/pause" /pause >"$1/pause.tar"
}

# archive NAME FOLDER ENTRYPOINT: an image in docker's archive format, with the folder as its only layer
archive() {
  local work config diff
  work=$(mktemp -d)
  tar --sort=name --owner=0 --group=0 -C "$2" -cf "$work/layer.tar" .
  diff=$(sha256sum "$work/layer.tar" | cut -d' ' -f1)
  printf '{"architecture":"amd64","os":"linux","config":{"Entrypoint":["%s"],"User":"65532"},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]},"history":[{"created_by":"local"}]}' \
    "$3" "$diff" >"$work/config"
  config=$(sha256sum "$work/config" | cut -d' ' -f1).json
  mv "$work/config" "$work/$config"
  printf '[{"Config":"%s","RepoTags":["%s"],"Layers":["layer.tar"]}]' "$config" "$1" >"$work/manifest.json"
  tar -C "$work" -cf - "$config" layer.tar manifest.json
  rm -rf "$work"
}

image() {
  local dir=$1 name=$2 program=$3 work library
  work=$(mktemp -d)
  mkdir -p "$work/etc/ssl/certs"
  cp "$program" "$work/binlog-operator"
  chmod 755 "$work" "$work/binlog-operator"
  cp -L /etc/ssl/certs/ca-certificates.crt "$work/etc/ssl/certs/" 2>/dev/null || true
  { ldd "$program" || true; } | grep -o '/[^ ]*' | while read -r library; do
    mkdir -p "$work$(dirname "$library")"
    cp -L "$library" "$work$library"
  done
  archive "$name" "$work" /binlog-operator | "$ROOT/ctr" -a "$dir/containerd.sock" -n k8s.io image import - >&2
  rm -rf "$work"
}

ROOT=$(install_once "kubernetes-node-$(cksum <"$PROJECT/e2e/kubernetes/go.mod" | cut -d' ' -f1)" build)

configure() {
  local dir=$1
  mkdir -p "$dir/cni"
  echo '{"cniVersion":"0.4.0","name":"local","plugins":[{"type":"bridge","bridge":"cni0","isGateway":true,"ipam":{"type":"host-local","ranges":[[{"subnet":"10.244.0.0/24"}]],"routes":[{"dst":"0.0.0.0/0"}]}}]}' >"$dir/cni/10-local.conflist"
  cat >"$dir/containerd.toml" <<T
version = 3
root = "$dir/containerd"
state = "$dir/containerd-state"
[grpc]
  address = "$dir/containerd.sock"
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "localhost/pause:1"
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true # root of a container lacks CAP_SYS_RESOURCE
  [plugins.'io.containerd.cri.v1.runtime'.cni]
    bin_dirs = ["/usr/lib/cni"]
    conf_dir = "$dir/cni"
T
  cat >"$dir/kubelet.yaml" <<T
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
cgroupDriver: cgroupfs
cgroupsPerQOS: false
enforceNodeAllocatable: []
failCgroupV1: false
failSwapOn: false
localStorageCapacityIsolation: false
containerRuntimeEndpoint: unix://$dir/containerd.sock
T
}

# run DIR NAME COMMAND...: in the background, in DIR
run() {
  local dir=$1 name=$2
  shift 2
  if [ -f "$dir/$name.pid" ] && kill -0 "$(cat "$dir/$name.pid")" 2>/dev/null; then return; fi
  (
    cd "$dir"
    PATH="$ROOT:$PATH" nohup "$@" >>"$name.log" 2>&1 </dev/null &
    echo $! >"$name.pid"
  )
}

# The bridge is there before the first pod, so that what runs on this machine can listen on its address.
bridge() {
  ip link show cni0 >/dev/null 2>&1 && return
  ip link add cni0 type bridge
  ip address add 10.244.0.1/24 dev cni0
  ip link set cni0 up
}

# There is no kube-proxy: the one service that pods need is the API server's.
service() {
  local address
  address=$(hostname -I | cut -d' ' -f1)
  no_service
  for chain in PREROUTING OUTPUT; do
    iptables -t nat -A "$chain" -d 10.0.0.1 -p tcp --dport 443 -j DNAT --to "$address:$1"
  done
}

# Also what a node that was killed has left behind: it would send pods to a port where nobody is.
no_service() {
  local rule
  iptables -t nat -S 2>/dev/null | grep -e '-d 10.0.0.1/32 .*--dport 443 ' | sed 's/^-A/-D/' | while read -r rule; do
    # shellcheck disable=SC2086  # a rule is several words
    iptables -t nat $rule
  done || true
}

start() {
  local dir=$1 port=$2
  [ "$(id -u)" = 0 ] || die "a node needs root"
  if ! command -v runc >/dev/null || ! command -v iptables >/dev/null || ! command -v ip >/dev/null || [ ! -d /usr/lib/cni ]; then
    apt_install runc containernetworking-plugins iptables iproute2
  fi
  mkdir -p "$dir"
  : >"$dir/for-node"
  "$PLANE" start "$dir" "$port"
  configure "$dir"
  service "$port"
  bridge
  run "$dir" containerd containerd --config containerd.toml
  wait_for 30 "$(cat "$dir/containerd.pid")" "$dir/containerd.log" "$ROOT/ctr" -a "$dir/containerd.sock" -n k8s.io image import "$ROOT/pause.tar"
  run "$dir" scheduler kube-scheduler --kubeconfig kubeconfig --secure-port=0 --leader-elect=false
  run "$dir" kubelet kubelet --config kubelet.yaml --kubeconfig kubeconfig --root-dir "$dir/kubelet" --hostname-override node1
  wait_for 60 "$(cat "$dir/kubelet.pid")" "$dir/kubelet.log" "$PLANE" kubectl --kubeconfig "$dir/kubeconfig" \
    wait --for=condition=Ready node/node1 --timeout=5s
  say "node1 is ready"
}

stop() {
  local dir=$1 task
  stop_pid "$dir/kubelet.pid"
  stop_pid "$dir/scheduler.pid"
  if [ -S "$dir/containerd.sock" ]; then
    "$ROOT/ctr" -a "$dir/containerd.sock" -n k8s.io task list -q 2>/dev/null | while read -r task; do
      "$ROOT/ctr" -a "$dir/containerd.sock" -n k8s.io task delete --force "$task" >/dev/null 2>&1 || true
    done
  fi
  stop_pid "$dir/containerd.pid"
  # the shim of a pod that was ending just now has no task and nobody else who ends it
  grep -lsxzFf - /proc/[0-9]*/cmdline <<<"$dir/containerd.sock" | cut -d/ -f3 | xargs -r kill 2>/dev/null || true
  no_service
  ip link delete cni0 2>/dev/null || true
  awk -v dir="$dir/" 'index($2, dir) == 1 { print $2 }' /proc/mounts | sort -r | xargs -r umount 2>/dev/null || true
  "$PLANE" stop "$dir"
}

verb=${1:-install}
[ $# -eq 0 ] || shift
case $verb in
install) printf '%s\n' "$ROOT" ;;
start | image | stop) "$verb" "$@" ;;
*) die "unknown verb $verb; see the head of $0" ;;
esac
