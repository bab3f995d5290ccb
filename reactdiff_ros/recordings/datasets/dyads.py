"""Video calls of pairs of people: smile, cheek raise, gaze at the partner and motion, both directions.

The public recordings in this form are `data/real_dyads` of the repository daoramey/nonverbal-dynamics-VC-resolution
(MIT; Diao et al., ICMI 2024): 12 pairs, three calls each. Any folder with files of that form, in it or below, will do:
`PAIR_FEATURE.csv` or `PAIR_SESSION_FEATURE.csv`, FEATURE one of `au12_r`, `au06_r` (OpenFace intensities 0..5), `gaze`
(codes 0..3, 3 = the partner's face) and `body_motion` (frame-difference energy); one header line that names the two
people, then a line a frame with a number for each, separated by spaces. NA or NaN is a gap.

The map to coefficients was fixed before any training on these recordings:

| recorded | coefficients | map |
|---|---|---|
| au12_r | mouthSmileLeft, mouthSmileRight | clip(AU12 / 3.5, 0, 1) |
| au06_r | cheekSquintLeft, cheekSquintRight | clip(AU06 / 3.5, 0, 1) |
| gaze, speaker | gaze contact | share of the frame's 40 ms with code 3; otherwise `AWAY_PITCH_RAD` down |
| gaze, listener | the eight eyeLook | straight at code 3; otherwise eyeLookDown `AWAY_LOOK` (both eyes) |
| body_motion | none | `Recording.motion`: log(1 + energy), mean 0 and deviation 1 over the call |

3.5 lies between the 95th percentile of the public calls' AU12 (2.4) and OpenFace's maximum of 5, so that a broad
smile is near 1, as in ARKit. The direction of a
look elsewhere is not recorded: the pairs had cards in front of them, so it is read as a nominal look down. Energy of
frame differences mixes head, body and camera, so it is mapped to no coefficient; head pose counts as unobserved.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.coefficients import COEFFICIENT_COUNT, EYE_LOOK, index
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.model.tokens import SpeakerBatch, blank
from reactdiff_ros.recordings.datasets.recording import Recording
from reactdiff_ros.types import REACTION_RATE_HZ, FloatArray

SOURCE: Final = "dyads"
PUBLISHED: Final = "github.com/daoramey/nonverbal-dynamics-VC-resolution, data/real_dyads (MIT)"
FILE_RATE_HZ: Final = 30.0
"""Frame rate of the files: 5400 rows for calls of three minutes; the publication does not state it."""
FEATURES: Final = ("au12_r", "au06_r", "gaze", "body_motion")
_LIMITS: Final = {"au12_r": (0.0, 5.0), "au06_r": (0.0, 5.0), "gaze": (0.0, 3.0), "body_motion": (0.0, np.inf)}
AU_FULL: Final = 3.5
"""AU intensity of a full coefficient."""
AT_PARTNER: Final = 3
AWAY_PITCH_RAD: Final = 0.3
AWAY_LOOK: Final = 0.58
"""The same angle in eyeLookDown (1 = 30 degrees)."""

SMILE_CHEEK: Final = index("mouthSmileLeft", "mouthSmileRight", "cheekSquintLeft", "cheekSquintRight")
"""The speaker's coefficients that are observed; the listener's are these and the eyeLook ones."""
LOOK_DOWN: Final = index("eyeLookDownLeft", "eyeLookDownRight")
_NAME = re.compile(r"(?P<pair>[^_]+)(?:_(?P<session>.+))?_(?P<feature>au12_r|au06_r|gaze|body_motion)\.csv")
ROLES: Final = ("A", "B")
_GAPS: Final = {"NA", "NaN", "nan", "na"}


def read_dyads(folder: Path, *, rate_hz: float = FILE_RATE_HZ) -> list[Recording]:
    """All calls of a folder in both directions, on the 25 Hz grid, sorted by pair, session and listener.

    Raises:
        ReactdiffError: the folder holds no such files, or one is missing, malformed or of another length.
    """
    calls: dict[tuple[str, str], dict[str, Path]] = {}
    if not folder.is_dir():
        raise ReactdiffError("the folder of dyads is not there", where=str(folder), todo=f"get it from {PUBLISHED}")
    for path in sorted(folder.rglob("*.csv")):
        match = _NAME.fullmatch(path.name)
        if match:
            files = calls.setdefault((match["pair"], match["session"] or "first"), {})
            if match["feature"] in files:
                raise ReactdiffError(
                    "a file of a call is there twice", where=f"{files[match['feature']]}, {path}", todo="remove one"
                )
            files[match["feature"]] = path
    if not calls:
        raise ReactdiffError(
            "the folder holds no dyads", where=str(folder), todo=f"it needs files PAIR_au12_r.csv ... as in {PUBLISHED}"
        )
    return [
        recording
        for (pair, session), files in sorted(calls.items())
        for recording in _call(pair, session, files, rate_hz)
    ]


def _call(pair: str, session: str, files: dict[str, Path], rate_hz: float) -> Iterator[Recording]:
    one = next(iter(files.values()))
    missing = [feature for feature in FEATURES if feature not in files]
    if missing:
        middle = "" if session == "first" else f"_{session}"
        raise ReactdiffError(
            "a call lacks a file", where=str(one.parent / f"{pair}{middle}_{missing[0]}.csv"), todo="restore it"
        )
    values = {feature: _table(files[feature], feature) for feature in FEATURES}
    length = len(values["au12_r"])
    for feature, table in values.items():
        if len(table) != length:
            raise ReactdiffError(
                f"{len(table)} rows where au12_r of the same call has {length}", where=str(files[feature]),
                todo="all files of a call need the same rows",
            )  # fmt: skip
    values["gaze"] = np.where(np.isnan(values["gaze"]), np.nan, values["gaze"] == AT_PARTNER)
    values["body_motion"] = np.log1p(values["body_motion"])
    people = [{feature: resampled(table[:, column], rate_hz) for feature, table in values.items()} for column in (0, 1)]
    names = {feature: path.name for feature, path in files.items()}
    for listener in (1, 0):
        yield _recording(pair, session, ROLES[listener], people[1 - listener], people[listener], names)


def _table(path: Path, feature: str) -> NDArray[np.float64]:
    """(rows, 2) values of a file, NaN where it says NA or NaN."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ReactdiffError("a file of the dyads cannot be read", where=str(path), todo=str(error)) from error
    rows = []
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        try:
            row = [float("nan" if cell in _GAPS else cell) for cell in line.replace(",", " ").split()]
        except ValueError:
            row = []
        if len(row) != 2:
            raise ReactdiffError(
                f"line {number} is not two numbers of {feature}", where=str(path), todo="one for each of the two people"
            )
        rows.append(row)
    if len(rows) < 2 or len(lines[0].split()) != 2:
        raise ReactdiffError(
            f"no {feature} of two people", where=str(path), todo="a line with two names, then a line of numbers a frame"
        )
    table = np.array(rows, dtype=np.float64)
    low, high = _LIMITS[feature]
    wrong = np.flatnonzero(((table < low) | (table > high) | np.isinf(table)).any(1))
    if wrong.size:
        raise ReactdiffError(
            f"{feature} of line {wrong[0] + 2} is outside {low:g} to {high:g}", where=str(path), todo="check the file"
        )
    return table


def resampled(values: NDArray[np.float64], rate_hz: float) -> FloatArray:
    """A curve (n,) of `rate_hz` on the 25 Hz grid: the mean over each 40 ms, NaN where over half of them is a gap."""
    known = ~np.isnan(values)
    edges = np.arange(len(values) + 1) / rate_hz
    frames = int(np.floor(edges[-1] * REACTION_RATE_HZ + 1e-6))
    wanted = np.arange(frames + 1) / REACTION_RATE_HZ

    def integral(curve: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.diff(np.interp(wanted, edges, np.concatenate([[0.0], np.cumsum(curve)]) / rate_hz))

    share = integral(known.astype(np.float64)) * REACTION_RATE_HZ
    total = integral(np.where(known, values, 0.0)) * REACTION_RATE_HZ
    return np.where(share > 0.5, total / np.maximum(share, 1e-9), np.nan).astype(np.float32)


def _recording(
    pair: str, session: str, role: str, speaker: dict[str, FloatArray], listener: dict[str, FloatArray],
    names: dict[str, str],
) -> Recording:  # fmt: skip
    face, observed = _face(listener)
    return Recording(
        source=SOURCE, pair=pair, session=session, role=role, speaker=_speaker(speaker), listener=face,
        observed=observed, motion=_standardised(listener["body_motion"]), names=names,
    )  # fmt: skip


def _face(person: dict[str, FloatArray]) -> tuple[FloatArray, NDArray[np.bool_]]:
    """(T, 58) coefficients of one person and which are observed."""
    shape = (len(person["gaze"]), COEFFICIENT_COUNT)
    face, known = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=bool)
    for columns, name in ((SMILE_CHEEK[:2], "au12_r"), (SMILE_CHEEK[2:], "au06_r")):
        face[:, columns] = np.clip(person[name] / AU_FULL, 0.0, 1.0)[:, None]
        known[:, columns] = ~np.isnan(person[name])[:, None]
    face[:, LOOK_DOWN] = AWAY_LOOK * (1.0 - person["gaze"])[:, None]
    known[:, EYE_LOOK] = ~np.isnan(person["gaze"])[:, None]
    return np.where(known, face, 0.0).astype(np.float32), known


def _speaker(person: dict[str, FloatArray]) -> SpeakerBatch:
    """The same person as perception would deliver them, had it measured only this: (1, T)."""
    face, known = _face(person)
    one = blank(len(face))
    one.camera[:] = one.face[:] = one.mesh[:] = True
    one.neutral_confidence[:] = 1.0
    one.coefficients[:, SMILE_CHEEK] = face[:, SMILE_CHEEK]
    one.confidence[:, SMILE_CHEEK] = known[:, SMILE_CHEEK]
    contact = person["gaze"]
    one.gaze_observed[:] = ~np.isnan(contact)
    one.gaze[:, 1] = np.nan_to_num(AWAY_PITCH_RAD * (1.0 - contact))
    one.gaze[:, 2] = np.nan_to_num(contact)
    return SpeakerBatch(**{f.name: getattr(one, f.name)[None] for f in fields(one)})


def _standardised(values: FloatArray) -> FloatArray:
    centred = values - np.nanmean(values) if np.isfinite(values).any() else np.zeros_like(values)
    return np.nan_to_num(centred / max(float(np.nanstd(centred)), 1e-6)).astype(np.float32)


def folds(recordings: Sequence[Recording], count: int = 4) -> list[tuple[list[Recording], list[Recording]]]:
    """`count` splits by pair, (the others', held out): each pair is held out exactly once, in both directions.

    Raises:
        ReactdiffError: fewer pairs than folds.
    """
    pairs = sorted({r.pair for r in recordings})
    if not 2 <= count <= len(pairs):
        raise ReactdiffError(f"{len(pairs)} pairs cannot be split into {count} folds", todo="2 to as many as pairs")
    held = [set(pairs[i::count]) for i in range(count)]
    return [([r for r in recordings if r.pair not in out], [r for r in recordings if r.pair in out]) for out in held]


def others_of(recording: Recording, recordings: Iterable[Recording]) -> list[Recording]:
    """The same listener in other conversations: what a style vector may be measured on."""
    return [r for r in recordings if r.person == recording.person and r.session != recording.session]
