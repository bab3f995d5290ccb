"""docs/ablations.md from what `evaluate ablations` printed, with and without --sweep."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from reactdiff_ros.cli.markdown import EARLIER_CODE, figure, generated, markdown_table
from reactdiff_ros.errors import MediaError

PICTURE: Final = "images/ablations.png"
_LEFT_OUT: Final = {
    "face": "the speaker's face", "history": "disturbed and played history", "randomisation": "errors of perception",
    "real": "recorded people", "voice": "the speaker's voice",
}  # fmt: skip
_NO_PERSON: Final = {"voices", "expression_names"}
"""Data of a run that are no recorded people."""
_Kind = TypeVar("_Kind")
_SETTINGS: Final = ("steps", "batch", "pool_steps", "learning_rate")
_INTRODUCTION = """\
The same networks were {trained} with all of their material and with one part of it left out, several times each with
other seeds; all of them then listen to the same held-out simulated speakers with the same noise. A difference to the
full networks that is smaller than the standard deviation between training seeds is called **none**: another seed would
do as much. Speakers and their listeners are simulated, so this tells what a part is worth for following the simulator's
listeners from noisy perception, and nothing of what people would say. Nods are the networks' own, without the head for
nods that the shipped weights have. What each figure is:
[evaluation.md](evaluation.md#reactdiff-evaluate-ablations)."""
_SWEEP = """\
Networks as they are, sampled with fewer steps of the solver, and with a plan that begins at what the last plan said
(warm start) instead of on the noise tape. Coupling and reliance are to be read beside the variances: a face that does
little else follows its speaker closely. In use are 8 steps on the tape:
[model.md](model.md#how-the-samplers-settings-were-chosen)."""

_ONWARD = """\
Going on says less than training from nothing (`make ablations` without `FROM`), which is still to be measured: what
the networks had learnt of a part before is forgotten only as far as so short a training forgets it."""
_NO_PEOPLE = """ They had met no recorded
people before, so "full" adds these, and "without" is the same training without them."""


@dataclass(frozen=True, slots=True)
class Summary:
    """A figure over training seeds."""

    mean: float
    sd: float | None


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure without a part less that of the full networks."""

    difference: float
    verdict: str


@dataclass(frozen=True, slots=True)
class Run:
    """A run of training: the settings that were not the defaults, its steps, and of what besides simulated dyads."""

    settings: dict[str, Any]
    steps: int
    data: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Compared:
    """What `evaluate ablations` prints."""

    size: str
    groups: dict[str, dict[str, Summary]]
    without: dict[str, dict[str, Difference]]
    training: list[Run]
    code: str | None = None
    """Of the model, see `evaluation.evidence.model_code`; None: older than that it was kept."""


@dataclass(frozen=True, slots=True)
class Swept:
    """What `evaluate ablations --sweep` prints."""

    size: str
    sweep: dict[str, dict[str, Summary]]
    seeds: int
    weights: str | None = None
    """Name and digest of the networks, where they are one set."""
    code: str | None = None
    """As of `Compared`."""


def compared(told: Mapping[str, Any]) -> Compared:
    """Raises KeyError, TypeError, ValueError or AttributeError where `told` is nothing of that kind."""
    without = {
        group: {name: Difference(float(r["difference"]), str(r["verdict"])) for name, r in rows.items()}
        for group, rows in told["without"].items()
    }
    runs = [
        Run(dict(run["settings"]), int(run["steps"]), tuple(map(str, run.get("data", ())))) for run in told["training"]
    ]
    return Compared(_size(told), _summaries(told["groups"]), without, runs, told.get("code"))


def swept(told: Mapping[str, Any]) -> Swept:
    """Raises KeyError, TypeError, ValueError or AttributeError where `told` is nothing of that kind."""
    one = told.get("weights")  # a list of several
    name = f"{one['name']}, {one['digest']}" if isinstance(one, Mapping) and one else None
    return Swept(_size(told), _summaries(told["sweep"]), len(told["training_seeds"]), name, told.get("code"))


def read_compared(path: Path) -> Compared:
    """What `evaluate ablations --json` printed into `path`.

    Raises:
        MediaError: it is no such file.
    """
    return _read(path, compared, "")


def read_swept(path: Path) -> Swept:
    """What `evaluate ablations --sweep --json` printed into `path`.

    Raises:
        MediaError: it is no such file.
    """
    return _read(path, swept, " --sweep")


def ablations_page(found: Compared, sweeps: Sequence[Swept] = (), picture: str | None = None, *, code: str) -> str:
    """The page, with a table for each of `sweeps`.

    Args:
        found: the comparison.
        sweeps: of the sampler.
        picture: link to one of the figures, if any.
        code: the model's of today, of `evaluation.evidence.model_code`.
    """
    lines = ["# What parts of the training are worth", "", generated("make docs"), "", *_compared(found, picture, code)]
    if sweeps:
        lines += ["", "## Steps, noise tape and warm start", "", *_SWEEP.splitlines()]
    for result in sweeps:
        lines += ["", *_swept(result, code)]
    return "\n".join(lines) + "\n"


def figures_of(found: Compared) -> dict[str, dict[str, tuple[float, float]]]:
    """Mean and deviation between training seeds (0 of one seed) by name of the figure and group."""
    groups = found.groups
    return {
        name: {group: (row[name].mean, row[name].sd or 0.0) for group, row in groups.items()}
        for name in next(iter(groups.values()))
    }


def _read(path: Path, made: Callable[[Mapping[str, Any]], _Kind], options: str) -> _Kind:
    try:
        return made(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise MediaError(
            "this file holds no comparison of networks", where=str(path),
            todo=f"make it with 'reactdiff evaluate ablations ...{options} --json'",
        ) from error  # fmt: skip


def _summaries(groups: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Summary]]:
    """Figures by group and name, without the lists that tell which networks a group has."""
    if not groups:
        raise ValueError
    return {
        group: {
            name: Summary(float(value["mean"]), None if value["sd"] is None else float(value["sd"]))
            for name, value in row.items()
            if isinstance(value, dict)
        }
        for group, row in groups.items()
    }


def _size(told: Mapping[str, Any]) -> str:
    return f"{int(told['items'])} speakers of {figure(float(told['seconds']))} s, simulator `{told['simulator']}`"


def _compared(result: Compared, picture: str | None, code: str) -> list[str]:
    groups = result.groups
    names = next(iter(groups.values()))
    left_out = [f"without {_LEFT_OUT.get(name, name)}" for name in result.without]
    shown = [] if picture is None else ["", f"![Figures of the full networks and of those without a part]({picture})"]
    before = result.training[:-1]
    introduction = _INTRODUCTION.format(trained="trained on" if before else "trained")
    return [
        *introduction.splitlines(), "", *_onward(before),
        f"{result.size}{_trained(result.training)}.{_age(result.code, code)}", "",
        *markdown_table(
            ("figure", "full", *left_out),
            ((name, *(_mean(group[name]) for group in groups.values())) for name in names),
        ),
        "", "Means with the standard deviation between training seeds. Less the full networks:", "",
        *markdown_table(
            ("figure", *left_out), ((name, *(_gap(rows[name]) for rows in result.without.values())) for name in names)
        ),
        *shown,
    ]  # fmt: skip


def _swept(result: Swept, code: str) -> list[str]:
    names = next(iter(result.sweep.values()))
    if result.seeds > 1:
        of = f"The full networks above with {result.seeds} training seeds, means with the deviation between them"
    else:
        of = f"One set of networks ({result.weights})" if result.weights else "One set of networks"
    return [
        f"{of}; {result.size}.{_age(result.code, code)}", "",
        *markdown_table(
            ("setting", *names),
            ((setting, *(_mean(cell[name]) for name in names)) for setting, cell in result.sweep.items()),
        ),
    ]  # fmt: skip


def _age(measured: str | None, today: str) -> str:
    return "" if measured == today else f" {EARLIER_CODE}"


def _onward(before: Sequence[Run]) -> list[str]:
    """What networks that were trained on can say; nothing of networks trained from nothing."""
    if not before:
        return []
    people = any({*run.data} - _NO_PERSON for run in before)
    return [*(_ONWARD + ("" if people else _NO_PEOPLE)).splitlines(), ""]


def _trained(runs: Sequence[Run]) -> str:
    """How: the settings of the last run of training, and whether it went on from an earlier one."""
    if not runs:
        return ""
    *before, last = runs
    told = ", ".join(f"{name.replace('_', ' ')} {last.settings[name]:g}" for name in _SETTINGS if name in last.settings)
    onward = f", beginning with networks that {sum(run.steps for run in before)} steps had taught"
    return f"; each trained with {told or 'the defaults'}{onward if before else ''}"


def _mean(summary: Summary) -> str:
    return figure(summary.mean) + ("" if summary.sd is None else f" ± {figure(summary.sd, 2)}")


def _gap(row: Difference) -> str:
    gap = f"{'+' if row.difference > 0 else ''}{figure(row.difference)}"
    return f"none ({gap})" if row.verdict == "none" else f"**{row.verdict}** ({gap})"
