#!/usr/bin/env bash
# Known holes of the packages in the environment, or its list of parts. 'make audit' and 'make sbom' call it.
#   scripts/audit.sh holes [required]    1 if there are any; without a network it says so and is content, unless required
#   scripts/audit.sh parts FILE          CycloneDX JSON
set -uo pipefail
cd "$(dirname "$0")/.."
say() { printf '[audit] %s\n' "$*" >&2; }
home=${REACTDIFF_HOME_DIR:?"run '. ./env.sh' first"}
tools=${REACTDIFF_AUDIT_TOOLS:-$home/audit}

offline() { # what is missing
  say "$1: not looked for holes"
  [ "${required:-no}" = required ] && exit 1
  exit 0
}

required=${2:-no}
if [ ! -x "$tools/bin/pip-audit" ] || [ ! -x "$tools/bin/cyclonedx-py" ]; then
  [ "$1" = parts ] && required=required
  say "installing pip-audit and cyclonedx-bom"
  { python3 -m venv "$tools" && "$tools/bin/pip" install -q -r requirements/audit.txt; } >"$home/audit.log" 2>&1 \
    || offline "the tools cannot be installed (see $home/audit.log)"
fi

case $1 in
  holes)
    found=$(mktemp) said=$(mktemp)
    trap 'rm -f "$found" "$said"' EXIT
    packages=$("$home/venv/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
    "$tools/bin/pip-audit" --path "$packages" --skip-editable --progress-spinner off -f json -o "$found" >"$said" 2>&1
    python3 - "$found" <<'PY'
import json, sys
try:
    packages = json.load(open(sys.argv[1]))["dependencies"]
except (OSError, ValueError, KeyError):
    sys.exit(3)
holes = [(p, v) for p in packages for v in p.get("vulns", ())]
for package, hole in holes:
    mended = ", ".join(hole.get("fix_versions", ())) or "no version"
    print(f"{package['name']} {package['version']}: {hole['id']}, mended in {mended}")
skipped = sum("skip_reason" in p for p in packages)
if skipped < len(packages):
    print(f"{len(packages)} packages, {len(holes)} known holes, {skipped} packages that the service does not know")
sys.exit(3 if skipped == len(packages) else bool(holes))
PY
    code=$?
    [ $code = 3 ] || exit $code
    tail -n 2 "$said" >&2
    offline "the service of advisories gave no answer"
    ;;
  parts)
    "$tools/bin/cyclonedx-py" environment --output-reproducible --of JSON -o "$2" "$home/venv/bin/python" && say "wrote $2"
    ;;
  *)
    say "unknown: $1"
    exit 2
    ;;
esac
