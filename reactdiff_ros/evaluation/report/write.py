"""Writes a page whole or not at all, and never over another file unless told to."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from reactdiff_ros.errors import ReactdiffError


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
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", dir=path.parent, prefix=f".{path.name}.", delete=False, encoding="utf-8"
        ) as file:
            temporary = Path(file.name)
            file.write(html)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        raise ReactdiffError(
            "the page cannot be written", where=str(path), todo=error.strerror or str(error)
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
    return path
