"""A folder whose new files take the places of the old ones all at once, whatever happens while they are written."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_HERE: Final = -100
"""AT_FDCWD: a path that is not absolute begins in the working folder."""
_EXCHANGE: Final = 2
"""RENAME_EXCHANGE."""


@dataclass(frozen=True, slots=True)
class NewFiles:
    """What takes the place of a folder's files."""

    path: Path
    """Folder in which they are written."""
    dropped: set[str] = field(default_factory=set)
    """Names of old files that go. All others stay, but for those that are written anew."""


@contextmanager
def whole_folder(folder: Path, last: str) -> Iterator[NewFiles]:
    """New files that take the places of those in `folder` at the end of the block, once the disk has all of them.

    A kill at any moment leaves the old files or the new ones, where the file system can exchange two folders in one
    step, as Linux's own can. Where it cannot, or the folder must stay itself (a mount, another user's, the one in which
    this process is), the files are moved one by one, the one named `last` as the last. An error before that leaves the
    old ones. The folders above are made. A link to a folder stays one.

    Raises:
        OSError: they cannot be written, or `folder` is a file.
    """
    folder = Path(os.path.realpath(folder))
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
    folder.parent.mkdir(parents=True, exist_ok=True)
    place = folder.parent if _can_be_exchanged(folder) else folder
    new = NewFiles(place / f".{folder.name[:60]}.{os.getpid()}.part")
    shutil.rmtree(new.path, ignore_errors=True)  # of a process of that number that was killed
    try:
        new.path.mkdir()
        yield new
        _to_disk(new.path)
        _put(new, folder, last)
    finally:
        shutil.rmtree(new.path, ignore_errors=True)


def _can_be_exchanged(folder: Path) -> bool:
    """Whether another folder may take its place: nobody's shell is left in a folder that is gone, no owner changes."""
    if not folder.exists():
        return True
    told, above = folder.stat(), folder.parent
    return (
        told.st_dev == above.stat().st_dev
        and all(os.access(path, os.W_OK | os.X_OK) for path in (folder, above))
        and (told.st_uid, told.st_gid) == (os.geteuid(), os.getegid())
        and not Path.cwd().is_relative_to(folder)
    )


def _put(new: NewFiles, folder: Path, last: str) -> None:
    names = sorted((path.name for path in new.path.iterdir()), key=lambda name: (name == last, name))
    if not folder.exists():
        new.path.rename(folder)
        return
    if new.path.parent == folder.parent:
        try:
            _take_along(folder, new, {*names, *new.dropped})
            exchange(new.path, folder)
            return
        except OSError:
            pass  # no hard links here, or no exchange
    for name in names:
        (new.path / name).replace(folder / name)
    for name in sorted(new.dropped):
        (folder / name).unlink(missing_ok=True)


def _take_along(folder: Path, new: NewFiles, but: set[str]) -> None:
    """Give the new folder what stays of the old one, as hard links, with the folder's own rights."""

    def left_out(where: str, found: list[str]) -> set[str]:
        return but if Path(where) == folder else set()

    shutil.copytree(folder, new.path, symlinks=True, ignore=left_out, copy_function=os.link, dirs_exist_ok=True)


def exchange(one: Path, other: Path) -> None:
    """Exchange two files or folders of one file system in one step.

    Raises:
        OSError: one of them is not there, or neither system nor file system can do that.
    """
    library = ctypes.CDLL(None, use_errno=True)
    if not hasattr(library, "renameat2"):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if library.renameat2(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(one), None, str(other))


def _to_disk(folder: Path) -> None:
    for path in (*folder.iterdir(), folder):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
