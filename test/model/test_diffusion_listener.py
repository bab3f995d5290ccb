"""The model policy: contract, gaps in time, controls, the own voice, and why it reacts. Causality: test_session."""

from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from speaker_frames import SLOT, START_NS, assert_face, drive, frame, session, shown, voice

from reactdiff_ros.clock import NS
from reactdiff_ros.coefficients import BLINK, EYE_LOOK, HEAD_PITCH, ROTATION, SMILE, UPPER
from reactdiff_ros.model.backends.runtime import Networks
from reactdiff_ros.model.backends.weights import find_weights
from reactdiff_ros.model.diffusion_listener import HEAD_SHARE, DiffusionListener
from reactdiff_ros.model.explain import CUES, explain
from reactdiff_ros.model.listener import Listener, ListenerConfig
from reactdiff_ros.types import ListenerControl


@pytest.fixture(scope="module")
def listener(make):
    return make()


def test_is_a_listener_and_obeys_the_contract(listener):
    assert isinstance(listener, Listener)
    plans = drive(listener, session(4, smile=0.3, talk=True))
    starts = np.array([p.start_ns for p in plans])
    assert (starts % SLOT == 0).all()
    assert SLOT <= np.diff(starts).min() <= np.diff(starts).max() <= 4 * SLOT
    for plan in plans:
        assert (plan.policy, plan.coefficients.shape) == ("model", (12, 58))
        assert_face(plan.coefficients)
        assert (plan.coefficients[:, [*EYE_LOOK, *BLINK]] == 0).all()
        assert plan.start_ns > plan.picture_stamp_ns == plan.sound_stamp_ns
    assert listener.state().plans >= len(plans)
    assert "onnxruntime" in listener.state().backend


def test_evidence_plans_at_once(listener):
    plans = drive(listener, session(4, smile=lambda t: 0.9 * (t > 2.05)))
    onset = START_NS + round(2.08 * NS)
    assert [p for p in plans if p.reason == "evidence" and 0 <= p.picture_stamp_ns - onset <= 3 * SLOT]


def test_candidates_are_several_where_they_are_published_and_change_nothing_that_is_shown(make):
    alone, plans = (
        drive(make(seed=1, candidates=3, publish_candidates=all_of_them), session(5, smile=0.4, talk=True), 1)
        for all_of_them in (False, True)
    )
    assert {plan.candidates for plan in alone} == {None}
    assert all(p.candidates.shape == (3, 12, 58) for p in plans)
    assert all(np.array_equal(p.candidates[p.candidate], p.coefficients) for p in plans)
    assert np.abs(plans[3].candidates[0] - plans[3].candidates[1]).max() > 0.01
    for plan, other in zip(plans, alone, strict=True):
        np.testing.assert_allclose(plan.coefficients, other.coefficients, atol=1e-5)


@pytest.mark.parametrize("gap_s", [0.5, 11.0, 4 * 24 * 3600.0])
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


def test_controls_act_from_the_next_plan_on(make):
    frames = list(session(4, smile=0.3, talk=True))

    def plans(**control):
        listener = make()
        change = lambda i, _: i == 50 and listener.control(ListenerControl(**control))  # noqa: E731
        return drive(listener, frames, before=change), listener.state().settings

    base, _ = plans()
    late = [p.start_ns > frames[50].stamp_ns for p in base]
    for name in ("attitude", "responsiveness", "smiling", "nodding", "liveliness", "delay_s"):
        changed, settings = plans(**{name: 0.9})
        assert settings[name] == pytest.approx(0.9)
        differs = [not np.array_equal(a.coefficients, b.coefficients) for a, b in zip(base, changed, strict=True)]
        assert differs == late, name


def test_the_robots_own_voice_changes_not_a_bit_but_while_it_speaks_the_head_is_calmed(make):
    """The other falls silent at 1.9 s; the robot speaks from 2 s on, and is heard or not."""

    def plans(robot_speaks, own_voice):
        listener, frames = make(), []
        for item in session(5, smile=0.3, talk=True):
            time_s = (item.stamp_ns - START_NS) / NS
            heard = voice(True, -8.0, utterance_s=time_s - 2.0) if own_voice and time_s >= 2.0 else voice(time_s < 1.9)
            frames.append(replace(item, voice=heard, sound_stamp_ns=item.stamp_ns))
        speaking = lambda i, item: listener.robot_speaking(robot_speaks and i >= 50, item.stamp_ns)  # noqa: E731
        return drive(listener, frames, before=speaking)

    silent, loud = plans(True, False), plans(True, True)
    for a, b in zip(silent, loud, strict=True):
        assert (a.start_ns, a.reason, a.turn) == (b.start_ns, b.reason, b.turn)
        np.testing.assert_array_equal(a.coefficients, b.coefficients)
    during, listened = ([p for p in of if p.start_ns > START_NS + 3 * NS] for of in (loud, plans(False, False)))
    assert {p.turn for p in during} == {"robot_speaking"}
    assert {p.turn for p in loud if p.start_ns < START_NS + 2 * NS} == {"listening"}
    assert all(p.sound_stamp_ns is None for p in during)
    assert all(p.picture_stamp_ns is not None for p in during), "the other's face is seen"
    calm, moved = (float(np.abs([p.coefficients[:, ROTATION] for p in of]).max()) for of in (during, listened))
    assert calm <= HEAD_SHARE * float(UPPER[ROTATION].max()) + 1e-6 < moved


def test_while_the_robot_speaks_no_nod_is_shown_whatever_the_style_and_the_head_of_nods_say():
    """It speaks from 2 s to 8 s; nods begin in every other frame, whatever is seen, or never."""
    networks, config = Networks(find_weights("")), ListenerConfig(style="responsive", greeting_s=0.0)

    def pitch(rate):
        rates = lambda speaker, missing, conditions, ages, **_: np.full((1, ages.shape[1]), rate)  # noqa: E731
        networks.nods = SimpleNamespace(rates=rates)
        listener = DiffusionListener(seed=3, config=config, networks=networks)
        speaking = lambda i, item: listener.robot_speaking(50 <= i < 200, item.stamp_ns)  # noqa: E731
        return shown(drive(listener, session(12, smile=0.3, talk=True), 3, speaking))[:, HEAD_PITCH]

    nods = np.abs(pitch(0.5) - pitch(0.0))
    assert nods[:50].max() > 0.03, "it nods while it listens"
    assert nods[70:200].max() < 1e-6
    assert nods[205:].max() > 0.03, "and again"


@pytest.fixture
def shipped():
    return DiffusionListener(seed=3, config=ListenerConfig(greeting_s=0.0))


@pytest.mark.timeout(900)  # two minutes of a core without AVX-512
def test_a_smile_comes_from_the_face_that_smiles_and_the_plan_is_drawn_again_as_it_was(shipped):
    shipped.control(ListenerControl(style="responsive"))
    effects, smiles = [], []
    for seed in range(72):  # a smile is there or not: the mean of 24 is off by .1
        plans = drive(shipped, session(6.2, smile=lambda t: 0.9 if t > 5 else 0.0, talk=True), seed)
        question = shipped.question()
        assert len(question.steps) > 2
        assert question.stamp_ns == plans[-1].start_ns
        found = explain(shipped.networks, question)
        assert found.cues == ("plan", *CUES, "0-0.5 s", "0.5-1 s", "1-2 s", "2-4 s")
        assert found.smile[0] == pytest.approx(plans[-1].coefficients[:, list(SMILE)].mean(), abs=2e-3)
        effects.append(found.smile[0] - found.smile)
        smiles.append(found.smile[0])
    effect = dict(zip(found.cues, np.mean(effects, axis=0), strict=True))
    assert effect["face"] > 0.6 * np.mean(smiles) > 0.2
    assert effect["face"] > 1.5 * max(abs(effect[name]) for name in CUES if name != "face")


def test_a_cue_that_was_not_there_has_no_effect_and_where_nobody_was_there_is_nothing_to_explain(shipped):
    drive(shipped, [frame(START_NS, None)])
    assert shipped.question() is None
    drive(shipped, session(5, smile=0.3, microphone=False))
    found = explain(shipped.networks, shipped.question())
    for values in (found.smile, found.brows, found.nods_per_min):
        assert values[found.cues.index("voice")] == pytest.approx(values[0], abs=1e-5)
