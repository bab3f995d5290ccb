"""The page's files, read once from wherever the package is: source tree, installed tree or wheel."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import resources
from importlib.abc import Traversable

from reactdiff_ros.errors import ReactdiffError

CONTENT_TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class PageFile:
    """One file of the page."""

    body: bytes
    content_type: str
    etag: str


def load_pages(look: str, folders: tuple[str, ...] = ("page",)) -> dict[str, PageFile]:
    """The page's files by name, index.html with the configured look; a later folder's files go before an earlier's.

    Raises ReactdiffError if they are not there.
    """
    pages: dict[str, PageFile] = {}
    for path in folders:
        folder = resources.files("reactdiff_ros.avatar").joinpath(*path.split("/"))
        found = _load(folder, look)
        if not found:
            raise ReactdiffError("the face's page is missing", where=str(folder), todo="install the package again")
        pages.update(found)
    if "index.html" not in pages:
        where = str(resources.files("reactdiff_ros.avatar"))
        raise ReactdiffError("the face's page is missing", where=where, todo="install the package again")
    return pages


def _load(folder: Traversable, look: str) -> dict[str, PageFile]:
    pages: dict[str, PageFile] = {}
    if not folder.is_dir():
        return pages
    for entry in sorted(folder.iterdir(), key=lambda e: e.name):
        suffix = "." + entry.name.rpartition(".")[2]
        if entry.is_file() and suffix in CONTENT_TYPES:
            body = entry.read_bytes()
            if entry.name == "index.html":
                body = body.replace(b'data-look="soft"', b'data-look="' + look.encode() + b'"')
            etag = '"' + hashlib.sha256(body).hexdigest()[:16] + '"'
            pages[entry.name] = PageFile(body, CONTENT_TYPES[suffix], etag)
    return pages
