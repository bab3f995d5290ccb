"""Runs a listener on speaker frames for the tests of the model, and tells what is on the face."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from reactdiff_ros.model.listener import Listener
from reactdiff_ros.types import Reaction, SpeakerFrame

SLOT = 40_000_000
LATENCY = 25_000_000


def drive(listener: Listener, frames: Iterable[SpeakerFrame], seed: int = 0, latency: int = LATENCY) -> list[Reaction]:
    """All plans of a session."""
    listener.reset(seed)
    plans = []
    for item in frames:
        listener.observe(item)
        plan = listener.plan(item.stamp_ns + latency)
        if plan is not None:
            plans.append(plan)
    return plans


def shown(plans: list[Reaction]) -> np.ndarray:
    """What is on the face, frame by frame (T, 58)."""
    first = plans[0].start_ns
    length = (plans[-1].start_ns - first) // SLOT + 16
    out = np.zeros((length, 58), dtype=np.float32)
    for plan in plans:
        i = (plan.start_ns - first) // SLOT
        out[i : i + len(plan.coefficients)] = plan.coefficients
    return out[: length - 12]
