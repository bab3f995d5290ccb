"""The site of the docs builds without a warning, holds every page, needs no network, and has the generated pages."""

from __future__ import annotations

import html
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from reactdiff_ros.evaluation.bounds import BOUNDS
from reactdiff_ros.model.plan.planner import live_frames
from reactdiff_ros.model.plan.sampler import Sampling

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs").rglob("*.md"))


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
    assert [p for p in PAGES if p.relative_to(ROOT).with_suffix("") not in made] == []
    evidence, nodes, commands = (
        html.unescape((site / "docs" / f"{name}.html").read_text()) for name in ("evidence", "nodes", "commands")
    )
    assert [bound.name for bound in BOUNDS if f"<p>{bound.name}</p>" not in evidence.replace("’", "'")] == []
    assert "camera_optical_frame" in nodes
    assert "Usage: reactdiff listen" in commands
    assert (site / "_images" / "soak_stream.png").is_file()
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


def test_the_index_leads_to_every_page() -> None:
    index = (ROOT / "docs" / "index.md").read_text()
    named = {(ROOT / "docs" / target).resolve() for target in re.findall(r"^- \[.+?\]\((.+?\.md)\)", index, re.M)}
    missing = [str(p.relative_to(ROOT)) for p in PAGES if p not in named and p.name != "index.md"]
    assert missing == [], "add them to a list of docs/index.md"


def test_the_diagrams_are_the_generated_ones(tmp_path: Path) -> None:
    script = ROOT / "scripts" / "make_diagrams.py"
    subprocess.run([sys.executable, str(script), "--output", str(tmp_path)], check=True)
    pictures = sorted(tmp_path.glob("*.svg"))
    assert [made.name for made in pictures] == ["architecture.svg", "many_listeners.svg", "model.svg"]
    for made in pictures:
        assert made.read_text() == (ROOT / "docs" / "images" / made.name).read_text(), "run scripts/make_diagrams.py"


def test_the_diagram_of_the_model_has_the_sizes_of_the_shipped_weights() -> None:
    shape = json.loads((ROOT / "resource" / "models" / "live" / "manifest.json").read_text())["shape"]
    shown = (ROOT / "docs" / "images" / "model.svg").read_text()
    frames = live_frames(Sampling(), shape["horizon"])
    for words in (
        f"tokens of {shape['width']}", f"{shape['speech']} x {shape['width']}", f"{shape['past']} x {shape['latent']}",
        f"Reaction: {frames} x 58, the next {frames / 25:.2f} s", f"next of {Sampling().steps} solver steps", "mood",
        "conditions of the networks", "pitch is calmed", "nods: a network",
    ):  # fmt: skip
        assert words in shown, words
