# Shared by the scripts of this folder: where the cache is, how to say things, how to install once.
# Sourced, never run.
# shellcheck shell=bash

# A builder that fails must end the script also from inside $(...).
shopt -s inherit_errexit

PROJECT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CACHE=${BINLOG_OPERATOR_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/binlog-operator}
export PROJECT CACHE

say() { printf '==> %s\n' "$*" >&2; }
die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# need COMMAND HOW: ends with the way to get COMMAND when it is missing.
need() {
  command -v "$1" >/dev/null || die "$1 is missing; install it with: $2"
}

# apt_install PACKAGE...: installs with apt when we are root, else says what root has to run.
apt_install() {
  command -v apt-get >/dev/null || die "this machine has no apt-get; please install by hand: $*"
  [ "$(id -u)" = 0 ] || die "not root; please run: sudo apt-get install -y $*"
  say "installing with apt: $*"
  apt-get update -qq >&2
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2
}

# install_once NAME BUILDER: runs `BUILDER DIR` once, with DIR a fresh folder that becomes $CACHE/NAME only
# when the builder succeeded. Two that run at once wait for each other; an interrupted one leaves nothing
# that looks installed. Prints the folder.
install_once() {
  local name=$1 builder=$2 final="$CACHE/$1"
  if [ ! -d "$final" ]; then
    mkdir -p "$CACHE/locks"
    (
      flock 9
      [ -d "$final" ] && exit 0
      # A name of its own: the children of a killed install may still be writing to theirs.
      local begin=$SECONDS part="$final.part.$BASHPID"
      rm -rf "$final".part.*
      mkdir -p "$part"
      say "installing $name into $CACHE (once)"
      "$builder" "$part" 9>&-
      mv "$part" "$final"
      say "installed $name in $((SECONDS - begin)) s"
    ) 9>"$CACHE/locks/$(printf '%s' "$name" | tr / _)"
  fi
  printf '%s\n' "$final"
}

# debian_unpack SUITE DIR PACKAGES: unpacks packages and all they need; none of their scripts runs.
debian_unpack() {
  [ "$(uname -m)" = x86_64 ] || die "the packaged servers are for x86_64 only; use your own server through MYSQL_URL"
  command -v mmdebstrap >/dev/null || apt_install mmdebstrap
  local mirror
  mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list 2>/dev/null |
    grep -E '^(URIs:|deb )' | grep -o 'https\?://[^ ]*' | grep debian | grep -v security | head -n 1 || true)
  mmdebstrap --variant=extract --aptopt='Acquire::Check-Valid-Until "false"' --include="$3" \
    "$1" "$2" "${mirror:-http://deb.debian.org/debian}" 2> >(grep -v '^[IW]: skipping' >&2)
  rm -rf "${2:?}"/{var,boot,usr/share/doc,usr/share/man,usr/share/locale}
}

# find_jdk MIN MAX: the home of a JDK (with javac) whose major version lies in MIN..MAX, newest first.
find_jdk() {
  local min=$1 max=$2 home major best='' best_major=0
  for home in ${JAVA_HOME:+"$JAVA_HOME"} /usr/lib/jvm/* /opt/*jdk* "$HOME"/.sdkman/candidates/java/* /Library/Java/*/*/Contents/Home; do
    if [ ! -x "$home/bin/javac" ] || [ ! -x "$home/bin/java" ]; then continue; fi
    major=$(sed -n 's/^JAVA_VERSION="\([0-9]*\).*/\1/p' "$home/release" 2>/dev/null || true)
    if [ "${major:-0}" -ge "$min" ] && [ "$major" -le "$max" ] && [ "$major" -gt "$best_major" ]; then
      best=$home best_major=$major
    fi
  done
  [ -n "$best" ] || die "no JDK of version $min to $max found (JAVA_HOME, /usr/lib/jvm/*); install one, for example: apt-get install temurin-$min-jdk (packages.adoptium.net) or sdk install java $min-tem"
  printf '%s\n' "$best"
}

# wait_for SECONDS PID LOG COMMAND...: polls COMMAND until it succeeds; ends when PID died or time is up.
wait_for() {
  local seconds=$1 pid=$2 log=$3 end
  shift 3
  end=$((SECONDS + seconds))
  until "$@" >/dev/null 2>&1; do
    if ! kill -0 "$pid" 2>/dev/null || [ "$SECONDS" -ge "$end" ]; then
      tail -n 20 "$log" >&2
      die "the server did not come up; its log is $log"
    fi
    sleep 0.2
  done
}

# stop_pid FILE SECONDS: ends the process that FILE names, politely first.
stop_pid() {
  local file=$1 seconds=${2:-20} pid end
  [ -f "$file" ] || return 0
  pid=$(cat "$file")
  end=$((SECONDS + seconds))
  kill "$pid" 2>/dev/null || true
  while kill -0 "$pid" 2>/dev/null; do
    [ "$SECONDS" -lt "$end" ] || kill -9 "$pid" 2>/dev/null || true
    sleep 0.1
  done
  rm -f "$file"
}
