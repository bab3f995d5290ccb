"""Where results of parts are kept as soon as they are there: one .npz file each, written whole or not at all."""

from __future__ import annotations

import json
import re
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation.runs.work import Made, Part, changed, digest
from reactdiff_ros.whole_file import write_arrays


@dataclass(frozen=True, slots=True)
class Kept:
    """What is known of a part before it is done."""

    there: bool
    """Its result is kept and was made with the same settings of the same files."""
    why_anew: str = ""
    """Why what is kept does not count; "" where nothing is kept."""


class Keep:
    """A folder of results of parts.

    Raises:
        ReactdiffError: the folder cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unwritten(folder, error) from error

    def path(self, part: Part) -> Path:
        """The file of a part."""
        plain = re.sub(r"[^A-Za-z0-9_.-]+", "_", part.name)
        # Names that differ in other characters only, and very long ones, have a file of their own.
        if plain == part.name and len(plain) <= 100:
            return self.folder / f"{plain}.npz"
        return self.folder / f"{plain[-80:]}-{digest({'name': part.name})}.npz"

    def look(self, part: Part) -> Kept:
        """Whether the result of `part` is there."""
        path = self.path(part)
        if not path.is_file():
            return Kept(False)
        try:
            with np.load(path, allow_pickle=False) as file:
                before = json.loads(str(file["about"]))["settings"]
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error, RecursionError):
            return Kept(False, "what was kept of it cannot be read")
        now = part.settings()
        if before == now:
            return Kept(True)
        return Kept(False, f"it was made with another {', '.join(changed(before, now)) or 'setting'}")

    def save(self, part: Part, made: Made) -> None:
        """Keep a result.

        Raises:
            ReactdiffError: it cannot be written (a full disk); what was there before stays.
        """
        path = self.path(part)
        about = json.dumps({"settings": part.settings(), "facts": made.facts, "notes": list(made.notes)})
        try:
            write_arrays(path, {"about": np.array(about), **{f"a_{k}": v for k, v in made.arrays.items()}})
        except OSError as error:
            raise _unwritten(path, error) from error

    def load(self, part: Part, only: tuple[str, ...] | None = None) -> Made:
        """The kept result of a part, with all arrays or those named.

        Raises:
            ReactdiffError: it cannot be read.
        """
        return load(self.path(part), only)


def load(path: Path, only: tuple[str, ...] | None = None) -> Made:
    """The result in a file of a part.

    Raises:
        ReactdiffError: it cannot be read.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            about: dict[str, Any] = json.loads(str(file["about"]))
            names = [n for n in file.files if n.startswith("a_") and (only is None or n[2:] in only)]
            arrays = {name[2:]: file[name] for name in names}
        return Made(dict(about["facts"]), arrays, tuple(about["notes"]))
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        EOFError,
        zipfile.BadZipFile,
        zlib.error,
        RecursionError,
    ) as error:
        raise ReactdiffError(
            "a kept part of the run cannot be read", where=str(path), todo="remove it, and run again"
        ) from error


def _unwritten(path: Path, error: OSError) -> ReactdiffError:
    return ReactdiffError(
        "a part of the run cannot be kept", where=str(path), todo=f"{error.strerror or error}; run again to go on"
    )
