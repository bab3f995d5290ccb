"""The strict-online protocol for every listener of a run."""

from __future__ import annotations

from collections.abc import Sequence

from reactdiff_ros.evaluation.online import look_ahead_s, verify
from reactdiff_ros.evaluation.runs.listening import Spec, blamed
from reactdiff_ros.evaluation.runs.run import Desk

SECONDS = 1.6
"""Long enough for the features' windows and two plans."""


def verified(specs: Sequence[Spec], cuts: int, seed: int, desk: Desk) -> dict[str, tuple[float, bool | None]]:
    """(declared look-ahead in s, whether it holds; None: not tried) by the listener's name.

    A listener that looks further is told in a sentence, and its figures go on.

    Raises:
        ReactdiffError: a listener cannot be made, fails, or declares no time.
    """
    out: dict[str, tuple[float, bool | None]] = {}
    for i, spec in enumerate(specs):
        listener = spec.make(seed)
        if not cuts:
            out[spec.name] = (look_ahead_s(listener), None)
            continue
        with blamed(spec):
            verdict = verify(
                listener, seconds=SECONDS, cuts=cuts, seed=seed,
                told=lambda share, i=i: desk.told("look-ahead", (i + share) / len(specs)),  # type: ignore[misc]
            )  # fmt: skip
        if not verdict.holds:
            desk.tell(verdict.sentence(spec.name))
        out[spec.name] = (verdict.declared_s, verdict.holds)
    return out
