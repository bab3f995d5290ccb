"""Ten reactions to every clip of a split, as arrays of the challenge's shape."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from reactdiff_ros.attributes import ATTRIBUTE_COUNT
from reactdiff_ros.coefficients import COEFFICIENT_COUNT
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.training.paper.data import ReactClips
from reactdiff_ros.training.paper.model import Features, PaperModel
from reactdiff_ros.training.paper.windows import draw

FRAMES: Final = 750
"""Frames of a clip in the challenge's arrays."""
ATTRIBUTES, COEFFICIENTS, CLIPS = "attributes.npy", "coefficients.npy", "clips.txt"


@dataclass(frozen=True, slots=True)
class Drawn:
    """One clip is done."""

    clip: str
    number: int
    clips: int


def sample(
    model: PaperModel,
    data: Path,
    split: str,
    output: Path,
    *,
    count: int = 10,
    frames: int = FRAMES,
    seed: int = 0,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[Drawn]:
    """Draw `count` reactions to the speaker of every clip and write them, in the order of `datasets.react.pairs`.

    `attributes.npy` is (N, count, frames, 25), `coefficients.npy` (N, count, frames, 58) in FaceVerse's order,
    `clips.txt` names the N speakers. They appear when all are drawn; a run that ends before leaves no half array.
    Clips longer than `frames` are cut, a shorter clip's last frame is repeated, as the arrays have one length.

    Raises:
        DatasetError: a clip is missing or malformed.
        ReactdiffError: the arrays cannot be written.
    """
    clips = ReactClips(data, split, model.config, targets=False)
    device = next(model.parameters()).device
    try:
        output.mkdir(parents=True, exist_ok=True)
        make: Any = np.lib.format.open_memmap
        parts = {
            name: make(output / f"{name}.part", mode="w+", dtype=np.float32, shape=(len(clips), count, frames, width))
            for name, width in ((ATTRIBUTES, ATTRIBUTE_COUNT), (COEFFICIENTS, COEFFICIENT_COUNT))
        }
        _reserve(output, list(parts))
    except OSError as error:
        _discard(output)
        raise ReactdiffError("the reactions cannot be written", where=str(output), todo=str(error.strerror)) from error
    try:
        for i in range(len(clips)):
            clip = clips[i]
            features = Features(*(torch.from_numpy(x[:frames])[None] for x in clip.speaker)).to(device)
            drawn = draw(model, features, count=count, seed=seed + 1_000_003 * i)
            for name, values in zip((COEFFICIENTS, ATTRIBUTES), drawn, strict=True):
                array = values.float().cpu().numpy()
                parts[name][i, :, : array.shape[1]] = array
                parts[name][i, :, array.shape[1] :] = array[:, -1:]
            yield Drawn(clip.name, i + 1, len(clips))
            if stopped():
                return
        for name, values in parts.items():
            values.flush()
            (output / f"{name}.part").replace(output / name)
        (output / CLIPS).write_text("".join(f"{p.speaker}\n" for p in clips.pairs), encoding="utf-8")
    except OSError as error:
        raise ReactdiffError("the reactions cannot be written", where=str(output), todo=str(error.strerror)) from error
    finally:
        _discard(output)


def _reserve(output: Path, names: list[str]) -> None:
    """Takes the disk now: writing to a memory map on a full disk would end the process without a word."""
    for name in names:
        with (output / f"{name}.part").open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size)


def _discard(output: Path) -> None:
    for name in (ATTRIBUTES, COEFFICIENTS):
        with suppress(OSError):
            (output / f"{name}.part").unlink()
