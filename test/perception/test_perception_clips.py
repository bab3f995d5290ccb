"""Perception with the real networks on recordings of people."""

from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest
from synthetic_face import Talk, ids

from reactdiff_ros import coefficients as c
from reactdiff_ros.capture.media import MediaClip
from reactdiff_ros.expression import ExpressionEngine
from reactdiff_ros.model.policies import make_listener
from reactdiff_ros.perception import SpeakerPerception
from reactdiff_ros.perception.nets import FaceNets
from reactdiff_ros.recordings.replay.parameters import settings_as_live
from reactdiff_ros.session import ListeningSession
from reactdiff_ros.types import Picture, SpeakerFrame

pytestmark = pytest.mark.clips


def read(path: Path, nets: FaceNets, count: int = 100, every: int = 1) -> list[SpeakerFrame]:
    """What the first `count` pictures show, or every so many of them."""
    perception, pictures = SpeakerPerception(nets=nets), islice(MediaClip(path).pictures(), 0, count, every)
    return [perception.observe_picture(Picture(p.offset_ns, p.bgr)) for p in pictures]


SMILE = ("mouthSmileLeft", "mouthSmileRight")


def mean(frames: list[SpeakerFrame], *names: str) -> float:
    return float(np.mean([f.coefficients[list(c.index(*names))] for f in frames if f.mesh_present]))


def share(frames: list[SpeakerFrame], *labels: str) -> float:
    """Of the pictures, in which the face is read as one of these expressions."""
    return float(np.mean([f.affect.label in labels for f in frames if f.affect]))


@pytest.mark.parametrize("person", ["m030", "w009"])
def test_labelled_recordings_are_read_as_what_they_show_from_the_first_picture(clips, nets, person):
    labels = ("happy", "neutral", "angry", "disgusted", "surprised")
    shown = {label: read(clips(f"emotions/dreamtalk_{person}_{label}.mp4"), nets) for label in labels}
    assert mean(shown["happy"], *SMILE) > 0.4
    assert mean(shown["happy"][:30], *SMILE) > 0.3
    assert mean(shown["neutral"], *SMILE) < 0.1
    assert share(shown["happy"], "happy") > 0.5
    happy, neutral = (np.mean([f.affect.valence for f in shown[n] if f.affect]) for n in ("happy", "neutral"))
    assert happy > neutral + 0.25
    for bared in ("angry", "disgusted"):
        assert mean(shown[bared], *SMILE) <= 0.1
        assert share(shown[bared], "angry", "disgust", "sad") > 0.7
    angry, surprised = shown["angry"], shown["surprised"]
    for raised in (("browInnerUp", "browOuterUpLeft", "browOuterUpRight"), ("eyeWideLeft", "eyeWideRight")):
        assert mean(surprised, *raised) > mean(angry, *raised) + 0.3
    lowered = ("browDownLeft", "browDownRight")
    assert mean(angry, *lowered) > mean(surprised, *lowered) + 0.3


def test_a_woman_who_cries_is_sad_and_later_laughs(clips, nets):
    frames = read(clips("pyfeat_pexels_occlusion_20s.mp4"), nets, 470, 2)
    cries, laughs = frames[15:35], frames[200:230]  # 1.2 to 2.9 s, 16.7 to 19.2 s
    assert share(cries, "sad") == share(laughs, "happy") == 1.0
    assert mean(cries, *SMILE) < 0.35 * mean(laughs, *SMILE)


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


def test_nobody_is_tracked_where_nobody_is_and_who_has_gone_is_lost_within_half_a_second(clips, nets):
    frames = read(clips("pyfeat_no_face_4s.mp4"), nets)
    assert {(f.person_id, f.mesh_present) for f in frames} == {(-1, False)}
    frames = read(clips("pyfeat_face_noface_6s.mov"), nets, 200)
    assert {f.person_id for f in frames if 0.5e9 < f.stamp_ns < 2.3e9} == {1}
    assert {f.person_id for f in frames if f.stamp_ns > 2.90e9} == {-1}


def test_the_head_turns_to_the_one_of_two_people_who_speaks_now(clips, nets):
    """Two people side by side before the default screen: the left one talks, and then the right one, calmly."""
    names = ("facegood_selfie_speech_12s.mp4", "mimictalk_german_20s.mp4")
    left, right = (
        [cv2.resize(p.bgr, (p.bgr.shape[1] * 400 // p.bgr.shape[0], 400)) for p in first]
        for first in (islice(MediaClip(clips(name)).pictures(), 130) for name in names)
    )
    settings, _ = settings_as_live()
    session = ListeningSession(
        SpeakerPerception(settings.perception, voice=Talk(speaking=True), nets=nets),
        make_listener("rules", seed=1),
        ExpressionEngine(settings.expression, seed=1),
    )
    faces = []
    for k in range(260):
        both = np.hstack([left[min(k, 129)], right[max(k - 130, 0)]])
        session.push_picture(Picture(k * 40_000_000, both))
        faces += session.advance(k * 40_000_000 + 30_000_000)
    yaw = np.degrees([face.coefficients[c.HEAD_YAW] for face in faces])
    assert np.median(yaw[160:260]) > 2.0, "to its own left, as the picture shows it"
    assert np.median(yaw[-100:]) < -2.0
