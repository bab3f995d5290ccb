"""Mood: who listens to somebody that smiles much smiles more, as people do, over seconds rather than at once.

The networks answer what happens now and hardly follow how a conversation is. So a listener is told to smile the more
(its control `smiling`), the more the speaker smiled in the last seconds. Causal; one path for live and batched.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from reactdiff_ros.coefficients import SMILE
from reactdiff_ros.model.conditions import CONTROL_LOWER, CONTROL_NAMES, CONTROL_UPPER
from reactdiff_ros.model.plan.sampler import Conditions
from reactdiff_ros.model.tokens import FRAME_S, SpeakerBatch
from reactdiff_ros.types import FloatArray

MEMORY_S: Final = 6.0
"""Time constant of the mean over the speaker's smile."""
ORDINARY_SMILE: Final = 0.14
"""Who smiles so much changes nothing. Simulated speakers are perceived to smile .17 on average; what is above makes up
for the smiles that `prompt.COOLER` takes (with .18 a seventh fewer came than simulated listeners show)."""
CONTAGION: Final = 3.0
"""Units of `smiling` for a mean smile of 1 more. Simulated listeners, from whom the networks learnt, lift the level of
their smile by .36 of what the speaker showed in the last 3 s; the networks hardly do."""
_SEEN: Final = 0.05
_SMILING: Final = CONTROL_NAMES.index("smiling")


class Mood:
    """Follows B speakers, frame by frame of the 25 Hz grid."""

    def __init__(self, batch: int) -> None:
        self._smile = np.full(batch, ORDINARY_SMILE)

    def copy(self) -> Mood:
        """An independent copy of the state."""
        other = Mood(len(self._smile))
        other._smile = self._smile.copy()
        return other

    def step(self, speaker: SpeakerBatch) -> FloatArray:
        """How much more than ordinary (B,) each listener is to smile after the next frame, in units of `smiling`.

        Where no smile can be seen (no face, no confidence, NaN) the mean returns to the ordinary one.
        """
        smile, sure = (values[:, list(SMILE)] for values in (speaker.coefficients, speaker.confidence))
        seen = speaker.mesh & np.isfinite(smile).all(1) & (np.nan_to_num(sure) > _SEEN).all(1)
        shown = np.where(seen, np.clip(np.nan_to_num(smile), 0.0, 1.0).mean(1), ORDINARY_SMILE)
        self._smile += (1 - np.exp(-FRAME_S / MEMORY_S)) * (shown - self._smile)
        return np.asarray(CONTAGION * (self._smile - ORDINARY_SMILE), dtype=np.float32)


def in_mood(conditions: Conditions, mood: FloatArray, guidance: float = 1.0) -> Conditions:
    """`conditions` of N listeners with their moods (N,) added to `smiling`, where that is given.

    Guidance below 1 shows the networks less of the speaker, at 0 nothing: so much less do moods count.
    """
    controls = conditions.controls.copy()
    moved = controls[:, _SMILING] + min(guidance, 1.0) * mood
    controls[:, _SMILING] = np.clip(moved, CONTROL_LOWER[_SMILING], CONTROL_UPPER[_SMILING])
    return replace(conditions, controls=controls)
