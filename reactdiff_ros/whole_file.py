"""A file that is there as a whole or as it was before, whatever happens while it is written."""

from __future__ import annotations

import errno
import os
import sys
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO


@contextmanager
def whole_path(path: Path, private: bool = False) -> Iterator[Path]:
    """An empty file that takes the place of `path` at the end of the block, once the disk has all of it.

    Its name ends in .part: a writer that goes by the ending needs the format.

    `private`: the user alone may read it, whatever the umask.

    An error, a full disk or a kill at any moment leaves what was there. Its folders are made. A link stays one: what it
    leads to is written.

    Raises:
        OSError: it cannot be written, or `path` is a folder, a device or the like.
    """
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not path.is_file():  # root could put a file in the place of /dev/null
        raise OSError(errno.EINVAL, "it is not a plain file", str(path))
    # Of this process alone: two that write the same file do not write into each other's.
    part = path.with_name(f".{path.name[:60]}.{os.getpid()}.part")
    try:
        part.touch(0o600 if private else 0o666)
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


@contextmanager
def whole_file(path: Path, private: bool = False) -> Iterator[BinaryIO]:
    """As `whole_path`, open for writing."""
    with whole_path(path, private) as part, part.open("wb") as file:
        yield file


def write_whole(path: Path, text: str) -> None:
    """Write a text whole or not at all. Raises OSError when it cannot be written; what was there stays."""
    with whole_file(path) as file:
        file.write(text.encode("utf-8"))


def write_durably(path: Path, text: str) -> None:
    """As `write_whole`; afterwards the disk also has the file's name, and those of folders that were made for it."""
    made = [folder for folder in path.parents if not folder.exists()]
    write_whole(path, text)
    for folder in (path, *made):
        sync_folder(folder.parent)


def file_state(path: Path) -> tuple[int, int, int] | None:
    """What changes when a file is written: its time, size and inode; None while there is none."""
    with suppress(OSError):
        found = path.stat()
        return found.st_mtime_ns, found.st_size, found.st_ino
    return None


def sync_folder(folder: Path) -> None:
    """Wait until the disk has the names in a folder, after one was made or removed. Raises OSError."""
    if sys.platform == "win32":  # which opens no folders
        return
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def write_arrays(path: Path, arrays: Mapping[str, Any], private: bool = False) -> None:
    """Write NumPy arrays by name as a compressed .npz, whole or not at all. Errors and `private` as `whole_file`.

    `numpy.savez` leaves its archive open on a full disk, and Python then prints a trace when it is thrown away.
    """
    import numpy as np

    writer: Any = np.lib.format
    with whole_file(path, private) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                writer.write_array(member, np.asanyarray(array), allow_pickle=False)
