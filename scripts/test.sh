#!/usr/bin/env bash
# All tests that this machine can run; 'make test' calls it with the environment set up. Arguments go to pytest.
#   REACTDIFF_TEST_MARKS   which tests: "not slow and not gpu and not hardware". With an -m of your own all run in one go.
#
# Three runs. What holds real time against a bound runs one after another and has the processor when it asks for it; then
# nodes over DDS and browsers, which mostly wait, run in several processes. At the same time the rest runs in processes of
# idle priority, which get what is left, and all of it at the end.
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

# Becomes the command at idle priority: it never takes the processor from what holds real time. A session of its own, because
# Linux may share the processor out by sessions first.
idly() {
  exec setsid sh -c '{ echo 19 >/proc/self/autogroup; chrt --idle 0 true; } 2>/dev/null && exec chrt --idle 0 "$@"; exec nice -n 19 "$@"' idly "$@"
}
logs=$(mktemp -d)
jobs=
# Hundreds of processes import the same files: their bytecode is cached, but not next to the sources.
unset PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX=${PYTHONPYCACHEPREFIX:-${REACTDIFF_HOME_DIR:-$logs}/pycache}
trap '[ -z "$jobs" ] || kill $jobs 2>/dev/null; rm -rf "$logs"' EXIT

failed=
step() { # name, then the command
  local name=$1 t=$SECONDS; shift
  if "$@"; then echo "[test] $name: passed in $((SECONDS - t)) s"; else echo "[test] $name: FAILED after $((SECONDS - t)) s"; failed="$failed $name"; fi
}
step "ruff check" ruff check --quiet .
step "ruff format" ruff format --check --quiet .
idly mypy >"$logs/mypy" 2>&1 &
mypy=$! jobs=$!
echo "[test] pytest begins after $((SECONDS - began)) s"
marks=${REACTDIFF_TEST_MARKS:-not slow and not gpu and not hardware}
waits="ros or browser"
case " $* " in
  *" -m "*) python -m pytest --durations=10 "$@" || failed="$failed pytest" ;;
  *)
    workers=$(nproc); [ "$workers" -le 4 ] || workers=4
    spread="-n $workers --dist loadfile --durations=10"
    # Importing all test files takes a while: the first two runs import those that have a test for them.
    timed=("$@")
    [ $# -gt 0 ] || mapfile -t timed < <(grep -rlE 'mark\.(ros|browser|real_time)|IN_BROWSER' test --include='test_*.py' 2>/dev/null)
    # One thread a process: as many processes as cores run already.
    OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} idly python -m pytest -m "($marks) and not real_time and not ($waits)" $spread "$@" \
      >"$logs/rest" 2>&1 &
    rest=$! jobs="$jobs $!"
    echo "[test] in real time:"
    python -m pytest -m "($marks) and real_time" --durations=10 "${timed[@]}" 2>&1 | tee "$logs/real_time"
    codes=${PIPESTATUS[0]}
    echo "[test] nodes and browsers, in $workers processes, after $((SECONDS - began)) s:"
    python -m pytest -m "($marks) and not real_time and ($waits)" $spread "${timed[@]}" 2>&1 | tee "$logs/waits"
    codes="$codes ${PIPESTATUS[0]}"
    echo "[test] the rest, in $workers processes, after $((SECONDS - began)) s:"
    wait "$rest"; codes="$codes $?"
    cat "$logs/rest"
    # 5: none of the tests that were asked for belong to this run.
    case " $codes " in *" "[1-46-9]*) failed="$failed pytest" ;; *" 0 "*) ;; *) failed="$failed pytest" ;; esac
    closing=$(python scripts/closing_line.py $((SECONDS - began)) "$logs/real_time" "$logs/waits" "$logs/rest")
    ;;
esac
wait "$mypy" || failed="$failed mypy"
sed 's/^/[test] mypy: /' "$logs/mypy"
jobs=
[ -z "$failed" ] || echo "[test] FAILED:$failed" >&2
[ -z "${closing:-}" ] || echo "$closing"
[ -z "$failed" ]
