"""The model policy with the shipped weights: contract, causality, reactions."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from speaker_frames import START_NS, frame, session, voice

from reactdiff_ros.clock import NS
from reactdiff_ros.coefficients import BLINK, EYE_LOOK, LOWER, SMILE, UPPER
from reactdiff_ros.errors import MessageError
from reactdiff_ros.model.diffusion_listener import DiffusionListener, OwnPast
from reactdiff_ros.model.listener import Listener, ListenerConfig
from reactdiff_ros.types import ListenerControl

SLOT = 40_000_000
LATENCY = 25_000_000


@pytest.fixture(scope="module")
def listener():
    return DiffusionListener(seed=0, config=ListenerConfig(candidates=2, steps=4))


def drive(listener, frames, seed=0, latency=LATENCY):
    """All plans of a session."""
    listener.reset(seed)
    plans = []
    for item in frames:
        listener.observe(item)
        plan = listener.plan(item.stamp_ns + latency)
        if plan is not None:
            plans.append(plan)
    return plans


def shown(plans):
    """What is on the face, frame by frame (T, 58)."""
    first = plans[0].start_ns
    length = (plans[-1].start_ns - first) // SLOT + 16
    out = np.zeros((length, 58), dtype=np.float32)
    for plan in plans:
        i = (plan.start_ns - first) // SLOT
        out[i : i + 16] = plan.coefficients
    return out[: length - 12]


def test_is_a_listener_and_obeys_the_contract(listener):
    assert isinstance(listener, Listener)
    plans = drive(listener, session(4, smile=0.3, talk=True))
    starts = np.array([p.start_ns for p in plans])
    assert (starts % SLOT == 0).all()
    assert np.diff(starts).max() <= 4 * SLOT
    assert np.diff(starts).min() >= SLOT
    for plan in plans:
        assert plan.coefficients.shape == (16, 58)
        assert np.isfinite(plan.coefficients).all()
        assert (plan.coefficients >= LOWER).all()
        assert (plan.coefficients <= UPPER).all()
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


def test_causal_at_session_level(listener):
    frames = list(session(4, smile=0.5, talk=True))
    cut = 60
    changed = [*frames[:cut], *(frame(f.stamp_ns, 0.0, voice(False), brow=0.9) for f in frames[cut:])]
    a, b = drive(listener, frames), drive(listener, changed)
    before = [p for p in a if p.picture_stamp_ns < frames[cut].stamp_ns]
    assert len(before) > 10
    for one, two in zip(before, b, strict=False):
        assert one.start_ns == two.start_ns
        np.testing.assert_array_equal(one.coefficients, two.coefficients)
    n = min(len(shown(a)), len(shown(b)))
    assert not np.array_equal(shown(a)[:n], shown(b)[:n])


def test_plans_continue_each_other(listener):
    plans = drive(listener, session(12, smile=lambda t: 0.7 * (t % 4 > 1.5), talk=True))
    face = shown(plans)
    step = np.abs(np.diff(face, axis=0)).max(axis=1)
    first = plans[0].start_ns
    borders = {(p.start_ns - first) // SLOT - 1 for p in plans[1:]}
    border = np.array([i in borders for i in range(len(step))])
    assert np.percentile(step[border], 95) <= max(1.5 * np.percentile(step[~border], 95), 0.03)
    assert step.max() < 0.35


def test_evidence_plans_at_once(listener):
    frames = list(session(4, smile=lambda t: 0.9 * (t > 2.05)))
    plans = drive(listener, frames)
    onset = START_NS + round(2.08 * NS)
    early = [p for p in plans if p.reason == "evidence" and 0 <= p.picture_stamp_ns - onset <= 3 * SLOT]
    assert early


def test_answers_a_smile(listener):
    differences = []
    for seed in range(4):
        smile = shown(drive(listener, session(7, smile=lambda t: 0.65 * (t > 1), talk=True), seed))[:, SMILE].mean(1)
        neutral = shown(drive(listener, session(7, smile=0.0, talk=True), seed))[:, SMILE].mean(1)
        differences.append(smile[50:].mean() - neutral[50:].mean())
        assert smile[:20].mean() < 0.15
    assert np.mean(differences) > 0.15
    assert sorted(differences)[1] > 0.05


def test_no_reaction_without_a_reason(listener):
    for loudness in (-70.0, -12.0):
        faces = [shown(drive(listener, session(8, smile=0.0, loudness=loudness), seed)) for seed in range(3)]
        smiles = [f[:, SMILE].mean() for f in faces]
        assert np.mean(smiles) < 0.08
        assert np.mean([np.percentile(f[:, SMILE], 98) for f in faces]) < 0.25


def test_sound_alone_and_pictures_alone(listener):
    blind = drive(listener, session(8, talk=True, camera=False))
    assert blind
    assert all(p.picture_stamp_ns is None and p.sound_stamp_ns is not None for p in blind)
    face = shown(blind)
    assert face[:, 52].std() > 0.003
    assert face[:, SMILE].mean() < 0.2
    deaf = drive(listener, session(6, smile=0.7, microphone=False))
    assert all(p.sound_stamp_ns is None for p in deaf)
    assert shown(deaf)[60:, SMILE].mean() > 0.1


@pytest.mark.parametrize("rate_hz", [10.0, 30.0, 60.0])
def test_any_picture_rate(listener, rate_hz):
    face = shown(drive(listener, session(6, smile=0.7, talk=True, rate_hz=rate_hz)))
    assert np.isfinite(face).all()
    assert face[60:, SMILE].mean() > 0.1


def test_attitude_changes_the_smile(listener):
    def smile(attitude):
        listener.control(ListenerControl(attitude=attitude))
        faces = [shown(drive(listener, session(6, smile=0.4, talk=True), seed)) for seed in range(4)]
        return np.mean([f[50:, SMILE].mean() for f in faces])

    try:
        assert smile(0.9) > smile(-0.9) + 0.05
    finally:
        listener.control(ListenerControl(attitude=0.0))


def test_nobody_there_is_idle(listener):
    frames = [replace(frame(START_NS + i * SLOT, 0.0, voice(False)), face_present=False, mesh_present=False)
              for i in range(60)]  # fmt: skip
    plans = drive(listener, frames)
    assert not plans[-1].engaged
    assert np.abs(plans[-1].coefficients).max() == 0


def test_malformed_frames(listener):
    good = list(session(3, smile=0.3, talk=True))
    for i in range(10, 40):
        broken = good[i].coefficients.copy()
        broken[::2] = np.nan
        good[i] = replace(good[i], coefficients=broken, voice=replace(good[i].voice, pitch_hz=float("inf")))
    face = shown(drive(listener, good))
    assert np.isfinite(face).all()
    with pytest.raises(MessageError):
        listener.observe(replace(good[0], stamp_ns=good[-1].stamp_ns + SLOT, coefficients=np.zeros(3, np.float32)))


def test_robot_speech_is_no_voice(listener):
    listener.reset(0)
    for item in session(1, talk=True):
        listener.robot_speaking(True, item.stamp_ns)
        listener.observe(item)
        plan = listener.plan(item.stamp_ns + LATENCY)
        if plan is not None:
            assert plan.sound_stamp_ns is None


def test_backward_jump_starts_anew(listener):
    frames = list(session(3, smile=0.5, talk=True))
    listener.reset(2)
    fresh = [p.coefficients for p in drive(listener, frames[:30], 2)]
    drive(listener, [replace(f, stamp_ns=f.stamp_ns + 100 * NS) for f in frames], 2)
    plans = []
    for item in frames[:30]:
        listener.observe(item)
        plan = listener.plan(item.stamp_ns + LATENCY)
        if plan is not None:
            plans.append(plan.coefficients)
    np.testing.assert_array_equal(plans[-1], fresh[-1])


def test_a_gap_and_a_long_session(listener):
    frames = list(session(2, smile=0.5, talk=True))
    days = 4 * 24 * 3600 * NS
    late = [replace(f, stamp_ns=f.stamp_ns + days, picture_stamp_ns=f.stamp_ns + days) for f in frames]
    plans = drive(listener, [*frames, *late])
    assert np.isfinite(plans[-1].coefficients).all()
    assert len(plans) > 20


def test_candidates_are_several_and_the_choice_is_held():
    many = DiffusionListener(seed=1, config=ListenerConfig(candidates=3, steps=4, publish_candidates=True))
    plans = drive(many, session(5, smile=0.4, talk=True), 1)
    assert all(p.candidates.shape == (3, 16, 58) for p in plans)
    assert all(np.array_equal(p.candidates[p.candidate], p.coefficients) for p in plans)
    assert np.abs(plans[3].candidates[0] - plans[3].candidates[1]).max() > 0.01
    changes = [p.start_ns for p, q in zip(plans[1:], plans, strict=False) if p.candidate != q.candidate]
    assert all(b - a >= 20 * SLOT for a, b in pairwise(changes))


def test_candidates_do_not_change_what_is_shown():
    def first(publish):
        many = DiffusionListener(seed=1, config=ListenerConfig(candidates=3, steps=4, publish_candidates=publish))
        return drive(many, session(3, smile=0.4, talk=True), 1)[8].coefficients

    np.testing.assert_allclose(first(True), first(False), atol=1e-5)


def test_own_past_fades_after_its_end():
    past = OwnPast()
    past.add(100, np.ones((16, 58), dtype=np.float32))
    assert (past.planned(100, 16) == 1).all()
    assert (past.planned(90, 10) == 0).all()
    faded = past.planned(116, 30)[:, 0]
    assert (np.diff(faded) < 0).all()
    assert faded[-1] < 0.01


def test_compute_time_is_measured_with_the_timer_given():
    ticks = iter(range(10_000))
    timed = DiffusionListener(seed=0, config=ListenerConfig(steps=2, candidates=1), timer=lambda: float(next(ticks)))
    assert drive(timed, session(0.3))[0].compute_s == 1.0
