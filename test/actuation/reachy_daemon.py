"""Reachy Mini's own daemon in a process of its own, simulated."""

import hashlib
import json
import os
import re
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from bus_fixtures import until
from deadline import ended
from network_robots import free_port

from reactdiff_ros.actuation.robot.profile import Profile, load_profile

ROOT = Path(__file__).resolve().parents[2]
START_S = 60.0
# The daemon as it is, but that it tells this machine alone of itself, and nobody of us.
PROGRAM = """
import functools, sys, zeroconf
zeroconf.Zeroconf = functools.partial(zeroconf.Zeroconf, interfaces=["127.0.0.1"])
from reachy_mini.daemon.app.main import main
sys.exit(main())
"""
QUIET = {"HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1"}
POSE = ("x", "y", "z", "roll", "pitch", "yaw")


def environment() -> Path:
    """Where scripts/setup_reachy.sh puts it."""
    key = hashlib.sha256(str(ROOT).encode()).hexdigest()[:12]
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(os.environ.get("REACTDIFF_HOME") or Path(cache) / "reactdiff_ros") / key / "reachy"


def profile_at(port: int, folder: Path, robot: str = "reachy_mini") -> Profile:
    """The shipped profile with the robot at another port."""
    text = (ROOT / "config" / "robots" / f"{robot}.yaml").read_text()
    path = folder / f"{robot}.yaml"
    path.write_text(re.sub(r"port: \d+", f"port: {port}", text, count=1))
    return load_profile(path)


@contextmanager
def running(kind: str, folder: Path) -> Iterator[int]:
    """The daemon with `kind` (mockup-sim, or sim: MuJoCo) on a free port; skips where it is not installed."""
    python = environment() / "bin" / "python"
    if not (python.parent / "reachy-mini-daemon").is_file():
        pytest.skip("Reachy Mini's daemon is not installed: scripts/setup_reachy.sh")
    if kind == "sim" and not any(environment().glob("lib/python3.*/site-packages/mujoco")):
        pytest.skip("Reachy Mini's physics simulation is not installed: scripts/setup_reachy.sh")
    port, log = free_port(), folder / f"{kind}.log"
    arguments = [f"--{kind}", "--headless", "--no-media", "--no-wake-up-on-start", "--no-goto-sleep-on-stop"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [python, "-c", PROGRAM, *arguments, "--dataset-update-interval", "0", "--fastapi-host", "127.0.0.1",
             "--fastapi-port", str(port)],
            stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd=folder,
            env=os.environ | {"HOME": str(folder), "MUJOCO_GL": "egl"} | QUIET,
        )  # fmt: skip

    def answers() -> bool:
        with suppress(OSError):
            return urllib.request.urlopen(f"http://127.0.0.1:{port}/api/state/full", timeout=2).status == 200
        return False

    try:
        wait = lambda: time.sleep(0.1) or process.poll() is None or pytest.fail(log.read_text())  # noqa: E731
        assert until(answers, wait, START_S), log.read_text()
        yield port
    finally:
        process.terminate()
        ended(process)


def rest(port: int) -> None:
    """Bring the robot from where it sleeps to its neutral pose; waits until the daemon takes targets again."""
    body = {"head_pose": dict.fromkeys(POSE, 0.0), "antennas": [0.0, 0.0], "duration": 1.0}
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/move/goto", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    assert urllib.request.urlopen(request, timeout=5).status == 200
    moves = f"http://127.0.0.1:{port}/api/move/running"
    there = lambda: urllib.request.urlopen(moves, timeout=5).read() == b"[]"  # noqa: E731
    assert until(there, lambda: time.sleep(0.1), START_S), "while it makes this move it takes no targets"
