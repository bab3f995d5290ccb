"""Why a listener reacts: its plans drawn again without a cue."""

from __future__ import annotations

import pytest
from speaker_frames import START_NS, drive, frame, session

from reactdiff_ros.coefficients import SMILE
from reactdiff_ros.model.diffusion_listener import DiffusionListener
from reactdiff_ros.model.explain import CUES, explain
from reactdiff_ros.model.listener import ListenerConfig
from reactdiff_ros.types import ListenerControl


@pytest.fixture
def listener():
    return DiffusionListener(seed=3, config=ListenerConfig(greeting_s=0.0))


def test_a_smile_comes_from_the_face_that_smiles_and_the_plan_is_drawn_again_as_it_was(listener):
    listener.control(ListenerControl(style="responsive"))
    plans = drive(listener, session(6.2, smile=lambda t: 0.9 if t > 5 else 0.0, talk=True))
    question = listener.question()
    assert len(question.steps) > 2
    assert question.stamp_ns == plans[-1].start_ns
    found = explain(listener.networks, question)
    assert found.cues == ("plan", *CUES, "0-0.5 s", "0.5-1 s", "1-2 s", "2-4 s")
    effect = dict(zip(found.cues, found.smile[0] - found.smile, strict=True))
    assert effect["face"] > 0.4
    assert effect["face"] > 5 * abs(effect["voice"])
    assert found.smile[0] == pytest.approx(plans[-1].coefficients[:, list(SMILE)].mean(), abs=2e-3)


def test_a_cue_that_was_not_there_has_no_effect(listener):
    drive(listener, session(5, smile=0.3, microphone=False))
    found = explain(listener.networks, listener.question())
    for values in (found.smile, found.brows, found.nods_per_min):
        assert values[found.cues.index("voice")] == pytest.approx(values[0], abs=1e-5)


def test_who_saw_nobody_has_nothing_to_explain(listener):
    assert listener.question() is None
    drive(listener, [frame(START_NS, None)])
    assert listener.question() is None
