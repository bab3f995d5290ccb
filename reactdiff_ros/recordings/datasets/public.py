"""Readers of the public sets REACT2023 and 2024, MARS (REACT2025 and 2026) and DualTalk, and of FaceVerse's faces.

`recordings` reads a split of any of them. Layouts: the challenges' public baseline repositories, and the public
repository OpenFacebot/DualTalk_Dataset_ARKit.
"""

from __future__ import annotations

import csv
import json
import pickle
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.attributes import ATTRIBUTE_COUNT, ATTRIBUTE_NAMES
from reactdiff_ros.coefficients import (
    BLENDSHAPE_COUNT,
    COEFFICIENT_COUNT,
    HEAD_PITCH,
    HEAD_ROLL,
    HEAD_YAW,
    INDEX,
    LOWER,
    ROTATION,
    UPPER,
)
from reactdiff_ros.recordings.datasets.recording import (
    DatasetError,
    Recording,
    VoiceOf,
    affect_of,
    between,
    existing,
    folder_of,
    inside,
    load_array,
    load_sound,
    load_table,
    newest,
    open_array,
    readable_text,
    same_length,
    speaker_of,
)
from reactdiff_ros.types import REACTION_RATE_HZ, FloatArray


def recordings(
    kind: str,
    folder: Path,
    split: str = "train",
    *,
    names: Sequence[str] | None = None,
    voice_of: VoiceOf = None,
) -> Iterator[Recording]:
    """A split's recordings on the 25 Hz grid, one conversation and direction at a time: each twice, either listening.

    Args:
        kind: react, mars or dualtalk.
        folder: the dataset's root.
        split: train, val or test; of DualTalk train, test or ood.
        names: FaceVerse's expression names (`expression_names`); None: only the head of its faces is observed.
        voice_of: makes the voice of the speaker's sound; None: the voice is unobserved, the sound is not read.

    Raises:
        DatasetError: the list, the folder or a conversation is unusable.
    """
    if kind == "dualtalk":
        path = existing(folder / "metadata" / f"{split}.jsonl", f"list of the {split} split")
        with readable_text(path, "list of conversations") as file:
            lines = [(number, line) for number, line in enumerate(file, start=1) if line.strip()]
        for line, listener in product(lines, (1, 0)):
            files = _talk_files(folder, line, listener, split, path, voice_of is not None)
            yield recording_from(files, voice_of)
        return
    folder_of(folder / split, f"the {split} split")
    listed: Sequence[ClipPair | Item] = pairs(folder, split) if kind == "react" else items(folder, split)
    for entry in listed:
        yield recording_from(entry.files(folder, split, names), voice_of)


def recording_of(
    folder: Path, entry: ClipPair | Item, split: str, *, names: Sequence[str] | None = None, voice_of: VoiceOf = None
) -> Recording:
    """One of `pairs` or `items`; arguments as in `recordings`.

    Raises:
        DatasetError: a file of it is missing or malformed.
    """
    folder_of(folder / split, f"the {split} split")
    return recording_from(entry.files(folder, split, names), voice_of)


@dataclass(frozen=True, slots=True)
class Files:
    """One direction of one conversation in a public set: what its layout says of files, names and rate."""

    source: str
    pair: str
    session: str
    role: str
    """Which of the two listens."""
    names: dict[str, str]
    """See `Recording`."""
    faces: tuple[Path, Path]
    """Of the speaker and of the listener."""
    sound: Path | None
    """Of the speaker; None: it is not read."""
    face_of: Callable[[Path], FloatArray]
    """Reads one of `faces`, (T, ...)."""
    coefficients_of: Callable[[FloatArray], tuple[FloatArray, NDArray[np.bool_]]]
    """Coefficients (T, 58) of a face, and which (58,) are observed."""
    attributes: tuple[Path, Path] | None = None
    """Of speaker and listener; None: the set has no labels."""
    rate_hz: float = REACTION_RATE_HZ
    """Frames a second of faces and attributes."""


def recording_from(files: Files, voice_of: VoiceOf = None) -> Recording:
    """Read one direction onto the 25 Hz grid.

    At each time, the speaker is the newest recorded frame; the listener is interpolated between frames.

    Raises:
        DatasetError: a file is missing or malformed, or the files differ in length.
    """
    parts = []
    for person in range(2):
        parts.append((files.faces[person], files.face_of(files.faces[person])))
        if files.attributes is not None:
            parts.append((files.attributes[person], load_attributes(files.attributes[person])))
    recorded = same_length(parts)
    values = [array[:recorded] for _, array in parts]
    speaking, listening = values[: len(values) // 2], values[len(values) // 2 :]
    coefficients, seen = files.coefficients_of(speaking[0])
    listener, observed = files.coefficients_of(listening[0])
    listener = between(listener, files.rate_hz)
    voice = affect = attributes = None
    if voice_of is not None and files.sound is not None:
        voice = voice_of(*load_sound(files.sound, recorded, files.rate_hz), len(listener))
    if files.attributes is not None:
        affect = affect_of(newest(speaking[1], files.rate_hz))
        attributes = between(listening[1], files.rate_hz)
    coefficients = newest(coefficients, files.rate_hz)
    speaker = speaker_of(len(listener), coefficients=coefficients, observed=seen, affect=affect, voice=voice)
    people = (files.source, files.pair, files.session, files.role)
    return Recording(*people, speaker, listener, observed, attributes, names=files.names)


# ---- FaceVerse v2
#
# FaceVerse v2's 58 numbers a frame (REACT2023/24, MARS) as our 58 coefficients.
#
# FaceVerse's 52 expression components are fitted to Apple's blendshapes but in another order, which is in the licensed
# model file `faceverse_simple_v2.npy` (`exp_name_list`): the reader maps by those names. Without them only the head's
# rotation is observed.
#
# Rotation: FaceVerse turns its mesh by Rz(roll) Ry(yaw) Rx(pi + pitch) into a frame with x to the viewer's right, y up
# and z to the viewer, which is ours; so only pi is taken off. What its fit leaves in every frame of one face (identity
# in the expression, the camera's angle in the rotation) is taken out by the clip's own neutral: the 10th percentile of
# an expression component, the median of a rotation. Translation is that of a face in a crop which follows the face:
# unobserved.

NEUTRAL_PERCENTILE: Final = 10.0
_BY_LOWER: Final = {name.lower(): i for name, i in INDEX.items() if i < BLENDSHAPE_COUNT}


class _ArraysOnly(pickle.Unpickler):
    """Reads pickled NumPy arrays and plain values, and nothing that could run code."""

    _ALLOWED: Final = {
        (module, name)
        for module in ("numpy", "numpy.core.multiarray", "numpy._core.multiarray")
        for name in ("ndarray", "dtype", "_reconstruct", "scalar")
    }

    def find_class(self, module: str, name: str) -> Any:
        """The class of a pickled object, if it is NumPy's."""
        if (module, name) not in self._ALLOWED:
            raise pickle.UnpicklingError(f"it wants {module}.{name}")
        return super().find_class(module, name)


def expression_names(path: Path) -> tuple[str, ...]:
    """The names of FaceVerse's 52 expression components, in its order.

    From the model file itself (`faceverse_simple_v2.npy`: only its arrays are read, no code of it runs), from a JSON
    list, or from a text file with one name a line.

    Raises:
        DatasetError: the file is missing, unreadable, or does not hold 52 blendshape names.
    """
    existing(path, "list of FaceVerse's expression names")
    try:
        if path.suffix == ".npy":
            names = _names_in_model(path)
        elif path.suffix == ".json":
            names = json.loads(path.read_text(encoding="utf-8"))
        else:
            names = path.read_text(encoding="utf-8").split()
        out = tuple(str(name) for name in names)
    except Exception as error:  # a broken pickle makes it raise anything
        todo = str(error)[:300]
        raise DatasetError("FaceVerse's expression names cannot be read", where=str(path), todo=todo) from error
    try:
        blendshape_indices(out)
    except DatasetError as error:
        raise DatasetError(error.what, where=str(path)) from error
    return out


def _names_in_model(path: Path) -> Sequence[Any]:
    with path.open("rb") as file:
        numpy_file: Any = np.lib.format
        first = numpy_file.read_magic(file) == (1, 0)
        (numpy_file.read_array_header_1_0 if first else numpy_file.read_array_header_2_0)(file)
        content = _ArraysOnly(file).load()
    names: Sequence[Any] = (content.item() if isinstance(content, np.ndarray) else content)["exp_name_list"]
    return names


def blendshape_indices(names: Sequence[str]) -> NDArray[np.intp]:
    """Index among our blendshapes of each of 52 names (`browDownLeft`, `browDown_L`, any case).

    Raises:
        DatasetError: not 52 different blendshapes.
    """
    out: list[int] = []
    for name in names:
        plain = name.strip()
        if plain[-2:].lower() in ("_l", "_r"):
            plain = plain[:-2] + {"l": "Left", "r": "Right"}[plain[-1].lower()]
        if plain.lower() not in _BY_LOWER:
            raise DatasetError(f"{name[:60]!r} is not the name of a blendshape")
        out.append(_BY_LOWER[plain.lower()])
    if len(out) != BLENDSHAPE_COUNT or len(set(out)) != BLENDSHAPE_COUNT:
        raise DatasetError(f"{len(set(out))} different blendshapes are named instead of {BLENDSHAPE_COUNT}")
    return np.array(out, dtype=np.intp)


def faceverse_coefficients(face: FloatArray, names: Sequence[str] | None) -> tuple[FloatArray, NDArray[np.bool_]]:
    """FaceVerse's (T, 58) as coefficients (T, 58) within their bounds, and which (58,) are observed.

    Args:
        face: expression 52, rotation x, y, z in rad (pitch with an offset of pi), translation.
        names: of the 52 components (`expression_names`); None: the expression is unobserved.

    Raises:
        DatasetError: the names are not those of the blendshapes.
    """
    values = np.zeros((len(face), COEFFICIENT_COUNT), dtype=np.float32)
    observed = np.zeros(COEFFICIENT_COUNT, dtype=bool)
    if names is not None:
        expression = face[:, :BLENDSHAPE_COUNT]
        expression = expression - np.percentile(expression, NEUTRAL_PERCENTILE, axis=0)
        values[:, blendshape_indices(names)] = expression
        observed[:BLENDSHAPE_COUNT] = True
    rotation = face[:, ROTATION]
    turned = rotation - np.median(rotation, axis=0)
    values[:, ROTATION] = (turned + np.pi) % (2 * np.pi) - np.pi
    observed[ROTATION] = True
    return np.clip(values, LOWER, UPPER).astype(np.float32), observed


# ---- REACT
#
# REACT2023 and REACT2024 (NoXI, RECOLA, UDIVA): clips of 30 s of two people, 751 frames of 25 Hz.
#
# ```
# ROOT/train.csv  val.csv  test.csv          header; number, speaker's clip, listener's clip
# ROOT/train/3D_FV_files/CLIP.npy            (751, 1, 58) FaceVerse: expression 52, rotation 3, translation 3
# ROOT/train/Emotion/CLIP.csv (or .npy)      header and 751 rows of 25 attributes
# ROOT/train/Audio_files/CLIP.wav            44.1 kHz, 16 bit
# ROOT/neighbour_emotion_val.npy             (2n, 2n) 0/1: which reactions are appropriate for which speaker
# ```
# CLIP is `NoXI/010_2016-03-25_Paris/Expert_video/1` (site, conversation, role, number). REACT2024 files NoXI's
# attributes under `P1` and `P2`; both names of a role are found. Layout: the challenge's public baseline repositories.

REACT_RATE_HZ: Final = 25.0
_OTHER_NAME: Final = {"Expert_video": "P1", "Novice_video": "P2", "P25": "P1", "P26": "P2"}


@dataclass(frozen=True, slots=True)
class ClipPair:
    """One row of a split's list, in one direction: who speaks and who listens."""

    speaker: str
    """Path of the speaker's clip below each kind of data, without suffix."""
    listener: str

    @property
    def pair(self) -> str:
        """Site and conversation: the two people."""
        parts = self.listener.split("/")
        return f"{parts[0]}/{parts[-3]}" if len(parts) > 3 else parts[-3]

    @property
    def session(self) -> str:
        """Task, where there are several, and number of the clip."""
        parts = self.listener.split("/")
        return "-".join([*parts[1:-3], parts[-1]])

    @property
    def role(self) -> str:
        """Which of the two listens."""
        return self.listener.split("/")[-2]

    def files(self, folder: Path, split: str, names: Sequence[str] | None = None) -> Files:
        """Its files below a dataset's root; `names` as in `recordings`."""
        root = folder / split
        return Files(
            source="react", pair=self.pair, session=self.session, role=self.role,
            names={"split": split, "speaker": self.speaker, "listener": self.listener},
            faces=(face_path(root, self.speaker), face_path(root, self.listener)),
            sound=root / "Audio_files" / f"{self.speaker}.wav", face_of=load_face,
            coefficients_of=partial(faceverse_coefficients, names=names),
            attributes=(attributes_path(root, self.speaker), attributes_path(root, self.listener)),
        )  # fmt: skip


def pairs(folder: Path, split: str, *, both_roles: bool = True) -> list[ClipPair]:
    """The split's list; with `both_roles` followed by the same with roles exchanged, as the neighbour matrix counts.

    Raises:
        DatasetError: the list is missing or malformed.
    """
    path = folder / f"{split}.csv"
    listed: list[ClipPair] = []
    with readable_text(path, f"list of the {split} split") as file:
        for number, row in enumerate(csv.reader(file)):
            if number == 0 or not row:
                continue
            if len(row) < 3 or min(len(row[i].split("/")) for i in (1, 2)) < 3:
                raise DatasetError(
                    f"line {number + 1} of the {split} list does not name a speaker's and a listener's clip",
                    where=str(path),
                )
            for relative in row[1:3]:
                inside(folder, relative, path)
            listed.append(ClipPair(row[1], row[2]))
    if not listed:
        raise DatasetError(f"the list of the {split} split is empty", where=str(path))
    return listed + [ClipPair(p.listener, p.speaker) for p in listed] if both_roles else listed


def load_attributes(path: Path) -> FloatArray:
    """A clip's attributes (T, 25). Raises DatasetError: missing or malformed."""
    if path.suffix == ".npy":
        return load_array(path, "facial attributes", ATTRIBUTE_COUNT)
    return load_table(path, "facial attributes", ATTRIBUTE_NAMES)


def attributes_path(root: Path, clip: str) -> Path:
    """Where a clip's attributes are below a split's folder; where they should be if they are nowhere."""
    parts = clip.split("/")
    other = "/".join([*parts[:-2], _OTHER_NAME.get(parts[-2], parts[-2]), parts[-1]])
    candidates = [root / "Emotion" / f"{name}{suffix}" for name in (clip, other) for suffix in (".csv", ".npy")]
    return next((candidate for candidate in candidates if candidate.is_file()), candidates[0])


def face_path(root: Path, clip: str) -> Path:
    """Where a clip's FaceVerse values are below a split's folder."""
    return root / "3D_FV_files" / f"{clip}.npy"


def load_face(path: Path) -> FloatArray:
    """A clip's FaceVerse values (T, 58). Raises DatasetError: missing or malformed."""
    return load_array(path, "3DMM coefficients", COEFFICIENT_COUNT)


def neighbours(folder: Path, split: str) -> NDArray[np.bool_]:
    """Which listeners are appropriate for which speaker, (2n, 2n) in the order of `pairs` with both roles.

    From `neighbour_emotion_SPLIT.npy`, or cut from the whole matrix (`Approprirate_facial_reaction.npy`, so spelt, with
    `data_indices.csv`) where that file is missing.

    Raises:
        DatasetError: the matrix is missing, of another size, or not of 0 and 1.
    """
    count = len(pairs(folder, split))
    path = folder / f"neighbour_emotion_{split}.npy"
    matrix = _matrix(path) if path.is_file() else _cut(folder, split)
    if matrix.shape != (count, count):
        raise DatasetError(
            f"the neighbour matrix is {matrix.shape} for a {split} list of {count} directions", where=str(path)
        )
    return matrix


def _matrix(path: Path) -> NDArray[np.bool_]:
    values = open_array(path, "neighbour matrix")
    if values.ndim != 2 or values.shape[0] != values.shape[1] or not np.isin(values, (0, 1)).all():
        raise DatasetError("the neighbour matrix is not square and of 0 and 1", where=str(path))
    return np.asarray(values, dtype=bool)


def _cut(folder: Path, split: str) -> NDArray[np.bool_]:
    path = folder / "Approprirate_facial_reaction.npy"
    whole = _matrix(path)
    rows: dict[tuple[str, str, str], int] = {}
    with readable_text(folder / "data_indices.csv", "list of all clips") as file:
        for number, row in enumerate(csv.reader(file)):
            if number and len(row) >= 3:
                rows[(row[0].upper(), row[1], row[2])] = len(rows)
    if whole.shape[0] != 2 * len(rows):
        raise DatasetError(
            f"the neighbour matrix has {whole.shape[0]} rows for {len(rows)} clips of two directions", where=str(path)
        )
    chosen: list[int] = []
    for pair in pairs(folder, split, both_roles=False):
        parts = pair.speaker.split("/")
        # UDIVA's conversations are listed as CONVERSATION_TASK.
        chat = parts[1] if len(parts) == 4 else f"{parts[-3]}_{parts[1]}"
        index = rows.get((parts[0].upper(), chat, parts[-1]))
        if index is None:
            raise DatasetError("a clip is not in the list of all clips", where=f"{folder / 'data_indices.csv'}: {chat}")
        chosen.append(index)
    both = np.array(chosen + [index + len(rows) for index in chosen], dtype=np.intp)
    return np.asarray(whole[np.ix_(both, both)])


# ---- MARS
#
# MARS (REACT2025 and REACT2026): whole sessions of speaker and listener, 30 frames a second, of any length.
#
# ```
# ROOT/train/coefficients/speaker/session0/FILE.npy        (T, 1, 58) FaceVerse
# ROOT/train/facial-attributes/speaker/session0/FILE.npy   (T, 25)
# ROOT/train/audio/speaker/session0/FILE.wav
# ROOT/train/.../listener/session0/FILE...                 the other person at the same time
# ```
# FILE is `Camera-2024-06-21-103121-103102`. Layout: the challenge's public baseline repositories.

MARS_RATE_HZ: Final = 30.0
ROLES: Final = ("speaker", "listener")
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True, slots=True)
class Item:
    """One file of one session in one direction: `role` speaks, the other role listens."""

    role: str
    session: str
    file: str

    @property
    def listening(self) -> str:
        """The role that listens."""
        return ROLES[1 - ROLES.index(self.role)]

    @property
    def pair(self) -> str:
        """The day of the recording, because the set does not name the people; else the file."""
        day = _DAY.search(self.file)
        return day.group() if day else self.file

    def files(self, folder: Path, split: str, names: Sequence[str] | None = None) -> Files:
        """Its files below a dataset's root; `names` as in `recordings`."""
        root, below = folder / split, f"{self.session}/{self.file}"

        def both(kind: str) -> tuple[Path, Path]:
            return root / kind / self.role / f"{below}.npy", root / kind / self.listening / f"{below}.npy"

        return Files(
            source="mars", pair=self.pair, session=below, role=self.listening,
            names={"split": split, "session": self.session, "file": self.file}, faces=both("coefficients"),
            sound=root / "audio" / self.role / f"{below}.wav", face_of=load_face,
            coefficients_of=partial(faceverse_coefficients, names=names), attributes=both("facial-attributes"),
            rate_hz=MARS_RATE_HZ,
        )  # fmt: skip


def items(folder: Path, split: str) -> list[Item]:
    """All files of a split in both directions, sessions by number, speakers first.

    Raises:
        DatasetError: there are none, or a file has no counterpart in the other role.
    """
    root = folder_of(folder / split / "facial-attributes", "facial attributes")
    found = {role: {p.relative_to(root / role) for p in (root / role).glob("*/*.npy")} for role in ROLES}
    if not found["speaker"]:
        raise DatasetError("there are no sessions of speakers", where=str(root / "speaker"))
    for role, other in (ROLES, ROLES[::-1]):
        alone = sorted(found[role] - found[other])
        if alone:
            raise DatasetError(
                f"{len(alone)} files of the {role} have none of the {other}", where=str(root / role / alone[0])
            )
    ordered = sorted(found["speaker"], key=lambda p: (_number(p.parts[0]), p.stem))
    return [Item(role, path.parts[0], path.stem) for role in ROLES for path in ordered]


def _number(session: str) -> tuple[int, str]:
    digits = re.search(r"\d+", session)
    return (int(digits.group()) if digits else -1, session)


# ---- DualTalk
#
# DualTalk in its ARKit form: two people in turns, 25 Hz, 61 channels in Live Link Face's order.
#
# ```
# ROOT/metadata/train.jsonl                 one conversation a line: name, speaker1_arkit, speaker1_audio, speaker2_...
# ROOT/train/NAME_speaker1.npy              (T, 61) float32: 52 blendshapes, head yaw, pitch, roll (rad), eyes (6)
# ROOT/train/NAME_speaker1.wav
# ```
# The arrays may be in ROOT or in ROOT/ARKit_npy; a table with the same 61 names (`.csv`) is read too. They were solved
# from FLAME, which knows no gaze and no tongue: those channels, and the head's translation, are unobserved. FLAME's
# axes are ours (x to the face's left, y up, z out of the face), so yaw, pitch and roll keep their signs; the median of
# each is taken out as the camera's angle. Layout: the public repository OpenFacebot/DualTalk_Dataset_ARKit.

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


def _talk_files(folder: Path, line: tuple[int, str], listener: int, split: str, listing: Path, heard: bool) -> Files:
    where = f"{listing}, line {line[0]}"
    try:
        entry = json.loads(line[1])
    except (ValueError, RecursionError) as error:
        raise DatasetError("a line of the list is not JSON", where=where, todo=str(error)) from error
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
        coefficients_of=lambda motion: (arkit_coefficients(motion), OBSERVED),
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


def arkit_coefficients(motion: FloatArray) -> FloatArray:
    """Channels (T, 61) as coefficients (T, 58) within their bounds, 0 where unobserved."""
    values = np.zeros((len(motion), COEFFICIENT_COUNT), dtype=np.float32)
    values[:, _TO] = motion[:, : BLENDSHAPE_COUNT + 3]
    rotation = slice(HEAD_PITCH, HEAD_ROLL + 1)
    values[:, rotation] -= np.median(values[:, rotation], axis=0)
    return np.asarray(np.clip(values, LOWER, UPPER) * OBSERVED, dtype=np.float32)
