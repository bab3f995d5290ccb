"""What a figure was measured on."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil


def hardware() -> dict[str, Any]:
    """Processor, cores that this process may use, memory, GPU, system, Python and ROS distribution."""
    try:
        system = platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        system = platform.system()
    cpu = platform.processor() or platform.machine()
    with suppress(OSError):
        names = re.findall(r"^model name\s*:(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
        cpu = names[0].strip() if names else cpu
    return {
        "cpu": cpu,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "gpu": output_of(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]).replace("\n", ", "),
        "system": f"{system}, {platform.machine()}",
        "python": platform.python_version(),
        "ros": os.environ.get("ROS_DISTRO", ""),
    }


def commit(folder: Path) -> str:
    """Short id of the checked-out commit, "+" if tracked files differ from it, "" outside a repository."""
    return output_of(["git", "-C", str(folder), "describe", "--always", "--dirty=+", "--exclude=*"])


def output_of(command: list[str]) -> str:
    """What a program prints; "" where it is not installed, fails or takes longer than 10 s."""
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return run.stdout.strip() if run.returncode == 0 else ""
