"""Makes speaker frames and runs the simple listeners on them for the tests of policies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import speaker_frames

from reactdiff_ros.coefficients import SMILE
from reactdiff_ros.model.listener import Listener
from reactdiff_ros.types import Reaction, SpeakerFrame, Voice

MS = 1_000_000
FRAME = 40 * MS


def at(time_s: float) -> int:
    """The stamp of the frame at a time, ns."""
    return round(time_s * 25) * FRAME


def voice(*, speaking: bool = False, pause_s: float = 0.0, pitch_hz: float = 0.0, loudness: float = -30.0) -> Voice:
    """What the microphone tells."""
    heard = speaker_frames.voice(speaking, loudness, 0.0 if speaking else pause_s, float(speaking))
    return replace(heard, pitch_hz=pitch_hz)


def frame(
    stamp_ns: int, *, smile: float = 0.0, heard: Voice | None = None, face: bool = True, camera: bool = True,
    coefficients: np.ndarray | None = None,
) -> SpeakerFrame:  # fmt: skip
    """A frame without affect; `camera=False`: from sound alone; `face=False`: nobody in the picture."""
    made = speaker_frames.frame(stamp_ns, 0.0 if face and camera else None, heard)
    values = np.zeros(58, np.float32) if coefficients is None else coefficients.astype(np.float32)
    if coefficients is None:
        values[list(SMILE)] = smile
    seen = made.face_present
    return replace(
        made, picture_stamp_ns=stamp_ns if camera else None, coefficients=values if seen else made.coefficients,
        confidence=np.full(58, 0.9 if seen else 0.0, np.float32), neutral_confidence=1.0, gaze=None, affect=None,
    )  # fmt: skip


def shown(plans: list[Reaction]) -> tuple[np.ndarray, np.ndarray]:
    """What plans show: times in s and coefficients (n, 58), each slot from the newest plan that has it."""
    slots: dict[int, np.ndarray] = {}
    for plan in plans:
        for i, row in enumerate(plan.coefficients):
            slots[plan.start_ns // FRAME + i] = row
    order = sorted(slots)
    return np.array(order) * 0.04, np.stack([slots[k] for k in order])


def run(listener: Listener, seconds: float, make: Callable[[float], SpeakerFrame]) -> list[Reaction]:
    """Give 25 frames a second (`make` gets the time in s) and collect the plans."""
    return speaker_frames.drive(listener, (make(i * 0.04) for i in range(round(seconds * 25))), None)


def talk(time_s: float, *, smile: float = 0.0) -> SpeakerFrame:
    """Somebody who talks for 3.2 s, pauses for 0.8 s, and so on."""
    phase = time_s % 4.0
    speaking = phase < 3.2
    pitch = 120.0 + 25.0 * float(np.sin(time_s * 2.1)) if speaking else 0.0
    heard = voice(speaking=speaking, pause_s=max(phase - 3.2, 0.0), pitch_hz=pitch)
    return frame(at(time_s), smile=smile, heard=heard)
