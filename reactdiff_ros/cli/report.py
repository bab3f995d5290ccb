"""`reactdiff report`: a result file as one page to read."""

from __future__ import annotations

from pathlib import Path

import click

from reactdiff_ros.cli import evaluation_options as options


@click.command()
@click.argument("result", type=click.Path(path_type=Path, dir_okay=False))
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), metavar="PAGE.html",
              help="The page (beside the result, with its name).")  # fmt: skip
@click.option("--faces/--no-faces", default=True, show_default=True, help="Rendered faces; most of the time is theirs.")
@click.option("--items", type=click.IntRange(1, 100), default=8, show_default=True, help="Recordings with time lines.")
@click.option("--overwrite", is_flag=True, help="Replace a page that is there.")
@options.JSON
def report(result: Path, output: Path | None, faces: bool, items: int, overwrite: bool, as_json: bool) -> int:
    """Make a one-page report of a result file.

    Make one self-contained page of a RESULT file that 'evaluate' wrote.

    Figures against baselines, the shuffled-speaker control and published figures, time lines of speaker and listener,
    behaviour beside people's, latency, faces, and the moments that are worth a look. The page needs no network and no
    other file; the same result gives the same page.
    """
    from reactdiff_ros.cli.output import json_on_stdout, tell
    from reactdiff_ros.cli.progress import progress_bar
    from reactdiff_ros.evaluation.report.page import Options, build_page, check_free, write_page
    from reactdiff_ros.evaluation.results import read_result

    page = output if output is not None else result.with_suffix(".html")
    with json_on_stdout(as_json) as told:
        check_free(page, overwrite=overwrite)
        read = read_result(result)
        with progress_bar("page") as show:
            html = build_page(read, Options(faces=faces, items=items), show)
        write_page(html, page, overwrite=overwrite)
        told.update({"page": page, "bytes": len(html.encode()), "items": len(read.items), "systems": len(read.systems)})
        tell(f"open {page} in a browser")
    return 0
