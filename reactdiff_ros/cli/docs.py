"""`reactdiff docs`: the pages that are generated from the one table of nodes and from measured figures."""

from __future__ import annotations

from pathlib import Path

import click


@click.group()
def docs() -> None:
    """Write the generated pages of the documentation."""


@docs.command()
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="File to write; else stdout.")
def nodes(output: Path | None) -> int:
    """Nodes, parameters, topics and services, from the one table."""
    from reactdiff_ros.cli.pages import nodes_page
    from reactdiff_ros.nodes.table import load_table

    return _write(nodes_page(load_table()), output)


@docs.command()
@click.argument("figures", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="File to write; else stdout.")
def benchmarks(figures: Path, output: Path | None) -> int:
    """Tables of the measured figures in FIGURES (docs/benchmarks.json, written by 'make bench')."""
    from reactdiff_ros.cli.pages import benchmarks_page, read_figures

    return _write(benchmarks_page(read_figures(figures)), output)


def _write(text: str, output: Path | None) -> int:
    if output is None:
        click.echo(text, nl=False)
    else:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text, encoding="utf-8")
        click.echo(f"wrote {output}", err=True)
    return 0
