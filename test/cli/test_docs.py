"""The documentation is run: its commands parse, its arguments exist, its links lead somewhere, its Python works."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from reactdiff_ros.cli.main import cli
from reactdiff_ros.nodes.table import load_table

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(language: str) -> Iterator[tuple[Path, str]]:
    for page in PAGES:
        for text in re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL):
            yield page, text


def commands(program: str) -> list[str]:
    found = []
    for _, text in blocks("bash"):
        for line in text.replace("\\\n", " ").splitlines():
            for part in line.split("&&"):
                if part.strip().startswith(program + " "):
                    found.append(part.strip())
    return found


@pytest.mark.parametrize("line", commands("reactdiff"))
def test_commands_parse(line: str) -> None:
    arguments = shlex.split(line, comments=True)[1:]
    command: click.Command = cli
    context = None
    while isinstance(command, click.Group):
        name = arguments.pop(0)
        assert name in command.commands, line
        context = click.Context(command, parent=context, info_name=command.name)
        command = command.commands[name]
    command.make_context(command.name, arguments, parent=context)


@pytest.mark.parametrize("line", commands("ros2 launch"))
def test_launch_arguments_exist(line: str) -> None:
    known = {a.name for a in load_table().arguments}
    given = {word.split(":=")[0] for word in shlex.split(line, comments=True) if ":=" in word}
    assert given <= known


@pytest.mark.parametrize("line", commands("make"))
def test_make_targets_exist(line: str) -> None:
    target = shlex.split(line, comments=True)[1]
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("line", commands("ros2 topic pub"))
def test_topics_and_their_types_are_in_the_table(line: str) -> None:
    words = [w for w in shlex.split(line, comments=True)[3:] if not w.startswith("--")]
    subscribed = {(t.name, t.type) for node in load_table().nodes for t in node.subscribers}
    assert (words[0].lstrip("/"), words[1]) in subscribed


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
    missing = [t for t in targets if "://" not in t and not (page.parent / t).exists()]
    assert missing == []


@pytest.mark.parametrize(("page", "code"), list(blocks("python")), ids=lambda v: getattr(v, "name", ""))
def test_python_examples_run(page: Path, code: str, tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert run.returncode == 0, run.stderr


def test_every_node_is_in_the_readme() -> None:
    text = (ROOT / "README.md").read_text()
    assert [n.name for n in load_table().nodes if n.name not in text] == []
