"""`reactdiff dev docs`: generated pages of the documentation; all but the policies are in tools/commands.py."""

from __future__ import annotations

from pathlib import Path

import click

from reactdiff_ros.cli import common
from reactdiff_ros.cli.common import EXIT_DONE, echo

OUTPUT = click.option("--output", type=common.FILE, help="File to write. Default: standard output.")


@click.group(
    cls=common.Group, checkout=("ablations", "benchmarks", "commands", "evidence", "nodes", "reliability", "soak")
)
def docs() -> None:
    """Write generated pages of the documentation. All but the policies need a checkout of the repository.

    Pages of figures read a JSON file (default: docs/NAME.json). With --output, pictures are drawn into images/ next to
    the page.
    """


@docs.command()
@common.NAMESPACE
@OUTPUT
def policies(namespace: str | None, output: Path | None) -> int:
    """Write the SROS 2 access policies of all nodes, for 'ros2 security'.

    See docs/security.md.
    """
    from reactdiff_ros.launching.access_policies import policy
    from reactdiff_ros.launching.live_graph import LiveOptions
    from reactdiff_ros.launching.table import load_table

    return write_page(policy(load_table(), LiveOptions(namespace=common.ros_namespace(namespace)).namespace), output)


def write_page(text: str, output: Path | None) -> int:
    """Write a page to a file, or print it; the exit code."""
    if output is None:
        echo(text, nl=False)
    else:
        common.write_text("the page", output, text)
    return EXIT_DONE
