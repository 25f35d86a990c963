#!/usr/bin/env bash
# Certificates for tests, by openssl: an authority, a server's for 127.0.0.1 and localhost, a client's.
#
#   certificates.sh DIR    writes ca.pem, server.pem, server.key, client.pem, client.key, other-ca.pem
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need openssl "apt-get install openssl"
cd "$1"

authority() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj "/CN=$1" \
    -addext basicConstraints=critical,CA:TRUE -keyout "$1.key" -out "$1.pem"
}

# signed NAME USAGE [SUBJECT_ALT_NAMES]
signed() {
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$1" -keyout "$1.key" -out "$1.csr"
  printf 'extendedKeyUsage=%s\n%s\n' "$2" "${3:+subjectAltName=$3}" >"$1.ext"
  openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile "$1.ext" -out "$1.pem"
}

{
  authority ca
  authority other-ca
  signed server serverAuth IP:127.0.0.1,DNS:localhost
  signed client clientAuth
} 2>openssl.log || {
  cat openssl.log >&2
  die "openssl could not make certificates"
}
