"""The documentation: its commands parse, its links lead somewhere, its examples and tutorials run, the site builds.

A comment before a block of a tutorial marks it: `<!-- file NAME -->` is written to that file, `<!-- run -->` is run,
`<!-- shows -->` is all that the block run last said. In the latter `...` stands for any words, on a line of its own
for any lines; only figures may differ.
"""

from __future__ import annotations

import html
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import av
import pytest
from command_lines import PAGES, ROOT, blocks, commands, parses, text_of

from reactdiff_ros.evaluation.bounds import BOUNDS
from reactdiff_ros.resources import demo_clip_path

CARDS = sorted((ROOT / "resource").rglob("README.md"))


@pytest.mark.parametrize("line", commands("reactdiff"))
def test_commands_parse(line: str) -> None:
    parses(shlex.split(line, comments=True)[1:])


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
    here = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, capture_output=True, text=True, timeout=280, cwd=tmp_path, env=here)
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
    in_page = r"<(?:script|img|link|iframe)\b[^>]*?(?:src|href)=\"((?:https?:)?//[^\"]+)"
    in_sheet = r"(?:url\(|@import )[\"']?((?:https?:)?//[^\"')]+)"
    loaded = {f: re.findall(in_page, f.read_text()) for f in site.rglob("*.html")}
    loaded |= {f: re.findall(in_sheet, f.read_text()) for f in site.rglob("*.css")}
    assert {f.name: found for f, found in loaded.items() if found} == {}


TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.md"))

BLOCK = re.compile(r"^<!-- (file|run|shows) ?(\S*) -->\n+```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
FOLLOWED = [page for page in TUTORIALS if "<!-- run -->" in page.read_text()]


def plain(text: str) -> list[str]:
    """Lines without figures, which a dash of its own stands for too, and with single blanks."""
    figure = re.compile(r"(?:(?<=\s)-)?\d+(?:\.\d+)?|(?<=\s)-(?!\S)")
    return [" ".join(figure.sub("#", line).split()) for line in text.strip().splitlines()]


def pattern(shown: str) -> str:
    """What is shown as a regular expression for plain lines, each with its line feed."""
    return "".join(
        r"(?:.*\n)*" if line == "..." else re.escape(line).replace(re.escape("..."), ".*") + r"\n"
        for line in plain(shown)
    )


def says(said: str, shown: str) -> bool:
    return re.fullmatch(pattern(shown), "".join(f"{line}\n" for line in plain(said))) is not None


@pytest.fixture
def shell(tmp_path: Path) -> dict[str, str]:
    """The environment of somebody who has nothing yet, in a folder with the package's files; `reactdiff` is ours."""
    (tmp_path / "resource").symlink_to(ROOT / "resource")
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "reactdiff"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m reactdiff_ros.cli.main "$@"\n')
    command.chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
    search = f"{ROOT}:{os.environ.get('PYTHONPATH', '')}".rstrip(":")
    return environment | {"HOME": str(tmp_path), "PATH": f"{command.parent}:{os.environ['PATH']}", "PYTHONPATH": search}


@pytest.mark.slow
@pytest.mark.timeout(900)  # half a minute on a quiet machine; a minute of clip is listened to
@pytest.mark.parametrize("page", FOLLOWED, ids=lambda page: page.stem)
def test_what_is_marked_runs_and_says_what_is_shown(page: Path, shell: dict[str, str], tmp_path: Path) -> None:
    said = ""
    for kind, name, text in BLOCK.findall(page.read_text()):
        if kind == "file":
            (tmp_path / name).write_text(text)
        elif kind == "run":
            run = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", text], cwd=tmp_path, env=shell, text=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
            said = run.stdout
            assert run.returncode == 0, f"{text}{said}"
        else:
            assert says(said, text), f"{page.name} shows\n{text}\nbut it said\n{said}"
