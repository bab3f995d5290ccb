"""What conditions a listener: controls, style and source, and the vector that the denoiser reads.

Controls are settings that a user turns; a style is what a person's listening measures (`style.py`), taken from a
reference clip; the source separates the streams of simulated listeners from those of recorded people.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.styles import RANGES
from reactdiff_ros.types import FloatArray

CONTROL_NAMES: Final = ("attitude", "responsiveness", "smiling", "nodding", "liveliness", "delay")
"""attitude -1 (cool) .. 1 (warm); responsiveness 0 (couples as people do) .. 1 (answers nearly everything); smiling,
nodding (backchannel rate) and liveliness -1 .. 1, 0 = ordinary; delay: extra reaction time 0 .. 1 s."""
_RANGES: Final = np.array([RANGES["delay_s" if name == "delay" else name] for name in CONTROL_NAMES], dtype=np.float32)
CONTROL_LOWER: Final = _RANGES[:, 0]
CONTROL_UPPER: Final = _RANGES[:, 1]
CONTROL_COUNT: Final = len(CONTROL_NAMES)

STYLE_NAMES: Final = (
    "smile_share", "smile_rate", "smile_size", "smile_speed", "nod_rate", "nod_size", "head_motion", "brow_rate",
)  # fmt: skip
"""Statistics of a listener's stream, each scaled to about -2 .. 2; see `style.py`."""
STYLE_COUNT: Final = len(STYLE_NAMES)

NETWORK_CONTROLS: Final = tuple(name for name in CONTROL_NAMES if name != "delay")
"""Controls that the denoiser reads. A delay acts on what it is shown, see `Conditions.late`."""
_READ: Final = [CONTROL_NAMES.index(name) for name in NETWORK_CONTROLS]

SOURCES: Final = ("simulated", "real")


def condition_count(max_lead: int) -> int:
    """Width of the vector of `condition_vector`."""
    return _STYLE + 2 * STYLE_COUNT + 1 + max_lead


def condition_vector(
    controls: FloatArray,
    controls_given: FloatArray,
    style: FloatArray,
    style_given: FloatArray,
    real: FloatArray,
    lead: NDArray[np.integer[Any]],
    max_lead: int,
) -> FloatArray:
    """The denoiser's conditions (N, condition_count), whatever is not given being 0.

    Args:
        controls: (N, CONTROL_COUNT); of these NETWORK_CONTROLS are read.
        controls_given: (N, CONTROL_COUNT) 0 or 1.
        style: (N, STYLE_COUNT).
        style_given: (N, STYLE_COUNT) 0 or 1.
        real: (N,) 1 = a recorded person, 0 = a simulated listener.
        lead: (N,) frames between the newest speaker token and the first frame of the plan, minus one.
        max_lead: length of its one-hot code.
    """
    one_hot = np.eye(max_lead, dtype=np.float32)[np.clip(lead, 0, max_lead - 1)]
    controls, controls_given = controls[:, _READ], controls_given[:, _READ]
    parts = (controls * controls_given, controls_given, style * style_given, style_given, real[:, None], one_hot)
    return np.concatenate(parts, axis=-1, dtype=np.float32)


_STYLE: Final = 2 * len(NETWORK_CONTROLS)
"""Where the style begins in `condition_vector`."""
VALUES: Final = (*range(len(NETWORK_CONTROLS)), *range(_STYLE, _STYLE + STYLE_COUNT))
"""Entries of the values: NETWORK_CONTROLS, then STYLE_NAMES."""
GIVEN: Final = (*range(len(NETWORK_CONTROLS), _STYLE), *range(_STYLE + STYLE_COUNT, _STYLE + 2 * STYLE_COUNT))
"""Entries that are 1 where that value is given."""
