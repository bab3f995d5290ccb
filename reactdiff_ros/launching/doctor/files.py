"""`reactdiff doctor`: the page's port, a listener that runs already, disks, and the user's own files."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from reactdiff_ros.launching.doctor.finding import ERROR, NOTE, OK, Finding, failed

LOGS_BYTES: Final = 200_000_000
RECORDING_BYTES: Final = 2_000_000_000
"""Pictures and sound of some ten minutes."""


def check_settings() -> Iterator[Finding]:
    """The lab's own settings."""
    from reactdiff_ros.errors import ConfigError
    from reactdiff_ros.launching.configuration import lab_settings, settings_path
    from reactdiff_ros.launching.effective import effective

    try:
        lab = lab_settings({})
        effective({}, lab)
    except ConfigError as error:
        yield failed("settings", error, "reactdiff config show")
        return
    if lab.files:
        yield Finding("settings", OK, ", ".join(map(str, lab.files)))
    else:
        yield Finding("settings", OK, f"as shipped: there is no {settings_path() or 'file, REACTDIFF_CONFIG is none'}")


def check_styles() -> Iterator[Finding]:
    """The user's own styles."""
    from reactdiff_ros.errors import ReactdiffError
    from reactdiff_ros.styles import load_styles, user_styles_path

    path = user_styles_path()
    if not path.exists():
        yield Finding("styles", OK, f"those of the package: there is no {path}")
        return
    try:
        yield Finding("styles", OK, f"{len(load_styles(path))} of your own in {path}")
    except ReactdiffError as error:
        yield failed("styles", error, f"mend {path}, or move it away")


def check_calibrations() -> Iterator[Finding]:
    """Every calibration that the user has."""
    from reactdiff_ros.actuation.calibration import calibration_path, load_calibration
    from reactdiff_ros.errors import ReactdiffError

    files = sorted(calibration_path("any").parent.glob("*.json"))
    for path in files:
        try:
            yield Finding("calibration", OK, f"{path}, {len(load_calibration(path))} joints")
        except ReactdiffError as error:
            yield failed("calibration", error, f"reactdiff robot calibrate {path.stem}")
    if not files:
        yield Finding("calibration", OK, "none yet: a face on a screen needs none")


def check_port() -> Iterator[Finding]:
    """The page's port, as the lab's settings have it."""
    from reactdiff_ros.errors import ReactdiffError
    from reactdiff_ros.launching.configuration import lab_settings
    from reactdiff_ros.launching.table import load_table

    port = int(load_table().node("avatar_node").parameter("port").default)
    try:
        own = lab_settings({}).parameters.get("avatar_node", {}).get("port")
        port = int(own.value) if own is not None else port
    except ReactdiffError:
        pass  # said by check_settings
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            todo = f"ss -ltnp 'sport = :{port}' names who has it; or: reactdiff listen --port {port + 100}"
            yield Finding("port", NOTE, f"{port} is in use: the page takes the next free one", todo)
        else:
            yield Finding("port", OK, f"{port} is free")


def check_listener() -> Iterator[Finding]:
    """Whether one runs already."""
    from reactdiff_ros.errors import ReactdiffError
    from reactdiff_ros.launching.live_graph import Claim, domain_of

    try:
        Claim(domain_of(os.environ), "").release()
    except ReactdiffError as error:
        yield Finding("listener", NOTE, str(error))
    else:
        yield Finding("listener", OK, "none runs in this domain yet")


def check_disk() -> Iterator[Finding]:
    """Room for logs, the environment and recordings."""
    from reactdiff_ros.launching.live_graph import state_folder

    yield disk_finding(state_folder(), LOGS_BYTES, "logs", "free 2 GB, or set REACTDIFF_HOME elsewhere")
    recordings = Path("~/reactdiff_recordings").expanduser()
    yield disk_finding(
        recordings, RECORDING_BYTES, "recordings", "free some, or record with record_to:=/another/disk/x"
    )


def disk_finding(folder: Path, needed: int, what: str, todo: str) -> Finding:
    """Whether a folder, there or to be made, has room and can be written."""
    there = next(p for p in (folder, *folder.parents) if p.exists())
    free = shutil.disk_usage(there).free
    if free < needed:
        level = ERROR if what == "logs" else NOTE
        return Finding("disk", level, f"{free // 10**6} MB free at {there} for {what}", todo)
    if not os.access(there, os.W_OK):
        return Finding("disk", ERROR, f"{there} cannot be written: no {what}", f"sudo chown $USER {there}")
    return Finding("disk", OK, f"{free / 1e9:.1f} GB free at {there} for {what}")
