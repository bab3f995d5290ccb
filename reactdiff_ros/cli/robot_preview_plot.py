"""The mapping of a profile as a picture: what moves each joint, how far, along which curves, within which ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from reactdiff_ros.actuation.profile import Profile, Signal
from reactdiff_ros.cli.output import writing
from reactdiff_ros.cli.robot_preview_parts import effects, share
from reactdiff_ros.coefficients import NAMES
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.whole_file import whole_file

UNITS = {"us": "us", "deg": "deg", "rad": "rad", "m": "m", "raw": "counts", "1": ""}
NOTED_JOINTS = 24
"""Up to so many joints the table has its numbers."""
CURVES_A_ROW = 4


def draw_mapping(profile: Profile, path: Path) -> None:
    """Write the picture, whole or not at all; the ending of `path` says its format.

    Raises:
        ReactdiffError: the format is unknown, or the file cannot be written.
    """
    kind = path.suffix.lower().lstrip(".")
    if kind not in ("png", "svg", "pdf"):
        raise ReactdiffError("a picture of this kind cannot be drawn", where=str(path), todo="use .png, .svg or .pdf")
    figure = _figure(profile)
    with writing("the picture", path), whole_file(path) as file:
        figure.savefig(file, format=kind)


def _figure(profile: Profile) -> Any:
    from reactdiff_ros.evaluation.plots import new_figure

    moved = effects(profile)
    used = [c for c in NAMES if any(c in m for m in moved.values())]
    curves = _curves(profile)
    rows = 0.34 * len(profile.joints)
    curve_rows = -(-len(curves) // CURVES_A_ROW)
    heights = [max(rows, 1.2), *[1.9] * curve_rows]
    figure = new_figure(7.5 + 0.33 * max(len(used), 4), sum(heights) + 2.4)
    figure.suptitle(f"{profile.name}: {profile.about}", wrap=True, fontsize=11)
    grid = figure.add_gridspec(len(heights), 1, height_ratios=heights)
    top = grid[0].subgridspec(1, 2, width_ratios=[0.33 * max(len(used), 4), 3.6])
    _table(figure, figure.add_subplot(top[0]), profile, used, moved)
    _ranges(figure.add_subplot(top[1]), profile)
    for row in range(curve_rows):
        cells = grid[1 + row].subgridspec(1, CURVES_A_ROW)
        for column, (name, signal, unit) in enumerate(curves[row * CURVES_A_ROW : (row + 1) * CURVES_A_ROW]):
            _curve(figure.add_subplot(cells[column]), name, signal, unit)
    return figure


def _table(figure: Any, axis: Any, profile: Profile, used: list[str], moved: dict[str, dict[str, float]]) -> None:
    """Joints by coefficients: how much of its way a coefficient at its most moves a joint."""
    shares = np.array([[100 * share(j, moved[n].get(c, 0.0)) for c in used] for n, j in profile.joints.items()])
    shares = shares.reshape(len(profile.joints), len(used))
    image = axis.imshow(np.where(shares == 0.0, np.nan, shares), cmap="coolwarm", vmin=-100, vmax=100, aspect="auto")
    axis.set_xticks(range(len(used)), used, rotation=90, fontsize=8)
    axis.set_yticks(range(len(profile.joints)), list(profile.joints), fontsize=8)
    axis.set_xticks(np.arange(-0.5, len(used)), minor=True)
    axis.set_yticks(np.arange(-0.5, len(profile.joints)), minor=True)
    axis.grid(which="minor", color="0.9", linewidth=0.6)
    axis.tick_params(which="minor", length=0)
    if len(profile.joints) <= NOTED_JOINTS:
        for (row, column), value in np.ndenumerate(shares):
            if value:
                colour = "white" if abs(value) > 70 else "black"
                axis.text(column, row, f"{value:.0f}", ha="center", va="center", fontsize=6, color=colour)
    bar = figure.colorbar(image, ax=axis, location="bottom", shrink=0.6, aspect=40, pad=0.02)
    bar.set_label("% of the way from neutral to the limit, at 1, 0.6 rad or 0.15 m", fontsize=8)
    bar.ax.tick_params(labelsize=7)


def _ranges(axis: Any, profile: Profile) -> None:
    """Ends and neutral of every joint, each on its own scale."""
    for row, joint in enumerate(profile.joints.values()):
        at = (joint.neutral - joint.lower) / (joint.upper - joint.lower)
        axis.barh(row, 1.0, height=0.34, color="0.88")
        axis.plot([at, at], [row - 0.3, row + 0.3], color="#1c8f82", linewidth=2.5)
        unit = " " * bool(UNITS[joint.unit]) + UNITS[joint.unit]
        axis.text(-0.03, row, f"{joint.lower:g}", ha="right", va="center", fontsize=7)
        axis.text(1.03, row, f"{joint.upper:g}{unit}, {joint.limits.speed:g}/s", ha="left", va="center", fontsize=7)
        axis.text(at, row - 0.33, f"{joint.neutral:g}", ha="center", va="bottom", fontsize=6, color="#1c8f82")
    axis.set(xlim=(-0.35, 2.0), ylim=(len(profile.joints) - 0.5, -0.5))
    axis.set_title("ends, neutral, largest speed", fontsize=9)
    axis.axis("off")


def _curves(profile: Profile) -> list[tuple[str, Signal, str]]:
    signals = [(name, s, "") for name, s in profile.signals.items() if s.curve is not None]
    joints = [(n, j.map, UNITS[j.unit]) for n, j in profile.joints.items() if j.map.curve is not None]
    return [*signals, *joints]


def _curve(axis: Any, name: str, signal: Signal, unit: str) -> None:
    x, y = np.array(signal.curve or ((0.0, 0.0), (1.0, 0.0))).T
    beyond = 0.1 * (x[-1] - x[0])
    axis.axhline(0.0, color="0.8", linewidth=0.8)
    axis.plot([x[0] - beyond, *x, x[-1] + beyond], [y[0], *y, y[-1]], color="#7d5fc4")
    axis.plot(x, y, "o", color="#7d5fc4", markersize=3.5)
    axis.set_title(f"{name}: curve", fontsize=9)
    axis.set_xlabel("weighted sum", fontsize=8)
    axis.set_ylabel(f"from neutral, {unit}" if unit else "value", fontsize=8)
    axis.tick_params(labelsize=7)
