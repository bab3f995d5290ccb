"""Several recorded people with real networks, voices and turns: who speaks, and that ids stay.

They stand next to each other on one clock: each speaks (picture and sound of the recording), keeps quiet (a stretch in
which their lips rest, back and forth) or is away. Settings were chosen on other recordings (`perception/people.py`).
The figures are in docs/perception.md.
"""

from itertools import takewhile
from pathlib import Path

import cv2
import numpy as np
import pytest

from reactdiff_ros.capture.media import MediaClip
from reactdiff_ros.clock import NS
from reactdiff_ros.perception import SpeakerPerception
from reactdiff_ros.resampling import RATE_HZ, Resampler, mono
from reactdiff_ros.types import Picture, Sound

pytestmark = [pytest.mark.clips, pytest.mark.timeout(600)]

PERIOD_S = 0.04
CHUNK = round(RATE_HZ * PERIOD_S)
WOMAN, MAN, SILENT = (
    ("facegood_selfie_speech_12s.mp4", (11.71, 12.2)),
    ("mimictalk_german_20s.mp4", (9.4, 9.9)),
    ("liveportrait_d9_webcam_silent_20s.mp4", (1.6, 9.9)),
)


class Performer:
    """A recording of one person, `height` px high; `rest_s`: when their lips rest."""

    def __init__(self, path: Path, rest_s: tuple[float, float], height: int = 320, longest_s: float = 13.0) -> None:
        self._rest_s, self._spoken_s, self._rested_s = rest_s, 0.0, 0.0
        clip, sound, resampler = MediaClip(path), [np.zeros(0, np.float32)], None
        pictures = list(takewhile(lambda i: i.offset_ns <= longest_s * NS, clip.pictures()))
        self._times = [p.offset_ns / NS for p in pictures]
        self._pictures = [cv2.resize(p.bgr, (p.bgr.shape[1] * height // p.bgr.shape[0], height)) for p in pictures]
        for item in takewhile(lambda i: i.offset_ns <= longest_s * NS, clip.sound() if clip.has_sound else ()):
            resampler = resampler or Resampler(item.rate_hz)
            resampler.push(mono(item.samples))
            sound.append(resampler.take(resampler.reach() - sum(map(len, sound))))
        self._sound = (np.concatenate(sound) * 32767).astype(np.int16)

    def _picture(self, at_s: float) -> np.ndarray:
        return self._pictures[min(int(np.searchsorted(self._times, at_s)), len(self._pictures) - 1)]

    def speaks(self) -> tuple[np.ndarray, np.ndarray]:
        """The next picture and its 40 ms of sound."""
        at = self._spoken_s % (self._times[-1] - PERIOD_S)
        self._spoken_s += PERIOD_S
        return self._picture(at), self._sound[round(at * RATE_HZ) :][:CHUNK]

    def rests(self) -> np.ndarray:
        """The next picture of their rest, back and forth."""
        start, end = self._rest_s
        self._rested_s += PERIOD_S
        way = (self._rested_s / (end - start)) % 2
        return self._picture(start + (end - start) * min(way, 2 - way))


@pytest.mark.parametrize(
    "others", [pytest.param((), marks=pytest.mark.slow), (SILENT,)], ids=["two people", "three people"]
)
def test_who_speaks_is_found_and_ids_stay(clips, nets, others):
    performers = [Performer(clips(name), rest) for name, rest in (WOMAN, MAN, *others)]
    perception, now, right_speaker, right_target = SpeakerPerception(nets=nets), NS, [], []
    at_place: dict[int, set[int]] = {}
    for who, seconds in ((0, 5.0), (-1, 0.5), (1, 4.0), (0, 4.0), (-1, 0.5), (1, 5.0)):  # -1: nobody speaks
        for _ in range(round(seconds / PERIOD_S)):
            parts = [p.speaks() if k == who else (p.rests(), None) for k, p in enumerate(performers)]
            sound = np.zeros(CHUNK, np.int16) if who < 0 else parts[who][1]
            perception.observe_sound(Sound(now - NS // 25, RATE_HZ, sound[:, None]))
            voice = perception.observe_picture(Picture(now, np.hstack([picture for picture, _ in parts]))).voice
            now += NS // 25
            # Faces are known by their place: no one moves.
            edges = np.cumsum([picture.shape[1] for picture, _ in parts])
            middles = {i: (box[0] + box[2]) / 2 * edges[-1] for i, box in perception.regions().items()}
            places = {i: int(np.searchsorted(edges, middle)) for i, middle in middles.items()}
            for person, place in places.items():
                at_place.setdefault(place, set()).add(person)
            if voice is not None and voice.speaking and who >= 0:
                people = perception.people
                best = max(people.persons, key=lambda p: p.speaking, default=None)
                right_speaker.append(best is not None and places.get(best.person_id) == who)
                right_target.append(places.get(people.target) == who)
    print(f"right speaker {np.mean(right_speaker):.3f}, right target {np.mean(right_target):.3f}")
    assert [len(seen) for seen in at_place.values()] == [1] * len(performers), "no place has had two ids"
    assert np.mean(right_speaker) >= 0.85
    assert np.mean(right_target) >= 0.65  # it follows a new speaker a moment later
    assert {p.person_id for p in perception.people.persons} == set(range(1, len(performers) + 1))


def test_recorded_people_who_leave_come_back_as_themselves_and_strangers_do_not(clips, nets):
    """Three people, one after the other at one place, then the first two again at another size."""
    names = (WOMAN[0], MAN[0], "liveportrait_d12_music_7s.mp4")
    first, second, third = (Performer(clips(name), (1, 2), 400, 4.0) for name in names)
    perception, ids, now = SpeakerPerception(nets=nets), [], NS
    for who, size in ((first, 1.0), (second, 1.0), (third, 1.0), (first, 0.7), (second, 0.8)):
        for k in range(60):
            stage = np.full((400, 600, 3), 90, np.uint8)
            if k < 40:
                picture = cv2.resize(who.speaks()[0], None, fx=size, fy=size)
                stage[: picture.shape[0], : picture.shape[1]] = picture[:, :600]
            perception.observe_picture(Picture(now, stage))
            now += NS // 25
            if k == 39:
                ids.append(perception.persons())
    assert len({person for persons in ids[:3] for person in persons}) == 3
    assert ids[3:] == ids[:2]
