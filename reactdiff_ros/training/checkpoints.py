"""Checkpoints: written whole or not at all, read with one sentence for whatever is wrong with them."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Final

import torch

from reactdiff_ros.errors import ReactdiffError

CHECKPOINT: Final = "checkpoint.pt"
FORMAT: Final = 2
_NEEDED: Final = {"format", "config", "simulator", "step", "vae_step", "model", "average"}


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A new file that takes the place of `path` at the end of the block, once the disk has all of it.

    A kill at any moment, or a disk that fills, leaves what was there.

    Raises:
        ReactdiffError: it cannot be written.
    """
    partial = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except (OSError, RuntimeError) as error:  # torch raises RuntimeError where its archive cannot be finished
        kept = "the last one stays; " if path.exists() else ""
        reason = error.strerror if isinstance(error, OSError) and error.strerror else _first_line(error)
        raise ReactdiffError("the checkpoint cannot be written", where=str(path), todo=f"{kept}{reason}") from error
    finally:
        with suppress(OSError):
            partial.unlink()


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def write_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write `state`, whole or not at all.

    Raises:
        ReactdiffError: it cannot be written; what was there before stays.
    """
    buffer = io.BytesIO()  # torch.save straight to a full disk raises whatever its zip writer thinks of
    torch.save({"format": FORMAT, **state}, buffer)
    with whole_file(path) as file:
        file.write(buffer.getbuffer())


def refuse_to_begin_over(folder: Path) -> None:
    """Before a new run. Raises ReactdiffError if the folder holds the checkpoint of another one."""
    if (folder / CHECKPOINT).exists():
        raise ReactdiffError(
            "the folder holds a run already", where=str(folder), todo="give --resume, or another folder"
        )


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
        raise ReactdiffError("this is no checkpoint of reactdiff dev train", where=str(path), todo="give one")
    if state["format"] != FORMAT:
        raise ReactdiffError(
            f"the checkpoint is of format {state['format']}, this version reads {FORMAT}", where=str(path),
            todo="train anew",
        )  # fmt: skip
    return state
