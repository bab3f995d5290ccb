"""`reactdiff report` and `reactdiff compare`: a result file as one page, and two results side by side."""

from __future__ import annotations

from pathlib import Path

import click

from reactdiff_ros.cli import evaluation_options as options
from reactdiff_ros.cli.output import echo, json_on_stdout, tell
from reactdiff_ros.cli.progress import progress_bar

FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("result", type=FILE)
@click.option("-o", "--output", type=FILE, metavar="PAGE.html", help="The page (next to the result, with its name).")
@click.option("--faces/--no-faces", default=True, show_default=True, help="Rendered faces; they take most of the time.")
@click.option("--items", type=click.IntRange(1, 100), default=8, show_default=True, help="Recordings with time lines.")
@click.option("--overwrite", is_flag=True, help="Replace an existing page.")
@options.JSON
def report(result: Path, output: Path | None, faces: bool, items: int, overwrite: bool, as_json: bool) -> int:
    """Make a one-page report of a result file.

    Make one self-contained page of a RESULT file that 'evaluate' wrote.

    Figures against baselines, the shuffled-speaker control and published figures, time lines of speaker and listener,
    behaviour compared with people's, latency, faces, and the worst moments. The page needs no network and no
    other file; the same result gives the same page.
    """
    from reactdiff_ros.evaluation.report.page import Options, build_page, check_free, write_page
    from reactdiff_ros.evaluation.results import read_result

    page = output if output is not None else result.with_suffix(".html")
    with json_on_stdout(as_json) as out:
        check_free(page, overwrite=overwrite)
        read = read_result(result)
        with progress_bar("page") as show:
            html = build_page(read, Options(faces=faces, items=items), show)
        write_page(html, page, overwrite=overwrite)
        out.update({"page": page, "bytes": len(html.encode()), "items": len(read.items), "systems": len(read.systems)})
        tell(f"open {page} in a browser")
    return 0


@click.command()
@click.argument("first", type=FILE, metavar="A")
@click.argument("second", type=FILE, metavar="B")
@click.option("--system-a", metavar="NAME", help="System of A (the one under test).")
@click.option("--system-b", metavar="NAME", help="System of B (the one under test).")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True, help="Seed of the resamples.")
@options.JSON
def compare(first: Path, second: Path, system_a: str | None, system_b: str | None, seed: int, as_json: bool) -> int:
    """Compare two result files, with 95 % intervals.

    Every figure that both have: B minus A, with the 95 % interval of the difference.

    Recordings are matched by their ids and drawn in pairs by bootstrap; without matches each run is drawn separately.
    A difference whose interval contains 0 is reported as "none". To compare two systems of one result, name it twice,
    with --system-b.
    """
    from reactdiff_ros.evaluation.report import tables
    from reactdiff_ros.evaluation.report.summary import interval, number, value
    from reactdiff_ros.evaluation.results import read_result

    with json_on_stdout(as_json) as out:
        one = read_result(first)
        other = one if second == first else read_result(second)
        a, b = tables.chosen(one, system_a, str(first)), tables.chosen(other, system_b, str(second))
        found = tables.compare((one, a), (other, b), seed)
        out.update(found.as_dict())
    if not as_json:
        rows = [("figure", f"A {a.name}", f"B {b.name}", "B - A", "95 % interval", "difference")]
        for c in found.figures:
            gap = c.difference
            row = (number(c.first), number(c.second), value(gap), interval(gap) or gap.how)
            rows.append((c.metric.name, *row, c.verdict))
        echo("\n".join([options.aligned(rows, left=(0, 5)), "", *found.notes]).rstrip())
    return 0
