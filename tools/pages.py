"""The generated pages: Jinja2 templates (docs/templates) filled with measured figures or any other values.

The templates are Markdown. An undefined value is an error. Besides Jinja2's own filters they have `figure`, `cell`,
`duration` and `words`, and the functions `interval` and `pair`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import jinja2
import numpy as np

from reactdiff_ros.errors import ReactdiffError, explained
from reactdiff_ros.evaluation.bounds import figure, judge, passed
from reactdiff_ros.evaluation.plots import new_axes, new_figure, save_figure
from reactdiff_ros.evaluation.studies.evidence import FORMAT
from reactdiff_ros.model.backends.weights import CARD, MANIFEST, find_weights

FIGURES = {
    "benchmarks": "make bench", "reliability": "make faults", "soak": "make soak",
    "ablations": "reactdiff evaluate ablations --json", "evidence": "reactdiff evaluate evidence",
}  # fmt: skip
"""Pages that are made from a file of figures of the same name, and what measures these."""
TEMPLATES = Path(__file__).resolve().parents[1] / "docs" / "templates"
_MISFITS = (jinja2.TemplateError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What a template or a plot raises on figures of another form."""


def page(name: str, path: Path, folder: Path | None = None, sweeps: tuple[Path, ...] = ()) -> str:
    """The page of a file of figures, as Markdown.

    Args:
        name: of the page, one of FIGURES.
        path: the file; sweeps of ablations (sweep*.json) and evidence of other speakers (evidence_others.json) next to
            it are shown too.
        folder: where the page will be; pictures are drawn into images/ in it, and those that are there are shown.
        sweeps: show these instead of the ones next to the file.

    Raises:
        ReactdiffError: a file cannot be read, or does not hold what the page shows.
    """
    figures, more = read(path, name), {}
    try:
        if name == "evidence":
            more = _judged(figures, path)
        elif name == "ablations":
            more = {"sweeps": [read(file, name) for file in sweeps or sorted(path.parent.glob("sweep*.json"))]}
        if folder is not None:
            draw(name, figures, folder / "images")
    except _MISFITS as error:
        raise _misfit(path, name) from error
    pictures = {picture.name for picture in (folder / "images").glob("*.png")} if folder is not None else set()
    return render(name, where=path, figures=figures, pictures=pictures, **more)


def model_card(path: Path, folder: Path, trained_on: str = "") -> str:
    """The model card of the weights in `folder`, from the evidence at `path`.

    Args:
        path: evidence.json; evidence_others.json next to it is counted too.
        folder: of the weights.
        trained_on: hardware, time and versions of the training.

    Raises:
        ReactdiffError: the evidence or the weights cannot be read, do not belong together, or lack what the card shows.
    """
    weights, evidence = find_weights(folder), read(path, "evidence")
    manifest = json.loads((weights.folder / MANIFEST).read_text(encoding="utf-8"))
    if not manifest.get("training"):
        raise ReactdiffError(
            "the manifest does not say how the weights were trained", where=str(weights.folder / MANIFEST),
            todo="write it again with 'reactdiff dev export'",
        )  # fmt: skip
    if weights.nods is not None:
        manifest["nods"] = json.loads((weights.folder / CARD).read_text(encoding="utf-8"))
    try:
        if evidence["weights"]["digest"] != weights.digest:
            raise ReactdiffError(
                f"the evidence is of weights {evidence['weights']['digest']}, the card would be of {weights.digest}",
                todo="run 'reactdiff evaluate evidence' on these weights",
            )
        more = _judged(evidence, path)
    except _MISFITS as error:
        raise _misfit(path, "evidence") from error
    return render(
        "model_card", where=path, figures=evidence, manifest={**manifest, "digest": weights.digest}, **more,
        trained_on=trained_on,
    )  # fmt: skip


def _judged(evidence: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The verdicts on evidence, and the evidence of other speakers next to it with its own.

    Raises:
        ReactdiffError: evidence_others.json is of other weights.
    """
    others, other_file = None, path.with_name("evidence_others.json")
    if other_file.is_file():
        others = read(other_file, "evidence")
        if others["weights"]["digest"] != evidence["weights"]["digest"]:
            raise ReactdiffError("this evidence is of other weights", where=str(other_file), todo="move it away")
        others["verdicts"] = [v for v in judge(others["parts"]) if v.bound.part in others["parts"]]
    return {"verdicts": judge(evidence["parts"]), "others": others}


def draw(name: str, figures: Mapping[str, Any], folder: Path) -> None:
    """Draw the pictures of a page; those of the evidence were drawn when it was measured."""
    if name == "benchmarks":
        for number, entry in enumerate(figures.get("model", [])):
            plot_costs(entry["result"], folder / f"benchmarks_cost_{number}.png")
    elif name == "ablations":
        groups = figures["groups"]
        names = [key for key, value in groups["full"].items() if isinstance(value, dict)]
        summaries = {n: {g: (row[n]["mean"], row[n]["sd"] or 0.0) for g, row in groups.items()} for n in names}
        plot_summaries(summaries, folder / "ablations.png")


_PANELS: Final = {
    "steps": "steps of the denoiser", "candidates": "candidates K", "listeners": "listeners in one batch",
    "frames": "frames of a plan (25 a second)",
}  # fmt: skip
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
    for axis, (sweep, label) in zip(axes.flat, _PANELS.items(), strict=False):
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


def plot_summaries(figures: Mapping[str, Mapping[str, tuple[float, float]]], path: Path) -> Path:
    """A panel for each figure: mean and deviation of every group; the band of the first group runs through."""
    columns = (len(figures) + 1) // 2
    figure = new_figure(2.6 * columns, 5.6)
    axes = figure.subplots(2, columns, squeeze=False)
    for axis, (name, groups) in zip(axes.flat, figures.items(), strict=False):
        at, (means, deviations) = np.arange(len(groups)), np.array(list(groups.values())).T
        axis.axhspan(means[0] - deviations[0], means[0] + deviations[0], alpha=0.15)
        axis.errorbar(at, means, deviations, fmt="o", capsize=3)
        axis.set(title=name, xticks=at)
        axis.set_xticklabels([("no " if i else "") + group for i, group in enumerate(groups)], rotation=60, ha="right")
        axis.margins(y=0.2)
    for axis in axes.flat[len(figures) :]:
        axis.remove()
    return save_figure(figure, path)


def read(path: Path, name: str) -> dict[str, Any]:
    """The figures of a page.

    Raises:
        ReactdiffError: there is no such file, or it is not a JSON object of this format.
    """
    wrong, todo = (OSError, ValueError, RecursionError), f"measure them with '{FIGURES[name]}'"
    with explained(wrong, "the figures cannot be read", where=path, todo=todo):
        figures = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(figures, dict) or figures.get("format", FORMAT) != FORMAT:
        raise _misfit(path, name)
    return figures


def render(template: str, where: Path | None = None, **values: Any) -> str:
    """A filled template.

    Raises:
        ReactdiffError: the values, which were read from the file `where`, do not fit the template.
    """
    try:
        text = _environment().get_template(f"{template}.md.j2").render(values)
    except _MISFITS as error:
        if where is None:
            raise
        raise _misfit(where, template) from error
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, autoescape=False,
    )  # fmt: skip
    environment.filters |= {"figure": figure, "cell": cell, "duration": duration, "words": words}
    environment.globals |= {"interval": interval, "pair": pair, "passed": passed}
    return environment


def cell(text: object) -> str:
    """Text for a cell of a table."""
    escaped = " ".join(str(text).split()).replace("|", "\\|")
    return escaped if "`" in escaped else escaped.replace("<", "&lt;")


def words(name: str) -> str:
    """A name of the figures as words."""
    return name.replace("_", " ")


def duration(seconds: float) -> str:
    """A duration in seconds, minutes, or hours and minutes."""
    if seconds < 120:
        return f"{figure(seconds)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def interval(row: Mapping[str, Any], name: str, value: float | None = None) -> str:
    """The figure `name` of a row, or `value`, with its interval if the row has one: "0.61 (0.52 to 0.70)"."""
    low, high = (row.get(f"{name}_{end}", row.get(end)) for end in ("low", "high"))
    shown = figure(row[name] if value is None else value)
    return shown if low is None or high is None else f"{shown} ({figure(low)} to {figure(high)})"


def pair(value: Mapping[str, float] | None, digits: int = 3) -> str:
    """Median and 99th percentile."""
    return "none" if value is None else f"{figure(value['p50'], digits)} / {figure(value['p99'], digits)}"


def _misfit(path: Path, name: str) -> ReactdiffError:
    return ReactdiffError(
        "these are not the figures of this page", where=str(path),
        todo=f"measure them with '{FIGURES.get(name, 'reactdiff evaluate evidence')}'",
    )  # fmt: skip
