"""Print env.sh: `reactdiff`, Python, ROS and the built package on the path, in any POSIX shell, any number of times."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path


def main(root: str, home: str, ros_setup: str) -> None:
    """Write the file for checkout `root`, environment `home`, and the ROS set-up file (empty: wheels)."""
    q = shlex.quote
    venv = f"{home}/venv"
    print("# Written by 'make setup'. Use: . ./env.sh")
    print(f"REACTDIFF_ROOT={q(root)}; export REACTDIFF_ROOT")
    print(f"REACTDIFF_HOME_DIR={q(home)}; export REACTDIFF_HOME_DIR")
    print(
        '_rd_front() { eval "_rd_old=\\${$1:-}"; case ":$_rd_old:" in *":$2:"*) ;; '
        '*) eval "$1=\\$2\\${_rd_old:+:\\$_rd_old}"; export "$1";; esac; }'
    )
    if ros_setup:
        # ROS's own files are written for one shell each; setup.sh serves every POSIX shell.
        print(f'[ -n "${{AMENT_PREFIX_PATH:-}}" ] || . {q(str(Path(ros_setup).with_suffix(".sh")))}')
    else:
        libs = [f"{venv}/lib", *map(str, sorted(Path(venv).glob("lib/python3.*/site-packages/ros_*.libs")))]
        print("ROS_DISTRO=jazzy; export ROS_DISTRO")
        print("RMW_IMPLEMENTATION=rmw_fastrtps_cpp; export RMW_IMPLEMENTATION")
        print(f"_rd_front AMENT_PREFIX_PATH {q(venv)}")
        for lib in reversed(libs):
            print(f"_rd_front LD_LIBRARY_PATH {q(lib)}")
        # With the libraries on the path, the wheels' start-up hook need not start Python a second time.
        print("_ROS_WHEELS_BOOTSTRAP_COMPLETE=1; export _ROS_WHEELS_BOOTSTRAP_COMPLETE")
    install = f"{home}/install/reactdiff_ros"
    version = next(iter(sorted(Path(venv, "lib").glob("python3.*")))).name
    print(f"_rd_front AMENT_PREFIX_PATH {q(install)}")
    print(f"_rd_front CMAKE_PREFIX_PATH {q(install)}")
    print(f"_rd_front LD_LIBRARY_PATH {q(install + '/lib')}")
    print(f"_rd_front PYTHONPATH {q(f'{venv}/lib/{version}/site-packages')}" if ros_setup else ":")
    for purelib in (f"{install}/lib/{version}/site-packages", f"{install}/local/lib/{version}/dist-packages"):
        print(f"[ ! -d {q(purelib)} ] || _rd_front PYTHONPATH {q(purelib)}")
    print(f"_rd_front PATH {q(venv + '/bin')}")
    print(f"_rd_front PATH {q(install + '/bin')}")
    print("unset -f _rd_front; unset _rd_old")


if __name__ == "__main__":
    main(*sys.argv[1:4])
