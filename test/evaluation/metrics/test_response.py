"""Responses in paired trials: what is there is counted, chance differences cancel, faint or late ones do not count."""

from __future__ import annotations

import numpy as np
import pytest

from reactdiff_ros.coefficients import HEAD_PITCH, SMILE
from reactdiff_ros.evaluation.metrics.events import (
    Paired,
    nod_responses,
    shares,
    smile_responses,
)

N, T, AT = 100, 200, 80


def paired() -> Paired:
    return Paired(np.zeros((N, T, 58), np.float32), np.zeros((N, T, 58), np.float32), np.full(N, AT))


def smile(stream: np.ndarray, rows: slice, delay_s: float, size: float, frames: int = 25) -> None:
    start = AT + round(delay_s * 25)
    stream[rows, start : start + frames, SMILE[0]] = stream[rows, start : start + frames, SMILE[1]] = size


def test_answers_are_counted_and_chance_cancels() -> None:
    trials = paired()
    smile(trials.present, slice(0, 40), 0.6, 0.4)
    smile(trials.absent, slice(50, 60), 0.6, 0.4)
    told = shares(*smile_responses(trials))
    assert told["rate"] == pytest.approx(0.4)
    assert told["excess"] == pytest.approx(0.3)
    assert told["excess_low"] < 0.3 < told["excess_high"]


@pytest.mark.parametrize(("delay", "size", "frames"), [(0.6, 0.08, 25), (0.6, 0.5, 2), (1.7, 0.5, 25), (0.0, 0.5, 6)])
def test_faint_brief_late_and_immediate_ones_are_none(delay: float, size: float, frames: int) -> None:
    trials = paired()
    smile(trials.present, slice(0, 100), delay, size, frames)
    assert shares(*smile_responses(trials))["rate"] == 0


def test_nods_after_a_cue() -> None:
    trials = paired()
    t = np.arange(32) / 25
    nod = 0.05 * (1 - np.cos(2 * np.pi * 1.6 * t))
    trials.present[:30, AT + 12 : AT + 44, HEAD_PITCH] = nod
    trials.absent[:10, AT + 12 : AT + 44, HEAD_PITCH] = nod
    trials.present[90:, 10:42, HEAD_PITCH] = nod
    told = shares(*nod_responses(trials))
    assert told["rate"] == pytest.approx(0.2)
    assert told["excess"] == pytest.approx(0.2)
