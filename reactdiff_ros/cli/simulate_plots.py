"""Pictures of simulated dyads: one as time lines, and distributions beside people's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.coefficients import HEAD_PITCH, INDEX
from reactdiff_ros.evaluation.plots import new_figure, save_figure
from reactdiff_ros.model.conditions import CONTROL_NAMES
from reactdiff_ros.model.tokens import FRAME_S
from reactdiff_ros.types import FloatArray

from .simulate_statistics import HUMAN

if TYPE_CHECKING:
    from reactdiff_ros.cli.simulate_listeners import Listeners
    from reactdiff_ros.simulator.stimulus import Stimulus

SHOWN_S = 60.0
SHOWN_LISTENERS = 4


def plot_dyad(stimulus: Stimulus, listeners: Listeners, path: Path) -> Path:
    """The dyad in which most is spoken and smiled, its first minute: the speaker above, its listeners (four at most)
    below, with their controls.
    """
    best = int(np.argmax(stimulus.speech.mean(1) + 2 * stimulus.smile.std(1)))
    frames = min(round(SHOWN_S / FRAME_S), stimulus.speech.shape[1])
    time = np.arange(frames) * FRAME_S
    told = {name: getattr(stimulus, name)[best, :frames] for name in ("speech", "phrase_end", "cue", "smile",
            "brighten", "laugh", "brow_up", "doubt", "sad", "contact")}  # fmt: skip
    shown = min(listeners.each, SHOWN_LISTENERS)
    figure = new_figure(12, 4.25 * (1 + shown))
    axes = figure.subplots(1 + shown, 1, sharex=True)
    panels = [("speaker, what can be known", told)]
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
    told = ", ".join(f"{name} {v:+.2f}" for name, v in zip(CONTROL_NAMES, controls, strict=True) if name != "delay")
    return f"listener {number + 1} of {listeners.each}: {told}"


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
