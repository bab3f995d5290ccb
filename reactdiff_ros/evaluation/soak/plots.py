"""Pictures of long runs: memory, threads and files, times, and the distance of voice and picture, over the run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reactdiff_ros.evaluation.plots import new_axes, save_figure


def plot_part(part: Mapping[str, Any], path: Path) -> Path:
    """One run over its own time, legs apart by dotted lines. Raises ReactdiffError when it cannot be written."""
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
