"""Whether a command line of `reactdiff` that stands in a file is one that it would take."""

from __future__ import annotations

import click

from reactdiff_ros.cli.main import cli


def parses(words: list[str]) -> None:
    """Parse the words after `reactdiff`. Raises KeyError for an unknown command, click.UsageError for the rest."""
    command: click.Command = cli
    context = None
    while isinstance(command, click.Group):
        name, *words = words
        context = click.Context(command, parent=context, info_name=command.name)
        command = command.commands[name]
    command.make_context(command.name, list(words), parent=context)
