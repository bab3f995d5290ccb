"""A file that is there as a whole or as it was before, whatever happens while it is written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A new file that takes the place of `path` at the end of the block, once the disk has all of it.

    An error, a full disk or a kill at any moment leaves what was there. Its folders are made.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Of this process alone: two that write the same file do not write into each other's.
    part = path.with_name(f".{path.name[:60]}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def write_whole(path: Path, text: str) -> None:
    """Write a text whole or not at all. Raises OSError when it cannot be written; what was there stays."""
    with whole_file(path) as file:
        file.write(text.encode("utf-8"))
