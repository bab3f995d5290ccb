"""A page with people and the listener's faces side by side, for eyes to judge what figures cannot tell.

For each clip: a sheet of moments (the person above, a row of faces for each variant below), curves with the events
marked, and a video for each variant.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.avatar.drawing import FaceDrawing
from reactdiff_ros.capture.media import MediaClip
from reactdiff_ros.errors import MediaError, ReactdiffError
from reactdiff_ros.evaluation.metrics import events
from reactdiff_ros.evaluation.report.summary import environment
from reactdiff_ros.recordings.listener import FaceTrack, Listener
from reactdiff_ros.types import UINT8, OnProgress
from reactdiff_ros.whole_file import write_whole

COLUMNS: Final = 8
"""Moments of a sheet."""
TILE: Final = 240
"""Pixels of a picture on a sheet, both ways."""
LABEL: Final = 26
_INK: Final = (60, 50, 45)
_GROUND: Final = (250, 250, 250)
CURVES: Final = ("smile", "raised brows", "frown")
MARKED: Final = {"smile": "smiles", "brows": "brow_raises", "nod": "nods"}


@dataclass(frozen=True)
class Variant:
    """One listener of a gallery. `model`: a folder of weights, "" = the shipped ones."""

    style: str = "natural"
    policy: str = "model"
    model: str = ""
    seed: int = 0

    @property
    def name(self) -> str:
        """What differs from the default, for labels and file names."""
        parts = [self.style, self.policy if self.policy != "model" else "", Path(self.model).name if self.model else ""]
        return " ".join([*(part for part in parts if part), *([f"seed {self.seed}"] if self.seed else [])])


def gallery(
    clips: Sequence[Path], variants: Sequence[Variant], folder: Path, *, look: str = "soft",
    moments: Sequence[float] = (), videos: bool = True, progress: OnProgress = lambda share: None,
) -> tuple[Path, list[str]]:  # fmt: skip
    """Write the page and what it shows into a new folder; returns the page, and a sentence for each clip left out.

    These are on the page as well. `moments`: seconds from the beginning that the sheets show; none: COLUMNS of them,
    evenly.

    Raises:
        ReactdiffError: the folder exists, it cannot be made, or no clip could be used.
        ConfigError: there is no such look, style or policy.
    """
    FaceDrawing(look)  # refuses an unknown look before the work
    listeners = [(v, Listener(v.style, v.policy, seed=v.seed, model_dir=v.model)) for v in variants]
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        what = f"the folder cannot be made ({error.strerror})"
        raise ReactdiffError(what, where=str(folder), todo="choose a new one") from error
    shown, problems = [], []
    for number, (clip, name) in enumerate(zip(clips, names_of(clips), strict=True)):
        try:
            tracks = [(variant, listener.react(clip)) for variant, listener in listeners]
            shown.append(_entry(clip, name, tracks, folder, look, moments, videos))
        except MediaError as error:
            problems.append(str(error))
        progress((number + 1) / len(clips))
    if not shown:
        with suppress(OSError):
            folder.rmdir()  # another attempt may use it
        raise ReactdiffError(f"no clip could be used: {problems[0]}")
    page = environment().get_template("gallery.html.j2")
    write_whole(folder / "index.html", page.render(clips=shown, problems=problems, look=look, curves=CURVES))
    return folder / "index.html", problems


def names_of(clips: Sequence[Path]) -> list[str]:
    """One name for each clip, for labels and files: its stem, with a number where another clip has the same."""
    found: list[str] = []
    for clip in clips:
        tried = itertools.chain([clip.stem], (f"{clip.stem}_{number}" for number in itertools.count(2)))
        found.append(next(name for name in tried if name not in found))
    return found


def _entry(
    clip: Path, name: str, tracks: Sequence[tuple[Variant, FaceTrack]], folder: Path, look: str,
    moments: Sequence[float], videos: bool,
) -> dict[str, Any]:  # fmt: skip
    """What the page shows of one clip; its sheet and its videos are written."""
    first = tracks[0][1]
    first.people()  # refuses a clip without a face
    begin, end = float(first.times[0]), float(first.times[-1])
    chosen = [begin + moment for moment in moments if begin + moment <= end]
    times = np.array(chosen or [begin + (end - begin) * (k + 0.5) / COLUMNS for k in range(COLUMNS)])
    cv2.imwrite(str(folder / f"{name}.png"), sheet(clip, name, tracks, times, look))
    rows = []
    for number, (variant, track) in enumerate(tracks):
        video = f"{name}_{number}.mp4" if videos else ""
        if videos:
            track.save(folder / video, look=look)
        rows.append({"name": variant.name, "video": video, "curves": _curves(track), "events": _events(track)})
    late = len(chosen) < len(moments)
    notes = [*first.notes, *([f"it ends after {end - begin:.1f} s: no moments after that are shown"] if late else [])]
    return {"name": name, "notes": notes, "sheet": f"{name}.png", "seconds": end - begin, "rows": rows}


def sheet(
    clip: Path, name: str, tracks: Sequence[tuple[Variant, FaceTrack]], times: NDArray[np.float64], look: str
) -> UINT8:
    """The contact sheet of one clip: the person at these times (s), and the faces of each listener."""
    first = tracks[0][1]
    start_ns = first.speaker[0].picture_stamp_ns if first.speaker else None
    people = [_square(picture) for picture in _pictures(clip, times - (start_ns or 0) / 1e9)]
    stamps = np.array([frame.stamp_ns / 1e9 for frame in first.speaker])
    texts = []
    for time, at in zip(times - first.times[0], np.searchsorted(stamps, times, side="right") - 1, strict=True):
        affect = first.speaker[at].affect if at >= 0 else None
        # What perception read: the likeliest expression and its probability.
        read = "" if affect is None else f"  {affect.label} {affect.probabilities.max():.1f}"
        texts.append(f"{time:.1f} s{read}")
    rows = [_labelled(name, people, texts)]
    for variant, track in tracks:
        drawing = FaceDrawing(look, TILE, TILE)
        at = np.clip(np.searchsorted(track.times, times), 0, len(track) - 1)
        rows.append(_labelled(variant.name, [drawing.picture(track.faces[i], float(track.times[i])) for i in at]))
    return np.vstack(rows)


def _pictures(clip: Path, offsets_s: NDArray[np.float64]) -> list[UINT8]:
    """The newest picture at each of these times from the first picture on."""
    found: list[UINT8] = []
    newest: UINT8 = np.full((TILE, TILE, 3), 32, dtype=np.uint8)
    begin: int | None = None
    for picture in MediaClip(clip).pictures():
        begin = picture.offset_ns if begin is None else begin
        while len(found) < len(offsets_s) and (picture.offset_ns - begin) / 1e9 > offsets_s[len(found)]:
            found.append(newest)
        newest = picture.bgr
    return [*found, *[newest] * (len(offsets_s) - len(found))]


def _square(picture: UINT8) -> UINT8:
    height, width = picture.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    cut = picture[top : top + side, left : left + side]
    return np.asarray(cv2.resize(cut, (TILE, TILE), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _labelled(name: str, pictures: Sequence[UINT8], texts: Sequence[str] = ()) -> UINT8:
    """Pictures in a row under a name and, where there are some, a text for each."""
    strips = [_strip(row, len(pictures)) for row in ([name], texts) if row]
    return np.vstack([*strips, np.hstack(list(pictures))])


def _strip(texts: Sequence[str], columns: int) -> UINT8:
    strip: UINT8 = np.full((LABEL, TILE * columns, 3), _GROUND, dtype=np.uint8)
    for column, text in enumerate(texts):
        cv2.putText(strip, text, (TILE * column + 6, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.45, _INK, 1, cv2.LINE_AA)
    return strip


def _curves(track: FaceTrack) -> list[str]:
    """Points of CURVES for an SVG of 100 x 1: time in percent, 0 at the bottom."""
    frown = np.maximum(track["mouthFrownLeft"], track["mouthFrownRight"])
    values = (events.smile_curve(track.faces), events.brow_curve(track.faces), frown)
    x = np.linspace(0.0, 100.0, len(track))
    return [" ".join(f"{a:.2f},{1.0 - b:.3f}" for a, b in zip(x[::2], v[::2], strict=True)) for v in values]


def _events(track: FaceTrack) -> list[tuple[float, str]]:
    """(percent of the time, what begins) for smiles, raised brows and nods, in order; curves are at 25 Hz."""
    faces = track.faces[None, ::2]
    found = {kind: events.KINDS[name](faces) for kind, name in MARKED.items()}
    return sorted((100.0 * float(begin) / faces.shape[1], kind) for kind, of in found.items() for begin in of.start)
