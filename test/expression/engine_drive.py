"""Drives an expression engine through time for the tests of this folder, and reads its faces."""

from collections.abc import Callable

import numpy as np

from reactdiff_ros.coefficients import HEAD_PITCH, HEAD_YAW, INDEX, LOWER, UPPER
from reactdiff_ros.expression import ExpressionConfig, ExpressionEngine
from reactdiff_ros.expression.motion import MAX_SPEED
from reactdiff_ros.types import ExpressionFrame, GazeTarget, Reaction

MS = 1_000_000
TICK = 20 * MS
STILL = ExpressionConfig(stillness=1.0)
Push = Callable[[int], object]
"""Called before each tick with its time."""


def reaction(start_ns: int, values: np.ndarray | None = None, engaged: bool = True, rate_hz: float = 25.0) -> Reaction:
    """A plan of 16 frames, neutral by default."""
    plan = np.zeros((16, 58), np.float32) if values is None else values
    return Reaction(
        start_ns=start_ns, rate_hz=rate_hz, coefficients=plan, commit_frames=4, engaged=engaged, seed=0, policy="rules",
        backend="rules", compute_s=0.0, picture_stamp_ns=start_ns - 70 * MS, sound_stamp_ns=start_ns - 60 * MS,
    )  # fmt: skip


def target(stamp_ns: int, x: float = 0.0, y: float = 0.0, z: float = 1.0) -> GazeTarget:
    """The speaker's eyes at x, y, z metres in the camera's optical frame."""
    return GazeTarget(stamp_ns, np.array([x, y, z], np.float32))


def run(engine: ExpressionEngine, seconds: float, *pushes: Push, start_ns: int = 0) -> list[ExpressionFrame]:
    """Tick 50 times a second."""
    frames = []
    for i in range(round(seconds * 50)):
        now = start_ns + i * TICK
        for push in pushes:
            push(now)
        frames.append(engine.tick(now))
    return frames


def every(ms: int, push: Push) -> Push:
    """Only at multiples of so many milliseconds."""
    return lambda now: push(now) if now % (ms * MS) == 0 else None


def plans(engine: ExpressionEngine, values: np.ndarray | None = None, *, ms: int = 160, engaged: bool = True) -> Push:
    """A plan every so often, which begins 40 ms later."""
    return every(ms, lambda now: engine.on_reaction(reaction(now + 40 * MS, values, engaged=engaged), now))


def listening(engine: ExpressionEngine, *, speaks: bool = False) -> Push:
    """Plans every 160 ms and a gaze target every 40 ms, as a live graph gives them."""
    plan = plans(engine)

    def push(now: int) -> None:
        plan(now)
        if now % (40 * MS) == 0:
            engine.on_gaze_target(target(now - 30 * MS), now)
            engine.on_speaking(speaks, now)

    return push


def stack(frames: list[ExpressionFrame]) -> np.ndarray:
    """(n, 58) of the frames' coefficients."""
    return np.stack([f.coefficients for f in frames])


def bounded_and_smooth(faces: np.ndarray, first: np.ndarray | None = None, speed: np.ndarray = MAX_SPEED) -> None:
    """Within limits, and no coefficient jumps; `first`: what was shown before, else a neutral face."""
    assert np.isfinite(faces).all()
    assert (faces >= LOWER).all()
    assert (faces <= UPPER).all()
    before = np.zeros((1, 58), np.float32) if first is None else first[None]
    change = np.abs(np.diff(np.concatenate([before, faces]), axis=0))
    assert (change <= speed * 0.02 + 1e-5).all(), "a coefficient jumped"


def eyes(faces: np.ndarray, config: ExpressionConfig | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Yaw (own left) and pitch (down) of the eyes in the head, rad, of faces (..., 58)."""
    config = config or ExpressionConfig()
    out_left, in_left, in_right, out_right, down, up = (
        faces[..., INDEX[f"eyeLook{name}"]]
        for name in ("OutLeft", "InLeft", "InRight", "OutRight", "DownLeft", "UpLeft")
    )
    yaw = (out_left - in_left + in_right - out_right) / 2 * config.eye_yaw_full_rad
    return yaw, (down - up) * config.eye_pitch_full_rad


def line_of_sight(faces: np.ndarray, config: ExpressionConfig | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The same in the room: eyes and head together."""
    yaw, pitch = eyes(faces, config)
    return yaw + faces[..., HEAD_YAW], pitch + faces[..., HEAD_PITCH]


def spans(active: np.ndarray) -> list[int]:
    """Lengths of the runs of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], active.astype(int), [0]])))
    return [int(b - a) for a, b in zip(edges[::2], edges[1::2], strict=True)]
