"""The model policy: contract, whatever comes in; turns, own voice, controls. Causality: test_session_causality."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from speaker_frames import SLOT, START_NS, assert_face, drive, frame, session, shown, voice

from reactdiff_ros.clock import NS
from reactdiff_ros.coefficients import BLINK, EYE_LOOK, HEAD_PITCH, ROTATION, UPPER
from reactdiff_ros.model.backends.runtime import Networks
from reactdiff_ros.model.backends.weights import find_weights
from reactdiff_ros.model.diffusion_listener import HEAD_SHARE, DiffusionListener
from reactdiff_ros.model.listener import Listener, ListenerConfig
from reactdiff_ros.types import ListenerControl


@pytest.fixture(scope="module")
def make(any_weights):
    networks = Networks(find_weights(any_weights))

    def make(seed=0, **settings):
        given = {"candidates": 2, "steps": 2, "guidance": 1.5, **settings}
        return DiffusionListener(seed=seed, config=ListenerConfig(**given), networks=networks)

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
        assert plan.start_ns > plan.picture_stamp_ns == plan.sound_stamp_ns
    assert listener.state().plans >= len(plans)
    assert "onnxruntime" in listener.state().backend


def test_same_seed_same_bits_other_seed_other_face(listener):
    first, again, other = (shown(drive(listener, session(3, smile=0.4, talk=True), seed)) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.02


def test_evidence_plans_at_once(listener):
    plans = drive(listener, session(4, smile=lambda t: 0.9 * (t > 2.05)))
    onset = START_NS + round(2.08 * NS)
    assert [p for p in plans if p.reason == "evidence" and 0 <= p.picture_stamp_ns - onset <= 3 * SLOT]


def test_candidates_are_several_and_the_choice_is_held(make):
    plans = drive(make(seed=1, candidates=3, publish_candidates=True), session(5, smile=0.4, talk=True), 1)
    assert all(p.candidates.shape == (3, 12, 58) for p in plans)
    assert all(np.array_equal(p.candidates[p.candidate], p.coefficients) for p in plans)
    assert np.abs(plans[3].candidates[0] - plans[3].candidates[1]).max() > 0.01
    changes = [p.start_ns for p, q in zip(plans[1:], plans, strict=False) if p.candidate != q.candidate]
    assert all(b - a >= 20 * SLOT for a, b in pairwise(changes))
    assert changes


# Bad frames, gaps and jumps of time


def lost(item):
    return frame(item.stamp_ns, None, item.voice)


def not_a_number(item):
    nothing = np.full(58, np.nan, np.float32)
    heard = item.voice and replace(item.voice, mfcc=np.full(26, np.inf, np.float32), loudness_dbfs=float("nan"))
    return replace(item, coefficients=nothing, confidence=nothing, neutral_confidence=float("nan"), voice=heard)


def infinite(item):
    return replace(item, coefficients=np.full(58, np.inf, np.float32), confidence=np.full(58, 9.0, np.float32))


@pytest.mark.parametrize("harm", [lost, not_a_number, infinite])
@pytest.mark.parametrize("span", [(10, 85), (0, 125)])
def test_bad_frames_for_seconds_leave_a_face_within_bounds(listener, harm, span):
    frames = [harm(f) if span[0] <= i < span[1] else f for i, f in enumerate(session(5, smile=0.3, talk=True))]
    assert_face(np.concatenate([p.coefficients for p in drive(listener, frames)]))


@pytest.mark.parametrize("gap_s", [0.5, 3.0, 11.0, 4 * 24 * 3600.0])
def test_after_a_gap_in_time_plans_go_on(listener, gap_s):
    frames = list(session(2, smile=0.5, talk=True))
    gap = 2 * NS + round(gap_s * NS)
    late = [replace(f, stamp_ns=f.stamp_ns + gap, picture_stamp_ns=f.stamp_ns + gap) for f in frames]
    plans = drive(listener, [*frames, *late])
    assert len(plans) > 20
    assert_face(np.concatenate([p.coefficients for p in plans]))
    assert all(a.start_ns < b.start_ns for a, b in pairwise(plans))


def test_after_a_pause_of_the_process_it_plans_for_now_from_a_face_that_has_faded(make):
    """Neither frames nor plans for 3 s, then all that waited at once: one plan, whose first frame joins the neutral."""
    frames = list(session(6, smile=0.5, talk=True))
    plans = drive(make(), [*frames[:50], *frames[125:]])
    resumed = frames[125].stamp_ns
    first = next(p for p in plans if p.start_ns > resumed)
    assert first.start_ns - resumed <= 2 * SLOT
    usual = max(np.abs(np.diff(p.coefficients, axis=0)).max() for p in plans)
    assert np.abs(first.coefficients[0]).max() <= usual
    assert first.picture_stamp_ns == resumed


# Controls and the robot's own voice


def test_controls_act_from_the_next_plan_on(make):
    frames = list(session(4, smile=0.3, talk=True))

    def plans(**control):
        listener = make()

        def change(i, item):
            if i == 50:
                listener.control(ListenerControl(**control))

        return drive(listener, frames, before=change), listener.state().settings

    base, _ = plans()
    late = [p.start_ns > frames[50].stamp_ns for p in base]
    for name in ("attitude", "responsiveness", "smiling", "nodding", "liveliness", "delay_s"):
        changed, settings = plans(**{name: 0.9})
        assert settings[name] == pytest.approx(0.9)
        differs = [not np.array_equal(a.coefficients, b.coefficients) for a, b in zip(base, changed, strict=True)]
        assert differs == late, name


def speaking_robot(listener, sound):
    """Plans of 5 s while the robot speaks from 2 s on; `sound(t)` is what the microphone hears."""

    def own(i, item):
        if i >= 50:
            listener.robot_speaking(True, item.stamp_ns)

    frames = session(5, smile=0.3, talk=True)
    heard = (replace(f, voice=sound((f.stamp_ns - START_NS) / NS), sound_stamp_ns=f.stamp_ns) for f in frames)
    return drive(listener, heard, before=own)


def test_the_robots_own_voice_changes_not_a_single_bit(make):
    def own_voice(time_s):
        return voice(True, -8.0, utterance=time_s - 2.0) if time_s >= 2.0 else voice(time_s < 1.9)

    silent = speaking_robot(make(), lambda time_s: voice(time_s < 1.9))
    loud = speaking_robot(make(), own_voice)
    for a, b in zip(silent, loud, strict=True):
        assert (a.start_ns, a.reason, a.turn) == (b.start_ns, b.reason, b.turn)
        np.testing.assert_array_equal(a.coefficients, b.coefficients)


def test_while_the_robot_speaks_the_head_is_calmed_and_the_turn_is_said(make):
    plans = speaking_robot(make(), lambda t: voice(t < 1.9))
    free = drive(make(), session(5, smile=0.3, talk=True))
    during, listened = ([p for p in of if p.start_ns > START_NS + 3 * NS] for of in (plans, free))
    assert {p.turn for p in during} == {"robot_speaking"}
    assert {p.turn for p in plans if p.start_ns < START_NS + 2 * NS} == {"listening"}
    assert all(p.sound_stamp_ns is None for p in during)
    assert all(p.picture_stamp_ns is not None for p in during), "the other's face is seen"
    calm, moved = (float(np.abs([p.coefficients[:, ROTATION] for p in of]).max()) for of in (during, listened))
    assert calm <= HEAD_SHARE * float(UPPER[ROTATION].max()) + 1e-6 < moved


class AtRate:
    """Says that a nod begins in each frame with one probability, whatever is seen."""

    def __init__(self, rate):
        self.rate = rate

    def rates(self, speaker, missing, conditions, ages, *, sharpness=1.0):
        return np.full((len(speaker), ages.shape[1]), self.rate, dtype=np.float32)


def pitch_of_an_eager_listener(rate):
    """Of the shipped networks, told to answer everything; the robot speaks from 2 s to 8 s."""
    networks = Networks(find_weights(""))
    networks.nods = AtRate(rate)
    config = ListenerConfig(style="responsive", greeting_s=0.0, candidates=1, steps=2)
    listener = DiffusionListener(seed=3, config=config, networks=networks)

    def own(i, item):
        listener.robot_speaking(50 <= i < 200, item.stamp_ns)

    return shown(drive(listener, session(12, smile=0.3, talk=True), 3, own))[:, HEAD_PITCH]


def test_while_the_robot_speaks_no_nod_is_shown_whatever_the_style_and_the_head_of_nods_say():
    nods = np.abs(pitch_of_an_eager_listener(0.5) - pitch_of_an_eager_listener(0.0))
    assert nods[:50].max() > 0.03, "it nods while it listens"
    assert nods[70:200].max() < 1e-6
    assert nods[205:].max() > 0.03, "and again"
