"""Checkpoints: written whole or not at all, read with one sentence for whatever is wrong with them."""

from __future__ import annotations

import io
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import torch

from reactdiff_ros.errors import ReactdiffError

CHECKPOINT: Final = "checkpoint.pt"
FORMAT: Final = 2
_NEEDED: Final = {"format", "config", "simulator", "step", "vae_step", "model", "average"}


def write_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write `state` beside `path`, flush it to the disk and move it into place.

    A kill at any moment, or a disk that fills, leaves the checkpoint that was there.

    Raises:
        ReactdiffError: it cannot be written.
    """
    buffer = io.BytesIO()  # torch.save straight to a full disk raises whatever its zip writer thinks of
    torch.save({"format": FORMAT, **state}, buffer)
    partial = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            file.write(buffer.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        kept = "the last one stays; " if path.exists() else ""
        raise ReactdiffError(
            "the checkpoint cannot be written", where=str(path), todo=f"{kept}{error.strerror or error}"
        ) from error


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The state in a checkpoint.

    Raises:
        ReactdiffError: it is missing, unreadable, none, or of another version.
    """
    if not path.is_file():
        raise ReactdiffError("there is no checkpoint", where=str(path), todo="train first, or give another folder")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a broken file makes the unpickler raise anything
        raise ReactdiffError("the checkpoint cannot be read", where=str(path), todo="train anew") from error
    if not isinstance(state, dict) or not state.keys() >= _NEEDED:
        raise ReactdiffError("this is no checkpoint of reactdiff train", where=str(path), todo="give one")
    if state["format"] != FORMAT:
        raise ReactdiffError(
            f"the checkpoint is of format {state['format']}, this version reads {FORMAT}", where=str(path),
            todo="train anew",
        )  # fmt: skip
    return state
