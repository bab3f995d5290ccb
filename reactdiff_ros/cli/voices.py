"""Voice banks as commands take them with --voices: loaded, or made first where there is none yet."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reactdiff_ros.simulator.voices import VoiceBank


def voice_bank(path: Path | None) -> VoiceBank:
    """The bank at `path`, made there if nothing is; an empty one, which means parametric voices, for None.

    Raises:
        MissingExtraError: it has to be made, and espeak-ng is not installed.
        ReactdiffError: it cannot be read, made or written.
    """
    from reactdiff_ros.simulator.voices import load_bank

    if path is not None:
        make_if_missing(path)
    return load_bank(path)


def make_if_missing(path: Path) -> None:
    """Make a voice bank at `path`, whole or not at all, unless something is there. Errors as `voice_bank`."""
    from reactdiff_ros.cli.output import tell, writing
    from reactdiff_ros.cli.progress import progress_bar
    from reactdiff_ros.errors import MissingExtraError
    from reactdiff_ros.simulator.voices import make_bank

    if os.path.lexists(path):
        return
    if shutil.which("espeak-ng") is None:
        raise MissingExtraError(
            f"espeak-ng, to make the voice bank {path}", "apt install espeak-ng, or name a bank that is there"
        )
    part = path.with_name(f".{path.name[:60]}.{os.getpid()}.npz")  # numpy adds the ending where it is missing
    with writing("the voice bank", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        part.touch()
        try:
            tell(f"making the voice bank {path}, once: about a minute")
            with progress_bar("voices") as show:
                make_bank(part, progress=lambda done, count: show(done / max(count, 1)))
            part.replace(path)
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)
