import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from speaker_frames import START_NS, frame, voice

from reactdiff_ros.model.diffusion.tokens import READ, STREAM_COUNT, STREAMS, Featurizer, from_frame
from reactdiff_ros.types import SpeakerFrame, Voice

wild = st.floats(width=32, allow_nan=True, allow_infinity=True)


def features(speaker_frame):
    return Featurizer(1).step(from_frame(speaker_frame))


def test_unobserved_is_neither_silence_nor_a_neutral_face():
    _, neither = features(frame(START_NS, None, None))
    _, silent = features(frame(START_NS, 0.0, voice(False)))
    assert neither.sum() == 0
    assert silent.sum() == STREAM_COUNT
    f, camera = features(frame(START_NS, 0.2, None))
    np.testing.assert_array_equal(camera[0], [1, 1, 1, 0, 0])
    assert (f[0, -STREAMS[3][2] - STREAMS[4][2] :] == 0).all()


def test_smile_shows_and_low_confidence_hides_it():
    one = frame(START_NS, 0.8)
    i = READ.index("mouthSmileLeft")
    assert features(one)[0][0, i] == np.float32(0.8)
    one.confidence[:] = 0.0
    assert features(one)[0][0, i] == 0


def test_voices_are_made_comparable():
    def after(pitch, last):
        f = Featurizer(1)
        for _ in range(60):
            f.step(from_frame(_pitched(pitch)))
        return f.step(from_frame(_pitched(last)))[0][0, -STREAMS[4][2] :]

    np.testing.assert_allclose(after(110.0, 88.0), after(220.0, 176.0), atol=1e-3)
    assert after(110.0, 88.0)[3] < -0.3


def _pitched(hz):
    v = voice(True)
    return frame(START_NS, None, Voice(0.95, True, v.mfcc, hz, -20.0, 0.0, 1.0))


@given(values=st.lists(wild, min_size=58, max_size=58), number=wild, size=st.sampled_from([0, 26, 27]))
def test_wild_input_stays_finite(values, number, size):
    array = np.array(values, dtype=np.float32)
    v = Voice(number, True, np.full(size, number, dtype=np.float32), number, number, number, number)
    base = frame(START_NS, 0.3, v)
    bad = SpeakerFrame(
        stamp_ns=base.stamp_ns, picture_stamp_ns=base.stamp_ns, sound_stamp_ns=base.stamp_ns, person_id=1,
        face_present=True, mesh_present=True, coefficients=array, confidence=array[::-1].copy(),
        neutral_confidence=number, gaze=base.gaze, position_m=None, affect=base.affect, voice=v,
    )  # fmt: skip
    f = Featurizer(1)
    for _ in range(3):
        out, observed = f.step(from_frame(bad))
        assert np.isfinite(out).all()
        assert np.isfinite(observed).all()
        assert np.abs(out).max() <= 4
    clean, _ = f.step(from_frame(base if math.isfinite(number) else frame(START_NS, 0.3)))
    assert np.isfinite(clean).all()
