"""Finds what is installed: files that ship with the code (weights, demo clip, configuration), and optional packages."""

from __future__ import annotations

import os
import re
import shlex
import site
import sys
import sysconfig
from collections.abc import Callable, Iterator
from functools import wraps
from importlib.util import find_spec
from pathlib import Path
from typing import ParamSpec, TypeVar

from .errors import MissingExtraError, ReactdiffError

_PACKAGE = "reactdiff_ros"


def _roots() -> Iterator[Path]:
    """Folders that may hold `resource/` and `config/`, nearest first: source tree, own prefix, ROS install, wheel."""
    here = Path(__file__).resolve()
    source = here.parents[1]
    if (source / "package.xml").is_file():
        yield source
    prefixes = [Path(p) for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    prefixes += [Path(sysconfig.get_path("data")), Path(site.getuserbase())]
    # A wheel next to a sourced ROS install of another version finds its own files.
    for prefix in sorted(prefixes, key=lambda prefix: prefix.resolve() not in here.parents):
        yield prefix / "share" / _PACKAGE


def share_path(relative: str | Path) -> Path:
    """The shipped file or folder `relative`, named from the repository root ("config/nodes.json").

    Looks in the source tree, then in `share/reactdiff_ros` of every prefix in AMENT_PREFIX_PATH, then where a wheel
    puts its data.

    Raises:
        ReactdiffError: nothing of that name was shipped.
    """
    for root in _roots():
        path = root / relative
        if path.exists():
            return path
    raise ReactdiffError(
        "a file that belongs to the package is missing",
        where=f"{relative}, looked for in {', '.join(dict.fromkeys(map(str, _roots())))}",
        todo="run 'make setup' in the source folder or install the package again",
    )


def resource_path(relative: str | Path) -> Path:
    """The shipped file or folder `relative` under `resource/` ("demo/speaker.mp4"). Raises ReactdiffError as above."""
    return share_path(Path("resource") / relative)


def demo_clip_path() -> Path:
    """The bundled clip of the demo speaker (H.264 and AAC, made to be looped). Raises ReactdiffError if not shipped."""
    return resource_path("demo/speaker.mp4")


def package_version() -> str:
    """The version of this installation, from its package.xml. Raises ReactdiffError where that is missing."""
    path = share_path("package.xml")
    found = re.search(r"<version>\s*(\d+\.\d+\.\d+)\s*</version>", path.read_text(encoding="utf-8"))
    if found is None:
        raise ReactdiffError("package.xml has no version", where=str(path), todo="install the package again")
    return found[1]


P = ParamSpec("P")
R = TypeVar("R")
_MODULES = {
    "cluster": ("distributed",),
    "devices": ("cv2", "sounddevice"),
    "drawing": ("py_mini_racer", "resvg_py"),
    "https": ("cryptography",),
    "evaluate": ("jinja2", "matplotlib", "numba", "rosbags", "safetensors", "scipy"),
    "robots": ("dynamixel_sdk", "pythonosc", "ruckig", "scservo_sdk", "serial"),
    "robots-i2c": ("adafruit_blinka", "adafruit_pca9685"),
    "test": ("pyinstrument", "tslearn", "websocket"),
    "train": ("accelerate", "onnx", "torch"),
}
EXTRA_OF = {module: extra for extra, modules in _MODULES.items() for module in modules}
LISTENING = ("devices", "drawing", "https")
"""Those that `make setup` installs."""
_TARGETS = ("evaluate", "robots", "test", "train")
"""Those that the Makefile has a target for."""


def install_command(extra: str) -> str:
    """The command that installs an extra, in any folder: make where `make setup` made the environment, else pip."""
    if extra in LISTENING and _made_by_make():
        return setup_command()
    if extra in _TARGETS and _made_by_make():
        return f"make -C {shlex.quote(str(_source()))} setup-{extra}"
    return f"pip install -r {_requirements(extra)}"


def setup_command() -> str:
    """The command that installs what listening needs."""
    if _made_by_make():
        return f"make -C {shlex.quote(str(_source()))} setup"
    return f"pip install -r {_requirements('run')}"


def ros_command() -> str:
    """How to get ROS and the nodes of this package, which pip does not install."""
    if _made_by_make():
        return f"{setup_command()}, then '. {_source()}/env.sh'"
    return "build the package from its source folder ('make setup'), or source the setup.bash of its workspace"


def missing_for_nodes() -> str:
    """What the nodes of this package lack, to be followed by "is not installed"; empty where they can run."""
    if find_spec("rclpy") is None:
        return "ROS 2"
    return "" if find_spec("reactdiff_ros.msg") else "the ROS build of this package"


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


def in_checkout() -> bool:
    """Whether the package lies in a checkout of the repository, with the folder `tools`."""
    return (_source() / "tools" / "__init__.py").is_file()


def require_tools() -> None:
    """Make the folder `tools` of a checkout importable. Raises MissingExtraError in an installation, which has none."""
    if not in_checkout():
        raise MissingExtraError("the folder tools", "run this command from a checkout of the repository")
    if str(_source()) not in sys.path:
        sys.path.insert(0, str(_source()))  # first: another package may have this name


def needing(module: str, command: Callable[P, R] | None) -> Callable[P, R]:
    """The same command, which first calls `require`."""
    assert command is not None

    @wraps(command)
    def checked(*arguments: P.args, **options: P.kwargs) -> R:
        require(module)
        return command(*arguments, **options)

    return checked
