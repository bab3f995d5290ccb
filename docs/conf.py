"""The docs as a site: `make site`. Sphinx reads the same Markdown that GitHub shows, links and pictures as they are.

The source folder is the repository's root, so that links from docs/ to model cards and source files hold: cards are
pages, other linked files are copied. The lists of links in docs/index.md are the site's navigation. In place of the
short pages that docs/ has for nodes, commands and figures, the site shows the generated ones.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from reactdiff_ros.cli.main import cli
from tools.commands import PAGES, site_page

ROOT = Path(__file__).resolve().parents[1]

project = "reactdiff_ros"
author = "the reactdiff_ros maintainers"
version = release = re.findall(r"<version>(.+?)</version>", (ROOT / "package.xml").read_text())[0]

extensions = ["myst_parser"]
include_patterns = ["CONTRIBUTING.md", "docs/**.md", "resource/**/README.md"]
source_suffix = {".md": "markdown"}  # other linked files, CHANGELOG.rst too, are copied
root_doc = "docs/index"
myst_heading_anchors = 4  # the anchors that GitHub gives to headings

html_theme = "furo"
html_title = f"reactdiff_ros {version}"
html_additional_pages = {"index": "forward.html"}  # the root of the site forwards to docs/index.html
templates_path = ["site"]
html_copy_source = False
html_show_copyright = False


def navigation(text: str) -> str:
    """Tables of contents, hidden in the page, of each part of the index that is a list of links."""
    trees = []
    for title, part in re.findall(r"^## (.+)\n\n((?:- \[.+\n)+)", text, re.MULTILINE):
        entries = re.findall(r"^- \[(.+?)\]\((.+?)\.md\)", part, re.MULTILINE)
        lines = [f"{name} <{target}>" for name, target in entries]
        trees.append("\n".join(["```{toctree}", ":hidden:", f":caption: {title}", "", *lines, "```"]))
    return "\n\n".join(trees)


def complete(app: Any, page: str, source: list[str]) -> None:
    """Called by Sphinx with each page's text in `source[0]`."""
    name = page.removeprefix("docs/")
    if page == root_doc:
        source[0] += "\n\n" + navigation(source[0]) + "\n"
    elif name in PAGES:
        source[0] = site_page(name, ROOT / "docs", cli)


def generated(*_: Any) -> list[str]:
    """Called by Sphinx: the pages to read again even if their files have not changed."""
    return [f"docs/{name}" for name in PAGES]


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("source-read", complete)
    app.connect("env-get-outdated", generated)
