"""Recordings whose lips are known: FACEGOOD's curves, tables of ARKit coefficients, and what perception sees of people.

FACEGOOD: github.com/FACEGOOD/FACEGOOD-Audio2Face (MIT), 116 weights of an animator's rig, 30 a second; its own map to
ARKit is doc/Voice2Face_blendshape2ARkit.xlsx, and `mouth_oh_c`, `mouth_oo_c` stand for funnel and pucker beside it.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.capture.media import MediaClip
from reactdiff_ros.clock import NS
from reactdiff_ros.coefficients import BLENDSHAPE_COUNT, BLENDSHAPE_NAMES, COEFFICIENT_COUNT, INDEX
from reactdiff_ros.errors import MediaError
from reactdiff_ros.perception.speaker import SpeakerPerception
from reactdiff_ros.types import FloatArray, Picture, Sound

FACEGOOD_COUNT: Final = 116
FACEGOOD_RATE_HZ: Final = 30.0
GRID_HZ: Final = 25.0
_FROM_FACEGOOD: Final[dict[str, tuple[str, ...]]] = {
    "jawOpen": ("mouth_stretch_c",), "jawLeft": ("jaw_sideways_l",), "jawRight": ("jaw_sideways_r",),
    "jawForward": ("jaw_thrust_c",), "mouthClose": ("mouth_chew_c",),
    "mouthFunnel": ("mouth_funnel_dl", "mouth_funnel_dr", "mouth_funnel_ul", "mouth_funnel_ur", "mouth_oh_c"),
    "mouthPucker": ("mouth_pucker_l", "mouth_pucker_r", "mouth_oo_c"),
    "mouthSmileLeft": ("mouth_lipCornerPull_l",), "mouthSmileRight": ("mouth_lipCornerPull_r",),
    "mouthStretchLeft": ("mouth_lipStretch_l",), "mouthStretchRight": ("mouth_lipStretch_r",),
    "mouthRollLower": ("mouth_suck_dl", "mouth_suck_dr"), "mouthRollUpper": ("mouth_suck_ul", "mouth_suck_ur"),
    "mouthPressLeft": ("mouth_press_l",), "mouthPressRight": ("mouth_press_r",),
    "mouthLowerDownLeft": ("mouth_lowerLipDepress_l",), "mouthLowerDownRight": ("mouth_lowerLipDepress_r",),
    "mouthUpperUpLeft": ("mouth_upperLipRaise_l",), "mouthUpperUpRight": ("mouth_upperLipRaise_r",),
    "mouthShrugLower": ("mouth_chinRaise_d",), "mouthShrugUpper": ("mouth_chinRaise_u",),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class KnownLips:
    """Sound and what the lips did. `coefficients`: (N, 52), `rate_hz` a second, from the beginning of the sound."""

    name: str
    sound: Sound
    coefficients: FloatArray
    rate_hz: float


def sound_of(path: Path) -> Sound:
    """The whole sound of a media file. Raises MediaError where there is none."""
    chunks = list(MediaClip(path).sound())
    if not chunks:
        raise MediaError("the file has no sound", where=str(path))
    rate = chunks[0].rate_hz
    channels = chunks[0].samples.shape[1]
    parts = [np.zeros((chunks[0].offset_ns * rate // NS, channels), np.int16)]
    parts += [chunk.samples for chunk in chunks if (chunk.rate_hz, chunk.samples.shape[1]) == (rate, channels)]
    return Sound(0, rate, np.concatenate(parts))


def from_facegood(weights: NDArray[np.floating[Any]], names: Sequence[str]) -> FloatArray:
    """(N, 52) of FACEGOOD's weights (N, 116), their columns named. Raises MediaError where a name is missing."""
    column = {str(name): i for i, name in enumerate(names)}
    missing = [name for sources in _FROM_FACEGOOD.values() for name in sources if name not in column]
    if missing or weights.ndim != 2 or weights.shape[1] != len(column):
        what = f"{weights.shape} weights and {len(column)} names are not FACEGOOD's"
        raise MediaError(what, todo=f"give the file of the {FACEGOOD_COUNT} names" if missing else "")
    found = np.zeros((len(weights), BLENDSHAPE_COUNT), np.float32)
    for name, sources in _FROM_FACEGOOD.items():
        found[:, INDEX[name]] = weights[:, [column[source] for source in sources]].max(axis=1)
    return np.clip(np.nan_to_num(found), 0.0, 1.0)


def read_truth(path: Path, names: Path | None = None, rate_hz: float = FACEGOOD_RATE_HZ) -> tuple[FloatArray, float]:
    """Coefficients (N, 52) and their rate: of 116 weights of FACEGOOD (with the file of their names) or of ARKit's 52.

    A .npz has them as `weights` or `coefficients`, and may have `rate_hz`. More columns than 52 are dropped.

    Raises:
        MediaError: the file is no such table.
    """
    try:
        loaded = _load(path)
        if isinstance(loaded, np.lib.npyio.NpzFile):
            with loaded:
                rate_hz = float(loaded["rate_hz"]) if "rate_hz" in loaded.files else rate_hz
                values = loaded["weights"] if "weights" in loaded.files else loaded["coefficients"]
        else:
            values = loaded
        values = np.asarray(values, np.float32)
        if values.ndim != 2 or not len(values) or not 1.0 <= rate_hz <= 1000.0:
            raise ValueError(f"its shape is {values.shape} at {rate_hz:g} a second")
        if values.shape[1] == FACEGOOD_COUNT:
            if names is None:
                raise ValueError(f"{FACEGOOD_COUNT} weights need the file of their names (--names)")
            return from_facegood(values, _load(names).tolist()), rate_hz
        if values.shape[1] not in (BLENDSHAPE_COUNT, COEFFICIENT_COUNT):
            raise ValueError(f"{values.shape[1]} columns are neither {FACEGOOD_COUNT}, {BLENDSHAPE_COUNT} nor 58")
        return np.clip(np.nan_to_num(values[:, :BLENDSHAPE_COUNT]), 0.0, 1.0), rate_hz
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise MediaError("the table of lips cannot be read", where=str(path), todo=str(error)[:200]) from error


def _load(path: Path) -> Any:
    with warnings.catch_warnings():  # FACEGOOD's files come from Python 2
        warnings.simplefilter("ignore", UserWarning)
        return np.load(path, allow_pickle=False)


def read_facegood(folder: Path, names: Path) -> list[KnownLips]:
    """Every NAME.flac of a folder with its NAME_bs116_30fps.npz. Raises MediaError for one that cannot be read."""
    found = []
    for path in sorted(folder.glob("*.flac")):
        values, rate_hz = read_truth(path.with_name(f"{path.stem}_bs116_30fps.npz"), names)
        found.append(KnownLips(path.stem, sound_of(path), values, rate_hz))
    if not found:
        raise MediaError("there is no NAME.flac with NAME_bs116_30fps.npz", where=str(folder))
    return found


def perceived_lips(path: Path) -> KnownLips:
    """The lips of a recorded person as perception reads them, on a grid of GRID_HZ. Raises MediaError without sound."""
    sound, perception = sound_of(path), SpeakerPerception()
    stamps, rows = [], []
    for picture in MediaClip(path).pictures():
        frame = perception.observe_picture(Picture(picture.offset_ns, picture.bgr))
        if frame.mesh_present:
            stamps.append(picture.offset_ns / NS)
            rows.append(frame.coefficients[:BLENDSHAPE_COUNT])
    if len(rows) < 25:
        raise MediaError("no face is seen for a second", where=str(path))
    at = np.arange(0.0, len(sound.samples) / sound.rate_hz, 1.0 / GRID_HZ)
    table = np.array(rows)
    grid = np.stack([np.interp(at, stamps, table[:, i]) for i in range(len(BLENDSHAPE_NAMES))], axis=1)
    return KnownLips(path.stem, sound, grid.astype(np.float32), GRID_HZ)
