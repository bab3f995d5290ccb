"""What the networks are told so that listeners do what they are asked.

The networks learnt their controls from simulated listeners and follow some of them by less. What they are told makes up
for it; found with `evaluate controls`, with `--listener simulator` beside, and `evaluate simulator`.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from reactdiff_ros.model.conditions import CONTROL_NAMES
from reactdiff_ros.types import FloatArray

SHOWN_CONTROL: Final = "delay"
"""The networks have an input for it and are told 0: it acts on what they are shown, see `sampler.Conditions.late`."""
COOLER: Final = 0.45
"""How far below its range the networks are told of a responsiveness of 0: told 0 they answer .455 of a speaker's
smiles, told -.35 .325, told -.5 .245; simulated listeners .20 (200 trials)."""
COOL: Final = 0.2
"""Responsiveness from which on the networks are told what is asked: listeners of the natural prior are then about as
far from appropriate reactions (FRD) as simulated ones. If all up to .35 are told less they smile too seldom (.96 of
that distance), up to .1 too often (1.02)."""
SMILING: Final = 1.6
"""Units of `smiling` that the networks are told for one: told one for one, the share of time with a smile goes from
.07 to .30 over the range, of simulated listeners from .16 to .56, and listeners differ half as much."""
SMILING_MORE: Final = 0.05
_AT: Final = {name: index for index, name in enumerate(CONTROL_NAMES)}


def told_to_networks(controls: FloatArray) -> FloatArray:
    """What networks are told when listeners are asked for `controls` (N, CONTROL_COUNT)."""
    prompt = controls.copy()
    prompt[:, _AT[SHOWN_CONTROL]] = 0.0
    prompt[:, _AT["responsiveness"]] -= COOLER * np.maximum(1 - controls[:, _AT["responsiveness"]] / COOL, 0.0)
    prompt[:, _AT["smiling"]] = SMILING_MORE + SMILING * controls[:, _AT["smiling"]]
    return prompt
