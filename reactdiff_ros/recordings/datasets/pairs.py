"""Tables of both faces of two people, one row a picture, by any tracker and at any rate.

A folder holds files of one of three forms, in it or below:

- our own: `PAIR[_SESSION].csv` with `time_s` and, for A and for B, any of `A_smile`, `A_cheeks`, `A_brows`, `A_lips`
  (0..1), `A_pitch`, `A_yaw`, `A_roll` (rad);
- OpenFace 2 (Baltrusaitis et al. 2018): `PAIR[_SESSION]_A.csv` and `.._B.csv` with `timestamp`, `success`, `AU01_r`,
  `AU02_r`, `AU06_r`, `AU12_r`, `AU25_r`, `pose_Rx`, `pose_Ry`, `pose_Rz`;
- Affdex, as in ROC-HCI/synchrony_features: `DATE-I-CODE-NAME.csv` and `DATE-W-CODE-NAME.csv` with `TimeStamp`, `smile`,
  `cheekRaise`, `innerBrowRaise`, `browRaise`, `mouthOpen` (0..100), `pitch`, `yaw`, `roll` (degrees).

NA, NaN and empty cells are gaps. Intensities of action units are divided by 3.5, as in `dyads`. Directions of the head
follow `coefficients`; those of Affdex are taken as they are. Each person's median pose is taken off, because trackers
differ in where straight ahead is.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.coefficients import COEFFICIENT_COUNT, HEAD_PITCH, HEAD_ROLL, HEAD_YAW, index
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.model.tokens import SpeakerBatch, blank
from reactdiff_ros.recordings.datasets.dyads import AU_FULL, ROLES, resampled
from reactdiff_ros.recordings.datasets.recording import Recording
from reactdiff_ros.types import FloatArray

Curve = NDArray[np.float64]
SOURCE: Final = "pairs"
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
_GAPS: Final = {"", "na", "nan", "-nan", "-nan(ind)", "null"}
_LEAST_ROWS: Final = 50
_OWN: Final = re.compile(r"(?P<pair>[^_]+)(?:_(?P<session>.+))?\.csv")
_OPENFACE: Final = re.compile(r"(?P<pair>[^_]+)(?:_(?P<session>.+))?_(?P<role>[AB])\.csv")
_AFFDEX: Final = re.compile(r"(?P<pair>\d{4}-\d\d-\d\d_[\d-]+)-(?P<role>[IW])-(?P<session>\w+)-.+\.csv")


def read_pairs(folder: Path) -> list[Recording]:
    """All calls of a folder in both directions, on the 25 Hz grid, sorted by pair, session and listener.

    Raises:
        ReactdiffError: there are none, or a file is malformed, has values out of range or no partner.
    """
    calls: dict[tuple[str, str], dict[str, tuple[Path, _Columns]]] = {}
    for path in sorted(folder.rglob("*.csv")):
        form, match = _form(path)
        if match is None:
            continue
        for role in ROLES if form is _own else (ROLES[match["role"] in "BW"],):
            calls.setdefault((match["pair"], match["session"] or "first"), {})[role] = (path, form)
    if not calls:
        raise ReactdiffError(
            "the folder holds no tables of two people", where=str(folder),
            todo="it needs PAIR.csv with time_s, A_smile, B_smile ..., or two OpenFace or Affdex tables of each call",
        )  # fmt: skip
    found = []
    for (pair, session), of in sorted(calls.items()):
        if len(of) < 2:
            ((path, _),) = of.values()
            raise ReactdiffError("only one person of this call is there", where=str(path), todo="add the other table")
        people = {role: _read(path, partial(form, role)) for role, (path, form) in of.items()}
        frames = min(len(next(iter(curves.values()))) for curves in people.values())
        cut = {role: {name: curve[:frames] for name, curve in curves.items()} for role, curves in people.items()}
        found += [
            recording(pair, session, role, cut[other], cut[role], frames)
            for role, other in zip(ROLES[::-1], ROLES, strict=True)
        ]
    return found


_Columns = Callable[[str, str], "tuple[str, Callable[[Curve], Curve]] | None"]


def _form(path: Path) -> tuple[_Columns, re.Match[str] | None]:
    """Which form a file has, by its first line, and what its name says; None: none of them."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            names = {name.strip() for name in file.readline().split(",")}
    except OSError as error:
        raise ReactdiffError("a table of two people cannot be read", where=str(path), todo=str(error)) from error
    if "TimeStamp" in names:
        return _affdex, _AFFDEX.fullmatch(path.name)
    if "AU12_r" in names:
        return _openface, _OPENFACE.fullmatch(path.name)
    return _own, _OWN.fullmatch(path.name) if "time_s" in names else None


def _own(role: str, name: str) -> tuple[str, Callable[[Curve], Curve]] | None:
    if name == "time_s":
        return "time", lambda x: x
    kind = name.removeprefix(role + "_")
    return (kind, lambda x: x) if name != kind and kind in CHANNELS else None


_AFFDEX_NAMES: Final = {
    "smile": "smile", "cheekRaise": "cheeks", "innerBrowRaise": "brows", "browRaise": "brows", "mouthOpen": "lips",
}  # fmt: skip


def _affdex(role: str, name: str) -> tuple[str, Callable[[Curve], Curve]] | None:
    if name == "TimeStamp":
        return "time", lambda x: x
    if name in POSE:
        return name, np.radians
    return (_AFFDEX_NAMES[name], lambda x: x / 100.0) if name in _AFFDEX_NAMES else None


_OPENFACE_NAMES: Final = {"AU12_r": "smile", "AU06_r": "cheeks", "AU01_r": "brows", "AU02_r": "brows", "AU25_r": "lips"}
_OPENFACE_POSE: Final = {"pose_Rx": "pitch", "pose_Ry": "yaw", "pose_Rz": "roll"}


def _openface(role: str, name: str) -> tuple[str, Callable[[Curve], Curve]] | None:
    if name in ("timestamp", "success"):
        return {"timestamp": "time", "success": "success"}[name], lambda x: x
    if name in _OPENFACE_POSE:  # the camera's axes: x right, y down, z away from it
        kind = _OPENFACE_POSE[name]
        return kind, lambda x: x if kind == "pitch" else -x
    return (_OPENFACE_NAMES[name], lambda x: np.clip(x / AU_FULL, 0, 1)) if name in _OPENFACE_NAMES else None


def _read(path: Path, meaning: Callable[[str], tuple[str, Callable[[Curve], Curve]] | None]) -> dict[str, FloatArray]:
    """Curves (T,) of the channels of one person at 25 Hz, NaN in gaps."""
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        rows = csv.reader(file)
        names = [name.strip() for name in next(rows)]
        wanted = [(i, *found) for i, name in enumerate(names) if (found := meaning(name)) is not None]
        values = [[_number(row, i, path, rows.line_num) for i, _, _ in wanted] for row in rows if row]
    table = np.array(values, dtype=np.float64).reshape(-1, len(wanted))
    columns: dict[str, list[Curve]] = {}
    for at, (_, kind, scaled) in enumerate(wanted):
        columns.setdefault(kind, []).append(scaled(table[:, at]))
    rate_hz = _rate(columns.pop("time", [np.zeros(0)])[0], path)
    lost = columns.pop("success", [np.ones(len(table))])[0] < 0.5
    curves = {kind: resampled(np.where(lost, np.nan, np.max(of, axis=0)), rate_hz) for kind, of in columns.items()}
    for kind, curve in curves.items():
        known = curve[~np.isnan(curve)]
        if kind in POSE:
            curves[kind] = curve - (np.median(known) if len(known) else 0.0)
        low, high = (-np.pi, np.pi) if kind in POSE else (0.0, 1.0)
        if len(known) and (known.min() < low - 1e-3 or known.max() > high + 1e-3):
            raise ReactdiffError(
                f"{kind} reaches {max(known, key=abs):.3g}", where=str(path),
                todo=f"it must be between {low:.3g} and {high:.3g}: is this the table of another tracker?",
            )  # fmt: skip
    return curves


def _number(row: list[str], at: int, path: Path, line: int) -> float:
    """The number in a cell, NaN in a gap; Affdex glues the time of a lost face to the next cell ("0.0667nan")."""
    cell = row[at].strip() if at < len(row) else ""
    if at == 0:
        cell = cell.removesuffix("nan") or cell
    try:
        return float("nan") if cell.lower() in _GAPS else float(cell)
    except ValueError:
        raise ReactdiffError(
            f"line {line} has {cell!r} where a number belongs", where=str(path), todo="correct it"
        ) from None


def _rate(time_s: Curve, path: Path) -> float:
    """Pictures a second of a column of times."""
    steps = np.diff(time_s)
    if len(time_s) < _LEAST_ROWS or not np.isfinite(time_s).all() or (steps <= 0).any():
        raise ReactdiffError(
            "there is no column of rising times", where=str(path), todo=f"it needs {_LEAST_ROWS} rows and more"
        )
    step = float(np.median(steps))
    if abs(time_s[-1] - time_s[0] - step * len(steps)) > 0.05 * (time_s[-1] - time_s[0]):
        raise ReactdiffError(
            "rows are not evenly spaced in time",
            where=str(path),
            todo="write a row for each picture, also without face",
        )
    return 1.0 / step


def recording(
    pair: str,
    session: str,
    role: str,
    speaker: Mapping[str, FloatArray],
    listener: Mapping[str, FloatArray],
    frames: int,
) -> Recording:
    """One direction of a call, from curves (T,) of CHANNELS with NaN in gaps."""
    face, known = _face(listener, frames)
    one = blank(frames)
    given, seen = _face(speaker, frames)
    there = seen.any(1)
    one.camera[:] = True
    one.face[:] = one.mesh[:] = there
    one.neutral_confidence[:] = 1.0
    one.coefficients[:], one.confidence[:] = given, seen
    batch = SpeakerBatch(**{f.name: getattr(one, f.name)[None] for f in fields(one)})
    return Recording(source=SOURCE, pair=pair, session=session, role=role, speaker=batch, listener=face, observed=known)


def _face(curves: Mapping[str, FloatArray], frames: int) -> tuple[FloatArray, NDArray[np.bool_]]:
    """(T, 58) coefficients of one person and which are observed."""
    face = np.zeros((frames, COEFFICIENT_COUNT), dtype=np.float32)
    known = np.zeros(face.shape, dtype=bool)
    for kind, curve in curves.items():
        at = list(CHANNELS[kind])
        known[:, at] = ~np.isnan(curve)[:, None]
        face[:, at] = np.nan_to_num(curve)[:, None]
    return face, known
