#!/usr/bin/env bash
# Builds the environment of this checkout and writes env.sh. Quick when nothing changed. See README, "Set-up".
#   scripts/setup.sh [--test] [--train]   --test also installs what the tests need, --train what training needs
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
say() { printf '[setup] %s\n' "$*" >&2; }
die() { printf '[setup] error: %s\n' "$*" >&2; exit 1; }

want_test=no want_train=no
for option in "$@"; do
  case $option in
    --test) want_test=yes ;;
    --train) want_train=yes ;;
    *) die "unknown option $option: --test or --train" ;;
  esac
done

# 1. Where: outside the source folder (CMake refuses an interpreter inside it), one per checkout.
key=$(printf '%s' "$root" | sha256sum | cut -c1-12)
home=${REACTDIFF_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/reactdiff_ros}/$key
mkdir -p "$home" || die "cannot write $home: set REACTDIFF_HOME to a folder with 2 GB free"
venv=$home/venv

# 2. Which ROS: an installed one if there (REACTDIFF_ROS_ROOT for one built elsewhere), else wheels.
ros_root=${REACTDIFF_ROS_ROOT:-/opt/ros}
ros_setup=
for distro in ${ROS_DISTRO:-} jazzy humble kilted lyrical rolling; do
  [ -f "$ros_root/$distro/setup.bash" ] && { ros_setup=$ros_root/$distro/setup.bash; break; }
done
if [ -z "$ros_setup" ]; then
  [ "$(uname -m)" = x86_64 ] || die "no $ros_root on this $(uname -m) machine, and the ROS wheels are x86-64 only: install ROS 2 jazzy or humble first"
fi

# 3. Which Python: ROS's own with /opt/ros, else any of 3.10 to 3.12.
python_ok() { "$1" -c 'import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; }
python=
if [ -n "$ros_setup" ]; then candidates=/usr/bin/python3; else candidates="${PYTHON:-} python3 /usr/bin/python3 python3.12 python3.11 python3.10"; fi
for c in $candidates; do
  if command -v "$c" >/dev/null 2>&1 && python_ok "$c"; then python=$(command -v "$c"); break; fi
done

# 4. System packages, in one apt line; installed when root.
have_lib() { ldconfig -p 2>/dev/null | grep -q "$1" || ls /usr/lib/*/"$1"* >/dev/null 2>&1; }
packages=
command -v g++ >/dev/null || packages="$packages g++"
command -v cmake >/dev/null || packages="$packages cmake"
command -v make >/dev/null || packages="$packages make"
[ -n "$python" ] || packages="$packages python3 python3-venv python3-dev"
[ -z "$python" ] || "$python" -c 'import sysconfig, os, sys; sys.exit(not os.path.exists(sysconfig.get_paths()["include"] + "/Python.h"))' || packages="$packages python3-dev"
have_lib libportaudio.so.2 || packages="$packages libportaudio2"
have_lib libGL.so.1 || packages="$packages libgl1"
have_lib libEGL.so.1 || packages="$packages libegl1"
have_lib libGLESv2.so.2 || packages="$packages libgles2"
have_lib libgthread-2.0.so.0 || packages="$packages libglib2.0-0"
if [ "$want_test" = yes ]; then
  command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || packages="$packages chromium"
  command -v pulseaudio >/dev/null || packages="$packages pulseaudio"
  command -v pactl >/dev/null || packages="$packages pulseaudio-utils"
  ls /usr/lib/*/alsa-lib/libasound_module_pcm_pulse.so >/dev/null 2>&1 || packages="$packages libasound2-plugins"
fi
if [ -n "$packages" ]; then
  line="apt-get install -y --no-install-recommends$packages"
  if [ "$(id -u)" = 0 ]; then
    say "installing system packages:$packages"
    apt-get update -qq >"$home/apt.log" 2>&1 || say "apt-get update failed, going on with the lists that are there ($home/apt.log)"
    # A fresh machine often updates itself just then, and holds the lock.
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive $line -o DPkg::Lock::Timeout=600 >>"$home/apt.log" 2>&1 || die "'$line' failed, see $home/apt.log"
  else
    die "system packages are missing: run 'sudo $line', then make again"
  fi
fi
if [ -z "$python" ]; then
  for c in /usr/bin/python3 python3; do python_ok "$c" && { python=$(command -v "$c"); break; }; done
fi
[ -n "$python" ] || die "no Python 3.10, 3.11 or 3.12 with the venv module was found: install one (python3-venv) or set PYTHON"

# 5. Packages: only when a requirements file, the interpreter or the kind of ROS changed.
install_packages() { # name, then pip arguments
  local name=$1; shift
  local stamp=$home/$name.stamp sum
  sum=$( { cat "$root/requirements/$name"*.txt; "$python" -VV; echo "$ros_setup"; } | sha256sum)
  [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$sum" ] && return 0
  say "installing Python packages ($name), a minute or two"
  rm -f "$stamp"
  "$@" >>"$home/pip.log" 2>&1 || die "pip failed, see the end of $home/pip.log: $(grep -a '^ERROR' "$home/pip.log" | tail -n 1)"
  printf '%s' "$sum" >"$stamp"
}
if [ ! -x "$venv/bin/python" ] || ! "$venv/bin/python" -c '' 2>/dev/null; then
  say "making the environment $venv"
  rm -rf "$venv" "$home"/*.stamp
  "$python" -m venv ${ros_setup:+--system-site-packages} "$venv" || die "python -m venv failed: install python3-venv"
fi
pip() { "$venv/bin/python" -m pip --disable-pip-version-check -q "$@"; }
pip_ros() {
  pip install -r requirements/ros.txt
  # The wheels' CMake files carry the include paths of the machine that built them.
  "$venv/bin/python" scripts/mend_ros_wheels.py "$venv"
}
pip_run() { pip install -r requirements/run.txt && pip install --no-deps -r requirements/run-no-deps.txt; }
pip_robots() {
  pip install -r requirements/robots.txt
  pip install -r requirements/robots-i2c.txt || say "boards on I2C (PCA9685) cannot be driven here: see $home/pip.log"
}
pip_evaluate() { pip install -r requirements/evaluate.txt; }
pip_test() { pip install -r requirements/test.txt; }
pip_docs() { pip install -r requirements/docs.txt; }
pip_train() {
  # Without an NVIDIA GPU, builds for a CPU, a tenth as large, are preferred where their index answers.
  local builds=https://download.pytorch.org/whl/cpu
  ! command -v nvidia-smi >/dev/null && "$venv/bin/python" -c 'import sys, urllib.request as r; r.urlopen(sys.argv[1], timeout=5)' "$builds/torch/" 2>/dev/null || builds=
  pip install ${builds:+--extra-index-url "$builds"} -r requirements/train.txt
}
: >"$home/pip.log"
install_packages run pip_run
install_packages evaluate pip_evaluate
install_packages robots pip_robots
[ -n "$ros_setup" ] || install_packages ros pip_ros
[ "$want_test" = no ] || install_packages test pip_test
[ "$want_test" = no ] || install_packages docs pip_docs
[ "$want_train" = no ] || install_packages train pip_train

# 6. env.sh: written whole, then moved into place.
"$venv/bin/python" scripts/write_env.py "$root" "$home" "$ros_setup" >env.sh.new
mv env.sh.new env.sh

# 7. The package itself: when what CMake looks at changed (contents are linked, so edits need no build).
sum=$( { find reactdiff_ros msg srv launch config resource -type f 2>/dev/null ! -name '*.pyc' | LC_ALL=C sort; cat msg/*.msg srv/*.srv CMakeLists.txt package.xml scripts/node.in scripts/command.in config/nodes.json "$home/run.stamp"; echo "$ros_setup"; } | sha256sum)
if [ ! -f "$home/build.stamp" ] || [ "$(cat "$home/build.stamp")" != "$sum" ] || [ ! -f "$home/install/setup.bash" ]; then
  say "building the package (first time about 40 s)"
  rm -f "$home/build.stamp"
  (
    set +u
    if [ -n "$ros_setup" ]; then . "$ros_setup"; else export AMENT_PREFIX_PATH=$venv CMAKE_PREFIX_PATH=$venv; fi
    export PATH=$venv/bin:$PATH
    command -v colcon >/dev/null || pip install "$(grep '^colcon' requirements/ros.txt)"
    colcon --log-base "$home/log" build --base-paths "$root" --build-base "$home/build" --install-base "$home/install" \
      --symlink-install --event-handlers console_direct- --cmake-args -DBUILD_TESTING=OFF -DPython3_EXECUTABLE="$venv/bin/python" -DPYTHON_EXECUTABLE="$venv/bin/python"
  ) >"$home/build.log" 2>&1 || { tail -n 25 "$home/build.log" >&2; die "the build failed, see $home/build.log"; }
  printf '%s' "$sum" >"$home/build.stamp"
fi

# 8. Reachy Mini's own daemon, for the tests that drive it: in an environment of its own, and not needed for the others.
if [ "$want_test" = yes ] && [ "${REACTDIFF_NO_REACHY:-}" != 1 ]; then
  failed=$home/reachy.failed
  if [ -f "$failed" ]; then
    say "tests against Reachy Mini's daemon will be skipped: scripts/setup_reachy.sh failed before; it can be run again by hand"
  elif ! scripts/setup_reachy.sh; then
    touch "$failed"
    say "tests against Reachy Mini's daemon will be skipped"
  fi
fi
