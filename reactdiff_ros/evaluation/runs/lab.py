"""A folder of a lab's recordings: bags, videos and extracted files, and who listened to whom in them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.recordings.bags.storage import entries, is_bag
from reactdiff_ros.recordings.datasets.recordings import SUFFIX as EXTRACTED

MEDIA: Final = (".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v", ".mpg", ".wav", ".flac", ".ogg", ".mp3", ".m4a")
_ROLE: Final = re.compile(r"(?i)^(?P<who>.*?)[-_. ]?(?P<role>speaker|listener)$")


@dataclass(frozen=True, slots=True)
class Source:
    """One recording."""

    id: str
    """The speaker's file below the folder, without its suffix."""
    speaker: Path
    listener: Path | None = None
    """The one who listened, filmed from the same start; None: nobody, or a file of `reactdiff extract` holds both."""

    @property
    def group(self) -> str:
        """Recordings of one subfolder are taken for the same people."""
        return str(Path(self.id).parent) if "/" in self.id else self.id


def sources(folder: Path, pairs: Sequence[tuple[Path, Path]] = ()) -> list[Source]:
    """All recordings of a folder and those below it, by name.

    `NAME_speaker.*` and `NAME_listener.*` are a pair; `pairs` names others, (speaker, listener), relative to the
    folder or not. A file that is the listener of a pair is no recording of its own.

    Raises:
        ReactdiffError: there is no such folder, one of them may not be looked into, nothing in it is a recording, or a
            pair names no file.
    """
    if not folder.is_dir():
        raise ReactdiffError("there is no such folder", where=str(folder), todo="give a folder of bags or videos")
    found = _found(folder)
    couples = {_there(folder, a): _there(folder, b) for a, b in pairs}
    by_role = {(_who(path, folder), role): path for path in found if (role := _role(path))}
    for (who, role), path in by_role.items():
        other = by_role.get((who, "listener"))
        if role == "speaker" and other is not None:
            couples.setdefault(path, other)
    listening = set(couples.values()) - set(couples)
    chosen = [path for path in dict.fromkeys([*found, *couples]) if path not in listening]
    if not chosen:
        raise ReactdiffError(
            "the folder holds no recordings", where=str(folder),
            todo=f"bags, {', '.join(MEDIA[:4])} and the like, or files of 'reactdiff extract'",
        )  # fmt: skip
    named = [(_id(path, folder), path) for path in chosen]
    ids = [name for name, _ in named]
    return [
        Source(name if ids.count(name) == 1 else f"{name}{path.suffix}", path, couples.get(path))
        for name, path in named
    ]


def _found(folder: Path) -> list[Path]:
    out: list[Path] = []
    for path in entries(folder):
        if path.name.startswith("."):
            continue
        if is_bag(path) or (path.is_file() and path.suffix.lower() in (*MEDIA, EXTRACTED)):
            # A folder of single bags and a bag in many files look alike: metadata.yaml, or the same stem, says which.
            if path.is_dir() and not (path / "metadata.yaml").is_file() and len(list(path.glob("*.mcap"))) > 1:
                out.extend(_found(path))
            else:
                out.append(path)
        elif path.is_dir():
            out.extend(_found(path))
    return out


def _there(folder: Path, path: Path) -> Path:
    for candidate in (path, folder / path):
        if candidate.exists():
            place = candidate.resolve()
            root = folder.resolve()
            return folder / place.relative_to(root) if place.is_relative_to(root) else place
    raise ReactdiffError("a pair names a file that is not there", where=str(path))


def _role(path: Path) -> str:
    match = _ROLE.match(path.stem if path.is_file() else path.name)
    return match["role"].lower() if match else ""


def _who(path: Path, folder: Path) -> str:
    match = _ROLE.match(path.stem if path.is_file() else path.name)
    return f"{path.parent.relative_to(folder)}/{match['who'] if match else path.name}"


def _id(path: Path, folder: Path) -> str:
    place = path.relative_to(folder) if path.is_relative_to(folder) else Path(path.name)
    return str(place.with_suffix("") if path.is_file() else place)
