"""Statistics of simulated listeners beside what people do; sources of the human numbers in docs/simulator.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from reactdiff_ros.simulator.stimulus import Stimulus
    from reactdiff_ros.types import FloatArray


@dataclass(frozen=True, slots=True)
class Human:
    """What people do: a range to draw, and in words."""

    low: float
    high: float
    text: str


HUMAN: Final = {
    "smiles a minute": Human(3.7, 12.7, "8.4 in calls (10th to 90th percentile 3.7 to 12.7), 3.2 in video chat"),
    "share of time smiling": Human(0.07, 0.81, ".40 in calls (.07 to .81), .16 in video chat"),
    "median smile, s": Human(0.6, 2.5, "1.1 in calls (0.6 to 2.5), 1.8 in video chat"),
    "coupling C": Human(0.11, 0.29, ".19 (interval of 12 pairs .11 to .29)"),
    "nods a minute": Human(3.0, 5.5, "3 to 5.5 while listening, a third of them perhaps noise"),
    "nod size, degrees": Human(4.1, 7.1, "4.1 / 5.2 / 7.1 peak to peak, quartiles"),
    "brow raises a minute": Human(1.7, 2.5, "1.7 to 2.5"),
    "laughs a minute": Human(0.5, 1.5, "1.0"),
    "blinks a minute": Human(10.5, 32.5, "26 in conversation, 17 at rest; 10.5 to 32.5"),
    "share of time looking at the partner": Human(0.75, 0.97, ".75 to .97 while listening"),
}


def statistics(stimulus: Stimulus, faces: FloatArray) -> dict[str, NDArray[np.float64]]:
    """Each statistic of HUMAN for the listeners (B, M, T, 58) of B speakers, M of each, one value a listener.

    Of the worlds in which the speaker is seen most of the time, or of all if there is none; sizes of nods of those who
    nod.
    """
    rows = np.flatnonzero(stimulus.seen.mean(1) > 0.5)
    rows = rows if len(rows) else np.arange(len(faces))
    smile = stimulus.smile[rows]
    each = [_statistics(smile, faces[rows, number]) for number in range(faces.shape[1])]
    return {name: np.concatenate([values[name] for values in each]) for name in HUMAN}


def _statistics(speakers: FloatArray, face: NDArray[Any]) -> dict[str, NDArray[np.float64]]:
    from reactdiff_ros.coefficients import HEAD_PITCH, INDEX
    from reactdiff_ros.evaluation.metrics.coupling import cross_coupling, marginals
    from reactdiff_ros.evaluation.metrics.events import blinks, brow_raises, laughs, nods, smile_curve, smiles
    from reactdiff_ros.simulator.movements import FULL_DEG

    smile = smile_curve(face)
    nodded = nods(face[..., HEAD_PITCH])
    sideways = np.maximum(face[..., INDEX["eyeLookOutLeft"]], face[..., INDEX["eyeLookInLeft"]])
    upright = np.maximum(face[..., INDEX["eyeLookDownLeft"]], face[..., INDEX["eyeLookUpLeft"]])
    away = (sideways * FULL_DEG > AWAY_DEG) | (upright * FULL_DEG > AWAY_DEG)
    size = np.bincount(nodded.row, nodded.size, len(face)) / np.maximum(np.bincount(nodded.row, None, len(face)), 1)
    nodders = size[size > 0] if (size > 0).any() else size
    return {
        "smiles a minute": smiles(smile).per_minute(),
        "share of time smiling": smiles(smile).share(),
        "median smile, s": np.exp(marginals(3.5 * smile)[:, 1]),
        "coupling C": np.diag(cross_coupling(speakers, smile)).copy(),
        "nods a minute": nodded.per_minute(),
        "nod size, degrees": np.degrees(nodders),
        "brow raises a minute": brow_raises(face).per_minute(),
        "laughs a minute": laughs(face).per_minute(),
        "blinks a minute": blinks(face).per_minute(),
        "share of time looking at the partner": 1.0 - away.mean(1),
    }


AWAY_DEG: Final = 6.5
"""Eyes turned by more than this look away; fixations on a face spread by 2.9 x 2.0 degrees."""
