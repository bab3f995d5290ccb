"""Events of the model policy with random weights: turns, own voice, controls while it runs, candidates on demand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from speaker_frames import SLOT, START_NS, drive, session, shown, voice

from reactdiff_ros.clock import NS
from reactdiff_ros.coefficients import HEAD_PITCH, ROTATION, UPPER
from reactdiff_ros.model.backends.runtime import Networks
from reactdiff_ros.model.backends.weights import find_weights
from reactdiff_ros.model.diffusion_listener import HEAD_SHARE, DiffusionListener
from reactdiff_ros.model.listener import ListenerConfig
from reactdiff_ros.model.plan.corrections import NodGate
from reactdiff_ros.types import ListenerControl


@pytest.fixture(scope="module")
def make(random_weights):
    def make(seed=0, **settings):
        given = {"candidates": 3, "steps": 2, "guidance": 1.5, **settings}
        return DiffusionListener(seed=seed, config=ListenerConfig(model_dir=str(random_weights), **given))

    return make


def speaking_robot(listener, seconds, sound):
    """Plans while the robot speaks from 2 s on; `sound(t)` is what the microphone hears."""

    def own(i, item):
        if i >= 50:
            listener.robot_speaking(True, item.stamp_ns)

    frames = session(seconds, smile=0.3, talk=True)
    heard = (replace(f, voice=sound((f.stamp_ns - START_NS) / NS), sound_stamp_ns=f.stamp_ns) for f in frames)
    return drive(listener, heard, before=own)


def test_the_robots_own_voice_changes_not_a_single_bit(make):
    def own_voice(time_s):
        return voice(True, -8.0, utterance=time_s - 2.0) if time_s >= 2.0 else voice(time_s < 1.9)

    listener = make()
    silent = speaking_robot(listener, 5, lambda time_s: voice(time_s < 1.9))
    loud = speaking_robot(listener, 5, own_voice)
    for a, b in zip(silent, loud, strict=True):
        assert (a.start_ns, a.reason, a.turn) == (b.start_ns, b.reason, b.turn)
        np.testing.assert_array_equal(a.coefficients, b.coefficients)


def test_while_the_robot_speaks_the_head_is_calmed_and_the_turn_is_said(make):
    plans = speaking_robot(make(), 5, lambda t: voice(t < 1.9))
    free = drive(make(), session(5, smile=0.3, talk=True))
    during = [p for p in plans if p.start_ns > START_NS + 3 * NS]
    assert {p.turn for p in during} == {"robot_speaking"}
    assert {p.turn for p in plans if p.start_ns < START_NS + 2 * NS} == {"listening"}
    assert all(p.sound_stamp_ns is None for p in during)
    assert all(p.picture_stamp_ns is not None for p in during), "the other's face is seen"

    def head(of):
        return float(np.abs(np.concatenate([p.coefficients[:, ROTATION] for p in of])).max())

    widest = float(UPPER[ROTATION].max())
    assert head(during) <= HEAD_SHARE * widest + 1e-6 < head([p for p in free if p.start_ns > START_NS + 3 * NS])


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


def test_a_nod_that_the_robots_words_cut_off_does_not_come_back_when_they_end():
    gate, still = NodGate(), np.zeros((2, 12, 58), dtype=np.float32)
    nodding = still.copy()
    nodding[..., HEAD_PITCH] = 0.1

    def dip(slot, turn, plans):
        return gate.let_through(slot, turn, plans, still)[..., HEAD_PITCH]

    np.testing.assert_array_equal(dip(0, "listening", nodding), nodding[..., HEAD_PITCH])
    fading = dip(4, "robot_speaking", nodding)
    assert (np.diff(fading) < 0).all()
    assert fading[0, 0] > 0.08, "continuous"
    assert not dip(24, "robot_speaking", nodding).any()
    assert not dip(28, "listening", nodding).any(), "the same nod"
    assert not dip(32, "listening", still).any()
    assert dip(60, "listening", nodding).max() == pytest.approx(0.1)


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
