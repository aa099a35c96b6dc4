#!/usr/bin/env bash
# Install what tests/lab needs from Debian: Chromium, and a font, without which pages show no text.
# Does nothing where they are; where it may not install, it says so and the tests will name what is missing.
set -euo pipefail

missing=()
command -v chromium chromium-browser google-chrome "${EMBER_CHROMIUM:-chromium}" >/dev/null || missing+=(chromium)
[ -n "$(find /usr/share/fonts -name 'DejaVuSans.ttf' -print -quit 2>/dev/null)" ] || missing+=(fonts-dejavu-core)
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    as_root=(sudo -n)
fi
if ! command -v apt-get >/dev/null || ! "${as_root[@]}" true 2>/dev/null; then
    echo "Not installed, and no right to install it: ${missing[*]}" >&2
    exit 0
fi
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
