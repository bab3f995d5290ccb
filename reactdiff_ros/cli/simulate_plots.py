"""Pictures of simulated dyads: one as time lines, and distributions beside people's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.coefficients import HEAD_PITCH, INDEX
from reactdiff_ros.evaluation.plots import new_figure, save_figure
from reactdiff_ros.model.tokens import FRAME_S

from .simulate_statistics import HUMAN

if TYPE_CHECKING:
    from reactdiff_ros.simulator.dyads import Dyads

SHOWN_S = 60.0


def plot_dyad(made: Dyads, path: Path) -> Path:
    """The dyad in which most is spoken and smiled, its first minute: speaker above, listener below."""
    best = int(np.argmax(made.stimulus.speech.mean(1) + 2 * made.stimulus.smile.std(1)))
    frames = min(round(SHOWN_S / FRAME_S), made.listener.shape[1])
    time = np.arange(frames) * FRAME_S
    told = {name: getattr(made.stimulus, name)[best, :frames] for name in ("speech", "phrase_end", "cue", "smile",
            "brighten", "laugh", "brow_up", "doubt", "sad", "contact")}  # fmt: skip
    face = made.listener[best, :frames]
    shown = {
        "mouthSmile": face[:, INDEX["mouthSmileLeft"]], "cheekSquint": face[:, INDEX["cheekSquintLeft"]],
        "jawOpen": face[:, INDEX["jawOpen"]], "browInnerUp": face[:, INDEX["browInnerUp"]],
        "browDown": face[:, INDEX["browDownLeft"]], "eyeBlink": face[:, INDEX["eyeBlinkLeft"]],
        "eyes aside": face[:, INDEX["eyeLookOutLeft"]] + face[:, INDEX["eyeLookInLeft"]],
        "head pitch / 0.3 rad": face[:, HEAD_PITCH] / 0.3, "head yaw / 0.3 rad": face[:, HEAD_PITCH + 1] / 0.3,
    }  # fmt: skip
    figure = new_figure(12, 8.5)
    upper, lower = figure.subplots(2, 1, sharex=True)
    for axis, rows, title in ((upper, told, "speaker, what can be known"), (lower, shown, "listener")):
        for place, values in enumerate(rows.values()):
            axis.plot(time, -place + 0.85 * values, linewidth=1)
            axis.axhline(-place, color="grey", linewidth=0.3)
        axis.set_yticks(-np.arange(len(rows)), list(rows))
        axis.set_title(title)
    lower.set_xlabel("time, s")
    return save_figure(figure, path)


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
