"""The strict-online protocol: does a listener look further into the future than it declares?

The whole session runs on a recording, and again with every picture and sound after a random t replaced by somebody
else's. A listener that declares a look-ahead of L must show the same bits up to t - L both times; the earliest frame
that differs shows how far it really looked. An offline listener (`listeners.foresee`) is held to what it declares.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Final, TypeAlias

import numpy as np

from reactdiff_ros.capture.media import ClipPicture
from reactdiff_ros.clock import NS, to_ns
from reactdiff_ros.coefficients import COEFFICIENT_COUNT, NAMES, ROTATION, SMILE
from reactdiff_ros.errors import MediaError
from reactdiff_ros.evaluation.listeners import foresee, look_ahead_s
from reactdiff_ros.expression import ExpressionEngine
from reactdiff_ros.model.listener import Listener
from reactdiff_ros.model.policies import make_listener
from reactdiff_ros.recordings.bags.read import open_source
from reactdiff_ros.session import ListeningSession, Perception
from reactdiff_ros.types import (
    EXPRESSION_CLASSES,
    MFCC_COUNT,
    Affect,
    ExpressionFrame,
    Gaze,
    OnProgress,
    Picture,
    Sound,
    SpeakerFrame,
    Voice,
)

Item: TypeAlias = Picture | Sound
CUTS: Final = 50
SECONDS: Final = 3.0
AFTER_NS: Final = NS // 5
"""Sessions run on this long after t, to see that what comes after it acts at all."""
TICK_NS: Final = 20_000_000
RATE_HZ: Final = 16_000


class PaintedPerception:
    """Reads a face from 58 painted pixels and a voice from the sound, each smoothed over time; keeps a neutral face.

    Quick, and with a memory: what a causality test needs of a perception. Pixel 58 says whether somebody
    is there.
    """

    people = None

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everybody."""
        self._face = np.zeros(COEFFICIENT_COUNT)
        self._neutral = np.zeros(COEFFICIENT_COUNT)
        self._level = 0.0
        self._sound_ns: int | None = None

    def observe_picture(self, picture: Picture) -> SpeakerFrame:
        """The speaker after this picture, (1, 59, 3)."""
        seen = picture.bgr[0, :COEFFICIENT_COUNT, 0] / 255.0
        self._face += 0.5 * (seen - self._face)
        self._neutral += 0.02 * (seen - self._neutral)
        values = np.clip(self._face - 0.3 * self._neutral, 0, 1).astype(np.float32)
        values[ROTATION.start :] = 0.2 * (self._face[ROTATION.start :] - 0.5)
        there = bool(picture.bgr[0, COEFFICIENT_COUNT, 0])
        turned = float(values[ROTATION.start + 1])
        return SpeakerFrame(
            stamp_ns=picture.stamp_ns, picture_stamp_ns=picture.stamp_ns, sound_stamp_ns=self._sound_ns,
            person_id=1 if there else -1, face_present=there, mesh_present=there, coefficients=values,
            confidence=np.full(COEFFICIENT_COUNT, 0.9 * there, np.float32), neutral_confidence=0.5,
            gaze=Gaze(turned, 0.0, 0.8), position_m=np.array([turned, 0, 1], np.float32),
            affect=Affect("happy", np.zeros(len(EXPRESSION_CLASSES), np.float32), float(values[SMILE[0]]), 0.0),
            voice=Voice(
                min(self._level, 1.0), self._level > 0.5, np.full(MFCC_COUNT, self._level, np.float32),
                120.0 * (self._level > 0.5), 20 * self._level - 40, 0.0, 0.0,
            ),
        )  # fmt: skip

    def observe_sound(self, sound: Sound) -> list[SpeakerFrame]:
        """Take in sound."""
        self._level += 0.3 * (float(np.abs(sound.samples).mean()) / 4000 - self._level)
        self._sound_ns = sound.end_ns
        return []

    def robot_speaking(self, speaking: bool, now_ns: int) -> None:
        """Of no influence here."""


def painted(seed: int, seconds: float) -> list[Item]:
    """Pictures at 25 Hz and 20 ms of sound each: a face that changes all the time, and now and then is gone."""
    rng = np.random.default_rng(seed)
    items: list[Item] = []
    face = rng.uniform(0, 1, COEFFICIENT_COUNT)
    for i in range(round(seconds * 50)):
        samples = rng.integers(-8000, 8000, (TICK_NS * RATE_HZ // NS, 1)).astype(np.int16)
        items.append(Sound(i * TICK_NS, RATE_HZ, samples * np.int16(i // 15 % 2)))
        if i % 2 == 0:
            if rng.random() < 0.1:
                face = rng.uniform(0, 1, COEFFICIENT_COUNT)
            pixels = np.zeros((1, COEFFICIENT_COUNT + 1, 3), np.uint8)
            pixels[0, :-1, 0] = 255 * np.clip(face + 0.05 * rng.standard_normal(COEFFICIENT_COUNT), 0, 1)
            pixels[0, -1, 0] = i < 10 or rng.random() < 0.95
            items.append(Picture(i * TICK_NS, pixels))
    return items


def items_of(path: Path, seconds: float) -> list[Item]:
    """Pictures and sound of the first `seconds` of a media file or bag, from time 0 on.

    Raises:
        MediaError: it cannot be read, or is shorter.
    """
    items: list[Item] = []
    first_ns: int | None = None
    for found in open_source(path).pictures_and_sound():
        first_ns = found.offset_ns if first_ns is None else min(first_ns, found.offset_ns)
        at_ns = found.offset_ns - first_ns
        if at_ns >= to_ns(seconds):
            return items
        if isinstance(found, ClipPicture):
            items.append(Picture(at_ns, found.bgr))
        else:
            items.append(Sound(at_ns, found.rate_hz, found.samples))
    raise MediaError(f"the recording is shorter than {seconds:g} s", where=str(path), todo="give fewer --seconds")


def end_ns(item: Item) -> int:
    """When the last of it was captured."""
    return item.stamp_ns if isinstance(item, Picture) else item.end_ns


def spliced(mine: Sequence[Item], other: Sequence[Item], t_ns: int) -> list[Item]:
    """What was captured up to t of `mine`, and what came after it of `other`."""
    return [*(item for item in mine if end_ns(item) <= t_ns), *(item for item in other if end_ns(item) > t_ns)]


def session_of(listener: Listener, perception: Perception, seed: int) -> ListeningSession:
    """A whole session around a listener."""
    return ListeningSession(perception, listener, ExpressionEngine(seed=seed))


def show(session: ListeningSession, items: Sequence[Item], until_ns: int, seed: int) -> list[ExpressionFrame]:
    """All faces of a session up to `until_ns`. All inputs are waiting before the first face is asked for."""

    def all_frames() -> list[SpeakerFrame]:
        """Speaker frames of all items, also of those after `until_ns`."""
        other = session_of(make_listener("idle", seed=0), session.perception, 0)
        other.reset(0)
        _push(other, items)
        other.advance(max([until_ns, *(end_ns(item) for item in items)]) + AFTER_NS)
        session.reset(seed)  # both share the perception
        return list(other.speaker_frames)

    session.reset(seed)
    foresee(session.listener, all_frames)
    _push(session, items)
    return session.advance(until_ns)


def _push(session: ListeningSession, items: Sequence[Item]) -> None:
    for item in items:
        if isinstance(item, Picture):
            session.push_picture(item)
        else:
            session.push_sound(item)


@dataclass(frozen=True, slots=True)
class Difference:
    """A frame that what came later has changed."""

    frame: int
    """Number of the shown face, 50 a second, from 0."""
    at_s: float
    """When it was shown."""
    cut_s: float
    """Everything after this moment was replaced."""
    coefficient: str
    """The first that differs in it."""

    @property
    def ahead_s(self) -> float:
        """The listener looked further ahead than this."""
        return self.cut_s - self.at_s


@dataclass(frozen=True, slots=True)
class OnlineCheck:
    """What the test found."""

    declared_s: float
    holds: bool
    """It is deterministic, and nothing up to t - declared differed."""
    deterministic: bool
    """The same input and seed gave the same bits."""
    cuts: int
    acted: float
    """Share of cuts after which what came later was seen in the face within 0.2 s + the look-ahead; near 0, the test
    shows little, because the listener hardly acts on its input."""
    first: Difference | None
    """The frame furthest before its cut among those that differed and must not."""
    change_ms: float
    """Median time from a cut to the first face that differs after it, NaN where none does."""
    plan_ms_p50: float
    plan_ms_p95: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        facts = asdict(self)
        del facts["first"]
        first = self.first and {**asdict(self.first), "ahead_s": self.first.ahead_s}
        return {**facts, "first_difference": first}

    def sentence(self, name: str) -> str:
        """For people."""
        if not self.deterministic:
            return f"{name} is not deterministic: the same input and seed gave other faces, so nothing can be verified"
        if (first := self.first) is not None:
            return (
                f"{name} declares a look-ahead of {self.declared_s:g} s but looks further: frame {first.frame} "
                f"({first.at_s:.2f} s, {first.coefficient}) differs when what comes after {first.cut_s:.2f} s is "
                f"replaced, {first.ahead_s:.2f} s later"
            )
        return f"{name} keeps its declared look-ahead of {self.declared_s:g} s in {self.cuts} cuts"


def verify(
    listener: Listener, *, mine: Sequence[Item] | None = None, other: Sequence[Item] | None = None,
    perception: Perception | None = None, seconds: float = SECONDS, cuts: int = CUTS, seed: int = 0,
    progress: OnProgress = lambda share: None,
) -> OnlineCheck:  # fmt: skip
    """Run the session-level causality test.

    Args:
        listener: under test; reset before every session.
        mine: pictures and sound from 0 to `seconds`; None: painted ones.
        other: of somebody else over the same time.
        perception: that reads them; None: `PaintedPerception`.
        seconds: length of the recording.
        cuts: random t.
        seed: of cuts, painting, listener and expression.
        progress: receives the completed fraction.

    Raises:
        ReactdiffError: the listener declares no time.
    """
    declared = look_ahead_s(listener)
    timed = _Timed(listener)
    session = session_of(timed, perception or PaintedPerception(), seed)
    mine = painted(2 * seed, seconds) if mine is None else mine
    other = painted(2 * seed + 1, seconds) if other is None else other
    last_ns = to_ns(seconds)
    whole = show(session, mine, last_ns, seed)
    deterministic = _first(whole, show(session, mine, last_ns, seed)) is None
    rng = np.random.default_rng([seed, 2])
    worst: Difference | None = None
    changes: list[float] = []
    for i, t in enumerate(rng.integers(0, last_ns, cuts).tolist() if deterministic else ()):
        until = min(last_ns, t + AFTER_NS) if declared == 0.0 else last_ns
        faces = show(session, spliced(mine, other, t), until, seed)
        found = _first(faces, whole)
        if found is not None:
            differs = np.flatnonzero(faces[found].coefficients != whole[found].coefficients)
            name = NAMES[int(differs[0])] if len(differs) else "stamp"
            difference = Difference(found, whole[found].stamp_ns / NS, t / NS, name)
            changes.append(-difference.ahead_s)
            early = whole[found].stamp_ns <= t - declared * NS
            if early and (worst is None or difference.ahead_s > worst.ahead_s):
                worst = difference
        progress((i + 1) / cuts)
    times = np.array(timed.seconds) if timed.seconds else np.array([np.nan])
    return OnlineCheck(
        declared_s=declared, holds=deterministic and worst is None, deterministic=deterministic,
        cuts=cuts if deterministic else 0, acted=len(changes) / cuts if cuts else 0.0, first=worst,
        change_ms=1e3 * float(np.median(changes)) if changes else float("nan"),
        plan_ms_p50=1e3 * float(np.percentile(times, 50)), plan_ms_p95=1e3 * float(np.percentile(times, 95)),
    )  # fmt: skip


def _first(some: Sequence[ExpressionFrame], whole: Sequence[ExpressionFrame]) -> int | None:
    """The first of the faces that both have whose bits or stamp differ."""
    for i, (a, b) in enumerate(zip(some, whole, strict=False)):
        if a.stamp_ns != b.stamp_ns or a.coefficients.tobytes() != b.coefficients.tobytes():
            return i
    return None


class _Timed:
    """A listener whose plans are timed; all else is the listener's own."""

    def __init__(self, listener: Any) -> None:
        self._listener = listener
        self.seconds: list[float] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._listener, name)

    def plan(self, now_ns: int) -> Any:
        begun = perf_counter()
        reaction = self._listener.plan(now_ns)
        if reaction is not None:
            self.seconds.append(perf_counter() - begun)
        return reaction
