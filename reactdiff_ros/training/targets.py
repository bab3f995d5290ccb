"""What the auxiliary head is to read from the speaker's tokens."""

from __future__ import annotations

from dataclasses import fields
from typing import Final

from reactdiff_ros.simulator.stimulus import Stimulus

AUX_NAMES: Final = (
    "mouthSmileLeft", "cheekSquintLeft", "browInnerUp", "browOuterUpLeft", "browDownLeft", "mouthFrownLeft",
    "mouthPressLeft", "jawOpen", "headPitch", "headYaw", "headRoll", "headZ",
)  # fmt: skip
"""Coefficients of the listener's near future."""
BLOCKS: Final = 4
"""Blocks of 4 frames whose means are told."""
TOLD: Final = tuple(f.name for f in fields(Stimulus) if f.name not in ("seen", "heard"))
"""What the auxiliary head should read from a token: the stimulus itself, and, for moods, a trace of it."""
TRACED: Final = (("smile", 3.0), ("smile", 10.0), ("laugh", 3.0), ("speech", 3.0), ("cue", 1.0), ("smile", 1.0))
"""(field, time constant in seconds) of the traces."""
TOLD_COUNT: Final = len(TOLD) + len(TRACED)
AUXILIARY: Final = BLOCKS * len(AUX_NAMES) + TOLD_COUNT
"""Outputs of the head: the listener's near future, and the speaker's stimulus."""
