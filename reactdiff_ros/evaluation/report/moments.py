"""Moments that are worth a look: where a listener jerked, froze, hit a bound, missed a smile or nodded at nothing.

They are where to look, not verdicts: people too leave three of four smiles unanswered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.coefficients import BLINK, EYE_LOOK, LOWER, NAMES, ROTATION, TRANSLATION, UPPER
from reactdiff_ros.evaluation.report.curves import Face, Faces, speech_runs
from reactdiff_ros.evaluation.results import Item
from reactdiff_ros.types import REACTION_RATE_HZ

EACH: Final = 3
"""Moments of one kind on the page."""
APART_S: Final = 3.0
"""Moments of one kind in one recording are at least this far apart."""
BIG_SMILE: Final = 0.4
ANSWERED_S: Final = (-0.4, 2.0)
"""A smile counts as answered when the listener smiles somewhere from this long before its onset to this long after."""
QUIET_S: Final = 2.5
"""A nod answers speech that ended this long ago at most."""
HIT_FRAMES: Final = 3
FROZEN_S: Final = 2.0
STILL: Final = 1e-4


@dataclass(frozen=True, slots=True)
class Moment:
    """A place to look at."""

    kind: str
    """One of KINDS."""
    item: str
    seconds: float
    """From the recording's first frame."""
    size: float
    """Larger is worse, within a kind."""
    text: str


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of moment: what it is called and why it is shown."""

    name: str
    label: str
    text: str


KINDS: Final = (
    Kind("jerk", "Hardest jerk of the head", "Third derivative of the head's rotation; what a neck of servos feels."),
    Kind("jump", "Largest jump of the face", "Of a brow, cheek, jaw or lip within a frame; lids and eyes are quick."),
    Kind("limit", "Longest at a limit", "A coefficient or a rotation stays at its bound."),
    Kind("frozen", "Longest freeze", "Nothing moves."),
    Kind("missed", "Biggest smile left alone", "The speaker smiles broadly, the listener not; people often do so too."),
    Kind("nod", "Nod without a cue", "Nobody has talked for 2.5 s when the nod begins."),
)  # fmt: skip
Found = Iterable[tuple[int, float, str]]
"""Frame, size, words."""


def moments_of(system: str, faces: Faces, items: Sequence[Item], rate_hz: float) -> tuple[list[Moment], dict[str, int]]:
    """The worst moments of a system's streams, by kind, and how many there are of each kind that is counted."""
    every: list[Moment] = []
    for item in items:
        own = faces.listener(system, item.id)
        if own is None or own.frames < 8:
            continue
        speaker = faces.speaker(item.id)
        for kind, frame, size, text in _all(own, speaker, item, rate_hz):
            every.append(Moment(kind, item.id, frame / REACTION_RATE_HZ, size, text))
    counts = {k.name: sum(m.kind == k.name for m in every) for k in KINDS}
    worst: list[Moment] = []
    for known in KINDS:
        ordered = sorted((m for m in every if m.kind == known.name), key=lambda m: (-m.size, m.item, m.seconds))
        worst += _apart(ordered)[:EACH]
    return worst, counts


def _all(own: Face, speaker: Face | None, item: Item, rate_hz: float) -> Iterable[tuple[str, int, float, str]]:
    looks: dict[str, Callable[[], Found]] = {
        "jerk": lambda: _jerks(own),
        "jump": lambda: _jumps(own),
        "limit": lambda: _limits(own),
        "frozen": lambda: _freezes(own),
        "missed": lambda: _missed(own, speaker) if speaker is not None else (),
        "nod": lambda: _nods(own, speech_runs(item, rate_hz)) if item.speech is not None else (),
    }
    for kind, look in looks.items():
        for frame, size, text in look():
            yield kind, frame, size, text


def _apart(moments: Sequence[Moment]) -> list[Moment]:
    kept: list[Moment] = []
    for moment in moments:
        if all(k.item != moment.item or abs(k.seconds - moment.seconds) >= APART_S for k in kept):
            kept.append(moment)
    return kept


def _jerks(own: Face) -> Found:
    turned = np.degrees(own.coefficients[:, ROTATION].astype(np.float64))
    jerk = np.linalg.norm(np.diff(turned, 3, axis=0), axis=1) * REACTION_RATE_HZ**3
    for frame in _peaks(jerk):
        yield frame + 1, float(jerk[frame]), f"{jerk[frame]:,.0f} degrees/s³"


def _jumps(own: Face) -> Found:
    step = np.abs(np.diff(own.coefficients[:, : ROTATION.start].astype(np.float64), axis=0))
    step[:, [*BLINK, *EYE_LOOK]] = 0.0
    largest = step.max(1)
    for frame in _peaks(largest):
        name = NAMES[int(step[frame].argmax())]
        yield frame + 1, float(largest[frame]), f"{name} by {largest[frame]:.2f} in one frame"


def _peaks(curve: NDArray[np.float64]) -> list[int]:
    """The highest places of a curve, at most EACH, APART_S from each other; what is flat has none."""
    apart = round(APART_S * REACTION_RATE_HZ)
    rest = curve.copy()
    found: list[int] = []
    while len(found) < EACH and len(rest) and rest.max() > 1e-9:
        frame = int(rest.argmax())
        found.append(frame)
        rest[max(frame - apart, 0) : frame + apart] = 0
    return found


def _limits(own: Face) -> Found:
    values = own.coefficients
    reached = values >= UPPER - 1e-6
    moving = slice(ROTATION.start, TRANSLATION.stop)
    reached[:, moving] |= values[:, moving] <= LOWER[moving] + 1e-6
    for column in np.flatnonzero(reached.any(0)):
        for start, end in _runs(reached[:, column], HIT_FRAMES):
            length = (end - start) / REACTION_RATE_HZ
            yield start, length, f"{NAMES[column]} at its bound for {length:.2f} s"


def _freezes(own: Face) -> Found:
    still = np.abs(np.diff(own.coefficients, axis=0)).max(1) < STILL
    for start, end in _runs(still, round(FROZEN_S * REACTION_RATE_HZ)):
        length = (end - start) / REACTION_RATE_HZ
        yield start, length, f"nothing moves for {length:.1f} s"


def _runs(on: NDArray[np.bool_], least: int) -> list[tuple[int, int]]:
    edges = np.diff(np.pad(on.astype(np.int8), 1))
    pairs = zip(np.flatnonzero(edges == 1).tolist(), np.flatnonzero(edges == -1).tolist(), strict=True)
    return [(start, end) for start, end in pairs if end - start >= least]


def _missed(own: Face, speaker: Face) -> Found:
    smiles = speaker.found["smiles"]
    smiling = own.found["smiles"].active()[0]
    before, after = (round(s * REACTION_RATE_HZ) for s in ANSWERED_S)
    for start, size in zip(smiles.start.tolist(), smiles.size.tolist(), strict=True):
        whole = start + after <= own.frames
        if size >= BIG_SMILE and whole and not smiling[max(start + before, 0) : start + after].any():
            yield start, size, f"the speaker's smile reaches {size:.2f}, nothing comes back within 2 s"


def _nods(own: Face, speech: Sequence[tuple[int, int]]) -> Found:
    quiet = round(QUIET_S * REACTION_RATE_HZ)
    nods = own.found["nods"]
    for start, size in zip(nods.start.tolist(), nods.size.tolist(), strict=True):
        if start >= quiet and not any(s <= start and e >= start - quiet for s, e in speech):
            yield start, size, f"a nod of {np.degrees(size):.1f} degrees, and nobody talks"
