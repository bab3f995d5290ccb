"""What only an extra installs (requirements/EXTRA.txt), and the command that installs it."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from functools import wraps
from importlib.util import find_spec
from pathlib import Path
from typing import ParamSpec, TypeVar

from .errors import MissingExtraError
from .resources import share_path

P = ParamSpec("P")
R = TypeVar("R")
_MODULES = {
    "cluster": ("distributed",),
    "evaluate": ("jinja2", "matplotlib", "numba", "rosbags", "scipy"),
    "robots": ("dynamixel_sdk", "pythonosc", "ruckig", "scservo_sdk", "serial"),
    "robots-i2c": ("adafruit_blinka", "adafruit_pca9685"),
    "test": ("pyinstrument", "tslearn"),
    "train": ("accelerate", "onnx", "torch"),
}
EXTRA_OF = {module: extra for extra, modules in _MODULES.items() for module in modules}
_TARGETS = ("evaluate", "robots", "test", "train")
"""Those that the Makefile has a target for."""


def install_command(extra: str) -> str:
    """The command that installs an extra, in any folder: make where `make setup` made the environment, else pip."""
    if extra in _TARGETS and _made_by_make():
        return f"make -C {shlex.quote(str(_source()))} setup-{extra}"
    return f"pip install -r {_requirements(extra)}"


def setup_command() -> str:
    """The command that installs what listening needs."""
    if _made_by_make():
        return f"make -C {shlex.quote(str(_source()))} setup"
    # mediapipe asks for packages that it does not use here.
    return f"pip install -r {_requirements('run')} && pip install --no-deps -r {_requirements('run-no-deps')}"


def ros_command() -> str:
    """How to get ROS and the nodes of this package, which pip does not install."""
    if _made_by_make():
        return f"{setup_command()}, then '. {_source()}/env.sh'"
    return "build the package from its source folder ('make setup'), or source the setup.bash of its workspace"


def _source() -> Path:
    return Path(__file__).resolve().parents[1]


def _made_by_make() -> bool:
    return (_source() / "Makefile").is_file() and (Path(sys.prefix).parent / "run.stamp").is_file()


def _requirements(name: str) -> str:
    return shlex.quote(str(share_path(f"requirements/{name}.txt")))


def missing_extra(error: ImportError) -> MissingExtraError:
    """What to say of a module that an extra, or ROS, would have installed. Any other `error` is raised again."""
    module = (error.name or "").split(".")[0]
    if module == "rclpy" or "_rclpy_pybind11" in str(error):  # installed, but not sourced
        return MissingExtraError("ROS 2 (rclpy)", ros_command())
    if module not in EXTRA_OF:
        raise error
    return MissingExtraError(f"{module}, of the extra {EXTRA_OF[module]},", install_command(EXTRA_OF[module]))


def require(module: str) -> None:
    """Go on only if a module of an extra is installed; it is not imported. Raises MissingExtraError."""
    if find_spec(module) is None:
        raise missing_extra(ModuleNotFoundError(f"No module named {module!r}", name=module))


def require_tools() -> None:
    """Make the folder `tools` of a checkout importable. Raises MissingExtraError in an installation, which has none."""
    root = Path(__file__).resolve().parents[1]
    if not (root / "tools" / "__init__.py").is_file():
        raise MissingExtraError("the folder tools", "run this command from a checkout of the repository")
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))  # first: another package may have this name


def needing(module: str, command: Callable[P, R] | None) -> Callable[P, R]:
    """The same command, which first calls `require`."""
    assert command is not None

    @wraps(command)
    def checked(*arguments: P.args, **options: P.kwargs) -> R:
        require(module)
        return command(*arguments, **options)

    return checked
