"""What `reactdiff dev simulate` adds to simulated dyads: more listeners of each speaker, statistics, and plots.

Sources of the human numbers are in docs/simulator.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import psutil
from numpy.typing import NDArray

from reactdiff_ros.coefficients import HEAD_PITCH, INDEX
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation.plots import new_figure, save_figure
from reactdiff_ros.model.conditions import CONTROL_NAMES
from reactdiff_ros.model.style import style_of
from reactdiff_ros.model.tokens import FRAME_S
from reactdiff_ros.simulator.listener import listen
from reactdiff_ros.simulator.temperament import Prior, draw_temperaments
from reactdiff_ros.types import FloatArray

if TYPE_CHECKING:
    from reactdiff_ros.simulator.dyads import Dyads
    from reactdiff_ros.simulator.stimulus import Stimulus

_PERSON, _NOISE = 30, 31
SPEAKER_BYTES: Final = 2400
"""Peak memory of a frame of a speaker with its first listener (measured)."""
LISTENER_BYTES: Final = 260
"""Memory of a frame of each further listener."""
SHOWN_S = 60.0
SHOWN_LISTENERS = 4
AWAY_DEG: Final = 6.5
"""Eyes turned by more than this look away; fixations on a face spread by 2.9 x 2.0 degrees."""


@dataclass(frozen=True, slots=True)
class Listeners:
    """M listeners of each of B speakers over T frames; `controls` and `traits` say who they are."""

    coefficients: FloatArray
    """(B, M, T, 58)"""
    activity: FloatArray
    """(B, M, T) 0..1"""
    controls: FloatArray
    """(B, M, 6), see `conditions.CONTROL_NAMES`."""
    traits: FloatArray
    """(B, M, 24), see `temperament.TRAIT_NAMES`."""
    style: FloatArray
    """(B, M, 8) of the same person with the other speaker, see `conditions.STYLE_NAMES`."""
    style_given: FloatArray

    @property
    def each(self) -> int:
        """M."""
        return self.coefficients.shape[1]


def enough_memory(dyads: int, listeners: int, frames: int) -> None:
    """Raise ReactdiffError if the dyads do not fit into free memory."""
    needed = dyads * frames * (SPEAKER_BYTES + LISTENER_BYTES * (listeners - 1))
    free = psutil.virtual_memory().available
    if needed > free:
        raise ReactdiffError(
            f"these dyads need {needed / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are free",
            where=f"{dyads} dyads, {listeners} listeners of each, {frames} frames",
            todo="simulate fewer or shorter ones, and the rest with another --seed",
        )


def listeners_of(made: Dyads, seed: int, each: int, prior: Prior) -> Listeners:
    """`each` listeners of every speaker of `made`: the first is its own, the others are drawn from the same prior.

    As in `dyads.simulate`, world i and world i + B / 2 share their listeners, and a style is measured on the other
    world's stream. How many there are changes none of them.

    Args:
        made: dyads of `dyads.simulate(seed, ..., prior=prior)`.
        seed: the same seed, the same listeners.
        each: M, 1 or more.
        prior: see `draw_temperaments`.
    """
    who = made.temperament
    first = (made.listener, made.activity, who.controls, who.traits, made.style, made.style_given)
    out = Listeners(*(np.empty((len(a), each, *a.shape[1:]), dtype=np.float32) for a in first))
    _put(out, 0, *first)
    other = _other_worlds(len(made.listener))
    paired = (other != np.arange(len(other)))[:, None]
    for number in range(1, each):
        people = draw_temperaments(np.random.SeedSequence([seed, _PERSON, number]), len(other), prior=prior)
        people = people.take(np.minimum(np.arange(len(other)), other))
        shown = listen(made.stimulus, people, np.random.SeedSequence([seed, _NOISE, number]))
        style, given = (values[other] * paired for values in style_of(shown.coefficients))
        _put(out, number, shown.coefficients, shown.activity, people.controls, people.traits, style * given, given)
    return out


def _put(out: Listeners, number: int, *values: FloatArray) -> None:
    into = (out.coefficients, out.activity, out.controls, out.traits, out.style, out.style_given)
    for array, value in zip(into, values, strict=True):
        array[:, number] = value


def _other_worlds(worlds: int) -> np.ndarray[tuple[int, ...], np.dtype[np.intp]]:
    """The world that shares a listener with each; itself where there is none."""
    pairs = worlds // 2
    other = np.arange(worlds)
    other[:pairs], other[pairs : 2 * pairs] = np.arange(pairs) + pairs, np.arange(pairs)
    return other


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


def plot_dyad(stimulus: Stimulus, listeners: Listeners, path: Path) -> Path:
    """The dyad in which most is spoken and smiled, its first minute: the speaker above, its listeners (four at most)
    below, with their controls.
    """
    best = int(np.argmax(stimulus.speech.mean(1) + 2 * stimulus.smile.std(1)))
    frames = min(round(SHOWN_S / FRAME_S), stimulus.speech.shape[1])
    time = np.arange(frames) * FRAME_S
    known = {name: getattr(stimulus, name)[best, :frames] for name in ("speech", "phrase_end", "cue", "smile",
            "brighten", "laugh", "brow_up", "doubt", "sad", "contact")}  # fmt: skip
    shown = min(listeners.each, SHOWN_LISTENERS)
    figure = new_figure(12, 4.25 * (1 + shown))
    axes = figure.subplots(1 + shown, 1, sharex=True)
    panels = [("true state of the speaker", known)]
    panels += [
        (_titled(number, listeners, best), _curves(listeners.coefficients[best, number, :frames]))
        for number in range(shown)
    ]
    for axis, (title, rows) in zip(axes, panels, strict=True):
        for place, values in enumerate(rows.values()):
            axis.plot(time, -place + 0.85 * values, linewidth=1)
            axis.axhline(-place, color="grey", linewidth=0.3)
        axis.set_yticks(-np.arange(len(rows)), list(rows))
        axis.set_title(title)
    axes[-1].set_xlabel("time, s")
    return save_figure(figure, path)


def _titled(number: int, listeners: Listeners, dyad: int) -> str:
    if listeners.each == 1:
        return "listener"
    controls = listeners.controls[dyad, number]
    text = ", ".join(f"{name} {v:+.2f}" for name, v in zip(CONTROL_NAMES, controls, strict=True) if name != "delay")
    return f"listener {number + 1} of {listeners.each}: {text}"


def _curves(face: FloatArray) -> dict[str, FloatArray]:
    return {
        "mouthSmile": face[:, INDEX["mouthSmileLeft"]], "cheekSquint": face[:, INDEX["cheekSquintLeft"]],
        "jawOpen": face[:, INDEX["jawOpen"]], "browInnerUp": face[:, INDEX["browInnerUp"]],
        "browDown": face[:, INDEX["browDownLeft"]], "eyeBlink": face[:, INDEX["eyeBlinkLeft"]],
        "eyes aside": face[:, INDEX["eyeLookOutLeft"]] + face[:, INDEX["eyeLookInLeft"]],
        "head pitch / 0.3 rad": face[:, HEAD_PITCH] / 0.3, "head yaw / 0.3 rad": face[:, HEAD_PITCH + 1] / 0.3,
    }  # fmt: skip


def plot_distributions(people: dict[str, NDArray[np.float64]], folder: Path) -> Path:
    """A histogram over listeners for each statistic, with the human range shaded."""
    figure = new_figure(13, 7.5)
    axes = figure.subplots(-(-len(people) // 4), 4).reshape(-1)
    for axis, (name, values) in zip(axes, people.items(), strict=False):
        human = HUMAN[name]
        axis.axvspan(human.low, human.high, alpha=0.2, label="people")
        axis.hist(values, bins=15, alpha=0.8, label="simulated")
        axis.axvline(float(np.mean(values)), color="black", linewidth=1)
        axis.set(xlabel=name, ylabel="listeners")
    for axis in axes[len(people) :]:
        axis.axis("off")
    axes[0].legend()
    return save_figure(figure, folder / "distributions.png")
