#!/usr/bin/env bash
# Sourced by the set-up scripts, which have `say`: packages by uv, or by pip where uv cannot be installed or fails.
uv_wanted="uv>=0.8,<1"  # 0.8 is the first that was tried; it must know UV_DEFAULT_INDEX and UV_INDEX
uv_settings=

into() { # environment, log file, then the arguments of `pip install`
  local bin=$1/bin log=$2
  shift 2
  if uv_into "$bin" "$log"; then
    "$bin/uv" pip install --quiet --python "$bin/python" "$@" >>"$log" 2>&1 && return
    say "uv could not install the packages, trying pip; see $log"
  fi
  pip_into "$bin" "$log" "$@"
}

pip_into() { "$1/python" -m pip --disable-pip-version-check -q install "${@:3}" >>"$2" 2>&1; }

# uv itself comes by pip; of pip's configuration it reads nothing, so that is handed to it in the environment.
uv_into() {
  [ "$uv_settings" != none ] || return 1
  [ -x "$1/uv" ] || pip_into "$1" "$2" "$uv_wanted" || { uv_settings=none; say "uv cannot be installed: pip is slower"; return 1; }
  [ -z "$uv_settings" ] || return 0
  uv_settings=$("$1/python" -m pip config list 2>>"$2" | "$1/python" scripts/uv_settings.py) || uv_settings=:
  eval "${uv_settings:=:}"
}
