"""Drives an expression engine through time for the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from reactdiff_ros.expression import ExpressionEngine
from reactdiff_ros.types import ExpressionFrame, GazeTarget, Reaction

MS = 1_000_000
TICK = 20 * MS


def reaction(start_ns: int, values: np.ndarray | None = None, *, engaged: bool = True, **other: object) -> Reaction:
    """A plan of 16 frames, neutral unless told."""
    plan = np.zeros((16, 58), np.float32) if values is None else values
    fields: dict[str, object] = {
        "start_ns": start_ns,
        "rate_hz": 25.0,
        "coefficients": plan,
        "commit_frames": 4,
        "engaged": engaged,
        "seed": 0,
        "policy": "rules",
        "backend": "rules",
        "compute_s": 0.0,
        "picture_stamp_ns": start_ns - 70 * MS,
        "sound_stamp_ns": start_ns - 60 * MS,
    }
    return Reaction(**{**fields, **other})  # type: ignore[arg-type]


def target(stamp_ns: int, x: float = 0.0, y: float = 0.0, z: float = 1.0) -> GazeTarget:
    """The speaker's eyes at x, y, z metres in the camera's optical frame."""
    return GazeTarget(stamp_ns, np.array([x, y, z], np.float32))


def run(
    engine: ExpressionEngine,
    seconds: float,
    *,
    start_ns: int = 0,
    before: Callable[[int], None] = lambda now: None,
) -> list[ExpressionFrame]:
    """Tick 50 times a second; `before(now)` is called before each tick and pushes what there is."""
    frames = []
    for i in range(round(seconds * 50)):
        now = start_ns + i * TICK
        before(now)
        frames.append(engine.tick(now))
    return frames


def listening(engine: ExpressionEngine, *, speaks: bool = False, engaged: bool = True) -> Callable[[int], None]:
    """Plans every 160 ms and a gaze target every 40 ms, as a live graph gives them."""

    def push(now: int) -> None:
        if now % (160 * MS) == 0:
            engine.on_reaction(reaction(now + 40 * MS, engaged=engaged), now)
        if now % (40 * MS) == 0:
            engine.on_gaze_target(target(now - 30 * MS), now)
            engine.on_speaking(speaks, now)

    return push


def stack(frames: list[ExpressionFrame]) -> np.ndarray:
    """(n, 58) of the frames' coefficients."""
    return np.stack([f.coefficients for f in frames])
