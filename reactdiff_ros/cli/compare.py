"""`reactdiff compare`: two results, and which of their figures differ by more than chance."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reactdiff_ros.cli import evaluation_options as options
from reactdiff_ros.cli.output import echo

if TYPE_CHECKING:
    from reactdiff_ros.evaluation.report.tables import Comparison

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("first", type=_FILE, metavar="A")
@click.argument("second", type=_FILE, metavar="B")
@click.option("--system-a", metavar="NAME", help="System of A (the one under test).")
@click.option("--system-b", metavar="NAME", help="System of B (the one under test).")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True, help="Of the resamples.")
@options.JSON
def compare(first: Path, second: Path, system_a: str | None, system_b: str | None, seed: int, as_json: bool) -> int:
    """Compare two result files, with 95 % intervals.

    What B does otherwise than A: every figure that both have, with 95 % intervals of the difference.

    Recordings are matched by their ids and drawn in pairs by bootstrap; without matches each run is drawn for itself.
    A difference whose interval holds 0 is called none. Two systems of one result: name it twice, with --system-b.
    """
    from reactdiff_ros.cli.output import json_on_stdout
    from reactdiff_ros.evaluation.report import tables as comparison
    from reactdiff_ros.evaluation.results import read_result

    with json_on_stdout(as_json) as told:
        one = read_result(first)
        other = one if second == first else read_result(second)
        found = comparison.compare(
            (one, comparison.chosen(one, system_a, str(first))),
            (other, comparison.chosen(other, system_b, str(second))),
            seed,
        )
        told.update(_plain(found))
    if not as_json:
        echo(_table(found))
    return 0


def _plain(found: Comparison) -> dict[str, Any]:
    return {
        "a": found.systems[0],
        "b": found.systems[1],
        "items": {"a": found.items[0], "b": found.items[1], "matched": found.matched},
        "figures": {
            c.metric.name: {
                "a": c.first,
                "b": c.second,
                "difference": c.difference.value,
                "low": c.difference.low,
                "high": c.difference.high,
                "how": c.difference.how,
                "items": c.difference.items,
                "verdict": c.verdict,
            }
            for c in found.figures
        },
        "notes": list(found.notes),
    }


def _table(found: Comparison) -> str:
    from reactdiff_ros.evaluation.report.summary import Estimate, interval, number, value

    rows = [("figure", f"A {found.systems[0]}", f"B {found.systems[1]}", "B - A", "95 % interval", "difference")]
    for c in found.figures:
        gap = Estimate(c.difference.value, c.difference.low, c.difference.high, c.difference.items)
        rows.append(
            (c.metric.name, number(c.first), number(c.second), value(gap), interval(gap) or c.difference.how, c.verdict)
        )
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(w) if i in (0, 5) else cell.rjust(w) for i, (cell, w) in
             enumerate(zip(row, widths, strict=True))).rstrip() for row in rows]  # fmt: skip
    return "\n".join([*lines, "", *found.notes]).rstrip()
