"""How soon a listener answers when a turn has ended, and how often it cuts into one that has not.

As eot-bench (LiveKit, Apache-2.0) defines them: every silence within a turn is a decision, the last one is its end. A
false cutoff is to answer in one that was not the last; the wait is that after the last. A policy has a threshold of the
probability and a timeout; of all policies within a budget of false cutoffs the shortest mean wait counts. Silence
alone has the timeout only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
STEP_S: Final = 0.05
BUDGETS: Final = (0.05, 0.10)
LONGEST_S: Final = 2.5
THRESHOLDS: Final = 80
BINS: Final = 10


@dataclass(frozen=True, slots=True)
class Decisions:
    """Pauses (N) and the probability that they end the turn, at STEP_S, 2 STEP_S, ... of their silence."""

    ends: NDArray[np.bool_]
    length_s: Floats
    """(N,) until the person goes on; of ends: not used."""
    probability: Floats
    """(N, T), NaN or 0 where the silence is not noticed yet; after the end of a hold it does not count."""

    @property
    def times_s(self) -> Floats:
        """(T,)"""
        return STEP_S * np.arange(1, self.probability.shape[1] + 1)


def waits(decisions: Decisions, budgets: Sequence[float] = BUDGETS) -> dict[str, dict[str, float]]:
    """For each budget of false cutoffs: mean wait in s of the best policy and of silence alone, and the share saved;
    NaN where no timeout up to LONGEST_S keeps it.
    """
    p = np.maximum.accumulate(np.nan_to_num(decisions.probability), axis=1)
    times, ends, holds = decisions.times_s, decisions.ends, ~decisions.ends
    timeouts = np.arange(0.2, LONGEST_S + STEP_S / 2, STEP_S)
    found = np.unique(np.quantile(p[p > 0.0], np.linspace(0.0, 1.0, THRESHOLDS))) if (p > 0.0).any() else np.zeros(0)
    best = {budget: np.inf for budget in budgets}
    alone = {budget: np.inf for budget in budgets}
    for threshold in (*found, np.inf):
        over = p >= threshold
        fires = np.where(over.any(1), times[over.argmax(1)], np.inf)
        wait = np.minimum(fires[:, None], timeouts)
        cut = (wait[holds] < decisions.length_s[holds, None] - 1e-6).mean(0) if holds.any() else np.zeros(len(timeouts))
        mean = wait[ends].mean(0) if ends.any() else np.full(len(timeouts), np.nan)
        for budget in budgets:
            allowed = mean[cut <= budget]
            if len(allowed):
                best[budget] = min(best[budget], float(allowed.min()))
                if np.isinf(threshold):
                    alone[budget] = float(allowed.min())
    return {
        f"{round(100 * budget)}_percent": {
            "wait_s": _finite(best[budget]), "silence_alone_s": _finite(alone[budget]),
            "saved": _finite(1.0 - best[budget] / alone[budget]) if np.isfinite(alone[budget]) else float("nan"),
        }
        for budget in budgets
    }  # fmt: skip


def _finite(value: float) -> float:
    return float(value) if np.isfinite(value) else float("nan")


def balanced_accuracy(scores: Floats, labels: NDArray[np.bool_], threshold: float) -> float:
    """Mean of the shares of positives at or over the threshold and of negatives below it; NaN without both."""
    if not labels.any() or labels.all():
        return float("nan")
    over = scores >= threshold
    return float((over[labels].mean() + (~over[~labels]).mean()) / 2.0)


def reliability(probability: Floats, labels: NDArray[np.bool_]) -> dict[str, object]:
    """Expected calibration error, and in BINS bins of equal width the mean probability, the share, and the count."""
    if not len(labels):
        return {"error": float("nan"), "mean": [], "share": [], "count": []}
    place = np.minimum((probability * BINS).astype(np.intp), BINS - 1)
    count = np.bincount(place, minlength=BINS)
    some = np.flatnonzero(count)
    mean = np.bincount(place, probability, BINS)[some] / count[some]
    share = np.bincount(place, labels.astype(np.float64), BINS)[some] / count[some]
    error = float((count[some] * np.abs(mean - share)).sum() / count.sum())
    return {"error": error, "mean": mean.tolist(), "share": share.tolist(), "count": count[some].tolist()}
