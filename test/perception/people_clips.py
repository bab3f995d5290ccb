"""Recorded people next to each other on one clock: each speaks (picture and sound of the recording), keeps quiet (a
stretch in which their lips rest, back and forth) or is away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np

from reactdiff_ros.capture.media import ClipPicture, MediaClip
from reactdiff_ros.clock import NS
from reactdiff_ros.perception import SpeakerPerception
from reactdiff_ros.resampling import RATE_HZ, Resampler, mono
from reactdiff_ros.types import People, Picture, Sound, SpeakerFrame

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
    frame: SpeakerFrame
    people: People
    places: dict[int, int]
    """Index of the performer by id, from where the face is."""


def play(
    perception: SpeakerPerception, performers: list[Performer], turns: list[tuple[int, float]]
) -> Iterator[Moment]:
    """Turns are (index of the performer who speaks, or -1; seconds). Faces are told by their place: no one moves."""
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
            assert perception.people is not None
            voice = frame.voice is not None and frame.voice.speaking
            yield Moment(who, voice, frame, perception.people, places)
            now += PERIOD_NS


def right_speaker(moments: list[Moment]) -> float:
    """Share of the time in which a voice is heard that the person who speaks is the likeliest to speak."""
    right = []
    for moment in moments:
        if moment.voice and moment.speaker >= 0:
            best = max(moment.people.persons, key=lambda p: p.speaking, default=None)
            right.append(best is not None and moment.places.get(best.person_id) == moment.speaker)
    return float(np.mean(right))


def right_target(moments: list[Moment]) -> float:
    """The same for the target."""
    heard = [m for m in moments if m.voice and m.speaker >= 0]
    return float(np.mean([m.places.get(m.people.target) == m.speaker for m in heard]))


def flips(moments: list[Moment]) -> int:
    """How often a place has another id than it had."""
    last: dict[int, int] = {}
    count = 0
    for moment in moments:
        for person, place in moment.places.items():
            count += last.setdefault(place, person) != person
            last[place] = person
    return count
