"""Why a listener reacts: its plans drawn again without a cue."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from speaker_frames import LATENCY, START_NS, drive, frame, session

from reactdiff_ros.coefficients import SMILE
from reactdiff_ros.model.diffusion_listener import DiffusionListener
from reactdiff_ros.model.explain import CUES, MOMENTS_S, explain
from reactdiff_ros.model.listener import ListenerConfig
from reactdiff_ros.types import ListenerControl


@pytest.fixture(scope="module")
def listener():
    return DiffusionListener(seed=3, config=ListenerConfig(greeting_s=0.0))


def test_a_smile_comes_from_the_face_that_smiles(listener):
    listener.control(ListenerControl(style="responsive"))
    plans = drive(listener, session(6.2, smile=lambda t: 0.9 if t > 5 else 0.0, talk=True))
    listener.control(ListenerControl(style="natural"))
    found = explain(listener.networks, listener.question())
    assert found.cues == ("plan", *CUES, "0-0.5 s", "0.5-1 s", "1-2 s", "2-4 s")
    assert len(MOMENTS_S) == 4
    effect = dict(zip(found.cues, found.smile[0] - found.smile, strict=True))
    assert effect["plan"] == 0.0
    assert effect["face"] > 0.4
    assert effect["face"] > 5 * abs(effect["voice"])
    assert found.smile[0] == pytest.approx(plans[-1].coefficients[:, list(SMILE)].mean(), abs=2e-3)


def test_the_plan_itself_is_drawn_as_it_was(listener):
    plans = drive(listener, session(5, smile=0.4, talk=True))
    question = listener.question()
    assert len(question.steps) > 2
    assert question.stamp_ns == plans[-1].start_ns
    one = explain(listener.networks, replace(question, steps=question.steps[-1:]))
    all_of_them = explain(listener.networks, question)
    assert one.smile[0] == pytest.approx(all_of_them.smile[0], abs=2e-3)
    assert one.brows[0] == pytest.approx(all_of_them.brows[0], abs=2e-3)


def test_a_cue_that_was_not_there_has_no_effect(listener):
    drive(listener, session(5, smile=0.3, microphone=False))
    found = explain(listener.networks, listener.question())
    for values in (found.smile, found.brows, found.nods_per_min):
        assert values[found.cues.index("voice")] == pytest.approx(values[0], abs=1e-5)


def test_who_saw_nobody_has_nothing_to_explain(listener):
    listener.reset(1)
    assert listener.question() is None
    drive(listener, [frame(START_NS)])
    listener.plan(START_NS + LATENCY)
    question = listener.question()
    assert question is None or np.isfinite(explain(listener.networks, question).smile).all()
    drive(listener, session(3, smile=0.3))
    assert listener.question() is not None
