"""Does the listener answer people's expressions as one should? Labelled recordings of people, through everything.

The first pass of each clip is shown, the greeting included, to a new listener for each seed: what a visitor sees in
the first seconds. Figures are means over frames, then over clips of a label, with their 95 % intervals over clips.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import numpy as np

from reactdiff_ros.coefficients import index
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation.metrics.bootstrap import draws, interval, means
from reactdiff_ros.evaluation.metrics.events import brow_curve, concern_curve, smile_curve
from reactdiff_ros.evaluation.results import Study
from reactdiff_ros.recordings.labels import label_of
from reactdiff_ros.recordings.listener import NO_SOUND, Listener
from reactdiff_ros.types import OnProgress

GRIN: Final = 0.35
"""A smile that no one in distress should see."""
_UP: Final = list(index("eyeLookUpLeft", "eyeLookUpRight"))
_DOWN: Final = list(index("eyeLookDownLeft", "eyeLookDownRight"))
FIGURES: Final = ("smile", "concern", "brow_raise")


@dataclass(frozen=True)
class Shown:
    """What one listener showed to one clip: means over its frames, and what was perceived of the person."""

    smile: float
    smile_p95: float
    smile_most: float
    concern: float
    """See `events.concern_curve`."""
    brow_raise: float
    up_minus_down: float
    seen_smile: float
    """Mean smile of the person as perceived."""
    right_class: float
    """Share of frames in which the person's expression was read as the label; NaN without a label."""
    heard: bool
    """The clip has sound."""


def shown(path: Path, seed: int, style: str = "natural") -> Shown:
    """Show one clip to a new listener.

    Raises:
        MediaError: the clip cannot be read, or no face was seen in it.
    """
    track = Listener(style, seed=seed).react(path)
    people, faces = track.people(), track.faces
    smile = smile_curve(faces)
    named = label_of(path)
    read = [frame.affect.label for frame in people if frame.affect is not None]
    return Shown(
        smile=float(smile.mean()),
        smile_p95=float(np.quantile(smile, 0.95)),
        smile_most=float(smile.max()),
        concern=float(concern_curve(faces).mean()),
        brow_raise=float(brow_curve(faces).mean()),
        up_minus_down=float((faces[:, _UP] - faces[:, _DOWN]).mean()),
        seen_smile=float(np.mean([smile_curve(frame.coefficients) for frame in people])),
        right_class=float("nan") if named is None else float(np.mean([label == named.label for label in read])),
        heard=NO_SOUND not in track.notes,
    )


def appropriateness(
    clips: Sequence[Path], *, seeds: int = 5, style: str = "natural", workers: int = 1, progress: OnProgress
) -> Study:
    """The figures of `evaluate appropriateness`; clips that cannot be used are named in "skipped", and those in which
    a person is followed by sight alone in "without_sound".

    Raises:
        ReactdiffError: no clip could be used.
    """
    jobs = [(path, seed) for path in clips for seed in range(seeds)]
    found: dict[Path, list[Shown]] = defaultdict(list)
    skipped: dict[str, str] = {}
    with ProcessPoolExecutor(workers, mp_context=get_context("forkserver")) as pool:
        for done, ((path, _), result) in enumerate(zip(jobs, pool.map(partial(_tried, style), jobs), strict=True)):
            if isinstance(result, Shown):
                found[path].append(result)
            else:
                skipped[path.name] = result
            progress((done + 1) / len(jobs))
    if not found:
        raise ReactdiffError(f"no clip could be used: {next(iter(skipped.values()), 'there is none')}")
    without_sound = [path.name for path, results in found.items() if not results[0].heard]
    about = {"seeds": seeds, "style": style, "skipped": skipped, "without_sound": without_sound}
    return Study({**_summary(found), **about})


def _tried(style: str, job: tuple[Path, int]) -> Shown | str:
    try:
        return shown(*job, style)
    except ReactdiffError as error:
        return str(error)


def _summary(found: dict[Path, list[Shown]]) -> dict[str, Any]:
    by_label: dict[str, list[dict[str, float]]] = defaultdict(list)
    for path, results in found.items():
        row = {name: float(np.mean([asdict(r)[name] for r in results])) for name in asdict(results[0])}
        named = label_of(path)
        by_label[named.word if named else "unlabelled"].append({**row, "most": max(r.smile_most for r in results)})
    table: dict[str, dict[str, Any]] = {}
    for label, rows in sorted(by_label.items()):
        values = {name: np.array([row[name] for row in rows]) for name in rows[0]}
        table[label] = {
            **{name: round(float(values[name].mean()), 3) for name in (*FIGURES, "smile_p95", "seen_smile")},
            "clips_without_a_grin": round(float((values["most"] <= GRIN).mean()), 3),
            "right_class": round(float(values["right_class"].mean()), 3),
            "n": len(rows),
        }
    result: dict[str, Any] = {"by_label": table}
    if "neutral" in by_label:
        rest = {name: float(np.mean([row[name] for row in by_label["neutral"]])) for name in FIGURES}
        away = {
            label: {name: np.array([row[name] - rest[name] for row in rows]) for name in FIGURES}
            for label, rows in sorted(by_label.items())
            if label != "neutral"
        }
        result["minus_neutral"] = {
            label: {name: round(float(values.mean()), 3) for name, values in of.items()} for label, of in away.items()
        }
        result["intervals"] = {  # 95 %, over clips, of their mean
            label: {name: [round(v, 3) for v in interval(means(draws(0, len(x)), x))] for name, x in of.items()}
            for label, of in away.items()
        }
    gaze = [row["up_minus_down"] for rows in by_label.values() for row in rows]
    result["gaze"] = {"up_minus_down": round(float(np.mean(gaze)), 3)}
    return result
