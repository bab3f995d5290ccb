"""What a listener can know of a speaker at each frame: the only thing that a simulated listener looks at.

The simulator's truth fills it exactly; `policy.perceive` fills it from noisy perception. Frame t holds what can be
known at t: nothing in it looks ahead.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.types import FloatArray


@dataclass(slots=True)
class Stimulus:
    """B speakers over T frames of 25 Hz; every field is float32 (B, T) in 0..1."""

    seen: FloatArray
    """The face can be seen: there is a camera, and somebody in its picture."""
    heard: FloatArray
    """The voice can be heard: there is a microphone."""
    speech: FloatArray
    """The speaker speaks."""
    smile: FloatArray
    brighten: FloatArray
    """Cheeks rise and the voice brightens: 0.3 to 0.9 s before most smiles, now and then without one."""
    sincerity: FloatArray
    """Does the voice go along with the face? Low: a smile over a flat voice. 1 while silent."""
    laugh: FloatArray
    """Laughing: bursts of voice with a smiling face. A cough, bursts without one, is not in it."""
    brow_up: FloatArray
    frown: FloatArray
    sad: FloatArray
    doubt: FloatArray
    nod: FloatArray
    """The speaker's own nods."""
    contact: FloatArray
    """The speaker looks at the listener."""
    cue: FloatArray
    """A backchannel cue: low pitch after a stretch of speech, with the gaze returning."""
    phrase_end: FloatArray
    """A phrase ended a moment ago: 1 falling to 0 within 1 s."""
    held: FloatArray
    """The pause is held (gaze away, level pitch: the speaker will go on), not yielded."""

    def take(self, rows: NDArray[np.integer[Any]]) -> Stimulus:
        """The given speakers, (len(rows), T): to repeat, select or shuffle them."""
        return Stimulus(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})
