"""What a listening face does: its events next to people's bands, and the moments that are worth a look.

Moments are where to look, not verdicts: people too leave three of four smiles unanswered.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from reactdiff_ros.coefficients import BLINK, EYE_LOOK, HEAD_PITCH, HEAD_YAW, INDEX, NAMES, REFLEXES, ROTATION
from reactdiff_ros.evaluation.estimates import NO_INTERVAL, Estimate, draws_of, estimate, varied
from reactdiff_ros.evaluation.metrics import bootstrap, events
from reactdiff_ros.evaluation.metrics.bands import Band
from reactdiff_ros.evaluation.metrics.coupling import cross_coupling
from reactdiff_ros.evaluation.metrics.events import Events
from reactdiff_ros.evaluation.metrics.robot import at_bound
from reactdiff_ros.evaluation.report import summary
from reactdiff_ros.evaluation.results import Item, System
from reactdiff_ros.model.style import smoothed, stretches
from reactdiff_ros.recordings.datasets.recording import filled_in
from reactdiff_ros.types import REACTION_RATE_HZ, FloatArray

Values = NDArray[np.float64]
EYE_FULL_DEG: Final = 30.0
"""Turn of an eye at a full eyeLook coefficient."""
_LOOKS: Final = ("OutLeft", "InLeft", "InRight", "OutRight", "DownLeft", "DownRight", "UpLeft", "UpRight")
MOVES: Final = 1e-3
PEOPLE: Final = "people"
"""Name of the recorded listeners of a set, where there are any."""
SPEAKING: Final = 0.5


@dataclass(frozen=True)
class Face:
    """One face through one recording: (T, 58) at 25 Hz, gaps filled."""

    coefficients: FloatArray

    @property
    def frames(self) -> int:
        """T."""
        return len(self.coefficients)

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.frames / REACTION_RATE_HZ

    @cached_property
    def smile(self) -> Values:
        """(T,) mean of both mouth corners, smoothed as events are found."""
        return smoothed(events.smile_curve(self.coefficients), events.SMOOTHING_FRAMES)

    @cached_property
    def pitch_deg(self) -> Values:
        """(T,) head pitch, down positive."""
        return np.degrees(self.coefficients[:, HEAD_PITCH].astype(np.float64))

    @cached_property
    def found(self) -> dict[str, Events]:
        """Every kind of event by name."""
        if self.frames < 2:
            nothing: Any = np.zeros(0, dtype=np.intp)
            none = Events(nothing, nothing, nothing, np.zeros(0), (1, max(self.frames, 1)))
            return dict.fromkeys(events.KINDS, none)
        return {kind: find(self.coefficients[None]) for kind, find in events.KINDS.items()}

    @cached_property
    def gaze_away_deg(self) -> Values:
        """(T,) angle between the line of sight (head and eyes) and its usual direction, the median."""
        look = {n: self.coefficients[:, INDEX[f"eyeLook{n}"]].astype(np.float64) for n in _LOOKS}
        left = look["OutLeft"] - look["InLeft"] + look["InRight"] - look["OutRight"]
        down = look["DownLeft"] + look["DownRight"] - look["UpLeft"] - look["UpRight"]
        yaw = np.degrees(self.coefficients[:, HEAD_YAW]) + EYE_FULL_DEG * left / 2
        pitch = self.pitch_deg + EYE_FULL_DEG * down / 2
        return np.asarray(np.hypot(yaw - np.median(yaw), pitch - np.median(pitch)))

    def moves(self, coefficients: Sequence[int]) -> bool:
        """Whether some of these coefficients change."""
        return bool(self.coefficients[:, list(coefficients)].std() > MOVES)


def face(coefficients: NDArray[Any], rate_hz: float) -> Face:
    """A face of a result's curve (T, 58): gaps are bridged in a line, what was never observed is 0."""
    values = events.at_25_hz(np.asarray(coefficients, dtype=np.float32), rate_hz)
    known = np.isfinite(values)
    if not known.all():
        values = values.copy()
        for column in np.flatnonzero(~known.all(0)):
            there = known[:, column]
            values[:, column] = filled_in(values[:, column], there) if there.any() else 0.0
    return Face(values)


def speech_runs(item: Item, rate_hz: float) -> list[tuple[int, int]]:
    """Stretches [start, end) of frames at 25 Hz in which the speaker talks."""
    if item.speech is None:
        return []
    return _runs(np.nan_to_num(events.at_25_hz(item.speech, rate_hz)) > SPEAKING, 1)


class Faces:
    """All faces of a result, made when they are needed."""

    def __init__(self, items: tuple[Item, ...], systems: tuple[System, ...], rate_hz: float) -> None:
        curves = {("", item.id): item.speaker for item in items}
        if PEOPLE not in {system.name for system in systems}:
            curves |= {(PEOPLE, item.id): item.truth for item in items}
        for system in systems:
            curves |= {(system.name, item.id): system.streams.get(item.id) for item in items}
        self._curves = {key: values for key, values in curves.items() if values is not None}
        self._rate_hz = rate_hz
        self._made: dict[tuple[str, str], Face] = {}

    def speaker(self, item: str) -> Face | None:
        """The speaker of an item; None: no curves were kept."""
        return self.listener("", item)

    def listener(self, system: str, item: str) -> Face | None:
        """What a system showed; PEOPLE: the recorded listener. None: no curves were kept."""
        values = self._curves.get((system, item))
        if values is None or not len(values):
            return None
        if (system, item) not in self._made:
            self._made[system, item] = face(values, self._rate_hz)
        return self._made[system, item]

    def items_of(self, system: str) -> list[str]:
        """Items that a system has a stream of."""
        return [item for name, item in self._curves if name == system]


ENOUGH_MINUTES: Final = 10.0
ENOUGH_EVENTS: Final = 10
ANSWER_S: Final = 3.0
"""A smile that begins so soon after the speaker's is an answer."""
LAG_S: Final = 4.0
"""Longer lags are left out."""
AWAY_DEG: Final = 8.0
"""A glance away: the line of sight is farther than this from its usual direction."""
COUPLING_S: Final = 8.0
"""The shortest recording in which coupling is measured."""
NO_BLINKS: Final = "not in these streams: the expression layer adds blinks live"
NO_GAZE: Final = "not in these streams: the expression layer adds gaze live"


Counted = tuple[float, float, list[float]]
"""Of one recording: numerator and denominator of a ratio, and events."""
Counter = Callable[[Face, Face | None], Counted]


def _events(kind: str) -> Counter:
    return lambda own, _: (float(len(own.found[kind])), own.seconds / 60.0, [])


def _lengths(kind: str) -> Counter:
    return lambda own, _: (0.0, 0.0, own.found[kind].length_s.tolist())


def _coupling(own: Face, speaker: Face | None) -> Counted:
    frames = min(own.frames, speaker.frames) if speaker is not None else 0
    if speaker is None or frames < COUPLING_S * REACTION_RATE_HZ:
        return math.nan, 0.0, []
    return float(cross_coupling(speaker.smile[None, :frames], own.smile[None, :frames])[0, 0]), 0.0, []


def _answer_lags(own: Face, speaker: Face | None) -> list[float]:
    """For each smile of the speaker the time until the listener's next one begins, in s; infinity: there is none."""
    if speaker is None:
        return []
    asked = speaker.found["smiles"].start
    lags: list[float] = events.lags_to_next(asked[asked < own.frames], own.found["smiles"].start).tolist()
    return lags


def _answered(own: Face, speaker: Face | None) -> Counted:
    lags = _answer_lags(own, speaker)
    return float(sum(lag <= ANSWER_S for lag in lags)), float(len(lags)), []


def _lags(own: Face, speaker: Face | None) -> Counted:
    return 0.0, 0.0, [lag for lag in _answer_lags(own, speaker) if lag <= LAG_S]


@dataclass(frozen=True, slots=True)
class Measure:
    """A quantity. `kind`: "rate" (sum over minutes), "share" (of time), "mean" (over items), "median" (of events)."""

    name: str
    label: str
    unit: str
    kind: str
    digits: int
    text: str
    count: Counter


MEASURES: Final = (
    Measure("smiles_per_minute", "Smiles", "a minute", "rate", 1, "Mouth corners over 0.29 for 0.3 s or more.",
            _events("smiles")),
    Measure("smile_share", "Time smiling", "% of time", "share", 0, "Share of time within a smile.",
            lambda own, _: (float(own.found["smiles"].length_s.sum()), own.seconds, [])),
    Measure("smile_length_s", "Length of a smile", "s", "median", 1, "Median.", _lengths("smiles")),
    Measure("smile_coupling", "Smile coupling", "", "mean", 2, "Mean correlation of both smiles, lags of 0.3 to 2 s.",
            _coupling),
    Measure("smiles_answered", "Smiles answered", "% of smiles", "share", 0,
            "Smiles of the speaker after which the listener's begins within 3 s.", _answered),
    Measure("smile_lag_s", "Lag of an answer", "s", "median", 1, "Median time from the speaker's smile to the answer.",
            _lags),
    Measure("nods_per_minute", "Nods", "a minute", "rate", 1, "Two or more quick half-cycles, one of 3 degrees.",
            _events("nods")),
    Measure("nod_size_deg", "Size of a nod", "degrees", "median", 1, "Median of the largest half-cycle.",
            lambda own, _: (0.0, 0.0, np.degrees(own.found["nods"].size).tolist())),
    Measure("nod_length_s", "Length of a nod", "s", "median", 1, "Median.", _lengths("nods")),
    Measure("brow_raises_per_minute", "Brow raises", "a minute", "rate", 1, "Brows over 0.15 for 0.2 s or more.",
            _events("brow_raises")),
    Measure("laughs_per_minute", "Laughs", "a minute", "rate", 1, "A wide smile with a fast jaw for 0.4 s or more.",
            _events("laughs")),
    Measure("blinks_per_minute", "Blinks", "a minute", "rate", 1, "Both lids over half closed for a second at most.",
            _events("blinks")),
    Measure("blink_length_s", "Length of a blink", "s", "median", 2, "Median time over half closed.",
            _lengths("blinks")),
    Measure("gaze_share", "Gaze at the speaker", "% of time", "share", 0,
            "Line of sight within 8 degrees of its usual direction.",
            lambda own, _: (float((own.gaze_away_deg < AWAY_DEG).sum()), float(own.frames), [])),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Found:
    """A measure of one system: its estimate, or the reason why there is none; `samples` of medians for histograms."""

    estimate: Estimate | None
    reason: str = ""
    samples: Values = field(default_factory=lambda: np.zeros(0))


def behaviour_of(system: str, faces: Faces, items: Sequence[Item], seed: int = 0) -> dict[str, Found]:
    """Every measure of a system's streams by name; `seed`: of the intervals."""
    chosen = set(faces.items_of(system))
    used = [item for item in items if item.id in chosen]
    shown = [found for item in used if (found := faces.listener(system, item.id)) is not None]
    weights = draws_of(used, seed)
    speakers = [faces.speaker(item.id) for item in used]
    return {measure.name: _found(measure, shown, speakers, weights) for measure in MEASURES}


def _found(measure: Measure, shown: Sequence[Face], speakers: Sequence[Face | None], weights: Values) -> Found:
    counted = [measure.count(own, speaker) for own, speaker in zip(shown, speakers, strict=True)]
    above, below = (np.array([row[i] for row in counted], dtype=np.float64) for i in (0, 1))
    samples = np.array([event for row in counted for event in row[2]], dtype=np.float64)
    reason = _reason(measure, above, below, len(samples), shown)
    if reason:
        return Found(None, reason, samples)
    if measure.kind == "mean":
        return Found(estimate(above, weights), "", samples)
    if measure.kind == "median":
        of_item = np.repeat(np.arange(len(counted)), [len(row[2]) for row in counted])
        return Found(_median(samples, of_item, weights), "", samples)
    above *= 100.0 if measure.kind == "share" else 1.0
    ends = bootstrap.interval(bootstrap.sums_ratio(weights, above, below)) if varied(weights) else NO_INTERVAL
    return Found(Estimate(float(above.sum() / below.sum()), *ends, len(above)), "", samples)


def _reason(measure: Measure, above: Values, below: Values, events_found: int, shown: Sequence[Face]) -> str:
    """Why there is no figure; "": there is one."""
    minutes = sum(f.seconds for f in shown) / 60.0
    if not shown:
        return "no streams were kept"
    if measure.name.startswith("blink") and not any(f.moves(BLINK) for f in shown):
        return NO_BLINKS
    if measure.name.startswith("gaze") and not any(f.moves(EYE_LOOK) for f in shown):
        return NO_GAZE
    if measure.kind == "median":
        return "" if events_found >= ENOUGH_EVENTS else f"only {events_found} events, {ENOUGH_EVENTS} needed"
    if minutes < ENOUGH_MINUTES:
        return f"only {minutes:.1f} minutes, {ENOUGH_MINUTES:.0f} needed"
    if measure.kind == "mean":
        return "" if np.isfinite(above).any() else "no recording with a speaker's face is long enough"
    return "" if below.sum() > 0 else "the speakers never smile"


def _median(samples: Values, of_item: NDArray[np.intp], weights: Values) -> Estimate:
    """Median of events; items are drawn, with all events of each."""
    order = np.argsort(samples)
    values, counts = samples[order], weights[:500, of_item[order]]
    total = np.cumsum(counts, axis=1)
    some = total[:, -1] > 0
    place = (total[some] < total[some, -1:] / 2).sum(1)
    drawn = varied(weights) and some.any()
    ends = bootstrap.interval(values[np.minimum(place, len(values) - 1)]) if drawn else NO_INTERVAL
    return Estimate(float(np.median(samples)), *ends, len(weights[0]))


HISTOGRAMS: Final[dict[str, tuple[float, float, int]]] = {
    "smile_length_s": (0.0, 8.0, 32), "smile_lag_s": (0.0, 4.0, 20), "nod_size_deg": (3.0, 15.0, 24),
    "nod_length_s": (0.0, 3.0, 30), "blink_length_s": (0.0, 0.8, 20),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shown:
    """A system whose behaviour is drawn."""

    name: str
    label: str
    role: str
    subject: bool
    found: Mapping[str, Found]


@dataclass(frozen=True, slots=True)
class BandRow:
    """A measure next to its band, as text and drawing."""

    measure: Measure
    band: Band | None
    drawing: Markup | None
    edges: str
    """The band in words."""
    value: str = "–"
    interval: str = ""
    verdict: str = ""
    """"inside", "outside", "unclear" (the interval reaches over an edge), or "" without a figure or a band."""
    reason: str = ""


def rows(shown: Sequence[Shown], bands: Mapping[str, Band], about: str) -> list[BandRow]:
    """The measures of "behaviour" or "conformance"; the first system is the subject."""
    found = [(measure, bands.get(measure.name)) for measure in MEASURES] if shown else []
    return [_row(m, scaled(band, m), shown) for m, band in found if (band.about if band else "behaviour") == about]


def scaled(band: Band | None, measure: Measure) -> Band | None:
    """A band in the unit of its measure: shares are in per cent."""
    if band is None or measure.kind != "share":
        return band
    return replace(band, low=100 * band.low, mid=100 * band.mid, high=100 * band.high)


def _row(measure: Measure, band: Band | None, shown: Sequence[Shown]) -> BandRow:
    own, digits = shown[0].found[measure.name], measure.digits
    each = [(s, s.found[measure.name].estimate) for s in shown]
    points = [summary.Drawn(s.label, s.role, known, s.subject) for s, known in each if known is not None]
    drawing, edges = None, ""
    if band is not None:
        drawing = summary.band(band.low, band.mid, band.high, points, f"{measure.label} next to people's")
        ends = (band.low, band.high) if band.low < band.high else (band.mid,)
        edges = " to ".join(summary.number(end, digits) for end in ends)
    if own.estimate is None:
        return BandRow(measure, band, drawing, edges, reason=own.reason)
    words = summary.number(own.estimate.value, digits), summary.interval(own.estimate, digits)
    return BandRow(measure, band, drawing, edges, *words, verdict(own.estimate, band))


def verdict(found: Estimate, band: Band | None) -> str:
    """Where an estimate lies: "inside" or "outside" with its whole interval, else "unclear"."""
    if band is None or band.low == band.high:
        return ""
    low, high = (found.low, found.high) if found.has_interval else (found.value, found.value)
    if band.low <= low and high <= band.high:
        return "inside"
    return "outside" if high < band.low or low > band.high else "unclear"


def histograms(shown: Sequence[Shown], bands: Mapping[str, Band]) -> list[tuple[Measure, str, Markup]]:
    """Histograms of the subject's lengths, sizes and lags over the reference's (the first one that has enough)."""
    out = []
    for measure in MEASURES:
        if measure.name not in HISTOGRAMS or not shown or shown[0].found[measure.name].estimate is None:
            continue
        low, high, count = HISTOGRAMS[measure.name]
        other = next((s for s in shown[1:] if s.role == "reference" and s.found[measure.name].estimate), None)
        band = bands.get(measure.name)
        own = shown[0].found[measure.name]
        median = float(np.median(own.samples))
        drawing = summary.histogram(
            own.samples, f"{measure.label}, {len(own.samples)} events", edges=np.linspace(low, high, count + 1),
            marks=[(median, f"median {summary.number(median, measure.digits)}")],
            shade=(band.low, band.high) if band is not None else None,
            other=other.found[measure.name].samples if other is not None else None,
        )  # fmt: skip
        line = f"; the line is {other.label}" if other is not None else ""
        out.append((measure, f"{len(own.samples):,} events{line}", drawing))
    return out


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
SHORTEST_FRAMES: Final = 8
"""Shorter streams have no moments."""
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


Places = Iterable[tuple[int, float, str]]
"""Frame, size, words."""
Speech = Sequence[tuple[int, int]] | None
"""Stretches of frames in which the speaker talks; None: there was no sound."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of moment: its title, why it is shown, and what finds it in a listener, a speaker and their speech."""

    name: str
    label: str
    text: str
    find: Callable[[Face, Face | None, Speech], Places]


def _jerks(own: Face, speaker: Face | None, speech: Speech) -> Places:
    turned = np.degrees(own.coefficients[:, ROTATION].astype(np.float64))
    jerk = np.linalg.norm(np.diff(turned, 3, axis=0), axis=1) * REACTION_RATE_HZ**3
    for frame in _peaks(jerk):
        yield frame + 1, float(jerk[frame]), f"{jerk[frame]:,.0f} degrees/s³"


def _jumps(own: Face, speaker: Face | None, speech: Speech) -> Places:
    step = np.abs(np.diff(own.coefficients[:, : ROTATION.start].astype(np.float64), axis=0))
    step[:, REFLEXES] = 0.0
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


def _limits(own: Face, speaker: Face | None, speech: Speech) -> Places:
    reached = at_bound(own.coefficients)
    for column in np.flatnonzero(reached.any(0)):
        for start, end in _runs(reached[:, column], HIT_FRAMES):
            length = (end - start) / REACTION_RATE_HZ
            yield start, length, f"{NAMES[column]} at its bound for {length:.2f} s"


def _freezes(own: Face, speaker: Face | None, speech: Speech) -> Places:
    still = np.abs(np.diff(own.coefficients, axis=0)).max(1) < STILL
    for start, end in _runs(still, round(FROZEN_S * REACTION_RATE_HZ)):
        length = (end - start) / REACTION_RATE_HZ
        yield start, length, f"nothing moves for {length:.1f} s"


def _runs(on: NDArray[np.bool_], least: int) -> list[tuple[int, int]]:
    _, starts, ends = stretches(on[None])
    return [(s, e) for s, e in zip(starts.tolist(), ends.tolist(), strict=True) if e - s >= least]


def _missed(own: Face, speaker: Face | None, speech: Speech) -> Places:
    if speaker is None:
        return
    smiles = speaker.found["smiles"]
    smiling = own.found["smiles"].active()[0]
    before, after = (round(s * REACTION_RATE_HZ) for s in ANSWERED_S)
    for start, size in zip(smiles.start.tolist(), smiles.size.tolist(), strict=True):
        whole = start + after <= own.frames
        if size >= BIG_SMILE and whole and not smiling[max(start + before, 0) : start + after].any():
            yield start, size, f"the speaker's smile reaches {size:.2f}, nothing comes back within 2 s"


def _nods(own: Face, speaker: Face | None, speech: Speech) -> Places:
    if speech is None:
        return
    quiet = round(QUIET_S * REACTION_RATE_HZ)
    nods = own.found["nods"]
    for start, size in zip(nods.start.tolist(), nods.size.tolist(), strict=True):
        if start >= quiet and not any(s <= start and e >= start - quiet for s, e in speech):
            yield start, size, f"a nod of {np.degrees(size):.1f} degrees, and no one talks"


KINDS: Final = (
    Kind("jerk", "Hardest jerk of the head", "Third derivative of the head's rotation; what a neck of servos feels.",
         _jerks),
    Kind("jump", "Largest jump of the face", "Of a brow, cheek, jaw or lip within a frame; lids and eyes are quick.",
         _jumps),
    Kind("limit", "Longest at a limit", "A coefficient or a rotation stays at its bound.", _limits),
    Kind("frozen", "Longest freeze", "Nothing moves.", _freezes),
    Kind("missed", "Biggest smile left alone", "The speaker smiles broadly, the listener not; people often do so too.",
         _missed),
    Kind("nod", "Nod without a cue", "No one has talked for 2.5 s when the nod begins.", _nods),
)  # fmt: skip


def moments_of(system: str, faces: Faces, items: Sequence[Item], rate_hz: float) -> tuple[list[Moment], dict[str, int]]:
    """The worst moments of a system's streams, by kind, and how many there are of each kind that is counted."""
    worst: list[Moment] = []
    counts = {}
    for kind in KINDS:
        found: list[Moment] = []
        for item in items:
            own, speaker = faces.listener(system, item.id), faces.speaker(item.id)
            if own is None or own.frames < SHORTEST_FRAMES:
                continue
            speech = None if item.speech is None else speech_runs(item, rate_hz)
            places = kind.find(own, speaker, speech)
            found += [Moment(kind.name, item.id, at / REACTION_RATE_HZ, size, text) for at, size, text in places]
        counts[kind.name] = len(found)
        kept: list[Moment] = []
        for moment in sorted(found, key=lambda m: (-m.size, m.item, m.seconds)):
            near = any(k.item == moment.item and abs(k.seconds - moment.seconds) < APART_S for k in kept)
            if not near and len(kept) < EACH:
                kept.append(moment)
        worst += kept
    return worst, counts
