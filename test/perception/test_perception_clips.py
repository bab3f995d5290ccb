"""Perception with the real networks on recordings of people."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from test_tracking import Talk, ids

from reactdiff_ros import coefficients as c
from reactdiff_ros.expression import ExpressionEngine
from reactdiff_ros.model.policies import make_listener
from reactdiff_ros.perception import SpeakerPerception
from reactdiff_ros.perception.nets import FaceNets
from reactdiff_ros.recordings.replay.parameters import settings_as_live
from reactdiff_ros.session import ListeningSession
from reactdiff_ros.types import Picture, SpeakerFrame

pytestmark = pytest.mark.clips


def pictures(path: Path, count: int = 100, every: int = 1) -> Iterator[Picture]:
    """The first `count` pictures, or every so many of them."""
    with av.open(str(path)) as container:
        for frame in islice(container.decode(video=0), 0, count, every):
            yield Picture(round(frame.time * 1e9), frame.to_ndarray(format="bgr24"))


def read(path: Path, nets: FaceNets, count: int = 100, every: int = 1) -> list[SpeakerFrame]:
    perception = SpeakerPerception(nets=nets)
    return [perception.observe_picture(p) for p in pictures(path, count, every)]


def mean(frames: list[SpeakerFrame], *names: str) -> float:
    seen = [f.coefficients[list(c.index(*names))] for f in frames if f.mesh_present]
    return float(np.mean(seen))


SMILE = ("mouthSmileLeft", "mouthSmileRight")


@pytest.mark.parametrize("person", ["m030", "w009"])
def test_the_labelled_happy_recording_smiles_from_its_first_picture(clips, nets, person):
    shown = {e: read(clips(f"emotions/dreamtalk_{person}_{e}.mp4"), nets, 120) for e in ("happy", "neutral")}
    assert mean(shown["happy"], *SMILE) > 0.4
    assert mean(shown["neutral"], *SMILE) < 0.1
    assert mean(shown["happy"][:30], *SMILE) > 0.3
    valence = {e: np.mean([f.affect.valence for f in frames if f.affect]) for e, frames in shown.items()}
    assert valence["happy"] > valence["neutral"] + 0.25
    labels = [f.affect.label for f in shown["happy"] if f.affect]
    assert labels.count("happy") > 0.5 * len(labels)


@pytest.mark.parametrize("person", ["m030", "w009"])
@pytest.mark.parametrize("label", ["angry", "disgusted"])
def test_bared_teeth_are_not_read_as_a_smile(clips, nets, person, label):
    frames = read(clips(f"emotions/dreamtalk_{person}_{label}.mp4"), nets)
    assert mean(frames, *SMILE) <= 0.1
    named = {"angry", "disgust", "sad"}
    assert np.mean([f.affect.label in named for f in frames if f.affect]) > 0.7


def test_a_woman_who_cries_is_sad_and_later_laughs(clips, nets):
    frames = read(clips("pyfeat_pexels_occlusion_20s.mp4"), nets, 470, 2)
    cries, laughs = frames[15:35], frames[200:230]  # 1.2 to 2.9 s, 16.7 to 19.2 s
    assert all(f.affect.label == "sad" for f in cries if f.affect)
    assert all(f.affect.label == "happy" for f in laughs if f.affect)
    assert mean(cries, *SMILE) < 0.35 * mean(laughs, *SMILE)


@pytest.mark.parametrize("person", ["m030", "w009"])
def test_surprise_raises_brows_and_lids_and_anger_lowers_brows(clips, nets, person):
    surprised = read(clips(f"emotions/dreamtalk_{person}_surprised.mp4"), nets)
    angry = read(clips(f"emotions/dreamtalk_{person}_angry.mp4"), nets)
    up, down = ("browInnerUp", "browOuterUpLeft", "browOuterUpRight"), ("browDownLeft", "browDownRight")
    assert mean(surprised, *up) > mean(angry, *up) + 0.3
    assert mean(surprised, "eyeWideLeft", "eyeWideRight") > mean(angry, "eyeWideLeft", "eyeWideRight") + 0.3
    assert mean(angry, *down) > mean(surprised, *down) + 0.3


def test_nobody_is_tracked_where_nobody_is(clips, nets):
    frames = read(clips("pyfeat_no_face_4s.mp4"), nets)
    assert {f.person_id for f in frames} == {-1}
    assert not any(f.mesh_present for f in frames)


def test_a_person_who_is_gone_is_lost_within_half_a_second(clips, nets):
    frames = read(clips("pyfeat_face_noface_6s.mov"), nets, 200)
    assert any(f.person_id == 1 for f in frames)
    assert {f.person_id for f in frames if f.stamp_ns > 2.90e9} == {-1}
    assert all(f.person_id == 1 for f in frames if 0.5e9 < f.stamp_ns < 2.3e9)


ONE_PERSON = [
    "mimictalk_german_20s.mp4", "facegood_selfie_speech_12s.mp4", "sadtalker_wda_katiehill_8s.mp4",
    "liveportrait_d6_expressive_music_34s.mp4", "liveportrait_d12_music_7s.mp4", "spectre_mead_w040_happy_7s.mp4",
    "liveportrait_s32_profile_dark_6s.mp4", "liveportrait_s13_fullbody_noface_4s.mp4", "emoface_angry_actor_3s.mov",
]  # fmt: skip


@pytest.mark.parametrize("name", ONE_PERSON)
def test_one_person_has_one_id(clips, nets, name):
    frames = read(clips(name), nets, 60)
    assert ids(frames) == [-1, 1]
    assert all(f.face_present for f in frames if f.person_id == 1)


def test_blinks_a_smile_and_raised_brows_are_seen_when_they_happen(clips, nets):
    frames = read(clips("liveportrait_d9_webcam_silent_20s.mp4"), nets, 600, every=2)

    def between(start: float, end: float, *names: str) -> float:
        return mean([f for f in frames if start * 1e9 <= f.stamp_ns < end * 1e9], *names)

    blink = ("eyeBlinkLeft", "eyeBlinkRight")
    assert between(0.40, 0.50, *blink) > 0.8
    assert between(0.8, 1.1, *blink) < 0.2
    assert between(1.25, 1.40, *blink) > 0.8
    assert between(10.5, 12.0, *SMILE) > 0.7
    assert between(7.0, 9.0, *SMILE) < 0.2
    assert between(15.2, 16.0, "browInnerUp") > 0.6
    assert between(13.2, 13.8, "browInnerUp") < 0.2
    assert mean(frames, "jawOpen") < 0.1, "the mouth is closed throughout"


def side_by_side(stamp_ns: int, *both: Picture) -> Picture:
    """Both 400 px high."""
    sides = [cv2.resize(p.bgr, (p.bgr.shape[1] * 400 // p.bgr.shape[0], 400)) for p in both]
    return Picture(stamp_ns, np.hstack(sides))


def test_the_head_turns_to_the_one_of_two_people_who_speaks_now(clips, nets):
    """Two people side by side before the default screen: the left one talks, and then the right one, calmly."""
    names = ("facegood_selfie_speech_12s.mp4", "mimictalk_german_20s.mp4")
    left, right = (list(pictures(clips(name), 130)) for name in names)
    settings, _ = settings_as_live()
    session = ListeningSession(
        SpeakerPerception(settings.perception, voice=Talk(speaking=True), nets=nets),
        make_listener("rules", seed=1),
        ExpressionEngine(settings.expression, seed=1),
    )
    faces = []
    for k in range(260):
        session.push_picture(side_by_side(k * 40_000_000, left[min(k, 129)], right[max(k - 130, 0)]))
        faces += session.advance(k * 40_000_000 + 30_000_000)
    yaw = np.degrees([face.coefficients[c.HEAD_YAW] for face in faces])
    assert np.median(yaw[160:260]) > 2.0, "to its own left, as the picture shows it"
    assert np.median(yaw[-100:]) < -2.0


def test_the_next_person_of_a_film_gets_an_own_id(clips, nets):
    perception = SpeakerPerception(nets=nets)
    names = ("mimictalk_german_20s.mp4", "real3dportrait_may_5s.mp4")
    shots = [p.bgr for name in names for p in pictures(clips(name), 40)]
    frames = [perception.observe_picture(Picture(40_000_000 * k, bgr)) for k, bgr in enumerate(shots)]
    assert ids(frames) == [-1, 1, -1, 2]
