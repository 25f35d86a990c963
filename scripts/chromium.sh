#!/usr/bin/env bash
# A real Chromium with its WebDriver in the cache, unpacked from Debian's packages. No display is needed.
#
#   chromium.sh install             prints the folder it is in
#   chromium.sh run ARGUMENT...     Chromium itself, without a window (exec)
#   chromium.sh driver ARGUMENT...  chromedriver (exec); the sessions it is asked for name the browser by `chromium.sh path`
#   chromium.sh path                prints the browser that a session has to name
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# libraries ROOT: where its programs find theirs.
libraries() { printf '%s:' "$1"/{lib,usr/lib}/x86_64-linux-gnu "$1/usr/lib/x86_64-linux-gnu/pulseaudio"; }

# The browser starts itself again for every page: its programs must name the loader of their own C library.
unpack() {
  local part=$1 final=$CACHE/chromium root=$1/root program
  debian_unpack bookworm "$root" chromium,chromium-driver,patchelf,fonts-dejavu-core,fonts-liberation2,libc6
  local loader=lib64/ld-linux-x86-64.so.2
  for program in chromium chromedriver chrome_crashpad_handler; do
    program=$(find "$root/usr/lib/chromium" "$root/usr/bin" -name "$program" -type f -size +1M | head -n 1)
    [ -n "$program" ] || continue
    "$root/$loader" --library-path "$(libraries "$root")" "$root/usr/bin/patchelf" \
      --set-interpreter "$final/root/$loader" "$program"
    case $program in */chromedriver) mv "$program" "$part/chromedriver" ;; esac
  done
  cat >"$part/fonts.conf" <<END
<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>$final/root/usr/share/fonts</dir>
  <cachedir prefix="xdg">fontconfig</cachedir>
  <alias><family>sans-serif</family><prefer><family>DejaVu Sans</family></prefer></alias>
  <alias><family>system-ui</family><prefer><family>Liberation Sans</family></prefer></alias>
  <alias><family>monospace</family><prefer><family>DejaVu Sans Mono</family></prefer></alias>
</fontconfig>
END
  cat >"$part/browser" <<END
#!/bin/sh
export LD_LIBRARY_PATH="$(libraries "$final/root")" FONTCONFIG_FILE="$final/fonts.conf"
exec "$final/root/usr/lib/chromium/chromium" "\$@"
END
  chmod +x "$part/browser"
}

FOLDER=$(install_once chromium unpack)

verb=${1:-install}
[ $# -eq 0 ] || shift
case $verb in
install) printf '%s\n' "$FOLDER" ;;
cache) printf "%s\n" "$CACHE" ;;
path) printf '%s\n' "$FOLDER/browser" ;;
run)
  exec "$FOLDER/browser" --headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
    --disable-background-networking "$@"
  ;;
driver) LD_LIBRARY_PATH="$(libraries "$FOLDER/root")" exec "$FOLDER/chromedriver" "$@" ;;
*) die "unknown verb $verb; see the head of $0" ;;
esac
