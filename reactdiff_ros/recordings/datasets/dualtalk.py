"""DualTalk in its ARKit form: two people in turns, 25 Hz, 61 channels in Live Link Face's order.

```
ROOT/metadata/train.jsonl                 one conversation a line: name, speaker1_arkit, speaker1_audio, speaker2_...
ROOT/train/NAME_speaker1.npy              (T, 61) float32: 52 blendshapes, head yaw, pitch, roll (rad), eyes (6)
ROOT/train/NAME_speaker1.wav
```
The arrays may be in ROOT or in ROOT/ARKit_npy; a table with the same 61 names (`.csv`) is read too. They were solved
from FLAME, which knows no gaze and no tongue: those channels, and the head's translation, are unobserved. FLAME's axes
are ours (x to the face's left, y up, z out of the face), so yaw, pitch and roll keep their signs; the median of each is
taken out as the camera's angle. Layout: the public repository OpenFacebot/DualTalk_Dataset_ARKit.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.coefficients import (
    BLENDSHAPE_COUNT,
    COEFFICIENT_COUNT,
    HEAD_PITCH,
    HEAD_ROLL,
    HEAD_YAW,
    INDEX,
    LOWER,
    UPPER,
)
from reactdiff_ros.recordings.datasets.recording import (
    DatasetError,
    Files,
    OnBad,
    Recording,
    VoiceOf,
    existing,
    inside,
    load_array,
    load_table,
    read_all,
    readable_text,
)
from reactdiff_ros.types import FloatArray

SPEAKERS: Final = ("speaker1", "speaker2")
ARRAY_FOLDERS: Final = ("", "ARKit_npy", "ARKit")
_SHAPES: Final[tuple[str, ...]] = (
    "eyeBlinkLeft", "eyeLookDownLeft", "eyeLookInLeft", "eyeLookOutLeft", "eyeLookUpLeft", "eyeSquintLeft",
    "eyeWideLeft", "eyeBlinkRight", "eyeLookDownRight", "eyeLookInRight", "eyeLookOutRight", "eyeLookUpRight",
    "eyeSquintRight", "eyeWideRight", "jawForward", "jawLeft", "jawRight", "jawOpen", "mouthClose", "mouthFunnel",
    "mouthPucker", "mouthLeft", "mouthRight", "mouthSmileLeft", "mouthSmileRight", "mouthFrownLeft",
    "mouthFrownRight", "mouthDimpleLeft", "mouthDimpleRight", "mouthStretchLeft", "mouthStretchRight",
    "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthPressLeft", "mouthPressRight",
    "mouthLowerDownLeft", "mouthLowerDownRight", "mouthUpperUpLeft", "mouthUpperUpRight", "browDownLeft",
    "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "cheekPuff", "cheekSquintLeft",
    "cheekSquintRight", "noseSneerLeft", "noseSneerRight", "tongueOut",
)  # fmt: skip
_ROTATIONS: Final = ("headYaw", "headPitch", "headRoll")
_EYES: Final = ("leftEyeYaw", "leftEyePitch", "leftEyeRoll", "rightEyeYaw", "rightEyePitch", "rightEyeRoll")
CHANNELS: Final[tuple[str, ...]] = (*_SHAPES, *_ROTATIONS, *_EYES)
"""The 61 channels in the order of the arrays."""

_TO: Final = np.array([INDEX[name] for name in _SHAPES] + [HEAD_YAW, HEAD_PITCH, HEAD_ROLL])
OBSERVED: Final[NDArray[np.bool_]] = np.array(
    [i in _TO and not (name.startswith("eyeLook") or name == "tongueOut") for name, i in INDEX.items()]
)


def recordings(
    folder: Path, split: str = "train", *, voice_of: VoiceOf = None, on_bad: OnBad = None
) -> Iterator[Recording]:
    """The split's recordings: each conversation twice, either person listening.

    Args:
        folder: the dataset's root, with `metadata/`.
        split: train, test or ood.
        voice_of: makes the voice of the speaker's sound; None: the voice is unobserved, the sound is not read.
        on_bad: called for a conversation that is left out; None: its error ends the reading.

    Raises:
        DatasetError: the list is unusable, or a conversation is and `on_bad` is None.
    """
    path = existing(folder / "metadata" / f"{split}.jsonl", f"list of the {split} split")
    lines = ((line, listener) for line in _lines(path) for listener in (1, 0))
    return read_all(lines, lambda entry: _files(folder, *entry, split, path, voice_of is not None), voice_of, on_bad)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    with readable_text(path, "list of conversations") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield number, line


def _files(folder: Path, line: tuple[int, str], listener: int, split: str, listing: Path, heard: bool) -> Files:
    where = f"{listing}, line {line[0]}"
    try:
        entry = json.loads(line[1])
    except (ValueError, RecursionError) as error:
        raise DatasetError("a line of the list is no JSON", where=where, todo=str(error)) from error
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise DatasetError("a line of the list has no name", where=where)
    speaking, listening = SPEAKERS[1 - listener], SPEAKERS[listener]
    film, _, part = entry["name"].partition("_sub_video_")
    return Files(
        source="dualtalk", pair=film, session=part or "0", role=listening,
        names={"split": split, "clip": entry["name"]},
        faces=(
            _array_path(folder, _field(entry, f"{speaking}_arkit", where), listing),
            _array_path(folder, _field(entry, f"{listening}_arkit", where), listing),
        ),
        sound=inside(folder, _field(entry, f"{speaking}_audio", where), listing) if heard else None, face_of=_motion,
        coefficients_of=lambda motion: (to_coefficients(motion), OBSERVED),
    )  # fmt: skip


def _field(entry: dict[str, Any], name: str, where: str) -> str:
    value = entry.get(name)
    if not isinstance(value, str) or not value:
        raise DatasetError(f"the field {name} of a conversation is missing", where=where)
    return value


def _array_path(folder: Path, relative: str, listing: Path) -> Path:
    candidates = [inside(folder / below, relative, listing) for below in ARRAY_FOLDERS]
    return next((path for path in candidates if path.is_file()), candidates[0])


def _motion(path: Path) -> FloatArray:
    if path.suffix == ".csv":
        return load_table(path, "ARKit channels", CHANNELS)
    return load_array(path, "ARKit channels", len(CHANNELS))


def to_coefficients(motion: FloatArray) -> FloatArray:
    """Channels (T, 61) as coefficients (T, 58) within their bounds, 0 where unobserved."""
    values = np.zeros((len(motion), COEFFICIENT_COUNT), dtype=np.float32)
    values[:, _TO] = motion[:, : BLENDSHAPE_COUNT + 3]
    rotation = slice(HEAD_PITCH, HEAD_ROLL + 1)
    values[:, rotation] -= np.median(values[:, rotation], axis=0)
    return np.asarray(np.clip(values, LOWER, UPPER) * OBSERVED, dtype=np.float32)
