#!/usr/bin/env bash
# The source archive and the wheel of what is committed; then the wheel in a clean environment, an empty folder and an
# empty home, with nothing of ROS and of the source on any path. Needs PyPI, git and python3 (3.10 to 3.12).
#   scripts/make_wheel.sh [FOLDER]     FOLDER for the two files: dist
set -euo pipefail
unset PYTHONPATH  # of ./env.sh: pip would take what lies there for installed
most_mb=350
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || most_mb=370  # ONNX Runtime 1.23, the last there, brings SymPy
out=$(realpath -m "${1:-dist}")
cd "$(dirname "$0")/.."
say() { printf '[wheel] %s\n' "$*" >&2; }
die() { printf '[wheel] error: %s\n' "$*" >&2; exit 1; }
[ -z "$(git status --porcelain --untracked-files=no)" ] || say "uncommitted changes are left out"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/source" "$work/home" "$work/empty"
git archive HEAD | tar -x -C "$work/source"

say "building into $out"
python3 -m venv "$work/build"
"$work/build/bin/pip" -q install "build>=1,<2"
"$work/build/bin/python" -m build --outdir "$work/dist" "$work/source" >"$work/build.log" 2>&1 \
  || { tail -n 25 "$work/build.log" >&2; die "the build failed"; }
wheel=$(echo "$work"/dist/*.whl)

say "installing it alone"
python3 -m venv "$work/clean"
size() { du -sm "$work/clean" | cut -f1; }
before=$(size) since=$SECONDS
PIP_CACHE_DIR=$work/cache "$work/clean/bin/pip" -q install "$wheel"
installed=$(($(size) - before))
say "pip installed $installed MB, of that the package $(du -smc "$work/clean/share/reactdiff_ros" "$work"/clean/lib/python3.*/site-packages/reactdiff_ros | tail -n 1 | cut -f1) MB, after $((SECONDS - since)) s"
[ "$installed" -le "$most_mb" ] || die "a listener in one process may take $most_mb MB"

clean() { # a command as a user has it who has nothing else
  (cd "$work/empty" && env -i PATH="$work/clean/bin:/usr/bin:/bin" HOME="$work/home" LANG=C.UTF-8 "$@") \
    || die "'$*' failed in the clean environment"
}
clean python "$work/source/scripts/try_wheel.py" $((SECONDS - since))
clean sh -c 'reactdiff listen --https 2>&1 | tail -n 1; reactdiff react "$0" --output x.mp4 2>&1 | tail -n 1' "$work/clean/share/reactdiff_ros/resource/demo/speaker.mp4"

say "installing what else it can do"
"$work/clean/bin/pip" -q install "${wheel}[evaluate,robots]"
clean reactdiff robot list >/dev/null
clean reactdiff style list >/dev/null
clean reactdiff robot check generic_12servo
clean python -c "
from reactdiff_ros.expression import ExpressionEngine
from reactdiff_ros.model.policies import make_listener
from reactdiff_ros.perception import SpeakerPerception
from reactdiff_ros.session import ListeningSession
session = ListeningSession(SpeakerPerception(), make_listener('model', seed=1), ExpressionEngine(seed=1))
session.advance(0)
assert len(session.advance(2_000_000_000)) == 100"
clean reactdiff extract "$work/clean/share/reactdiff_ros/resource/demo/speaker.mp4" --output recordings
clean reactdiff evaluate simulator --items 10 --json >/dev/null

mkdir -p "$out"
cp "$work"/dist/* "$out"
say "done: $(cd "$out" && ls -sh --block-size=1M ./*"$(basename "$wheel" -py3-none-any.whl)"* | tr '\n' ' ')"
say "installed with evaluate and robots: $(($(size) - before)) MB"
