"""Pictures of evaluations, drawn without a screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.errors import explained
from reactdiff_ros.evaluation.metrics.bootstrap import sweeps_in
from reactdiff_ros.evaluation.metrics.events import SHIFTS, Lags
from reactdiff_ros.types import REACTION_RATE_HZ
from reactdiff_ros.whole_file import whole_file

Values = NDArray[np.floating[Any]]


def new_figure(width: float, height: float) -> Any:
    """An empty figure of so many inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def new_axes(rows: int = 1, columns: int = 1, size: tuple[float, float] = (5.2, 3.2)) -> tuple[Any, Any]:
    """A figure and its axes (rows, columns), each of so many inches."""
    figure = new_figure(size[0] * columns, size[1] * rows)
    return figure, figure.subplots(rows, columns, squeeze=False)


def save_figure(figure: Any, path: Path) -> Path:
    """Write a figure whole, with the folders that it needs. Raises ReactdiffError when that fails."""
    with explained(OSError, "a picture cannot be written", where=path), whole_file(path) as file:
        figure.savefig(file, format=path.suffix[1:])
    return path


def plot_responses(curves: Mapping[str, tuple[Values, Values]], path: Path) -> Path:
    """Mean smile with and without the event under each setting, (2, T) and the time axis in s."""
    figure, axes = new_axes(1, len(curves))
    for axis, (name, (pair, time_s)) in zip(axes[0], curves.items(), strict=True):
        for curve, label, style in zip(pair, ("smile inserted", "none"), ("-", "--"), strict=True):
            axis.plot(time_s, curve, style, label=label)
        axis.axvspan(0.3, 1.5, alpha=0.1)
        axis.set(title=name, xlabel="time after the speaker's smile begins, s", ylabel="listener's mouthSmile")
        axis.set_ylim(0, max(0.4, *(float(p.max()) * 1.1 for p, _ in curves.values())))
        axis.legend()
    return save_figure(figure, path)


def plot_lags(lags: Mapping[str, Lags], path: Path) -> Path:
    """Histogram of onset lags (s) over that of the shifted pairings."""
    figure, axes = new_axes(1, len(lags), (3.4, 3.0))
    edges = np.arange(-3.0, 3.01, 0.2)
    for axis, (name, found) in zip(axes[0], lags.items(), strict=True):
        axis.hist(found.lags_s, edges, label="observed", alpha=0.6)
        level = np.histogram(found.chance_lags_s, edges)[0] / SHIFTS
        axis.stairs(level, edges, label="chance", color="black")
        axis.set(title=name.replace(", ", ",\n"), xlabel="onset after the speaker's, s", ylabel="smiles")
        axis.legend()
    return save_figure(figure, path)


def plot_spectra(
    frequency: Values, densities: Mapping[str, Mapping[str, Values]], bands: tuple[tuple[float, float], ...], path: Path
) -> Path:
    """Power over frequency of each group (outer name) for each system (inner name); every other band is shaded."""
    figure, axes = new_axes(2, (len(densities) + 1) // 2, (3.4, 2.8))
    for axis, (group, systems) in zip(axes.flat, densities.items(), strict=False):
        for name, density in systems.items():
            axis.loglog(frequency[1:], np.maximum(density[1:], 1e-12), label=name)
        for number, (low, high) in enumerate(bands):
            axis.axvspan(low, high, alpha=0.18 if number % 2 else 0.06)
        axis.set(title=group, xlabel="Hz", ylabel="power")
    axes[0, 0].legend()
    for axis in list(axes.flat)[len(densities) :]:
        axis.set_axis_off()
    return save_figure(figure, path)


def plot_systems(result: Mapping[str, Any], systems: Sequence[str], path: Path) -> Path:
    """Every figure of every system with its 95 % interval, of an evaluation on the simulator; lines are the oracle, who
    knows the speaker (dashed), and the same people listening to somebody else (shuffled, dotted).
    """
    names = ("FRC", "FRD", "FRDiv", "FRDvs", "FRVar", "pose")
    # Noise and the targets themselves dwarf everything else.
    shown = [s for s in systems if s not in {"ground_truth", "random"}][::-1]
    figure = new_figure(11.0, 2.2 + 0.44 * len(shown))
    axes = figure.subplots(2, 3, sharey=True)
    for axis, name in zip(axes.flat, names, strict=True):
        for system, style in (("oracle", "--"), ("shuffled", ":")):
            if system in result:
                axis.axvline(result[system][name], linestyle=style, color="grey", linewidth=1.0)
        for row, system in enumerate(shown):
            own = result[system]
            colour = "tab:orange" if system == "model" else "tab:blue"
            axis.hlines(row, own[f"{name}_low"], own[f"{name}_high"], color=colour, linewidth=3.0, alpha=0.5)
            axis.plot(own[name], row, "o", color=colour, markersize=5.0)
        axis.set_yticks(range(len(shown)), [s.replace("_", " ") for s in shown])
        axis.set_title(name)
    return save_figure(figure, path)


def plot_time_line(speaker: Mapping[str, Values], listeners: Mapping[str, Mapping[str, Values]], path: Path) -> Path:
    """One speaker's smile and speech over what each system does (but noise): smile, and the head's pitch in degrees."""
    shown = {name: own for name, own in listeners.items() if name != "random"}
    figure, axes = new_axes(len(shown) + 1, 1)
    figure.set_size_inches(9, 1.3 * len(axes))
    time = np.arange(len(speaker["smile"])) / REACTION_RATE_HZ
    axes[0, 0].fill_between(time, speaker["speech"], step="mid", alpha=0.2, label="speech")
    axes[0, 0].plot(time, speaker["smile"], label="smile")
    axes[0, 0].set(title="speaker", ylim=(0, 1))
    axes[0, 0].legend()
    for axis, (name, own) in zip(axes[1:, 0], shown.items(), strict=True):
        (smile,) = axis.plot(time, own["smile"])
        axis.set(title=name.replace("_", " "), ylim=(0, 1), ylabel="smile")
        head = axis.twinx()
        (pitch,) = head.plot(time, np.degrees(own["pitch"]), color="tab:orange", linewidth=0.8)
        head.set(ylim=(-15, 15), ylabel="pitch, °")
    if shown:
        axes[1, 0].legend([smile, pitch], ["smile (AU12)", "pitch of the head"], loc="upper right")
    for axis in axes[:-1, 0]:
        axis.tick_params(labelbottom=False)
    axes[-1, 0].set_xlabel("s")
    return save_figure(figure, path)


def plot_controls(figures: Mapping[str, Any], path: Path) -> Path:
    """Each control, and each entry of a style, against what it is measured by, with 95 % intervals."""
    panels = list(sweeps_in(figures))
    figure, axes = new_axes(-(-len(panels) // 4), 4, (3.0, 2.5))
    for axis in axes.flat[len(panels) :]:
        axis.set_axis_off()
    for axis, (of, name, part) in zip(axes.flat, panels, strict=False):
        axis.fill_between(part["values"], part["low"], part["high"], alpha=0.2)
        axis.plot(part["values"], part["mean"], "o-")
        words, style = name.replace("_", " "), of == "style"
        axis.set_xlabel(f"style, {words}: asked" if style else words)
        axis.set_ylabel("found, in the same unit" if style else part["measure"], fontsize="small")
    return save_figure(figure, path)


def plot_backchannels(figures: Mapping[str, Any], annotated: Mapping[str, Any], path: Path) -> Path:
    """Hazard by pause and answers by its length of each system with 95 % intervals, over quantiles of nod shapes.

    Args:
        figures: of every system, of `evaluate backchannels`.
        annotated: "quantiles" of annotated nods by label; may be empty.
        path: of the picture.

    Raises:
        ReactdiffError: it cannot be written.
    """
    nods = {name: of.get("nod_shapes", {}) for name, of in figures.items()}
    shapes = {name: of["quantiles"] for name, of in nods.items() if "quantiles" in of}
    shapes |= {f"{label} (people)": of["quantiles"] for label, of in annotated.items()}
    measures = list(next(iter(shapes.values()), {}))
    figure = new_figure(12.0, 3.4 + (2.8 if measures else 0.0))
    parts = figure.subfigures(2, 1, height_ratios=(1.2, 1.0)) if measures else [figure]
    upper = parts[0].subplots(1, 2)
    for axis, kind, label, unit in zip(
        upper, ("hazard", "answers"), ("pause so far", "length of the pause"), ("a second", "a pause"), strict=True
    ):
        for i, (name, of) in enumerate(figures.items()):
            rows = of[kind]
            values, low, high = (np.array([row[n] for row in rows.values()]) for n in ("value", "low", "high"))
            at = np.arange(len(rows)) + 0.08 * (i - len(figures) / 2)
            error = np.maximum([values - low, high - values], 0.0)
            axis.errorbar(at, values, error, fmt="s-" if name == "people" else "o--", label=name, markersize=4.0)
            axis.set_xticks(range(len(rows)), [n.replace("_", " ") for n in rows], rotation=20, ha="right")
        axis.set(xlabel=label, ylabel=f"responses {unit}", ylim=(0, None))
    if figures:
        upper[0].legend()
    if measures:
        lower = parts[1].subplots(1, len(measures))
        for axis, name in zip(lower, measures, strict=True):
            for row, quantiles in enumerate(of[name] for of in shapes.values()):
                axis.hlines(row, quantiles[0], quantiles[-1], linewidth=1.0)
                axis.hlines(row, quantiles[1], quantiles[-2], linewidth=4.0, alpha=0.5)
                axis.plot(quantiles[2], row, "o", color="tab:orange", markersize=5.0)
            axis.set_yticks(range(len(shapes)), list(shapes) if axis is lower[0] else [""] * len(shapes))
            axis.set_title(name.replace("_", " "))
    return save_figure(figure, path)
