#!/usr/bin/env bash
# Writes the systemd units of config/systemd for this machine and this user, checks them, and says what to type next.
#   scripts/install_service.sh [--reactions] [--env FILE] [--to FOLDER]
#     --reactions   the unit of the machine that reacts for many robots, in place of a robot's own
#     --env FILE    what puts `reactdiff` on the path (this checkout's env.sh; a workspace's install/setup.sh)
#     --to FOLDER   write there and change nothing else (default: /etc/systemd/system, with sudo)
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
say() { printf '[service] %s\n' "$*" >&2; }
die() { printf '[service] error: %s\n' "$*" >&2; exit 1; }

unit=reactdiff@.service env=$root/env.sh to=
while [ $# -gt 0 ]; do
  case $1 in
    --reactions) unit=reactdiff-reactions.service ;;
    --env) env=${2:?--env needs a file}; shift ;;
    --to) to=${2:?--to needs a folder}; shift ;;
    *) die "unknown option $1: --reactions, --env FILE or --to FOLDER" ;;
  esac
  shift
done
[ -f "$env" ] || die "there is no $env: run 'make setup' first, or give --env"
env=$(realpath "$env")
user=$(id -un)
[ "$user" != root ] || [ -n "$to" ] || die "run it as the user who shall own the listener, not as root: it calls sudo itself"
case $root$env$HOME in *[\"\'%\\\ \&\|\$]*) die "the paths $root, $env and $HOME must have no blanks, quotes, %, &, | or \$" ;; esac

# systemd refuses to start a unit that names a group which is not there.
groups=
for group in video audio dialout i2c render; do getent group "$group" >/dev/null && groups="$groups $group"; done
filled=$(sed -e "s|@ROOT@|$root|g; s|@USER@|$user|g; s|@UID@|$(id -u)|g; s|@HOME@|$HOME|g; s|@ENV@|$env|g; s|@GROUPS@|${groups# }|g" \
  "$root/config/systemd/$unit")
if [ -n "$to" ]; then
  printf '%s\n' "$filled" >"$to/$unit"
else
  printf '%s\n' "$filled" | sudo tee "/etc/systemd/system/$unit" >/dev/null
  sudo systemctl daemon-reload
  to=/etc/systemd/system
fi
if command -v systemd-analyze >/dev/null; then
  # Of a template a unit is checked as that of one robot.
  checked=$to/$unit link=
  case $unit in *@.service) link=$(mktemp -d); checked=$link/${unit/@/@screen}; cp "$to/$unit" "$checked" ;; esac
  systemd-analyze verify "$checked" || die "systemd does not take $to/$unit"
  [ -z "$link" ] || rm -r "$link"
fi
say "written: $to/$unit"
case $unit in
  *@*) say "now: sudo systemctl enable --now reactdiff@screen   (or @ROBOT: an overlay or profile by its name)" ;;
  *) say "now: sudo systemctl enable --now reactdiff-reactions" ;;
esac
