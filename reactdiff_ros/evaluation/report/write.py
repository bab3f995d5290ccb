"""Writes a page whole or not at all, and never over another file unless told to."""

from __future__ import annotations

from pathlib import Path

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.whole_file import write_whole


def check_free(path: Path, *, overwrite: bool) -> None:
    """Raises ReactdiffError where `path` is there and may not be replaced: before the work, not after it."""
    if path.exists() and not overwrite:
        raise ReactdiffError(
            "the page is there already", where=str(path), todo="name another one with -o, or give --overwrite"
        )


def write_page(html: str, path: Path, *, overwrite: bool = False) -> Path:
    """Write `html` to `path`.

    Raises:
        ReactdiffError: the file is there already, or it cannot be written.
    """
    check_free(path, overwrite=overwrite)
    try:
        write_whole(path, html)
    except OSError as error:
        raise ReactdiffError(
            "the page cannot be written", where=str(path), todo=error.strerror or str(error)
        ) from error
    return path
