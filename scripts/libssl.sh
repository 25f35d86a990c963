#!/usr/bin/env bash
# OpenSSL's headers: only the tests need them (mysql_cdc, a peer of the decoder, links to OpenSSL).
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
if command -v pkg-config >/dev/null && pkg-config --exists openssl; then exit 0; fi
[ "$(id -u)" = 0 ] || die "OpenSSL's headers are missing: sudo apt-get install -y libssl-dev pkg-config"
say "installing libssl-dev and pkg-config"
apt-get update -qq
apt-get install -y -qq libssl-dev pkg-config
