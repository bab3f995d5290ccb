"""The picture of the page of benchmarks: the cost of a plan (`bench model`)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from reactdiff_ros.evaluation.plots import new_axes, save_figure

_PANELS: Final = (
    ("steps", "steps of the denoiser"),
    ("candidates", "candidates K"),
    ("listeners", "listeners in one batch"),
    ("frames", "frames of a plan (25 a second)"),
)
_RATE_HZ: Final = 25


def plot_costs(result: Mapping[str, Any], path: Path) -> Path:
    """Plan time against steps, candidates, listeners and length, and encoder time against the window that was seen.

    Args:
        result: of `bench model`, with rows.
        path: of the picture.

    Raises:
        ReactdiffError: it cannot be written.
    """
    figure, axes = new_axes(2, 3)
    for axis, (sweep, label) in zip(axes.flat, _PANELS, strict=False):
        for backend, rows in _by_backend([r for r in result["rows"] if r["sweep"] == sweep]).items():
            x = [row[sweep] for row in rows]
            (line,) = axis.plot(x, [row["plan_ms"]["p50"] for row in rows], "o-", label=backend)
            axis.plot(x, [row["plan_ms"]["p99"] for row in rows], ":", color=line.get_color())
        axis.set(xlabel=label, ylabel="plan, ms (dotted: p99)")
        axis.set_ylim(bottom=0)
    window = axes.flat[len(_PANELS)]
    for backend, rows in _by_backend(result["seen"]).items():
        seconds = [row["frames_seen"] / _RATE_HZ for row in rows]
        window.plot(seconds, [row["encoder_frame_ms"]["p50"] for row in rows], "o-", label=backend)
    window.set(xlabel="window of the speaker that was seen, s", ylabel="encoder, ms a new frame", xscale="log")
    window.set_ylim(0, 1.5 * window.get_ylim()[1])
    window.legend()
    axes.flat[-1].set_visible(False)
    return save_figure(figure, path)


def _by_backend(rows: list[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    out: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        out.setdefault(f"{row['backend']} {row['precision']}", []).append(row)
    return out
