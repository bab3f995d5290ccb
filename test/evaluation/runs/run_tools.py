"""What the tests of runs share: parts that do little, a listener of somebody's own, and small recordings."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation.runs.parts import Part, PartResult


def square(n: int, log: str = "") -> PartResult:
    """Notes each call in a file, so that a test sees what was done again."""
    if log:
        with Path(log).open("a") as file:
            file.write(f"{n}\n")
    if n == 13:
        raise ReactdiffError("thirteen is not done", where="13")
    if n == 99:
        raise ZeroDivisionError("a fault of the program")
    return PartResult({"n": n}, {"square": np.array([n * n])}, ("noted",) if n == 4 else ())


def die_once(n: int, marker: str) -> PartResult:
    """Ends its process the first time that number 2 is at hand."""
    path = Path(marker)
    if n == 2 and not path.exists():
        path.write_text(str(os.getpid()))
        os._exit(9)
    return PartResult({"n": n})


def parts(count: int, make: Any = square, files: tuple[str, ...] = (), **arguments: Any) -> list[Part]:
    return [Part(f"part-{n}", make, {"n": n, **arguments}, files) for n in range(count)]


def lab(folder: Path, data: Path, names: tuple[str, ...], chosen: tuple[int, ...], alone: tuple[int, ...] = ()) -> None:
    """Extracted recordings of a generated REACT set, each of its own people; `alone`: without the listener."""
    from reactdiff_ros.recordings.datasets import public
    from reactdiff_ros.recordings.datasets.recordings import Extracted, save

    for i, recording in enumerate(public.recordings("react", data, "val", names=names)):
        if i in chosen:
            there = i not in alone
            content = Extracted(
                recording.pair, recording.session, recording.role, recording.speaker,
                np.arange(recording.frames) * 40_000_000, recording.listener if there else None,
                recording.observed if there else None,
            )  # fmt: skip
            save(folder / f"people{i}" / "talk.npz", content)


OWN_LISTENER = '''
"""A listener of somebody's own that looks ahead, as an offline model does."""

import numpy as np

from reactdiff_ros.model.listener import ListenerConfig
from reactdiff_ros.model.policies.baselines import IdleListener
from reactdiff_ros.types import Reaction


class Own(IdleListener):
    name = "own"
    look_ahead_s = DECLARED

    def __init__(self, seed):
        super().__init__(seed=seed, config=ListenerConfig())
        self.reset()

    def reset(self, seed=None):
        super().reset(seed)
        self.frames, self.last = [], -1

    def foresee(self, frames):
        self.frames = [(f.stamp_ns, f.coefficients) for f in frames]

    def plan(self, now_ns):
        start = (now_ns // 40_000_000 + 1) * 40_000_000
        if start == self.last:
            return None
        self.last = start
        known = [c for stamp, c in self.frames if stamp <= now_ns + LOOKS * 1e9]
        face = np.zeros((16, 58), np.float32)
        if known:
            face[:] = np.clip(known[-1], -0.1, 0.6)
        return Reaction(start, 25.0, face, 1, True, 0, "own", "test", 0.0, None, None)
'''


def own_listener(folder: Path, *, declared: str, looks: str, name: str = "own.py") -> str:
    """The file of a listener that declares one look-ahead and has another; as `--listener` takes it."""
    path = folder / name
    path.write_text(OWN_LISTENER.replace("DECLARED", declared).replace("LOOKS", looks))
    return f"{path}:Own"
