"""The documentation is run: its commands parse, its arguments exist, its links lead somewhere, its Python works."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import av
import click
import pytest
from command_lines import PAGES, ROOT, blocks, commands, parses, text_of

from reactdiff_ros.cli.main import DEVELOPMENT, cli
from reactdiff_ros.launching.table import load_table
from reactdiff_ros.simulator.rendered import demo_clip_path

CARDS = sorted((ROOT / "resource").rglob("README.md"))


@pytest.mark.parametrize("line", commands("reactdiff"))
def test_commands_parse(line: str) -> None:
    parses(shlex.split(line, comments=True)[1:])


def prose() -> list[str]:
    """Commands within sentences: `reactdiff ...`."""
    spans = {
        span
        for page in [*PAGES, *CARDS]
        for span in re.findall(r"`(reactdiff [^`\n]+)`", re.sub(r"^```.*?^```", "", text_of(page), flags=re.M | re.S))
    }
    return sorted(spans)


@pytest.mark.parametrize("span", prose())
def test_commands_in_sentences_exist(span: str) -> None:
    words = shlex.split(span.replace("...", ""))[1:]
    command: click.Command = cli
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name = words.pop(0)
        assert name in command.commands, span
        command = command.commands[name]
    known = {o for parameter in command.params for o in parameter.opts + parameter.secondary_opts} | {"--help"}
    assert [w for w in words if w.startswith("--") and w not in known] == []


def leaves(command: click.Command, path: str) -> Iterator[str]:
    if isinstance(command, click.Group):
        for name, part in command.commands.items():
            if command is not cli or part not in DEVELOPMENT:  # names from before 'reactdiff dev'
                yield from leaves(part, f"{path} {name}")
    else:
        yield path


@pytest.mark.parametrize("path", list(leaves(cli, "reactdiff")))
def test_every_command_is_documented(path: str) -> None:
    text = " ".join(page.read_text() for page in PAGES)
    assert f"{path} " in text or f"{path}`" in text or f"{path}\n" in text


@pytest.mark.parametrize("line", commands("ros2 launch"))
def test_launch_arguments_exist(line: str) -> None:
    known = {a.name for a in load_table().arguments}
    if "listeners.launch.py" in line:
        known |= {p.name for p in load_table().node("reaction_node").parameters}
    given = {word.split(":=")[0] for word in shlex.split(line, comments=True) if ":=" in word}
    assert given <= known


@pytest.mark.parametrize("line", commands("make"))
def test_make_targets_exist(line: str) -> None:
    target = shlex.split(line, comments=True)[1]
    assert re.search(rf"^[^#\n]*\b{target}\b[^\n]*:", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("line", commands("ros2 topic pub"))
def test_topics_and_their_types_are_in_the_table(line: str) -> None:
    words = [w for w in shlex.split(line, comments=True)[3:] if not w.startswith("--")]
    subscribed = {(t.name, t.type) for node in load_table().nodes for t in node.subscribers}
    assert (words[0].lstrip("/"), words[1]) in subscribed


@pytest.mark.parametrize("line", commands("ros2 run"))
def test_nodes_and_their_parameters_are_in_the_table(line: str) -> None:
    words = shlex.split(line, comments=True)
    node = next(n for n in load_table().nodes if n.name == words[3])
    given = {words[i + 1].split(":=")[0] for i, word in enumerate(words) if word == "-p"}
    assert given <= {p.name for p in node.parameters}


def headings(page: Path) -> set[str]:
    """Anchors of a page, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", text_of(page), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", [*PAGES, *CARDS], ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]*)(?:#([^)]*))?\)", page.read_text() + text_of(page))
    inner = [(page.parent / target if target else page, anchor) for target, anchor in links if "://" not in target]
    assert [str(target) for target, _ in inner if not target.exists()] == []
    assert [f"{t.name}#{a}" for t, a in inner if a and t.suffix == ".md" and a not in headings(t)] == []


@pytest.mark.parametrize("page", [*PAGES, *CARDS], ids=lambda p: str(p.relative_to(ROOT)))
def test_files_that_are_named_are_there(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    named = re.findall(r"`((?:[a-z_.]+/)+[a-z_]+\.(?:py|yaml|json|txt|sh|msg))`", text)
    places = (ROOT, ROOT / "reactdiff_ros", page.parent)
    assert [name for name in named if not any((place / name).exists() for place in places)] == []


def test_every_page_is_reached_from_the_readme() -> None:
    seen, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page not in seen:
            seen.add(page)
            targets = re.findall(r"\]\(([^)#]+\.md)(?:#[^)]*)?\)", page.read_text())
            waiting += [(page.parent / t).resolve() for t in targets if "://" not in t]
    assert [str(page.relative_to(ROOT)) for page in [*PAGES, *CARDS] if page not in seen] == []


@pytest.mark.parametrize(("page", "code"), list(blocks("python")), ids=lambda v: getattr(v, "name", ""))
def test_python_examples_run(page: Path, code: str, tmp_path: Path) -> None:
    """In a folder with the recording that they name."""
    write_start(demo_clip_path(), tmp_path / "talk.mp4", seconds=2.0)
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert run.returncode == 0, run.stderr


def write_start(clip: Path, path: Path, seconds: float) -> None:
    """The first seconds of a clip, copied without decoding."""
    with av.open(str(clip)) as source, av.open(str(path), "w") as out:
        streams = {stream.index: out.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            if packet.pts is not None and packet.pts * packet.time_base < seconds:
                packet.stream = streams[packet.stream.index]
                out.mux(packet)
