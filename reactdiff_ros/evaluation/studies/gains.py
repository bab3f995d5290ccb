"""`evaluate controls`, the part of the expression: what its gains and stillness do to the very same plans.

They act after the model. Streams are played as plans through the expression engine, as live; only the one setting
differs, noise of gaze, blinks and sway are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.clock import NS
from reactdiff_ros.coefficients import ROTATION
from reactdiff_ros.evaluation.metrics.events import smile_curve
from reactdiff_ros.evaluation.studies.sweeps import POINTS, Sweep
from reactdiff_ros.expression import ExpressionEngine
from reactdiff_ros.expression.motion import LOWER_FACE, UPPER_FACE
from reactdiff_ros.model.listener import HORIZON_FRAMES
from reactdiff_ros.settings import RANGES
from reactdiff_ros.styles import EXPRESSION_CONTROLS, Style, load_styles
from reactdiff_ros.types import REACTION_RATE_HZ, FloatArray, ListenerControl, Reaction

Faces = NDArray[np.floating[Any]]
TICK_HZ: Final = 50
HOP: Final = 4
"""Frames of a plan until the next one, as live."""
LISTENERS: Final = 8
"""Streams that are enough: the settings act on all alike."""
SETTLED_S: Final = 2.0
"""So long a new setting and the first plan have to come into force."""


def _size(of: Faces) -> float:
    return float(np.sqrt((of.astype(np.float64) ** 2).mean()))


def _head(shown: Faces) -> float:
    return float(np.degrees(np.sqrt(shown[:, ROTATION].astype(np.float64).var(0).sum())))


MEASURES: Final[dict[str, tuple[str, Callable[[Faces], float]]]] = {
    "intensity": ("size of the smile", lambda shown: _size(smile_curve(shown[None]))),
    "upper_face": ("size of brows and lids", lambda shown: _size(shown[:, UPPER_FACE])),
    "lower_face": ("size of cheeks and mouth", lambda shown: _size(shown[:, LOWER_FACE])),
    "head": ("s.d. of the head, degrees", _head),
    "stillness": ("head at rest, s.d. taken away, degrees", _head),
}
"""What each control of the expression is measured by; stillness on a face that has nobody to listen to."""


def evaluate_gains(streams: FloatArray, *, points: int = POINTS, workers: int = 1) -> dict[str, dict[str, Any]]:
    """Figures of a sweep of every control of the expression.

    Args:
        streams: (N, T, 58) what N listeners plan, at 25 Hz.
        points: values of each control, evenly over its range.
        workers: streams at a time, each in a thread; figures do not depend on it.
    """
    return {name: _sweep(name, streams, points, workers).figures() for name in EXPRESSION_CONTROLS}


def _sweep(name: str, streams: FloatArray, points: int, workers: int) -> Sweep:
    title, measure = MEASURES[name]
    styles = load_styles()
    values = tuple(float(v) for v in np.linspace(*RANGES[name], points))

    def measured(job: tuple[float, int]) -> float:
        value, n = job
        given: dict[str, Any] = {name: value}
        return measure(shown(streams[n], n, ListenerControl(**given), styles, engaged=name != "stillness"))

    with ThreadPoolExecutor(max(workers, 1)) as pool:
        found = np.array(list(pool.map(measured, product(values, range(len(streams))))))
    table = found.reshape(points, len(streams))
    return Sweep(title, values, table[0] - table if name == "stillness" else table)


def shown(
    stream: FloatArray, seed: int, control: ListenerControl, styles: Mapping[str, Style], *, engaged: bool = True
) -> Faces:
    """(n, 58) at TICK_HZ, what a face shows that is given `stream` (T, 58) plan after plan, from SETTLED_S on."""
    engine = ExpressionEngine(seed=seed, styles=styles)
    engine.control(control)
    faces = []
    for tick in range(len(stream) * TICK_HZ // round(REACTION_RATE_HZ)):
        now = tick * NS // TICK_HZ
        slot, between = divmod(tick * round(REACTION_RATE_HZ), TICK_HZ)
        if not between and slot % HOP == 0:
            engine.on_reaction(_plan(stream[slot : slot + HORIZON_FRAMES], now, engaged), now)
        faces.append(engine.tick(now).coefficients)
    return np.stack(faces)[round(SETTLED_S * TICK_HZ) :]


def _plan(coefficients: FloatArray, now: int, engaged: bool) -> Reaction:
    short = HORIZON_FRAMES - len(coefficients)
    return Reaction(
        start_ns=now, rate_hz=REACTION_RATE_HZ,
        coefficients=np.pad(coefficients, ((0, short), (0, 0)), mode="edge"), commit_frames=HOP, engaged=engaged,
        seed=0, policy="model", backend="", compute_s=0.0, picture_stamp_ns=None, sound_stamp_ns=None,
    )  # fmt: skip
