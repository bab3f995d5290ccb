"""The links that open a page beyond this machine, and a QR code for telephones."""

from __future__ import annotations

import sys
from io import StringIO
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from reactdiff_ros.launching.live_graph import LiveGraph


def page_links(graph: LiveGraph) -> list[str]:
    """The page's address; where the page asks for a token, links that hold it, one for each network."""
    from reactdiff_ros.avatar.access import ASKS, links
    from reactdiff_ros.launching.live_graph import page_status

    url = graph.url or ""
    return links(url, graph.link_token) if page_status(url) == ASKS else [url]


def qr_code(link: str, out: TextIO | None = None) -> str:
    """`link` as a QR code in block characters; empty where `out` (stdout) is no terminal, or one that has none."""
    out = out or sys.stdout
    try:
        import segno
    except ModuleNotFoundError:  # an installation from a distribution's packages: the link is printed all the same
        return ""
    if not out.isatty():
        return ""
    picture = StringIO()
    segno.make(link, error="l", micro=False).terminal(picture, compact=True)
    text = picture.getvalue()
    try:
        text.encode(getattr(out, "encoding", None) or "ascii")
    except UnicodeEncodeError:
        return ""
    return text
