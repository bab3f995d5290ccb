"""docs/commands.md as text: every command of the command line with its arguments and options, as click knows them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import click

from reactdiff_ros.cli.markdown import generated, markdown_table

_BAR = "\\|"  # within code of a table's cell too

HEAD = """\
Every command takes `--help`, which says the same. Exit codes: 0 done, 1 it did not work (one sentence on stderr),
2 usage, 3 something optional is missing (named), 130 broken off by Ctrl-C (commands that go on until Ctrl-C, or whose
result is what is done until then, end with their own). With `--json` there is exactly one JSON object on stdout, and
everything else on stderr.
"""


def commands_page(root: click.Group, name: str) -> str:
    """docs/commands.md: a table of all commands of `root`, which is called as `name`, then a part for each."""
    commands = list(_commands(root, click.Context(root, info_name=name)))
    rows = ((f"[`{c.command_path}`](#{_anchor(c.command_path)})", _summary(c.command)) for c in commands)
    lines = [
        "# Commands",
        "",
        generated("reactdiff docs commands --output docs/commands.md"),
        "",
        *HEAD.splitlines(),
        "",
        *markdown_table(("command", "does"), rows),
    ]
    for context in commands:
        lines += ["", *_command(context)]
    return "\n".join(lines) + "\n"


def _commands(command: click.Command, context: click.Context) -> Iterator[click.Context]:
    """A context for each command that does something: the leaves, in the order of their names."""
    if not isinstance(command, click.Group):
        yield context
        return
    for name, part in sorted(command.commands.items()):
        if not part.hidden:
            yield from _commands(part, click.Context(part, parent=context, info_name=name))


def _command(context: click.Context) -> list[str]:
    command = context.command
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    lines = [f"## `{context.command_path}`", "", "```text", usage, "```", "", *_paragraphs(command.help or "")]
    records = [r for p in command.params if isinstance(p, click.Option) and (r := p.get_help_record(context))]
    if records:
        lines += ["", *markdown_table(("option", "what", "default"), (_row(*record) for record in records))]
    return lines


def _row(names: str, text: str) -> tuple[str, str, str]:
    text, default = _apart(text)
    return f"`{names.replace('|', _BAR)}`", text, f"`{default}`" if default else ""


def _apart(text: str) -> tuple[str, str]:
    """An option's sentence, with what click says behind it in brackets, and apart from it the default."""
    found = re.search(r"\s*\[([^\[\]]*(?:default: |required|<=?)[^\[\]]*)\]$", text)
    if not found:
        return text, ""
    parts = found.group(1).split("; ")
    default = "".join(part.removeprefix("default: ") for part in parts if part.startswith("default: "))
    rest = "; ".join(part for part in parts if not part.startswith("default: "))
    return text[: found.start()] + (f" ({rest})" if rest else ""), default


def _paragraphs(text: str) -> list[str]:
    """A command's help as Markdown: paragraphs as they are, those that click does not wrap as code."""
    lines: list[str] = []
    for part in inspect.cleandoc(text).split("\n\n"):
        if part.startswith("\b"):
            lines += ["```text", *part.removeprefix("\b").strip("\n").splitlines(), "```", ""]
        else:
            lines += [*part.splitlines(), ""]
    return lines[:-1]


def _summary(command: click.Command) -> str:
    first = inspect.cleandoc(command.help or "").split("\n\n")[0]
    return first.split(". ")[0].replace("\n", " ").rstrip(".")


def _anchor(path: str) -> str:
    return path.replace(" ", "-")
