"""Finds the files that ship beside the code (weights, demo clip, configuration), wherever the package runs from."""

from __future__ import annotations

import os
import re
import site
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from .errors import ReactdiffError

_PACKAGE = "reactdiff_ros"


def _roots() -> Iterator[Path]:
    """Folders that may hold `resource/` and `config/`, nearest first: source tree, own prefix, ROS install, wheel."""
    here = Path(__file__).resolve()
    source = here.parents[1]
    if (source / "package.xml").is_file():
        yield source
    prefixes = [Path(p) for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    prefixes += [Path(sysconfig.get_path("data")), Path(site.getuserbase())]
    # A wheel beside a sourced ROS install of another version finds its own files.
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


def package_version() -> str:
    """The version of this installation, from its package.xml. Raises ReactdiffError where that is missing."""
    path = share_path("package.xml")
    found = re.search(r"<version>\s*(\d+\.\d+\.\d+)\s*</version>", path.read_text(encoding="utf-8"))
    if found is None:
        raise ReactdiffError("package.xml tells no version", where=str(path), todo="install the package again")
    return found[1]
