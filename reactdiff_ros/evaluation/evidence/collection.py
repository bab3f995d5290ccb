"""Measures all parts of the evidence of a set of weights and stores each, so that an interrupted run resumes.

A stored part is used again if it was measured with the same weights, settings, simulator and package version. The code
is not compared: every part carries the commit that it was measured with. Delete the file of a part to measure it again.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation.bench.machine import commit, hardware
from reactdiff_ros.evaluation.evidence.bounds import judge
from reactdiff_ros.evaluation.evidence.parts import PARTS, Subject, settings_of
from reactdiff_ros.evaluation.runs.keep import Keep
from reactdiff_ros.evaluation.runs.work import Made, Part

FORMAT: Final = 1
"""Of evidence.json; another one is refused."""
KEPT: Final = "kept"
"""Folder of the stored parts."""
PICTURES: Final = "images"


def collect(
    subject: Subject, folder: Path, *, parts: Collection[str], run: Collection[str] | None = None, date: str,
    encode: Callable[[Any], str], told: Callable[[str, float], None] = lambda part, share: None,
    tell: Callable[[str], None] = lambda sentence: None,
) -> dict[str, Any]:  # fmt: skip
    """Measure what is not stored yet, and judge all bounds. A part that fails does not end the others.

    Args:
        subject: the weights, and how they are measured.
        folder: of the store and the pictures; created if it is missing.
        parts: names of PARTS, in the order in which they are measured.
        run: those that may be measured (all); the others are used if they are stored.
        date: of the evidence, YYYY-MM-DD.
        encode: strict JSON of figures, NaN as null.
        told: progress callback, receives (part, completed fraction in [0, 1]).
        tell: receives sentences for the user.

    Returns:
        The content of evidence.json.

    Raises:
        ReactdiffError: the folder cannot be created.
    """
    keep = Keep(folder / KEPT)
    failed: dict[str, str] = {}
    found: dict[str, dict[str, Any]] = {}
    subject, machine = replace(subject, keep=keep), hardware()
    for name in parts:
        # As they are read back: JSON has no tuples.
        part = Part(name, f"{PARTS[name].__module__}:{name}", json.loads(encode(settings_of(name, subject))))
        state = keep.look(part)
        if state.why_anew:
            tell(f"{name}: the stored result is not used, {state.why_anew}")
        try:
            if state.there:
                found[name] = keep.load(part).facts
            elif run is None or name in run:
                start = subject.timer()
                made = PARTS[name](subject, lambda share, name=name: told(name, share))  # type: ignore[misc]
                settings = {**part.arguments, "commit": commit(Path(__file__).resolve().parent)}
                facts = {"settings": settings, "seconds": subject.timer() - start, "figures": made.figures}
                found[name] = json.loads(encode(facts))
                keep.save(part, Made(found[name]))
                for draw in made.pictures:
                    draw(folder / PICTURES)
        except Exception as error:  # the other parts are still worth having
            sentence = str(error) if isinstance(error, ReactdiffError) else f"{type(error).__name__}: {error}"
            # Figures that could not be stored or drawn are still reported.
            failed |= {} if name in found else {name: sentence}
            tell(f"{name}: {sentence}")
        told(name, 1.0)
    figures = {name: facts["figures"] for name, facts in found.items()}
    verdicts, weights = judge(figures), subject.weights
    return {
        "format": FORMAT,
        "weights": {
            "name": weights.name, "digest": weights.digest, "simulator": weights.simulator,
            "parameters": weights.parameters,
        },
        "simulator": subject.simulator, "date": date, "hardware": hardware_line(machine),
        "settings": {name: facts["settings"] for name, facts in found.items()},
        "seconds": {name: facts["seconds"] for name, facts in found.items()},
        "parts": figures, "failed": failed, "bounds": [v.as_dict() for v in verdicts],
        "held": sum(v.holds is True for v in verdicts), "of": len(verdicts),
    }  # fmt: skip


def hardware_line(machine: dict[str, Any]) -> str:
    """The machine in one line."""
    return (
        f"{machine.get('cpu') or platform.machine()}, {machine.get('cores', '?')} cores, "
        f"{machine.get('memory_gb', '?')} GB, {machine.get('gpu') or 'no GPU'}, Python {machine.get('python', '?')}"
    )
