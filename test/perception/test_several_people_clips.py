"""Several recorded people with real networks, voices and turns: who speaks, and that ids stay.

Settings were chosen on other recordings (`perception/people.py`). The figures are in docs/perception.md.
"""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from people_clips import Performer, flips, play, right_speaker, right_target

from reactdiff_ros.clock import NS
from reactdiff_ros.perception import SpeakerPerception
from reactdiff_ros.types import Picture

pytestmark = pytest.mark.clips

WOMAN, MAN, SILENT = (
    ("facegood_selfie_speech_12s.mp4", (11.71, 12.2)),
    ("mimictalk_german_20s.mp4", (9.4, 9.9)),
    ("liveportrait_d9_webcam_silent_20s.mp4", (1.6, 9.9)),
)
TURNS = [(0, 5.0), (-1, 0.5), (1, 4.0), (0, 4.0), (-1, 0.5), (1, 5.0)]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("others", [(), (SILENT,)], ids=["two people", "three people"])
def test_who_speaks_is_found_and_ids_stay(clips, nets, others, record_property):
    performers = [Performer(clips(name), rest) for name, rest in (WOMAN, MAN, *others)]
    moments = list(play(SpeakerPerception(nets=nets), performers, TURNS))
    figures = {"right speaker": right_speaker(moments), "right target": right_target(moments), "flips": flips(moments)}
    print({name: round(value, 3) for name, value in figures.items()})
    for name, value in figures.items():
        record_property(name, value)
    assert figures["flips"] == 0
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
