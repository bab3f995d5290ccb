"""What the model is told when a style is in force: a user's settings become the conditions of the denoiser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from reactdiff_ros.model.conditions import CONTROL_NAMES, STYLE_COUNT
from reactdiff_ros.model.plan.sampler import Conditions
from reactdiff_ros.styles import REFERENCE_LIMIT, Style
from reactdiff_ros.types import FloatArray, Turn

MEASURED: Final = ("smiling", "nodding", "liveliness")
"""Controls of what a reference measures as well: they are left to it unless the user sets them."""


GREETING_ATTITUDE: Final = 0.5
GREETING_FADE_S: Final = 2.0


def greeting(style: Style, met_s: float, greeting_s: float) -> Style:
    """The style of a listener who met the speaker `met_s` ago: at first it answers nearly everything.

    People return a smile of greeting far more surely than one in mid-talk. A style that is cool (attitude below 0)
    does not greet. After `greeting_s` it fades to the style within GREETING_FADE_S.
    """
    share = float(np.clip((greeting_s + GREETING_FADE_S - met_s) / GREETING_FADE_S, 0.0, 1.0))
    if share == 0.0 or greeting_s == 0.0 or style.attitude < 0.0:
        return style
    return replace(
        style,
        responsiveness=max(style.responsiveness, share),
        attitude=max(style.attitude, GREETING_ATTITUDE * share),
    )


def conditioning(style: Style, turn: Turn = "listening") -> Conditions:
    """The conditions of one listener with this style.

    While the robot itself speaks, the model is told to nod as little as it can: nobody backchannels their own words.
    """
    values = {name: style.delay_s if name == "delay" else getattr(style, name) for name in CONTROL_NAMES}
    given = dict.fromkeys(CONTROL_NAMES, 1.0)
    if style.reference:
        given |= {name: float(values[name] != 0.0) for name in MEASURED}
    if turn == "robot_speaking":
        values["nodding"], given["nodding"] = -1.0, 1.0
    reference = style.reference or (None,) * STYLE_COUNT
    return Conditions(
        controls=_row([values[name] for name in CONTROL_NAMES]),
        controls_given=_row([given[name] for name in CONTROL_NAMES]),
        style=np.clip(_row([0.0 if v is None else v for v in reference]), -REFERENCE_LIMIT, REFERENCE_LIMIT),
        style_given=_row([float(v is not None) for v in reference]),
        real=np.zeros(1, dtype=np.float32),
    )


def _row(values: Sequence[float]) -> FloatArray:
    return np.array([values], dtype=np.float32)
