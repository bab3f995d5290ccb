"""REACT clips with the predictors' features that the published model is trained on.

```
ROOT/features/train/Video_features/CLIP.pth   three tensors: valence-arousal (T, 64), action units (T, 25088),
                                              expression (T, 1408)
ROOT/features/train/Audio_features/CLIP.pth   two: MFCC (T, 26), speech representation (T, 1536)
```
or `.npz` files with arrays named va, au, expression and mfcc, speech. Lists, 3DMM and attributes as in
`datasets.public`. The predictors of the three video streams are not public: a lab brings their features.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from reactdiff_ros.errors import explained
from reactdiff_ros.recordings.datasets import public
from reactdiff_ros.recordings.datasets.public import ClipPair, face_path, load_face, pairs
from reactdiff_ros.recordings.datasets.recording import DatasetError, checked, existing, folder_of, same_length
from reactdiff_ros.training.paper.config import AUDIO_STREAMS, VIDEO_STREAMS, PaperConfig
from reactdiff_ros.training.paper.networks import Features
from reactdiff_ros.types import FloatArray


@dataclass(frozen=True, slots=True)
class Clip:
    """One clip in one direction; every array (T, ...)."""

    name: str
    speaker: tuple[FloatArray, FloatArray]
    """Video and audio features."""
    listener: tuple[FloatArray, FloatArray]
    face: FloatArray
    """(T, 58) FaceVerse of the listener."""
    attributes: FloatArray
    """(T, 25) of the listener."""

    @property
    def frames(self) -> int:
        """T."""
        return len(self.speaker[0])


@dataclass(frozen=True, slots=True)
class Batch:
    """Clips of one length, (B, T, ...)."""

    speaker: Features
    listener: Features
    face: Tensor
    attributes: Tensor

    def to(self, device: torch.device) -> Batch:
        """On another device."""
        return Batch(*(getattr(self, f.name).to(device) for f in fields(self)))


class ReactClips(Dataset[Clip]):  # type: ignore[misc]
    """A split of a REACT data set, both directions of each clip.

    Args:
        root: the data set's folder.
        split: train, val or test.
        config: whose stream widths the features must have.
        targets: False: only the speakers' features are there (`speaker`).

    Raises:
        DatasetError: the split's list or its features are missing.
    """

    def __init__(self, root: Path, split: str, config: PaperConfig, *, targets: bool = True) -> None:
        self.pairs: Sequence[ClipPair] = pairs(root, split)
        self._folder = folder_of(root / split, f"the {split} split") if targets else root
        self._features = folder_of(root / "features" / split, f"the features of the {split} split")
        self._config = config

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Clip:
        """A clip. Raises DatasetError: one of its files is missing or malformed."""
        pair = self.pairs[index]
        parts = [*self._streams(pair.speaker), *self._streams(pair.listener)]
        face, attributes = (of(self._folder, pair.listener) for of in (face_path, public.attributes_path))
        parts += [(face, load_face(face)), (attributes, public.load_attributes(attributes))]
        frames = same_length(parts)
        values = [array[:frames] for _, array in parts]
        return Clip(pair.speaker, _by_class(values[:5]), _by_class(values[5:10]), values[10], values[11])

    def speaker(self, index: int) -> tuple[FloatArray, FloatArray]:
        """Video and audio features (T, ...) of a clip's speaker. Errors as `__getitem__`."""
        parts = self._streams(self.pairs[index].speaker)
        frames = same_length(parts)
        return _by_class([array[:frames] for _, array in parts])

    def _streams(self, clip: str) -> list[tuple[Path, FloatArray]]:
        video = self._features / "Video_features" / clip
        audio = self._features / "Audio_features" / clip
        return [*_load(video, VIDEO_STREAMS, self._config.video), *_load(audio, AUDIO_STREAMS, self._config.audio)]


def _by_class(streams: Sequence[FloatArray]) -> tuple[FloatArray, FloatArray]:
    count = len(VIDEO_STREAMS)
    return np.concatenate(streams[:count], 1), np.concatenate(streams[count:], 1)


def _load(path: Path, names: Sequence[str], widths: Sequence[int]) -> list[tuple[Path, FloatArray]]:
    archive = path.with_name(path.name + ".npz")
    tensors = path.with_name(path.name + ".pth")
    found = archive if archive.is_file() else existing(tensors, "features")
    # A broken archive makes its reader raise anything.
    with explained(Exception, f"the features {', '.join(names)} cannot be read", where=found, error=DatasetError):
        if found is archive:
            with np.load(archive, allow_pickle=False) as file:
                arrays = [file[name] for name in names]
        else:
            content = torch.load(tensors, map_location="cpu", weights_only=True)
            arrays = [tensor.float().numpy() for tensor in content]
    if len(arrays) != len(names):
        raise DatasetError(f"there are {len(arrays)} features instead of {', '.join(names)}", where=str(found))
    rows = zip(arrays, names, widths, strict=True)
    return [(found, checked(array, f"feature {name}", width, found)) for array, name, width in rows]


def mean_face(root: Path, split: str) -> FloatArray:
    """Mean (58,) of the FaceVerse values of a split's listeners.

    Raises:
        DatasetError: a file is missing or malformed.
    """
    folder = folder_of(root / split, f"the {split} split")
    total, count = np.zeros(58), 0
    for pair in pairs(root, split):
        values = load_face(face_path(folder, pair.listener))
        total, count = total + values.sum(0), count + len(values)
    return np.asarray(total / count, dtype=np.float32)


def batches(
    clips: ReactClips, config: PaperConfig, order: Sequence[int], seeds: Sequence[int] | None = None, first: int = 0
) -> Iterator[Batch]:
    """Clips in `order`, `config.batch` at a time, cut to one length: at random places, or at their beginning.

    Args:
        clips: the split.
        config: batch and clip length.
        order: all indices of an epoch.
        seeds: of where clips are cut, together with the batch's number; None: at their beginning.
        first: number of the first batch that is wanted.

    Raises:
        DatasetError: a clip is missing, malformed, or shorter than a window.
    """
    wanted = order[first * config.batch :]
    loader: DataLoader[Clip] = DataLoader(
        clips, batch_size=config.batch, sampler=wanted, collate_fn=list, num_workers=config.workers
    )
    for number, group in enumerate(loader, first):
        yield _stacked(group, config, None if seeds is None else np.random.default_rng([*seeds, number]))


def _stacked(group: list[Clip], config: PaperConfig, rng: np.random.Generator | None) -> Batch:
    length = min(config.clip_frames, *(clip.frames for clip in group))
    if length < config.window:
        short = min(group, key=lambda clip: clip.frames)
        what = f"a clip has {short.frames} frames, fewer than a window of {config.window}"
        raise DatasetError(what, where=short.name)
    starts = [0 if rng is None else int(rng.integers(0, clip.frames - length + 1)) for clip in group]

    def stack(arrays: list[FloatArray]) -> Tensor:
        return torch.from_numpy(np.stack([a[s : s + length] for a, s in zip(arrays, starts, strict=True)]))

    speaker, listener = (
        Features(*(stack([person[i] for person in people]) for i in range(2)))
        for people in ([clip.speaker for clip in group], [clip.listener for clip in group])
    )
    return Batch(speaker, listener, stack([clip.face for clip in group]), stack([clip.attributes for clip in group]))
