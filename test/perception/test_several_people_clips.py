"""Several recorded people with real networks, voices and turns: who speaks, and that ids stay.

They stand next to each other on one clock: each speaks (picture and sound of the recording), keeps quiet (a stretch in
which their lips rest, back and forth) or is away. Settings were chosen on other recordings (`perception/people.py`).
The figures are in docs/perception.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
import pytest

from reactdiff_ros.capture.media import ClipPicture, MediaClip
from reactdiff_ros.clock import NS
from reactdiff_ros.perception import SpeakerPerception
from reactdiff_ros.resampling import RATE_HZ, Resampler, mono
from reactdiff_ros.types import People, Picture, Sound

pytestmark = pytest.mark.clips

PERIOD_NS = NS // 25


@dataclass
class Performer:
    """A recording of one person, `height` px high; `rest_s`: when their lips rest."""

    path: Path
    rest_s: tuple[float, float]
    height: int = 320
    longest_s: float = 13.0
    _spoken_s: float = field(default=0.0, init=False)
    _rested_s: float = field(default=0.0, init=False)

    @cached_property
    def _contents(self) -> tuple[list[float], list[np.ndarray], np.ndarray]:
        times, pictures, sound, resampler = [], [], [], None
        for item in MediaClip(self.path).pictures_and_sound():
            if item.offset_ns > self.longest_s * NS:
                break
            if isinstance(item, ClipPicture):
                height, width = item.bgr.shape[:2]
                times.append(item.offset_ns / NS)
                pictures.append(cv2.resize(item.bgr, (width * self.height // height, self.height)))
            else:
                resampler = resampler or Resampler(item.rate_hz)
                resampler.push(mono(item.samples))
                sound.append(resampler.take(resampler.reach() - sum(map(len, sound))))
        heard = np.concatenate(sound) if sound else np.zeros(0, np.float32)
        return times, pictures, (heard * 32767).astype(np.int16)

    def speaks(self, seconds: float) -> tuple[np.ndarray, np.ndarray]:
        """The next picture and its 40 ms of sound."""
        times, pictures, sound = self._contents
        at = self._spoken_s % (times[-1] - seconds)
        self._spoken_s += seconds
        first = round(at * RATE_HZ)
        samples = sound[first : first + round(seconds * RATE_HZ)]
        return pictures[int(np.searchsorted(times, at))], samples

    def rests(self, seconds: float) -> np.ndarray:
        """The next picture of their rest, back and forth."""
        times, pictures, _ = self._contents
        start, end = self.rest_s
        self._rested_s += seconds
        way = (self._rested_s / (end - start)) % 2
        return pictures[min(int(np.searchsorted(times, start + (end - start) * min(way, 2 - way))), len(pictures) - 1)]


@dataclass(frozen=True)
class Moment:
    """What was on stage for one picture, and what perception says after it."""

    speaker: int
    """Index of the performer who speaks, -1 = no one."""
    voice: bool
    people: People
    places: dict[int, int]
    """Index of the performer by id, from where the face is."""


def play(
    perception: SpeakerPerception, performers: list[Performer], turns: list[tuple[int, float]]
) -> Iterator[Moment]:
    """Turns are (index of the performer who speaks, or -1; seconds). Faces are known by their place: no one moves."""
    now, rest = NS, np.zeros(round(RATE_HZ * PERIOD_NS / NS), np.int16)
    for who, seconds in turns:
        for _ in range(round(seconds * NS / PERIOD_NS)):
            sound, parts = rest, []
            for k, performer in enumerate(performers):
                if k == who:
                    picture, sound = performer.speaks(PERIOD_NS / NS)
                else:
                    picture = performer.rests(PERIOD_NS / NS)
                parts.append(picture)
            perception.observe_sound(Sound(now - PERIOD_NS, RATE_HZ, sound[:, None]))
            frame = perception.observe_picture(Picture(now, np.hstack(parts)))
            edges = np.cumsum([p.shape[1] for p in parts]) / sum(p.shape[1] for p in parts)
            places = {i: int(np.searchsorted(edges, (box[0] + box[2]) / 2)) for i, box in perception.regions().items()}
            voice = frame.voice is not None and frame.voice.speaking
            yield Moment(who, voice, perception.people, places)
            now += PERIOD_NS


def right(moments: list[Moment]) -> tuple[float, float]:
    """Of the time in which a voice is heard: shares in which who speaks is the likeliest speaker, and the target."""
    speaker, target = [], []
    for moment in moments:
        if moment.voice and moment.speaker >= 0:
            best = max(moment.people.persons, key=lambda p: p.speaking, default=None)
            speaker.append(best is not None and moment.places.get(best.person_id) == moment.speaker)
            target.append(moment.places.get(moment.people.target) == moment.speaker)
    return float(np.mean(speaker)), float(np.mean(target))


def flips(moments: list[Moment]) -> int:
    """How often a place has another id than it had."""
    last: dict[int, int] = {}
    count = 0
    for moment in moments:
        for person, place in moment.places.items():
            count += last.setdefault(place, person) != person
            last[place] = person
    return count


WOMAN, MAN, SILENT = (
    ("facegood_selfie_speech_12s.mp4", (11.71, 12.2)),
    ("mimictalk_german_20s.mp4", (9.4, 9.9)),
    ("liveportrait_d9_webcam_silent_20s.mp4", (1.6, 9.9)),
)
TURNS = [(0, 5.0), (-1, 0.5), (1, 4.0), (0, 4.0), (-1, 0.5), (1, 5.0)]


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "others", [pytest.param((), marks=pytest.mark.slow), (SILENT,)], ids=["two people", "three people"]
)
def test_who_speaks_is_found_and_ids_stay(clips, nets, others, record_property):
    performers = [Performer(clips(name), rest) for name, rest in (WOMAN, MAN, *others)]
    moments = list(play(SpeakerPerception(nets=nets), performers, TURNS))
    figures = dict(zip(("right speaker", "right target"), right(moments), strict=True))
    print({name: round(value, 3) for name, value in figures.items()})
    for name, value in figures.items():
        record_property(name, value)
    assert flips(moments) == 0
    assert figures["right speaker"] >= 0.85
    assert figures["right target"] >= 0.65  # it follows a new speaker a moment later
    assert {p.person_id for p in moments[-1].people.persons} == set(range(1, len(performers) + 1))


@pytest.mark.timeout(600)
def test_recorded_people_who_leave_come_back_as_themselves_and_strangers_do_not(clips, nets):
    """Three people, one after the other at one place, then the first two again at another size."""
    performers = [Performer(clips(name), rest, 400, 4.0) for name, rest in ((WOMAN[0], (1, 2)), (MAN[0], (1, 2)))]
    stranger = Performer(clips("liveportrait_d12_music_7s.mp4"), (1, 2), 400, 4.0)
    perception, ids, now = SpeakerPerception(nets=nets), [], NS
    cast = [*performers, stranger, *performers]
    for who, size in zip(cast, (1.0, 1.0, 1.0, 0.7, 0.8), strict=True):
        for part in ("there", "gone"):
            for _ in range(40 if part == "there" else 20):
                stage = np.full((400, 600, 3), 90, np.uint8)
                if part == "there":
                    picture = cv2.resize(who.speaks(0.04)[0], None, fx=size, fy=size)
                    stage[: picture.shape[0], : picture.shape[1]] = picture[:, :600]
                perception.observe_picture(Picture(now, stage))
                now += NS // 25
            if part == "there":
                ids.append(perception.persons())
    first, second, third, *again = ids
    assert len({*first, *second, *third}) == 3
    assert again == [first, second]
