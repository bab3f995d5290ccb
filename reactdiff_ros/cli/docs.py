"""`reactdiff docs`: the pages that are generated from the table of nodes, the commands and measured figures."""

from __future__ import annotations

from pathlib import Path

import click

from reactdiff_ros.cli.output import echo


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
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="File to write; else stdout.")
def commands(output: Path | None) -> int:
    """Every command with its options, as --help tells them."""
    from reactdiff_ros.cli.commands_page import commands_page

    root = click.get_current_context().find_root()
    assert isinstance(root.command, click.Group)
    return _write(commands_page(root.command, "reactdiff"), output)


@docs.command()
@click.argument("figures", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="File to write; else stdout.")
def benchmarks(figures: Path, output: Path | None) -> int:
    """Tables of the measured figures in FIGURES (docs/benchmarks.json, written by 'make bench'), and the plots.

    With --output, images/benchmarks_cost_*.png beside the page show how the cost of a plan grows.
    """
    from reactdiff_ros.cli.benchmark_tables import PICTURE
    from reactdiff_ros.cli.pages import benchmarks_page, read_figures

    found = read_figures(figures)
    if output is not None:
        from reactdiff_ros.evaluation.bench.plots import plot_costs

        for number, entry in enumerate(found.get("model", [])):
            plot_costs(entry["result"], output.parent / PICTURE.format(number))
    return _write(benchmarks_page(found), output)


@docs.command()
@click.argument("figures", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="File to write; else stdout.")
@click.option("--card", type=click.Path(path_type=Path, dir_okay=False), help="README.md of the weights, to write too.")
@click.option(
    "--model",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the weights of the card (the folder of --card).",
)
@click.option(
    "--trained-on", default="", metavar="TEXT", help="Hardware, time and versions of the training, for the card."
)
def evidence(figures: Path, output: Path | None, card: Path | None, model: Path | None, trained_on: str) -> int:
    """Page, and with --card the model card, of FIGURES (evidence.json, written by 'evaluate evidence').

    Pictures that lie in images/ beside the page under the names evidence_*.png are shown, what tried.json beside
    FIGURES tells of bounds that are missed, and what evidence_others.json there found with another --seed.
    """
    from reactdiff_ros.cli.evidence_page import PICTURES, evidence_page
    from reactdiff_ros.cli.model_card import model_card, read_manifest
    from reactdiff_ros.evaluation.evidence.collection import OTHERS, read_evidence, read_others
    from reactdiff_ros.evaluation.evidence.model_code import model_code
    from reactdiff_ros.evaluation.evidence.tried import TRIED, read_tried

    found, tried, code = read_evidence(figures), read_tried(figures.parent / TRIED), model_code()
    beside = output.parent if output is not None else Path()
    links = {name: f"images/evidence_{name}.png" for name in PICTURES}
    there = {name: link for name, link in links.items() if (beside / link).is_file()}
    path = figures.parent / OTHERS
    others = read_others(path, found) if path.is_file() else None
    done = _write(evidence_page(found, there, code=code, tried=tried, others=others), output)
    if card is not None:
        manifest = read_manifest(model or card.parent)
        done = _write(model_card(manifest, found, trained_on=trained_on, code=code, tried=tried, others=others), card)
    return done


@docs.command()
@click.argument("figures", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="File to write; else stdout.")
def reliability(figures: Path, output: Path | None) -> int:
    """Table of faults in FIGURES (docs/reliability.json, written by 'bench faults --output')."""
    from reactdiff_ros.cli.reliability_page import reliability_page
    from reactdiff_ros.evaluation.faults.figures import read_figures

    return _write(reliability_page(read_figures(figures)), output)


@docs.command()
@click.argument("figures", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="File to write; else stdout.")
def soak(figures: Path, output: Path | None) -> int:
    """Page of the long runs in FIGURES (docs/soak.json, written by 'bench soak --output').

    With --output, images/soak_*.png beside the page show what grew and what did not.
    """
    from reactdiff_ros.cli.soak_page import PICTURE, soak_page
    from reactdiff_ros.evaluation.soak.figures import read_figures

    found = read_figures(figures)
    pictures = {}
    if output is not None:
        from reactdiff_ros.evaluation.soak.plots import plot_part

        for name, part in found["parts"].items():
            plot_part(part, output.parent / PICTURE.format(name))
            pictures[name] = PICTURE.format(name)
    return _write(soak_page(found, pictures), output)


@docs.command()
@click.argument("figures", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option(
    "--sweep",
    "sweeps",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    multiple=True,
    help="What --sweep printed, to show too; may be given several times.",
)
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="File to write; else stdout.")
def ablations(figures: Path, sweeps: tuple[Path, ...], output: Path | None) -> int:
    """Page of FIGURES (docs/ablations.json), what 'evaluate ablations --json' printed.

    With --output, images/ablations.png beside the page shows the figures.
    """
    from reactdiff_ros.cli.ablations_page import PICTURE, ablations_page, figures_of, read_compared, read_swept
    from reactdiff_ros.evaluation.evidence.model_code import model_code

    found = read_compared(figures)
    swept = [read_swept(path) for path in sweeps]
    if output is not None:
        from reactdiff_ros.evaluation.plots import plot_summaries

        plot_summaries(figures_of(found), output.parent / PICTURE)
    shown = None if output is None else PICTURE
    return _write(ablations_page(found, swept, picture=shown, code=model_code()), output)


@docs.command()
@click.option("--namespace", default="", metavar="NAME", help="ROS namespace of the nodes.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="File to write; else stdout.")
def policies(namespace: str, output: Path | None) -> int:
    """SROS 2 access policies of all nodes, from the one table: for 'ros2 security' (docs/security.md)."""
    from reactdiff_ros.nodes.live_graph import LiveOptions
    from reactdiff_ros.nodes.policies import policy
    from reactdiff_ros.nodes.table import load_table

    wanted = "/" + namespace.strip("/") if namespace.strip("/") else ""
    return _write(policy(load_table(), LiveOptions(namespace=wanted).namespace), output)


def _write(text: str, output: Path | None) -> int:
    from reactdiff_ros.cli.output import writing
    from reactdiff_ros.whole_file import write_whole

    if output is None:
        echo(text, nl=False)
        return 0
    with writing("the page", output):
        write_whole(output, text)
    echo(f"wrote {output}", err=True)
    return 0
