#!/usr/bin/env bash
# Builds the environment of this checkout and writes env.sh. See README.
#   scripts/setup.sh [--evaluate] [--robots] [--train] [--docs] [--test]
# What listening needs is always installed. An option adds what those commands need, --docs what the site of the docs
# needs, --test what the tests need; every later call keeps up to date what was added once. Where nothing changed, it
# takes a few hundredths of a second.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
log= extras=
clear=; [ ! -t 2 ] || clear=$'\r\033[K'
say() { printf '%s[setup] %s\n' "$clear" "$*" >&2; }
die() { say "error: $*"; exit 1; }
add() { case " $extras " in *" $1 "*) ;; *) extras="$extras $1" ;; esac; }

for option in "$@"; do
  case $option in
    --evaluate | --robots | --train) add "${option#--}" ;;
    --docs) for extra in evaluate docs; do add $extra; done ;;
    --test) for extra in evaluate robots test docs; do add $extra; done ;;
    *) die "unknown option $option: --evaluate, --robots, --train, --docs or --test" ;;
  esac
done

# 1. Where: outside the source folder (CMake refuses an interpreter inside it), one per checkout.
key=$(printf '%s' "$root" | sha256sum | cut -c1-12)
home=${REACTDIFF_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/reactdiff_ros}/$key
mkdir -p "$home" || die "cannot write $home: set REACTDIFF_HOME to a folder with 2 GB free"
venv=$home/venv log=$home/pip.log

# 2. Which ROS: an installed one if there (REACTDIFF_ROS_ROOT for one built elsewhere), else wheels.
ros_root=${REACTDIFF_ROS_ROOT:-/opt/ros}
ros_setup=
for distro in ${ROS_DISTRO:-} jazzy humble kilted lyrical rolling; do
  [ -f "$ros_root/$distro/setup.bash" ] && { ros_setup=$ros_root/$distro/setup.bash; break; }
done
if [ -z "$ros_setup" ]; then
  [ "$(uname -m)" = x86_64 ] || die "no $ros_root on this $(uname -m) machine, and the ROS wheels are x86-64 only: install ROS 2 jazzy or humble first"
fi

# 3. Nothing to do where all is as the last call left it, by names, sizes and times of the files.
seen=$(
  echo "$ros_setup"
  stat -L -c '%n %s %.9Y' requirements/*.txt msg{,/*} srv{,/*} action{,/*} scripts/{*.sh,*.in,mend_ros_wheels.py,write_env.py} CMakeLists.txt package.xml \
    config/nodes.json reactdiff_ros
)
made() { stat -L -c '%n %s %.9Y' "$venv/bin/python" env.sh "$home/build.stamp" "$home/install/reactdiff_ros/share"; }
reachy() { # the daemon of Reachy Mini for the tests that drive it: in an environment of its own
  case " $extras " in *" test "*) [ "${REACTDIFF_NO_REACHY:-}" != 1 ] || return 0 ;; *) return 0 ;; esac
  if [ -f "$home/reachy.failed" ]; then
    say "tests against Reachy Mini's daemon will be skipped: scripts/setup_reachy.sh failed before; it can be run again by hand"
  elif ! scripts/setup_reachy.sh; then
    touch "$home/reachy.failed"
    say "tests against Reachy Mini's daemon will be skipped"
  fi
}
added=yes
for extra in $extras; do [ -f "$home/$extra.stamp" ] || added=no; done
if [ $added = yes ] && [ "$seen $(made 2>/dev/null)" = "$(cat "$home/ready" 2>/dev/null)" ]; then
  reachy
  exit 0
fi

# 4. One call at a time. Steps in the background end with this script, and so does all that they started.
steps= ticker=
begin() { # in a process group of its own
  set -m
  "$@" </dev/null &
  set +m
  step=$! steps="$steps $!"
}
end_steps() {
  for step in $steps; do kill -- "-$step" || :; done 2>/dev/null
  [ -z "$ticker" ] || kill "$ticker" 2>/dev/null || :
  printf %s "$clear" >&2
}
trap end_steps EXIT
stage() { # what is done now: a line that counts the seconds where somebody looks on
  [ -n "$clear" ] || { say "$*"; return; }
  [ -z "$ticker" ] || { kill "$ticker"; wait "$ticker"; } 2>/dev/null || :
  while kill -0 $$ 2>/dev/null; do printf '%s[setup] %s: %s s ' "$clear" "$*" $SECONDS >&2; sleep 1; done 9>&- &
  ticker=$!
}
exec 9>"$home/lock"
if command -v flock >/dev/null && ! flock -n 9; then
  stage "waiting for another set-up of this checkout"
  flock 9
fi
for stamp in "$home"/*.stamp; do
  name=${stamp##*/} name=${name%.stamp}
  case $name in run | ros | build | \*) ;; *) add "$name" ;; esac
done
[ -f "$home/ready" ] || say "setting up in $home: about a minute on two cores, and 700 MB, the first time"

# 5. Which Python: ROS's own with /opt/ros, else any of 3.10 to 3.12.
python_ok() { "$1" -c 'import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; }
python=
if [ -n "$ros_setup" ]; then candidates=/usr/bin/python3; else candidates="${PYTHON:-} python3 /usr/bin/python3 python3.12 python3.11 python3.10"; fi
for c in $candidates; do
  if command -v "$c" >/dev/null 2>&1 && python_ok "$c"; then python=$(command -v "$c"); break; fi
done

# 6. System packages, in one apt line; installed when root.
have_lib() { ldconfig -p 2>/dev/null | grep -q "$1" || ls /usr/lib/*/"$1"* >/dev/null 2>&1; }
missing=
command -v g++ >/dev/null || missing="$missing g++"
command -v cmake >/dev/null || missing="$missing cmake"
command -v make >/dev/null || missing="$missing make"
[ -n "$python" ] || missing="$missing python3 python3-venv python3-dev"
[ -z "$python" ] || "$python" -c 'import sysconfig, os, sys; sys.exit(not os.path.exists(sysconfig.get_paths()["include"] + "/Python.h"))' || missing="$missing python3-dev"
have_lib libportaudio.so.2 || missing="$missing libportaudio2"
case " $extras " in
  *" test "*)
    command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || missing="$missing chromium"
    command -v pulseaudio >/dev/null || missing="$missing pulseaudio"
    command -v pactl >/dev/null || missing="$missing pulseaudio-utils"
    ls /usr/lib/*/alsa-lib/libasound_module_pcm_pulse.so >/dev/null 2>&1 || missing="$missing libasound2-plugins"
    ;;
esac
apt=
if [ -n "$missing" ]; then
  line="apt-get install -y --no-install-recommends$missing"
  [ "$(id -u)" = 0 ] || die "system packages are missing: run 'sudo $line', then make again"
  say "installing system packages:$missing"
  system_packages() {
    apt-get update -qq || echo "apt-get update failed, going on with the lists that are there"
    # A fresh machine often updates itself just then, and holds the lock.
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive $line -o DPkg::Lock::Timeout=600
  }
  begin system_packages >"$home/apt.log" 2>&1
  apt=$step
fi
apt_ended() { [ -z "$apt" ] || wait "$apt" || die "'$line' failed, see $home/apt.log"; apt=; }
if [ -z "$python" ]; then
  stage "waiting for the system packages"
  apt_ended
  for c in /usr/bin/python3 python3; do python_ok "$c" && { python=$(command -v "$c"); break; }; done
fi
[ -n "$python" ] || die "no Python 3.10, 3.11 or 3.12 with the venv module was found: install one (python3-venv) or set PYTHON"

# 7. Packages: only when a requirements file, the interpreter or the kind of ROS changed.
if [ ! -x "$venv/bin/python" ] || ! "$venv/bin/python" -c '' 2>/dev/null; then
  stage "making the environment"
  rm -rf "$venv" "$home/build" "$home"/*.stamp
  "$python" -m venv ${ros_setup:+--system-site-packages} "$venv" || die "python -m venv failed: install python3-venv"
fi
version=$("$python" -VV)
: >"$log"
. scripts/packages.sh
ensure() { # name of the requirements, then the command that installs them
  local name=$1 stamp=$home/$1.stamp sum
  shift
  sum=$( { cat "$root"/requirements/{"$name"*,devices,drawing,https,speech}.txt; echo "$version"; echo "$ros_setup"; } | sha256sum)
  [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$sum" ] && return 0
  stage "installing Python packages ($name)"
  rm -f "$stamp"
  "$@" || die "the packages cannot be installed, see the end of $log: $(grep -aE '^(ERROR|[A-Za-z]*Error):?' "$log" | tail -n 1)"
  printf '%s' "$sum" >"$stamp"
}
packages() { into "$venv" "$log" "$@"; }
packages_ros() {
  packages -c requirements/run.txt -r requirements/ros.txt numpy && "$venv/bin/python" scripts/mend_ros_wheels.py "$venv" >>"$log" 2>&1
}
packages_run() {
  packages -r requirements/run.txt -r requirements/devices.txt -r requirements/drawing.txt -r requirements/https.txt -r requirements/speech.txt && "$venv/bin/python" scripts/check_python.py >>"$log" 2>&1
}
packages_robots() {
  packages -r requirements/robots.txt || return
  packages -r requirements/robots-i2c.txt || say "boards on I2C (PCA9685) cannot be driven here: see $log"
}
packages_train() {
  # Without an NVIDIA GPU, builds for a CPU, a tenth as large, are preferred where their index answers.
  local builds=https://download.pytorch.org/whl/cpu
  ! command -v nvidia-smi >/dev/null && "$venv/bin/python" -c 'import sys, urllib.request as r; r.urlopen(sys.argv[1], timeout=5)' "$builds/torch/" 2>/dev/null || builds=
  packages ${builds:+--extra-index-url "$builds"} -r requirements/train.txt
}
# What the build needs comes first, so that it runs while the rest is installed.
if [ -z "$ros_setup" ]; then ensure ros packages_ros; else packages -c requirements/run.txt numpy || die "numpy cannot be installed, see $log"; fi
apt_ended

# 8. The package itself: when what CMake looks at changed (contents are linked, so edits need no build).
build() {
  if [ -n "$ros_setup" ]; then set +u; . "$ros_setup"; set -u; else export AMENT_PREFIX_PATH=$venv CMAKE_PREFIX_PATH=$venv _ROS_WHEELS_BOOTSTRAP_COMPLETE=1; fi
  export PATH=$venv/bin:$PATH
  cmake -S "$root" -B "$home/build" -DCMAKE_INSTALL_PREFIX="$home/install/reactdiff_ros" -DBUILD_TESTING=OFF -DREACTDIFF_CHECK_PYTHON=OFF -DREACTDIFF_LINKED=ON \
    -DREACTDIFF_PYTHON_ONLY="$([ -n "$ros_setup" ] && echo OFF || echo ON)" -DPython3_EXECUTABLE="$venv/bin/python" -DPYTHON_EXECUTABLE="$venv/bin/python" \
    && cmake --build "$home/build" -j "$(nproc)" \
    && rm -rf "$home/install" && cmake --install "$home/build"  # first nothing: CMake would write through the links
}
sum=$( { ls reactdiff_ros; cat msg/*.msg srv/*.srv action/*.action CMakeLists.txt package.xml scripts/*.in config/nodes.json "$home/ros.stamp" 2>/dev/null; echo "$version"; echo "$ros_setup"; } | sha256sum)
building=
if [ "$(cat "$home/build.stamp" 2>/dev/null)" != "$sum" ] || [ ! -d "$home/install/reactdiff_ros/lib" ]; then
  rm -f "$home/build.stamp"
  begin build >"$home/build.log" 2>&1
  building=$step
fi
ensure run packages_run
for extra in $extras; do
  case $extra in
    robots | train) ensure "$extra" "packages_$extra" ;;
    *) ensure "$extra" packages -r "requirements/$extra.txt" ;;
  esac
done
if [ -n "$building" ]; then
  stage "building the package"
  wait "$building" || die "the build failed, see $home/build.log: $(grep -am 1 -iE 'error' "$home/build.log")"
  printf '%s' "$sum" >"$home/build.stamp"
fi

# 9. env.sh: written whole, then moved into place.
"$venv/bin/python" scripts/write_env.py "$root" "$home" "$ros_setup" >env.sh.new
mv env.sh.new env.sh
reachy
printf '%s %s' "$seen" "$(made)" >"$home/ready"
say "ready after $SECONDS s"
