"""`reactdiff dev docs`: pages generated from measured figures, the table of nodes and the commands (tools/pages.py)."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from reactdiff_ros.cli import common
from reactdiff_ros.cli.common import EXIT_DONE, echo
from reactdiff_ros.resources import require_tools

PAGES = ("nodes", "commands", "benchmarks", "reliability", "soak", "ablations", "evidence")
"""Pages that the site shows in place of the short ones in docs/, see `site_page`."""
_FIGURES = {
    "benchmarks": "Write the page of latency, rates and load from FIGURES of 'make bench'.",
    "reliability": "Write the page of injected faults from FIGURES of 'bench faults --output'.",
    "soak": "Write the page of long runs from FIGURES of 'bench soak --output'.",
}
_OUTPUT = click.option("--output", type=common.FILE, help="File to write. Default: standard output.")
_WIDTH = 110


def _figures(name: str) -> Callable[[Callable[..., int]], Callable[..., int]]:
    return click.argument("figures", type=common.FILE, default=Path("docs", f"{name}.json"))


@click.group(cls=common.Group)
def docs() -> None:
    """Write generated pages of the documentation. All but the policies need a checkout of the repository.

    Pages of figures read a JSON file (default: docs/NAME.json). With --output, pictures are drawn into images/ next to
    the page.
    """


@docs.command()
@_OUTPUT
def nodes(output: Path | None) -> int:
    """Write the reference of nodes, parameters, topics and services."""
    return _write(_nodes(), output)


@docs.command()
@_OUTPUT
def commands(output: Path | None) -> int:
    """Write the reference of all commands."""
    root = click.get_current_context().find_root()
    assert isinstance(root.command, click.Group)
    return _write(_commands(root.command), output)


for _name, _text in _FIGURES.items():

    @docs.command(_name, help=_text)
    @_figures(_name)
    @_OUTPUT
    def _write_page(figures: Path, output: Path | None, name: str = _name) -> int:
        return _figures_page(name, figures, output)


@docs.command()
@_figures("ablations")
@click.option(
    "--sweep", "sweeps", type=common.FILE, multiple=True,
    help="Output of 'evaluate ablations --sweep --json', repeatable; sweep*.json next to FIGURES if omitted.",
)  # fmt: skip
@_OUTPUT
def ablations(figures: Path, sweeps: tuple[Path, ...], output: Path | None) -> int:
    """Write the page of ablations from FIGURES of 'evaluate ablations --json'."""
    return _figures_page("ablations", figures, output, sweeps)


@docs.command()
@_figures("evidence")
@_OUTPUT
@click.option("--card", type=common.FILE, help="Model card (README.md of the weights) to write as well.")
@click.option("--model", type=common.FOLDER, help="Folder of the weights. Default: that of --card.")
@click.option("--trained-on", default="", show_default=False, metavar="TEXT",
              help="Hardware, time and versions of the training.")  # fmt: skip
def evidence(figures: Path, output: Path | None, card: Path | None, model: Path | None, trained_on: str) -> int:
    """Write the page of all measured figures of a set of weights.

    FIGURES are of 'evaluate evidence'. The page also shows evidence_others.json next to FIGURES (measured with another
    --seed), and the pictures images/evidence_*.png next to the page.
    """
    if output is not None or card is None:
        _figures_page("evidence", figures, output)
    if card is not None:
        _write(_pages().model_card(figures, model or card.parent, trained_on), card)
    return EXIT_DONE


@docs.command()
@common.NAMESPACE
@_OUTPUT
def policies(namespace: str | None, output: Path | None) -> int:
    """Write the SROS 2 access policies of all nodes, for 'ros2 security'.

    See docs/security.md.
    """
    from reactdiff_ros.launching.access_policies import policy
    from reactdiff_ros.launching.live_graph import LiveOptions
    from reactdiff_ros.launching.table import load_table

    return _write(policy(load_table(), LiveOptions(namespace=common.ros_namespace(namespace)).namespace), output)


def site_page(name: str, folder: Path, root: click.Group, *, pictures: bool = True) -> str:
    """One of PAGES from the figures in `folder` (docs/), for the site; pictures are drawn into its images/."""
    if name == "nodes":
        return _nodes()
    if name == "commands":
        return _commands(root)
    text: str = _pages().page(name, folder / f"{name}.json", folder if pictures else None)
    return text


def _nodes() -> str:
    from reactdiff_ros.launching.table import load_table

    text: str = _pages().render("nodes", table=load_table())
    return text


def _commands(root: click.Group) -> str:
    context = click.Context(root, info_name="reactdiff", show_default=True, max_content_width=_WIDTH)
    context.terminal_width = _WIDTH
    found = _leaves(root, context)
    rows = [(c.command_path, c.get_help(), inspect.cleandoc(c.command.help or "").split("\n\n")[0]) for c in found]
    texts = [dict(zip(("path", "help", "summary"), row, strict=True)) for row in rows]
    text: str = _pages().render("commands", commands=texts)
    return text


def _leaves(command: click.Command, context: click.Context) -> Iterator[click.Context]:
    """A context for each command that is not a group, in alphabetical order."""
    if not isinstance(command, click.Group):
        yield context
        return
    for name, part in sorted(command.commands.items()):
        if not part.hidden:
            yield from _leaves(part, click.Context(part, parent=context, info_name=name))


def _figures_page(name: str, figures: Path, output: Path | None, *more: Any) -> int:
    return _write(_pages().page(name, figures, None if output is None else output.parent, *more), output)


def _pages() -> Any:
    """The module of pages and templates, which only a checkout has."""
    require_tools()
    from tools import pages

    return pages


def _write(text: str, output: Path | None) -> int:
    if output is None:
        echo(text, nl=False)
    else:
        common.write_text("the page", output, text)
    return EXIT_DONE
