"""Command lines of the documentation, and whether one of `reactdiff` is one that it would take."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click

from reactdiff_ros.cli.main import cli
from tools.commands import PAGES as GENERATED
from tools.commands import site_page

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


@cache
def text_of(page: Path) -> str:
    """A page as the site shows it."""
    generated = page.parent == ROOT / "docs" and page.stem in GENERATED
    return site_page(page.stem, page.parent, cli, pictures=False) if generated else page.read_text()


def blocks(language: str) -> Iterator[tuple[Path, str]]:
    """The blocks of code of all pages."""
    for page in PAGES:
        for text in re.findall(rf"^```{language}\n(.*?)^```", text_of(page), re.MULTILINE | re.DOTALL):
            yield page, text


def commands(program: str) -> list[str]:
    """The command lines in them that begin with these words."""
    found = []
    for _, text in blocks("(?:bash)?"):
        for line in text.replace("\\\n", " ").splitlines():
            for part in line.split("&&"):
                if part.strip().startswith(program + " "):
                    found.append(part.strip())
    return found


def parses(words: list[str]) -> None:
    """Parse the words after `reactdiff`. Raises KeyError for an unknown command, click.UsageError for the rest."""
    command: click.Command = cli
    context = None
    while isinstance(command, click.Group):
        name, *words = words
        context = click.Context(command, parent=context, info_name=command.name)
        command = command.commands[name]
    command.make_context(command.name, list(words), parent=context)
