#!/bin/sh
# After scripts/setup.sh in an image: removes what only building needs.
set -e
. ./env.sh
rm -rf "$REACTDIFF_HOME_DIR/build" "$REACTDIFF_HOME_DIR"/*.log test docs tools
site=$(python -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
find "$REACTDIFF_HOME_DIR" /opt/reactdiff_ros \( -name __pycache__ -o -name tests \) -type d -prune -exec rm -rf {} +
rm -rf "$REACTDIFF_HOME_DIR/venv/include" "$REACTDIFF_HOME_DIR"/venv/bin/uv*
rm -rf "$site"/pip "$site"/setuptools "$site"/pkg_resources "$site"/docutils "$site"/cv2/data
strip --strip-unneeded "$site"/py_mini_racer/*.so
find "$REACTDIFF_HOME_DIR" -name '*.a' -delete
python -m compileall -q "$site" /opt/reactdiff_ros/reactdiff_ros || :
