"""The documentation: what it names exists, its commands parse, its examples run, the site builds."""

from __future__ import annotations

import html
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

from reactdiff_ros.cli.docs import PAGES as GENERATED
from reactdiff_ros.cli.docs import site_page
from reactdiff_ros.cli.main import cli, main
from reactdiff_ros.evaluation.bounds import BOUNDS
from reactdiff_ros.evaluation.pages import FIGURES, model_card
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


@pytest.mark.parametrize("line", commands("ros2 launch"))
def test_launch_arguments_exist(line: str) -> None:
    known = {a.name for a in load_table().arguments}
    if "listeners.launch.py" in line:
        known |= {p.name for p in load_table().node("reaction_node").parameters}
    given = {word.split(":=")[0] for word in shlex.split(line, comments=True) if ":=" in word}
    assert given <= known


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


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("page", "code"), list(blocks("python")), ids=lambda v: getattr(v, "name", ""))
def test_python_examples_run(page: Path, code: str, tmp_path: Path) -> None:
    """In a folder with the recording that they name."""
    write_start(demo_clip_path(), tmp_path / "talk.mp4", seconds=2.0)
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=280,
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


def test_the_site_builds_and_needs_no_network(tmp_path: Path) -> None:
    for name in ("sphinx", "myst_parser", "furo"):
        pytest.importorskip(name, reason="the site's packages are not installed (requirements/docs.txt)")
    site = tmp_path / "site"
    command = [sys.executable, "-m", "sphinx", "-b", "html", "-W", "--keep-going", "-n", "-q", "-c", "docs"]
    built = subprocess.run(
        [*command, "-d", str(tmp_path / "trees"), ".", str(site)], cwd=ROOT, capture_output=True, text=True
    )
    assert built.returncode == 0, built.stderr
    made = {p.relative_to(site).with_suffix("") for p in site.rglob("*.html")}
    assert [p for p in (ROOT / "docs").rglob("*.md") if p.relative_to(ROOT).with_suffix("") not in made] == []
    evidence, nodes, commands = (
        html.unescape((site / "docs" / f"{name}.html").read_text()) for name in ("evidence", "nodes", "commands")
    )
    assert [bound.name for bound in BOUNDS if f"<p>{bound.name}</p>" not in evidence.replace("’", "'")] == []
    assert "camera_optical_frame" in nodes
    assert "Usage: reactdiff listen" in commands
    assert (site / "_images" / "ablations.png").is_file()
    loaded = [
        (page.name, address)
        for page in site.rglob("*.html")
        for address in re.findall(
            r"<(?:script|img|link|iframe)\b[^>]*?(?:src|href)=\"((?:https?:)?//[^\"]+)", page.read_text()
        )
    ]
    loaded += [
        (sheet.name, address)
        for sheet in site.rglob("*.css")
        for address in re.findall(r"(?:url\(|@import )[\"']?((?:https?:)?//[^\"')]+)", sheet.read_text())
    ]
    assert loaded == []


DOCS = ROOT / "docs"
SHIPPED = ROOT / "resource" / "models" / "live"


def rows(text: str) -> Iterator[list[list[str]]]:
    """The tables of a page."""
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        yield [re.split(r"(?<!\\)\|", line)[1:-1] for line in table.splitlines()]


@pytest.mark.parametrize("name", GENERATED)
def test_a_page_is_whole(name: str) -> None:
    text = site_page(name, DOCS, cli, pictures=False)
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    assert prose.startswith("# ")
    assert re.findall(r"\b(?:None|nan|Undefined|\{\{|\{%)", prose) == []
    tables = list(rows(prose))
    assert tables
    assert [table[0] for table in tables if len({len(row) for row in table}) > 1 or len(table) < 3] == []


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 99}', '{"live": 3, "faults": 3, "parts": 3}'])
def test_other_files_end_in_one_sentence(
    name: str, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "figures.json"
    path.write_text(text)
    assert main(["dev", "docs", name, str(path), "--output", str(tmp_path / "page.md")]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert str(path) in said
    assert FIGURES[name] in said
    assert not (tmp_path / "page.md").exists()


def test_the_committed_model_card_is_the_generated_one() -> None:
    card = (SHIPPED / "README.md").read_text()
    trained_on = re.findall(r"The averaged weights ship\. (.+)\. The phases", card)[0]
    assert card == model_card(DOCS / "evidence.json", SHIPPED, trained_on), "run 'reactdiff dev docs evidence --card'"
