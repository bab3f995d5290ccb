#!/bin/sh
# The environment on the path, then the command. Logs go where this user may write.
. /opt/reactdiff_ros/env.sh
REACTDIFF_HOME_DIR=${XDG_STATE_HOME:-$HOME/.local/state}/reactdiff_ros
export REACTDIFF_HOME_DIR
mkdir -p "$REACTDIFF_HOME_DIR" || exit 1
exec "$@"
