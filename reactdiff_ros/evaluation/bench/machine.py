"""What a figure was measured on."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any

import psutil


def hardware() -> dict[str, Any]:
    """Processor, cores that this process may use, memory, GPU, system, Python and ROS distribution."""
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "gpu": _gpu(),
        "system": _system(),
        "python": platform.python_version(),
        "ros": os.environ.get("ROS_DISTRO", ""),
    }


def commit(folder: Path) -> str:
    """Short id of the checked-out commit, "+" if tracked files differ from it, "" outside a repository."""
    described = _output(["git", "-C", str(folder), "describe", "--always", "--dirty=+", "--exclude=*"])
    return described or ""


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _gpu() -> str:
    if not shutil.which("nvidia-smi"):
        return ""
    return _output(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]).replace("\n", ", ")


def _system() -> str:
    try:
        name = platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        name = platform.system()
    return f"{name}, {platform.machine()}"


def _output(command: list[str]) -> str:
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return run.stdout.strip() if run.returncode == 0 else ""
