"""Sections of docs/benchmarks.md: the published model beside ours, the model by backend, what 40 ms cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from reactdiff_ros.cli.markdown import figure, markdown_table

PICTURE: Final = "images/benchmarks_cost_{}.png"
"""Beside the page, by the number of the machine."""
_RATIOS: Final = {
    "eager_same_steps": "a generated second at the same steps, both in torch eager",
    "best_cpu_same_steps": "the same, each in its fastest runtime on the CPU",
    "eager_default_steps": "a generated second, the paper's in torch eager, ours at our default steps",
    "ten_samples_30s": "ten samples of a clip of 30 s, the paper's in its fastest runtime, ours at our default steps",
}
_SWEEPS: Final = {
    "steps": "steps", "candidates": "candidates", "listeners": "listeners", "frames": "frames of a plan",
}  # fmt: skip


def machine(hardware: Mapping[str, Any]) -> str:
    """One machine in words."""
    ros = f", ROS {hardware['ros']}" if hardware.get("ros") else ""
    return (
        f"{hardware['cpu']}, {hardware['cores']} cores, {hardware['memory_gb']} GB, {hardware['gpu'] or 'no GPU'}, "
        f"{hardware['system']}{ros}"
    )


def _headed(entry: Mapping[str, Any]) -> list[str]:
    return ["", f"{entry['date']}, commit {entry['commit']}: {machine(entry['hardware'])}.", ""]


def compute_section(live: Sequence[Mapping[str, Any]]) -> list[str]:
    """What 40 ms of live time cost, of the runs that tell it."""
    known = [run for run in live if run["result"].get("compute")]
    if not known:
        return []
    rows = []
    for run in known:
        told, missed = run["result"]["compute"], run["result"].get("missed_deadlines")
        pairs = [_pair(told[f"{name}_ms"]) for name in ("compute", "burst", "perception", "encoder", "plan")]
        rows.append((run["clip"], *pairs, "none" if missed is None else f"{missed['count']} of {missed['of']}"))
    return [
        "",
        "What 40 ms of live time cost (p50 / p99, ms; definitions: "
        "[reactdiff_ros/evaluation/bench/compute.py](../reactdiff_ros/evaluation/bench/compute.py)): compute is "
        "perception, encoder and the share of the plans, burst the same with each plan's whole time where it is drawn.",
        "",
        *markdown_table(
            ("clip", "compute", "burst", "perception", "encoder", "a plan", "missed deadlines of the graph"), rows
        ),
    ]


def reference_section(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """The published model beside ours, machine by machine."""
    if not entries:
        return []
    lines = [
        "",
        "## The published model beside ours",
        "",
        "The `paper` preset at its published shapes with 20 steps, and ours, on the same threads, in turn; medians. "
        "Definitions: [reactdiff_ros/evaluation/bench/reference.py](../reactdiff_ros/evaluation/bench/reference.py).",
    ]
    for entry in entries:
        told = entry["result"]
        paper, ours = told["paper"], told["ours"]
        lines += [
            *_headed(entry),
            f"{told['threads']} threads, torch {told['torch']}, ONNX Runtime {told['onnxruntime']}, load before "
            f"{told['load_before']:g}. Parameters: {paper['parameters']['total'] / 1e6:.0f} M in the paper's, "
            f"{sum(ours['parameters'].values()) / 1e6:.1f} M in ours ({ours['weights']}).",
            "",
            *markdown_table(
                ("the paper's time over ours", "measured", "asked"),
                ((text, f"{figure(told['ratios'][name])} times", f"{told['asked'][name]:g}")
                 for name, text in _RATIOS.items() if told["ratios"].get(name) is not None),
            ),
            "",
            *markdown_table(
                ("who", "runtime", "a generated second, ms", "a step of a window, ms", "encoder, ms", "decoder, ms"),
                _reference_rows(told),
            ),
            "",
            *(f"Note: {note}." for note in told["notes"]),
            "",
            "```bash", entry["command"], "```",
        ]  # fmt: skip
    return lines


def _reference_rows(told: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    sides = (
        (f"paper, {told['steps']} steps", told["paper"]),
        (f"paper, {told['steps']} steps, {told['samples']} samples", told["paper"]["ten_samples"]),
        (f"ours, {told['steps']} steps", told["ours"]),
        (f"ours, {told['default_steps']} steps (default)", told["ours"]["default_steps"]),
    )
    for who, side in sides:
        for runtime, seconds in side["seconds_per_generated_second"].items():
            parts = (side[name][runtime] for name in ("step_ms", "encode_ms", "decode_ms"))
            yield (who, runtime, figure(1e3 * seconds), *(figure(value) for value in parts))


def model_section(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """The model by backend, machine by machine."""
    if not entries:
        return []
    lines = [
        "",
        "## The model by backend",
        "",
        "A plan of all candidates and one new frame of each listener through the encoder, one thing varied at a time, "
        "the rest as live with one candidate and one listener. Times real time: how often a plan and the frames of a "
        "hop (0.16 s) fit into it, for all listeners together. Definitions: "
        "[reactdiff_ros/evaluation/bench/matrix.py](../reactdiff_ros/evaluation/bench/matrix.py).",
    ]
    for number, entry in enumerate(entries):
        told = entry["result"]
        absent = [f"{name}: {reason}" for name, reason in told.get("absent", {}).items()]
        lines += [
            *_headed(entry),
            f"{told['threads']} thread{'s' if told['threads'] != 1 else ''} on the CPU, weights {told['weights']}.",
            "",
            f"![cost against steps, candidates, listeners, frames of a plan and window]({PICTURE.format(number)})",
            "",
            *markdown_table(
                ("backend", "precision", "varied", "plan p50 / p99, ms", "frame p50 / p99, ms", "plans a second",
                 "times real time", "memory, MB", "GPU memory, MB"),
                (_model_row(row) for row in told.get("rows", [])),
            ),
        ]  # fmt: skip
        if absent:
            lines += ["", "Not here: " + "; ".join(absent) + "."]
        lines += ["", "```bash", entry["command"], "```"]
    return lines


def _model_row(row: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        row["backend"], row["precision"], f"{row[row['sweep']]} {_SWEEPS[row['sweep']]}", _pair(row["plan_ms"]),
        _pair(row["encoder_frame_ms"]), figure(row["plans_per_s"]), figure(row["times_real_time"]),
        figure(row["rss_mb"]), figure(row["gpu_mb"]),
    )  # fmt: skip


def _pair(value: Mapping[str, Any] | None) -> str:
    return "none" if value is None else f"{figure(value['p50'])} / {figure(value['p99'])}"
