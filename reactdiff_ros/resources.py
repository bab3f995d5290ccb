"""Finds the files that ship beside the code (weights, demo clip, configuration), wherever the package runs from."""

from __future__ import annotations

import os
import site
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from .errors import ReactdiffError

_PACKAGE = "reactdiff_ros"


def _roots() -> Iterator[Path]:
    """Folders that may hold `resource/` and `config/`, nearest first: source tree, ROS install, wheel."""
    source = Path(__file__).resolve().parents[1]
    if (source / "package.xml").is_file():
        yield source
    prefixes = [p for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    prefixes += [sysconfig.get_path("data"), site.getuserbase()]
    for prefix in prefixes:
        yield Path(prefix) / "share" / _PACKAGE


def share_path(relative: str | Path) -> Path:
    """The shipped file or folder `relative`, named from the repository root ("config/nodes.json").

    Looks in the source tree, then in `share/reactdiff_ros` of every prefix in AMENT_PREFIX_PATH, then where a wheel
    puts its data.

    Raises:
        ReactdiffError: nothing of that name was shipped.
    """
    roots = list(_roots())
    for root in roots:
        path = root / relative
        if path.exists():
            return path
    raise ReactdiffError(
        "a file that belongs to the package is missing",
        where=f"{relative}, looked for in {', '.join(dict.fromkeys(map(str, roots)))}",
        todo="run 'make setup' in the source folder or install the package again",
    )


def resource_path(relative: str | Path) -> Path:
    """The shipped file or folder `relative` under `resource/` ("demo/speaker.mp4"). Raises ReactdiffError as above."""
    return share_path(Path("resource") / relative)
