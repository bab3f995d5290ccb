"""Speakers who are there and do nothing, and controls by name."""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from reactdiff_ros.model.diffusion.conditions import CONTROL_NAMES
from reactdiff_ros.simulator.stimulus import Stimulus


def controls(**given: float) -> np.ndarray:
    """(6,) of a listener, NaN where not given."""
    return np.array([given.get(name, float("nan")) for name in CONTROL_NAMES], dtype=np.float32)


def nothing(count: int, frames: int, *, seen: float = 1.0) -> Stimulus:
    """People who are there and do nothing."""
    made = {f.name: np.zeros((count, frames), dtype=np.float32) for f in fields(Stimulus)}
    made["seen"] += seen
    made["heard"] += seen
    made["sincerity"] += 1
    return Stimulus(**made)
