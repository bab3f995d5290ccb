"""Engines on disk, private to the user: which ones are there, whole, and for this very machine.

An engine belongs to one ONNX graph, TensorRT version, GPU and precision: all in its file's name. Beside it lies a
sidecar with these, the driver, the engine's hash and how long it took to build. The sidecar is written last; without
it an engine does not count. What does not fit is deleted and built anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .build import write_whole

_SUFFIX = ".engine"


@dataclass(frozen=True, slots=True)
class Machine:
    """What an engine is built for."""

    tensorrt: str
    gpu: str
    capability: str
    driver: int

    def told(self) -> str:
        """For users."""
        return f"{self.gpu}, TensorRT {self.tensorrt}"


def user_folder() -> Path:
    """Where engines are kept: REACTDIFF_ENGINES, else the user's cache folder."""
    given = os.environ.get("REACTDIFF_ENGINES")
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "reactdiff_ros" / "engines"


class EngineCache:
    """A folder of engines. Where it cannot be used, a temporary one serves, for this process alone.

    Args:
        folder: made, and private, if it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self.problem = ""
        """Why the wanted folder is not used; empty: it is."""
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.problem = _unsafe(folder)
            if not self.problem:
                write_whole(folder / ".writable", b"")
                (folder / ".writable").unlink()
        except OSError as error:
            self.problem = f"the engine cache cannot be written ({folder}): {error.strerror or error}"
        if self.problem:
            self.problem += "; engines are built anew at every start"
            self._temporary = tempfile.TemporaryDirectory(prefix="reactdiff-engines-")
            folder = Path(self._temporary.name)
        self.folder = folder

    def path(self, name: str, onnx: str, machine: Machine, precision: str) -> Path:
        """The file of an engine, whether it is there or not."""
        gpu = re.sub(r"[^A-Za-z0-9]+", "-", machine.gpu).strip("-")
        return self.folder / f"{name}-{precision}-{onnx[:16]}-trt{machine.tensorrt}-{gpu}{_SUFFIX}"

    def load(self, path: Path, onnx: str, machine: Machine, precision: str) -> tuple[bytes | None, str]:
        """A whole engine for this machine, or None and why: "" where there is none at all."""
        try:
            told = json.loads(_sidecar(path).read_bytes())
            plan = path.read_bytes()
        except FileNotFoundError:
            half = path.exists() or _sidecar(path).exists()
            self.discard(path)
            return None, "the engine in the cache is half written" if half else ""
        except (OSError, ValueError) as error:
            self.discard(path)
            return None, f"the engine in the cache is unreadable: {error}"
        wanted = _facts(onnx, machine, precision, plan)
        if not isinstance(told, dict):
            told = {}
        wrong = [key for key in wanted if told.get(key) != wanted[key]]
        if not wrong:
            return plan, ""
        self.discard(path)
        if wrong == ["driver"]:
            return None, f"the driver changed from {told.get('driver')} to {machine.driver} since the engine was built"
        return None, f"the engine in the cache is not what its sidecar tells ({', '.join(wrong)})"

    def seal(self, path: Path, onnx: str, machine: Machine, precision: str, built_s: float) -> bytes:
        """The engine that was just built at `path`, with its sidecar written. Raises OSError."""
        plan = path.read_bytes()
        facts = _facts(onnx, machine, precision, plan) | {"built_s": round(built_s, 1)}
        write_whole(_sidecar(path), (json.dumps(facts, indent=1) + "\n").encode())
        return plan

    def discard(self, path: Path) -> None:
        """Delete an engine, sidecar first."""
        for file in (_sidecar(path), path):
            with suppress(OSError):
                file.unlink()

    def expected_s(self, name: str, machine: Machine) -> float | None:
        """How long the last build of such an engine took here, whatever its precision and version."""
        times = []
        for file in self.folder.glob(f"{name}-*{_SUFFIX}.json"):
            with suppress(OSError, ValueError, TypeError, KeyError):
                told = json.loads(file.read_bytes())
                if told["gpu"] == machine.gpu:
                    times.append((file.stat().st_mtime, float(told["built_s"])))
        return max(times)[1] if times else None


def _sidecar(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _facts(onnx: str, machine: Machine, precision: str, plan: bytes) -> dict[str, Any]:
    engine = hashlib.sha256(plan).hexdigest()
    return {"onnx": onnx, **asdict(machine), "precision": precision, "engine": engine, "bytes": len(plan)}


def _unsafe(folder: Path) -> str:
    """Why engines, which are code, may not be loaded from a folder; "" if they may."""
    found = folder.stat()
    if found.st_uid != os.getuid():
        return f"the engine cache belongs to another user ({folder})"
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"the engine cache can be written by others ({folder})"
    return ""
