"""docs/ablations.md from what `evaluate ablations` printed, with and without --sweep."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, Field

from reactdiff_ros.cli.markdown import figure, generated, markdown_table
from reactdiff_ros.errors import MediaError

PICTURE: Final = "images/ablations.png"
_LEFT_OUT: Final = {
    "face": "the speaker's face", "history": "disturbed and played history", "randomisation": "errors of perception",
    "real": "recorded people", "voice": "the speaker's voice",
}  # fmt: skip
_SETTINGS: Final = ("steps", "batch", "pool_steps", "learning_rate")
_INTRODUCTION = """\
The same networks were trained with all of their material and with one part of it left out, several times each with
other seeds; all of them then listen to the same held-out simulated speakers with the same noise. A difference to the
full networks that is smaller than the standard deviation between training seeds is called **none**: another seed would
do as much. Speakers and their listeners are simulated, so this tells what a part is worth for following the simulator's
listeners from noisy perception, and nothing of what people would say. Nods are the networks' own, without the head for
nods that the shipped weights have. What each figure is:
[evaluation.md](evaluation.md#reactdiff-evaluate-ablations)."""
_SWEEP = """\
The sampler of the same networks, with fewer steps of the solver, and with a plan that begins at what the last plan said
(warm start) instead of on the noise tape. In use are 8 steps on the tape:
[model.md](model.md#how-the-samplers-settings-were-chosen)."""


class Summary(BaseModel):
    """A figure over training seeds."""

    mean: float
    sd: float | None


class Difference(BaseModel):
    """A figure without a part less that of the full networks."""

    difference: float
    verdict: str


class Run(BaseModel):
    """A run of training: the settings that were not the defaults, and its steps."""

    settings: dict[str, Any]
    steps: int


class _Result(BaseModel):
    items: int
    seconds: float
    simulator: str


_Kind = TypeVar("_Kind", bound=_Result)


class Compared(_Result):
    """What `evaluate ablations` prints."""

    groups: dict[str, dict[str, Summary | list[Any]]] = Field(min_length=1)
    without: dict[str, dict[str, Difference]]
    training: list[Run]


class Swept(_Result):
    """What `evaluate ablations --sweep` prints."""

    sweep: dict[str, dict[str, Summary]] = Field(min_length=1)
    training_seeds: list[int]


def read_compared(path: Path) -> Compared:
    """What `evaluate ablations --json` printed into `path`.

    Raises:
        MediaError: it is no such file.
    """
    return _read(path, Compared, "")


def read_swept(path: Path) -> Swept:
    """What `evaluate ablations --sweep --json` printed into `path`.

    Raises:
        MediaError: it is no such file.
    """
    return _read(path, Swept, " --sweep")


def ablations_page(compared: Compared, swept: Swept | None = None, picture: str | None = None) -> str:
    """The page; `picture`: link to one of the figures, if any."""
    lines = ["# What parts of the training are worth", "", generated("make docs"), "", *_compared(compared, picture)]
    return "\n".join([*lines, *([] if swept is None else ["", *_swept(swept)])]) + "\n"


def figures_of(compared: Compared) -> dict[str, dict[str, tuple[float, float]]]:
    """Mean and deviation between training seeds (0 of one seed) by name of the figure and group."""
    groups = _summaries(compared)
    return {
        name: {group: (row[name].mean, row[name].sd or 0.0) for group, row in groups.items()}
        for name in next(iter(groups.values()))
    }


def _read(path: Path, kind: type[_Kind], options: str) -> _Kind:
    try:
        found = kind.model_validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise MediaError(
            "this file holds no comparison of networks", where=str(path),
            todo=f"make it with 'reactdiff evaluate ablations ...{options} --json'",
        ) from error  # fmt: skip
    return found


def _summaries(compared: Compared) -> dict[str, dict[str, Summary]]:
    """Figures by group and name, without the lists that tell which networks a group has."""
    return {
        group: {name: value for name, value in row.items() if isinstance(value, Summary)}
        for group, row in compared.groups.items()
    }


def _compared(result: Compared, picture: str | None) -> list[str]:
    groups = _summaries(result)
    names = next(iter(groups.values()))
    left_out = [f"without {_LEFT_OUT.get(name, name)}" for name in result.without]
    shown = [] if picture is None else ["", f"![Figures of the full networks and of those without a part]({picture})"]
    return [
        *_INTRODUCTION.splitlines(), "", f"{_size(result)}{_trained(result.training)}.", "",
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


def _swept(result: Swept) -> list[str]:
    names = next(iter(result.sweep.values()))
    seeds = len(result.training_seeds)
    of = f"{seeds} training seeds (means with the deviation between them)" if seeds > 1 else "one training seed"
    return [
        "## Steps, noise tape and warm start", "", *_SWEEP.splitlines(), "", f"{_size(result)}, {of}.", "",
        *markdown_table(
            ("setting", *names),
            ((setting, *(_mean(cell[name]) for name in names)) for setting, cell in result.sweep.items()),
        ),
    ]  # fmt: skip


def _size(result: _Result) -> str:
    return f"{result.items} speakers of {figure(result.seconds)} s, simulator `{result.simulator}`"


def _trained(runs: Sequence[Run]) -> str:
    """How: the settings of the last run of training, and whether it went on from an earlier one."""
    if not runs:
        return ""
    *before, last = runs
    told = ", ".join(f"{name.replace('_', ' ')} {last.settings[name]:g}" for name in _SETTINGS if name in last.settings)
    onward = f", beginning with networks that {sum(run.steps for run in before)} steps had taught everything"
    return f"; each trained with {told or 'the defaults'}{onward if before else ''}"


def _mean(summary: Summary) -> str:
    return figure(summary.mean) + ("" if summary.sd is None else f" ± {figure(summary.sd, 2)}")


def _gap(row: Difference) -> str:
    gap = f"{'+' if row.difference > 0 else ''}{figure(row.difference)}"
    return f"none ({gap})" if row.verdict == "none" else f"**{row.verdict}** ({gap})"
