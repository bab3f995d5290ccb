"""Pictures of the generated pages: the cost of a plan (`bench model`) and long runs (`bench soak`)."""

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


def plot_long_run(part: Mapping[str, Any], path: Path) -> Path:
    """Memory, threads and files, times, and the offset of voice and picture over a long run; dotted: new legs.

    Raises ReactdiffError when the picture cannot be written.
    """
    curves = part["curves"]
    minutes = curves["at_min"]
    figure, axes = new_axes(2, 2)
    memory, held, times, apart = axes.flat
    for name, values in curves["memory_mb"].items():
        first = next((v for v in values if v), None)
        if first is not None:
            memory.plot(minutes, [None if v is None else 100.0 * v / first for v in values], label=name)
    memory.set(ylabel="resident memory, % of the first minute")
    for name in curves["threads"]:
        (line,) = held.plot(minutes, curves["threads"][name])
        held.plot(minutes, curves["files"][name], ":", color=line.get_color())
    held.set(ylabel="threads (dotted: open files)")
    for name in curves["p50_ms"]:
        (line,) = times.plot(minutes, curves["p99_ms"][name], label=f"{name}, p99")
        times.plot(minutes, curves["p50_ms"][name], "--", color=line.get_color(), label=f"{name}, p50")
    times.set(ylabel="ms")
    times.set_ylim(bottom=0)
    load = times.twinx()
    load.plot(minutes, curves["load"], color="black", linewidth=0.6, alpha=0.5)
    load.set(ylabel="load of the machine (thin)")
    load.set_ylim(bottom=0)
    apart.plot(minutes, curves["apart_ms"])
    apart.set(ylabel="picture's stamp less the voice's, ms")
    for axis in (memory, times):
        if axis.get_legend_handles_labels()[0]:
            axis.legend(fontsize="x-small")
    for axis in axes.flat:
        axis.set(xlabel="time of the run, min")
        for i in range(1, len(minutes)):
            if curves["leg"][i] != curves["leg"][i - 1]:
                axis.axvline(minutes[i], color="black", linewidth=0.8, linestyle=":")
    return save_figure(figure, path)
