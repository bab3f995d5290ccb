#!/usr/bin/env bash
# Reachy Mini's own daemon, in an environment of its own (about 500 MB), for the tests that drive it in simulation.
#   scripts/setup_reachy.sh [--no-mujoco]   --no-mujoco leaves out the physics simulation (--sim)
# 'make setup-test' runs it; REACTDIFF_NO_REACHY=1 in the environment leaves it out.
# Debian and Ubuntu with Python 3.11 or newer. The daemon imports GStreamer's introspection even with --no-media: it comes from the system.
set -euo pipefail
cd "$(dirname "$0")/.."
version=1.13.0
say() { printf '[reachy] %s\n' "$*" >&2; }
die() { printf '[reachy] error: %s\n' "$*" >&2; exit 1; }

extra=mujoco
for option in "$@"; do
  case $option in
    --no-mujoco) extra= ;;
    *) die "unknown option $option: --no-mujoco" ;;
  esac
done
key=$(printf '%s' "$PWD" | sha256sum | cut -c1-12)
home=${REACTDIFF_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/reactdiff_ros}/$key
venv=$home/reachy
python=/usr/bin/python3
mkdir -p "$home" || die "cannot write $home: set REACTDIFF_HOME to a folder with 1 GB free"
exec 9>"$home/reachy.lock"
! command -v flock >/dev/null || flock 9  # one at a time
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || die "$python is older than 3.11, which reachy-mini needs"
stamp="$version $extra $("$python" -VV)"
[ -x "$venv/bin/reachy-mini-daemon" ] && [ "$(cat "$venv/stamp" 2>/dev/null)" = "$stamp" ] && { rm -f "$home/reachy.failed"; exit 0; }

# 1. What comes from the system.
missing=
"$python" -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
"$python" -c 'import gi' 2>/dev/null || missing="$missing python3-gi"
"$python" -c 'import gi; gi.require_version("Gst", "1.0")' 2>/dev/null || missing="$missing gir1.2-gstreamer-1.0"
"$python" -c 'import gi; gi.require_version("GstApp", "1.0")' 2>/dev/null || missing="$missing gir1.2-gst-plugins-base-1.0"
if [ -n "$missing" ]; then
  line="apt-get install -y --no-install-recommends$missing"
  [ "$(id -u)" = 0 ] || die "system packages are missing: run 'sudo $line', then this again"
  say "installing system packages:$missing"
  apt-get update -qq >"$home/reachy.log" 2>&1 || say "apt-get update failed, going on with the lists that are there"
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive $line >>"$home/reachy.log" 2>&1 || die "'$line' failed, see $home/reachy.log"
fi

# 2. The package first, then what it asks for: an index that lags some days behind has no certifi and pip that are new enough,
#    and the daemon does not need them.
say "installing reachy-mini $version, about a minute"
rm -rf "$venv"
"$python" -m venv --system-site-packages "$venv"
. scripts/packages.sh
packages() { into "$venv" "$home/reachy.log" "$@"; }
packages --no-deps "reachy-mini==$version" || die "the packages cannot be installed, see $home/reachy.log"
"$venv/bin/python" - "$extra" >"$venv/requirements.txt" <<'PYTHON'
import sys
from importlib.metadata import requires

from pip._vendor.packaging.requirements import Requirement

for text in requires("reachy-mini"):
    wanted = Requirement(text)
    if wanted.name == "PyGObject":
        continue  # the system's python3-gi; pip would build it and cairo from source
    if wanted.marker is None or wanted.marker.evaluate({"extra": sys.argv[1]}):
        extras = f"[{','.join(sorted(wanted.extras))}]" if wanted.extras else ""
        bounds = "" if wanted.name in ("certifi", "pip") else wanted.specifier
        print(f"{wanted.name}{extras}{bounds}")
PYTHON
packages -r "$venv/requirements.txt" \
  || die "the packages cannot be installed, see the end of $home/reachy.log: $(grep -a '^ERROR' "$home/reachy.log" | tail -n 1)"
printf '%s' "$stamp" >"$venv/stamp"
rm -f "$home/reachy.failed"
say "ready: $venv"
