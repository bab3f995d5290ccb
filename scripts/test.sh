#!/usr/bin/env bash
# All tests that this machine can run; 'make test' calls it with the environment set up. Arguments go to pytest.
set -uo pipefail
cd "$(dirname "$0")/.."
began=$SECONDS

export ROS_DOMAIN_ID=${ROS_DOMAIN_ID:-93}
export ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST
if [ -z "${REACTDIFF_CLIPS:-}" ] && [ -d ../shared/clips ]; then REACTDIFF_CLIPS=$(cd ../shared/clips && pwd); fi
export REACTDIFF_CLIPS=${REACTDIFF_CLIPS:-}
[ -n "$REACTDIFF_CLIPS" ] || unset REACTDIFF_CLIPS

browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome || echo none)
torch=$(python -c 'import importlib.util as u; print("yes" if u.find_spec("torch") else "no: training tests are skipped")')
echo "[test] plan: ruff, mypy, pytest; $(nproc) cores; browser $browser; clips ${REACTDIFF_CLIPS:-none}; torch $torch; ROS ${ROS_DISTRO:-none}, domain $ROS_DOMAIN_ID"

failed=
step() { # name, then the command
  local name=$1 t=$SECONDS; shift
  if "$@"; then echo "[test] $name: passed in $((SECONDS - t)) s"; else echo "[test] $name: FAILED after $((SECONDS - t)) s"; failed="$failed $name"; fi
}
step "ruff check" ruff check --quiet .
step "ruff format" ruff format --check --quiet .
step mypy mypy
echo "[test] pytest begins after $((SECONDS - began)) s"
python -m pytest -m "not slow and not gpu and not hardware" --durations=10 "$@" || failed="$failed pytest"
[ -z "$failed" ] || { echo "[test] FAILED:$failed" >&2; exit 1; }
