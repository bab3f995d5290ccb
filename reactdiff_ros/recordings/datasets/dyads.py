"""Both faces of two people in a call: curves of action units, gaze and motion, or tables of any face tracker.

`read_dyads` reads the public recordings `data/real_dyads` of the repository daoramey/nonverbal-dynamics-VC-resolution
(MIT; Diao et al., ICMI 2024): 12 pairs, three calls each. Any folder with files of that form, in it or below, will do:
`PAIR_FEATURE.csv` or `PAIR_SESSION_FEATURE.csv`, FEATURE one of `au12_r`, `au06_r` (OpenFace intensities 0..5) and
`gaze` (codes 0..3, 3 = the partner's face); one header line that names the two people, then a line a frame with a
number for each, separated by spaces. NA or NaN is a gap. Files of other features, such as the published `body_motion`
(which mixes head, body and camera), are not read.

The map to coefficients was fixed before any training on these recordings:

| recorded | coefficients | map |
|---|---|---|
| au12_r | mouthSmileLeft, mouthSmileRight | clip(AU12 / 3.5, 0, 1) |
| au06_r | cheekSquintLeft, cheekSquintRight | clip(AU06 / 3.5, 0, 1) |
| gaze, speaker | gaze contact | share of the frame's 40 ms with code 3; otherwise `AWAY_PITCH_RAD` down |
| gaze, listener | the eight eyeLook | straight at code 3; otherwise eyeLookDown `AWAY_LOOK` (both eyes) |

3.5 lies between the 95th percentile of the public calls' AU12 (2.4) and OpenFace's maximum of 5, so that a broad
smile is near 1, as in ARKit. The direction of a look elsewhere is not recorded: the pairs had cards in front of them,
so it is read as a nominal look down; head pose counts as unobserved.

`read_pairs` reads tables with a row for each picture, at any rate, of one of three forms:

- our own: `PAIR[_SESSION].csv` with `time_s` and, for A and for B, any of `A_smile`, `A_cheeks`, `A_brows`, `A_lips`
  (0..1), `A_pitch`, `A_yaw`, `A_roll` (rad);
- OpenFace 2 (Baltrusaitis et al. 2018): `PAIR[_SESSION]_A.csv` and `.._B.csv` with `timestamp`, `success`, `AU01_r`,
  `AU02_r`, `AU06_r`, `AU12_r`, `AU25_r`, `pose_Rx`, `pose_Ry`, `pose_Rz`;
- Affdex, as in ROC-HCI/synchrony_features: `DATE-I-CODE-NAME.csv` and `DATE-W-CODE-NAME.csv` with `TimeStamp`, `smile`,
  `cheekRaise`, `innerBrowRaise`, `browRaise`, `mouthOpen` (0..100), `pitch`, `yaw`, `roll` (degrees).

NA, NaN and empty cells are gaps. Intensities of action units are divided by 3.5 there too. Directions of the head
follow `coefficients`; those of Affdex are taken as they are. Each person's median pose is taken off, because trackers
differ in where straight ahead is.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.coefficients import COEFFICIENT_COUNT, EYE_LOOK, HEAD_PITCH, HEAD_ROLL, HEAD_YAW, index
from reactdiff_ros.errors import ReactdiffError, explained
from reactdiff_ros.recordings.datasets.recording import Recording, speaker_of
from reactdiff_ros.types import REACTION_RATE_HZ, FloatArray

Curve = NDArray[np.float64]
Curves = Mapping[str, FloatArray]
"""(T,) by channel at 25 Hz, NaN in gaps."""

PUBLISHED: Final = "github.com/daoramey/nonverbal-dynamics-VC-resolution, data/real_dyads (MIT)"
FILE_RATE_HZ: Final = 30.0
"""Frame rate of the public files: 5400 rows for calls of three minutes; the publication does not state it."""
FEATURES: Final = ("au12_r", "au06_r", "gaze")
_MOST: Final = dict(zip(FEATURES, (5.0, 5.0, 3.0), strict=True))
"""The largest value of each feature; the least is 0."""
AU_FULL: Final = 3.5
"""AU intensity of a full coefficient."""
AT_PARTNER: Final = 3
AWAY_PITCH_RAD: Final = 0.3
AWAY_LOOK: Final = 0.58
"""The same angle in eyeLookDown (1 = 30 degrees)."""

CHANNELS: Final[dict[str, tuple[int, ...]]] = {
    "smile": tuple(index("mouthSmileLeft", "mouthSmileRight")),
    "cheeks": tuple(index("cheekSquintLeft", "cheekSquintRight")),
    "brows": tuple(index("browInnerUp", "browOuterUpLeft", "browOuterUpRight")),
    "lips": tuple(index("jawOpen")),
    "pitch": (HEAD_PITCH,),
    "yaw": (HEAD_YAW,),
    "roll": (HEAD_ROLL,),
}
"""What two people are compared by, and its coefficients."""
POSE: Final = ("pitch", "yaw", "roll")
LOOK_DOWN: Final = index("eyeLookDownLeft", "eyeLookDownRight")
ROLES: Final = ("A", "B")
_GAPS: Final = {"", "na", "nan", "-nan", "-nan(ind)", "null"}
_LEAST_ROWS: Final = 50
_LONGEST_STEP_S: Final = 1.0
_FEATURE: Final = re.compile(r"(?P<pair>[^_]+)(?:_(?P<session>.+))?_(?P<feature>au12_r|au06_r|gaze)\.csv")
_OWN: Final = re.compile(r"(?P<pair>[^_]+)(?:_(?P<session>.+))?\.csv")
_OPENFACE: Final = re.compile(r"(?P<pair>[^_]+)(?:_(?P<session>.+))?_(?P<role>[AB])\.csv")
_AFFDEX: Final = re.compile(r"(?P<pair>\d{4}-\d\d-\d\d_[\d-]+)-(?P<role>[IW])-(?P<session>\w+)-.+\.csv")


def read_dyads(folder: Path) -> list[Recording]:
    """All calls of a folder in both directions, on the 25 Hz grid, sorted by pair, session and listener.

    Raises:
        ReactdiffError: the folder holds no such files, or one is missing, malformed or of another length.
    """
    calls: dict[tuple[str, str], dict[str, Path]] = {}
    if not folder.is_dir():
        raise ReactdiffError("the folder of dyads is not there", where=str(folder), todo=f"get it from {PUBLISHED}")
    for path in sorted(folder.rglob("*.csv")):
        if match := _FEATURE.fullmatch(path.name):
            files = calls.setdefault((match["pair"], match["session"] or "first"), {})
            if match["feature"] in files:
                both = f"{files[match['feature']]}, {path}"
                raise ReactdiffError("a file of a call is there twice", where=both, todo="remove one")
            files[match["feature"]] = path
    if not calls:
        todo = f"it needs files PAIR_au12_r.csv ... as in {PUBLISHED}"
        raise ReactdiffError("the folder holds no dyads", where=str(folder), todo=todo)
    return [found for call, files in sorted(calls.items()) for found in _call(*call, files)]


def _call(pair: str, session: str, files: dict[str, Path]) -> list[Recording]:
    missing = [feature for feature in FEATURES if feature not in files]
    if missing:
        middle = "" if session == "first" else f"_{session}"
        path = next(iter(files.values())).with_name(f"{pair}{middle}_{missing[0]}.csv")
        raise ReactdiffError("a call lacks a file", where=str(path), todo="restore it")
    values = {feature: _table(files[feature], feature) for feature in FEATURES}
    length = len(values["au12_r"])
    for feature, table in values.items():
        if len(table) != length:
            what = f"{len(table)} rows where au12_r of the same call has {length}"
            raise ReactdiffError(what, where=str(files[feature]), todo="all files of a call need the same rows")
    values["gaze"] = np.where(np.isnan(values["gaze"]), np.nan, values["gaze"] == AT_PARTNER)
    people = [
        {feature: resampled(table[:, column], FILE_RATE_HZ) for feature, table in values.items()} for column in (0, 1)
    ]
    names = {feature: path.name for feature, path in files.items()}
    found = []
    for listener in (1, 0):
        speaker, heard = people[1 - listener], people[listener]
        face, known = _face(_channels(heard), len(heard["gaze"]))
        face[:, LOOK_DOWN] = np.nan_to_num(AWAY_LOOK * (1.0 - heard["gaze"]))[:, None]
        known[:, EYE_LOOK] = ~np.isnan(heard["gaze"])[:, None]
        shown, seen = _face(_channels(speaker), len(face))
        batch = speaker_of(len(face), coefficients=shown, observed=seen)
        contact = speaker["gaze"]
        batch.gaze_observed[0] = ~np.isnan(contact)
        batch.gaze[0, :, 1] = np.nan_to_num(AWAY_PITCH_RAD * (1.0 - contact))
        batch.gaze[0, :, 2] = np.nan_to_num(contact)
        found.append(Recording("dyads", pair, session, ROLES[listener], batch, face, known, names=names))
    return found


def _channels(person: Curves) -> dict[str, FloatArray]:
    units = {"smile": "au12_r", "cheeks": "au06_r"}
    return {channel: np.clip(person[unit] / AU_FULL, 0.0, 1.0) for channel, unit in units.items()}


def _table(path: Path, feature: str) -> Curve:
    """(rows, 2) values of a file, NaN where it says NA or NaN."""
    with explained((OSError, UnicodeDecodeError), "a file of the dyads cannot be read", where=path):
        header, *lines = path.read_text(encoding="utf-8").split("\n")
    rows = []
    for number, line in enumerate(lines, start=2):
        try:
            row = [float("nan" if cell.lower() in _GAPS else cell) for cell in line.replace(",", " ").split()]
        except ValueError:
            row = [np.nan]
        if row and len(row) != 2:
            what = f"line {number} is not two numbers of {feature}"
            raise ReactdiffError(what, where=str(path), todo="one for each of the two people")
        rows += [row] if row else []
    if len(rows) < 2 or len(header.split()) != 2:
        todo = "a line with two names, then a line of numbers a frame"
        raise ReactdiffError(f"no {feature} of two people", where=str(path), todo=todo)
    table = np.array(rows, dtype=np.float64)
    wrong = np.flatnonzero(((table < 0.0) | (table > _MOST[feature])).any(1))
    if wrong.size:
        what = f"{feature} of line {wrong[0] + 2} is outside 0 to {_MOST[feature]:g}"
        raise ReactdiffError(what, where=str(path), todo="check the file")
    return table


def resampled(values: Curve, rate_hz: float) -> FloatArray:
    """A curve (n,) of `rate_hz` on the 25 Hz grid: the mean over each 40 ms, NaN where over half of them is a gap."""
    known = ~np.isnan(values)
    edges = np.arange(len(values) + 1) / rate_hz
    frames = int(np.floor(edges[-1] * REACTION_RATE_HZ + 1e-6))
    wanted = np.arange(frames + 1) / REACTION_RATE_HZ

    def integral(curve: Curve) -> Curve:
        return np.diff(np.interp(wanted, edges, np.concatenate([[0.0], np.cumsum(curve)]) / rate_hz))

    share = integral(known.astype(np.float64)) * REACTION_RATE_HZ
    total = integral(np.where(known, values, 0.0)) * REACTION_RATE_HZ
    return np.where(share > 0.5, total / np.maximum(share, 1e-9), np.nan).astype(np.float32)


def _face(curves: Curves, frames: int) -> tuple[FloatArray, NDArray[np.bool_]]:
    """(T, 58) coefficients of one person and which are observed."""
    face = np.zeros((frames, COEFFICIENT_COUNT), dtype=np.float32)
    known = np.zeros(face.shape, dtype=bool)
    for kind, curve in curves.items():
        at = list(CHANNELS[kind])
        known[:, at] = ~np.isnan(curve)[:, None]
        face[:, at] = np.nan_to_num(curve)[:, None]
    return face, known


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


# ---- Tables of face trackers

_Columns = Mapping[str, tuple[str, Callable[[Curve], Curve]]]
"""Name of a column -> the channel that it belongs to ("time" and "success" are two more), and how its values become
ours."""


def _percent(values: Curve) -> Curve:
    return values / 100.0


def _intensity(values: Curve) -> Curve:
    return np.clip(values / AU_FULL, 0, 1)


_AFFDEX_COLUMNS: Final[_Columns] = {
    "TimeStamp": ("time", np.positive), "smile": ("smile", _percent), "cheekRaise": ("cheeks", _percent),
    "innerBrowRaise": ("brows", _percent), "browRaise": ("brows", _percent), "mouthOpen": ("lips", _percent),
    **{name: (name, np.radians) for name in POSE},
}  # fmt: skip
# The camera's axes: x right, y down, z away from it.
_OPENFACE_COLUMNS: Final[_Columns] = {
    "timestamp": ("time", np.positive), "success": ("success", np.positive), "AU12_r": ("smile", _intensity),
    "AU06_r": ("cheeks", _intensity), "AU01_r": ("brows", _intensity), "AU02_r": ("brows", _intensity),
    "AU25_r": ("lips", _intensity), "pose_Rx": ("pitch", np.positive), "pose_Ry": ("yaw", np.negative),
    "pose_Rz": ("roll", np.negative),
}  # fmt: skip
_OWN_COLUMNS: Final[dict[str, _Columns]] = {
    role: {"time_s": ("time", np.positive), **{f"{role}_{channel}": (channel, np.positive) for channel in CHANNELS}}
    for role in ROLES
}


def read_pairs(folder: Path) -> list[Recording]:
    """All calls of a folder in both directions, on the 25 Hz grid, sorted by pair, session and listener.

    Raises:
        ReactdiffError: there are none, or a file is malformed, has values out of range or no partner.
    """
    calls: dict[tuple[str, str], dict[str, tuple[Path, _Columns]]] = {}
    for path in sorted(folder.rglob("*.csv")):
        match, columns = _form(path)
        if match is not None:
            call = calls.setdefault((match["pair"], match["session"] or "first"), {})
            if twice := next((call[role][0] for role in columns if role in call), None):
                raise ReactdiffError("a table of a call is there twice", where=f"{twice}, {path}", todo="remove one")
            call |= {role: (path, of) for role, of in columns.items()}
    if not calls:
        todo = "it needs PAIR.csv with time_s, A_smile, B_smile ..., or two OpenFace or Affdex tables of each call"
        raise ReactdiffError("the folder holds no tables of two people", where=str(folder), todo=todo)
    found = []
    for (pair, session), of in sorted(calls.items()):
        if len(of) < 2:
            ((path, _),) = of.values()
            raise ReactdiffError("only one person of this call is there", where=str(path), todo="add the other table")
        people = {role: _read(path, columns) for role, (path, columns) in of.items()}
        frames = min(len(curve) for curves in people.values() for curve in curves.values())
        faces = {role: _face({n: c[:frames] for n, c in curves.items()}, frames) for role, curves in people.items()}
        for role, other in zip(ROLES[::-1], ROLES, strict=True):
            shown, seen = faces[other]
            batch = speaker_of(frames, coefficients=shown, observed=seen)
            batch.face[0] = batch.mesh[0] = seen.any(1)
            found.append(Recording("pairs", pair, session, role, batch, *faces[role]))
    return found


def _form(path: Path) -> tuple[re.Match[str] | None, Mapping[str, _Columns]]:
    """What a file's name says, and by role its columns, whose form is known by its first line; None: no such file."""
    with (
        explained(OSError, "a table of two people cannot be read", where=path),
        path.open(encoding="utf-8", errors="replace") as file,
    ):
        names = {name.strip() for name in file.readline().split(",")}
    if "time_s" in names:
        return _OWN.fullmatch(path.name), _OWN_COLUMNS
    pattern, columns = (_AFFDEX, _AFFDEX_COLUMNS) if "TimeStamp" in names else (_OPENFACE, _OPENFACE_COLUMNS)
    match = pattern.fullmatch(path.name) if {"TimeStamp", "AU12_r"} & names else None
    return match, {} if match is None else {ROLES[match["role"] in "BW"]: columns}


def _read(path: Path, columns_of: _Columns) -> dict[str, FloatArray]:
    """Curves (T,) of the channels of one person at 25 Hz, NaN in gaps."""
    with (
        explained(csv.Error, "a table of two people cannot be read", where=path),
        path.open(encoding="utf-8", errors="replace", newline="") as file,
    ):
        rows = csv.reader(file)
        names = [name.strip() for name in next(rows)]
        wanted = [(i, *columns_of[name]) for i, name in enumerate(names) if name in columns_of]
        values = [[_number(row, i, path, rows.line_num) for i, _, _ in wanted] for row in rows if row]
    table = np.array(values, dtype=np.float64).reshape(-1, len(wanted))
    columns: dict[str, list[Curve]] = {}
    for at, (_, kind, scaled) in enumerate(wanted):
        columns.setdefault(kind, []).append(scaled(table[:, at]))
    rate_hz = _rate(columns.pop("time", [np.zeros(0)])[0], path)
    lost = columns.pop("success", [np.ones(len(table))])[0] < 0.5
    if not columns:
        todo = f"it needs some of {', '.join(CHANNELS)}"
        raise ReactdiffError("a table has no column of one of the two people", where=str(path), todo=todo)
    curves = {kind: resampled(np.where(lost, np.nan, np.max(of, axis=0)), rate_hz) for kind, of in columns.items()}
    for kind, curve in curves.items():
        known = curve[~np.isnan(curve)]
        if kind in POSE:
            curves[kind] = curve - (np.median(known) if len(known) else 0.0)
        low, high = (-np.pi, np.pi) if kind in POSE else (0.0, 1.0)
        if len(known) and (known.min() < low - 1e-3 or known.max() > high + 1e-3):
            todo = f"it must be between {low:.3g} and {high:.3g}: is this the table of another tracker?"
            raise ReactdiffError(f"{kind} reaches {max(known, key=abs):.3g}", where=str(path), todo=todo)
    return curves


def _number(row: list[str], at: int, path: Path, line: int) -> float:
    """The number in a cell, NaN in a gap; Affdex glues the time of a lost face to the next cell ("0.0667nan")."""
    cell = row[at].strip() if at < len(row) else ""
    if at == 0:
        cell = cell.removesuffix("nan") or cell
    try:
        return float("nan") if cell.lower() in _GAPS else float(cell)
    except ValueError:
        what = f"line {line} has {cell!r} where a number belongs"
        raise ReactdiffError(what, where=str(path), todo="correct it") from None


def _rate(time_s: Curve, path: Path) -> float:
    """Pictures a second of a column of times."""
    steps = np.diff(time_s)
    if len(time_s) < _LEAST_ROWS or not np.isfinite(time_s).all() or (steps <= 0).any():
        todo = f"it needs {_LEAST_ROWS} rows and more"
        raise ReactdiffError("there is no column of rising times", where=str(path), todo=todo)
    step = float(np.median(steps))
    if step > _LONGEST_STEP_S:
        raise ReactdiffError(f"rows are {step:.3g} s apart", where=str(path), todo="write times in s: are these ms?")
    if abs(time_s[-1] - time_s[0] - step * len(steps)) > 0.05 * (time_s[-1] - time_s[0]):
        todo = "write a row for each picture, also without face"
        raise ReactdiffError("rows are not evenly spaced in time", where=str(path), todo=todo)
    return 1.0 / step
