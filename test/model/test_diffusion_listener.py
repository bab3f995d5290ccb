"""The model policy with random weights: contract, whatever comes in. Causality: test_session_causality."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from speaker_frames import SLOT, START_NS, assert_face, drive, frame, session, shown

from reactdiff_ros.clock import NS
from reactdiff_ros.coefficients import BLINK, EYE_LOOK
from reactdiff_ros.model.diffusion_listener import DiffusionListener
from reactdiff_ros.model.listener import Listener, ListenerConfig


@pytest.fixture(scope="module")
def make(any_weights):
    def make(seed=0, **settings):
        given = {"candidates": 2, "steps": 2, "guidance": 1.5, **settings}
        return DiffusionListener(seed=seed, config=ListenerConfig(model_dir=str(any_weights), **given))

    return make


@pytest.fixture(scope="module")
def listener(make):
    return make()


def test_is_a_listener_and_obeys_the_contract(listener):
    assert isinstance(listener, Listener)
    plans = drive(listener, session(4, smile=0.3, talk=True))
    starts = np.array([p.start_ns for p in plans])
    assert (starts % SLOT == 0).all()
    assert np.diff(starts).max() <= 4 * SLOT
    assert np.diff(starts).min() >= SLOT
    for plan in plans:
        assert plan.coefficients.shape == (12, 58)
        assert_face(plan.coefficients)
        assert (plan.coefficients[:, [*EYE_LOOK, *BLINK]] == 0).all()
        assert plan.policy == "model"
        assert plan.picture_stamp_ns == plan.sound_stamp_ns
        assert plan.start_ns > plan.picture_stamp_ns
    state = listener.state()
    assert state.plans >= len(plans)
    assert "onnxruntime" in state.backend


def test_same_seed_same_bits_other_seed_other_face(listener):
    def face(seed):
        return shown(drive(listener, session(3, smile=0.4, talk=True), seed))

    first = face(5)
    np.testing.assert_array_equal(first, face(5))
    assert np.abs(first - face(6)).max() > 0.02


def test_evidence_plans_at_once(listener):
    frames = list(session(4, smile=lambda t: 0.9 * (t > 2.05)))
    plans = drive(listener, frames)
    onset = START_NS + round(2.08 * NS)
    early = [p for p in plans if p.reason == "evidence" and 0 <= p.picture_stamp_ns - onset <= 3 * SLOT]
    assert early


def test_backward_jump_starts_anew(listener):
    frames = list(session(3, smile=0.5, talk=True))
    fresh = drive(listener, frames[:30], 2)
    drive(listener, [replace(f, stamp_ns=f.stamp_ns + 100 * NS) for f in frames], 2)
    again = drive(listener, frames[:30], None)
    np.testing.assert_array_equal(again[-1].coefficients, fresh[-1].coefficients)


def test_candidates_are_several_and_the_choice_is_held(make):
    plans = drive(make(seed=1, candidates=3, publish_candidates=True), session(5, smile=0.4, talk=True), 1)
    assert all(p.candidates.shape == (3, 12, 58) for p in plans)
    assert all(np.array_equal(p.candidates[p.candidate], p.coefficients) for p in plans)
    assert np.abs(plans[3].candidates[0] - plans[3].candidates[1]).max() > 0.01
    changes = [p.start_ns for p, q in zip(plans[1:], plans, strict=False) if p.candidate != q.candidate]
    assert all(b - a >= 20 * SLOT for a, b in pairwise(changes))
    assert changes


def lost(item):
    return frame(item.stamp_ns, None, item.voice)


def broken(item):
    nothing = np.full(58, np.nan, np.float32)
    heard = item.voice and replace(item.voice, mfcc=np.full(26, np.inf, np.float32), loudness_dbfs=float("nan"))
    return replace(item, coefficients=nothing, confidence=nothing, neutral_confidence=float("nan"), voice=heard)


def infinite(item):
    return replace(item, coefficients=np.full(58, np.inf, np.float32), confidence=np.full(58, 9.0, np.float32))


def constant(item):
    return replace(
        item, coefficients=np.full(58, 0.7, np.float32), confidence=np.ones(58, np.float32),
        voice=item.voice and replace(item.voice, mfcc=np.full(26, 3.0, np.float32), pitch_hz=100.0),
    )  # fmt: skip


@pytest.mark.parametrize("harm", [lost, broken, infinite, constant])
@pytest.mark.parametrize("span", [(10, 85), (0, 200)])
def test_bad_frames_for_seconds_leave_a_face_within_bounds(listener, harm, span):
    frames = [harm(f) if span[0] <= i < span[1] else f for i, f in enumerate(session(5, smile=0.3, talk=True))]
    plans = drive(listener, frames)
    assert_face(np.concatenate([p.coefficients for p in plans]))


@pytest.mark.parametrize("gap_s", [0.5, 3.0, 11.0, 4 * 24 * 3600.0])
def test_a_gap_in_time(listener, gap_s):
    frames = list(session(2, smile=0.5, talk=True))
    gap = round(gap_s * NS)
    late = [replace(f, stamp_ns=f.stamp_ns + 2 * NS + gap, picture_stamp_ns=f.stamp_ns + 2 * NS + gap) for f in frames]
    plans = drive(listener, [*frames, *late])
    assert len(plans) > 20
    assert all(np.isfinite(p.coefficients).all() for p in plans)
    assert all(a.start_ns < b.start_ns for a, b in pairwise(plans))
