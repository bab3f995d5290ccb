"""Is there someone to listen to? And the robot's own voice: never a reaction to it; the other's face is still seen."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from policy_drive import at, frame, run, shown, voice

from reactdiff_ros.coefficients import HEAD_PITCH, INDEX
from reactdiff_ros.model.listener import ListenerConfig
from reactdiff_ros.model.policies import make_listener
from reactdiff_ros.model.speaker.engagement import TAIL_S, OwnVoice
from reactdiff_ros.types import Reaction, SpeakerFrame, Voice

KEEN = ListenerConfig(nod_rate_per_min=12.0, smile_share=1.0, responsiveness=1.0, nodding=1.0)


def between(plans: list[Reaction], begin_s: float, end_s: float) -> list[Reaction]:
    return [p for p in plans if begin_s * 1e9 < p.start_ns < end_s * 1e9]


def nods(faces: np.ndarray) -> bool:
    return bool((faces[..., HEAD_PITCH] > math.radians(1.5)).any())


def while_robot_speaks(seed: int, robot: tuple[float, float], other: tuple[float, float], *, clean: bool):
    """Plans of 12 s in which robot and other speak from and to these times, and whether a nod is shown meanwhile.

    The robot is heard as a voice, and a little longer, unless its echo is cancelled (`clean`).
    """
    listener = make_listener("rules", seed=seed, config=KEEN)
    heard = [other] if clean else [other, (robot[0], robot[1] + 0.35)]

    def frames(time_s: float) -> SpeakerFrame:
        if robot[0] <= time_s < robot[1] + 0.04:
            listener.robot_speaking(time_s < robot[1], at(time_s))
        speaking = any(begin <= time_s < end for begin, end in heard)
        pause_s = min((time_s - end for _, end in heard if end <= time_s), default=0.0)
        sound = voice(speaking=speaking, pitch_hz=120.0, pause_s=pause_s)
        return frame(at(time_s), heard=replace(sound, clean=clean))

    plans = run(listener, 12, frames)
    times, faces = shown(plans)
    return plans, nods(faces[(times > robot[0] + 0.3) & (times < robot[1] + 5 * (not clean))])


def test_no_nod_while_the_robot_speaks_nor_at_its_last_words_also_none_that_was_planned() -> None:
    planned = 0
    for seed in range(6):
        plans, nodded = while_robot_speaks(seed, (3.08, 7.0), (0.0, 3.0), clean=False)
        assert not nodded
        assert {p.turn for p in between(plans, 3.2, 6.9)} == {"robot_speaking"}
        assert {p.turn for p in between(plans, 7.2, 11)} == {"listening"}
        assert all(p.sound_stamp_ns is None for p in between(plans, 3.4, 7.2))
        planned += any(nods(p.coefficients) for p in between(plans, 3.0, 3.13))
    assert planned >= 2


def test_where_the_echo_is_cancelled_the_other_is_heard_over_the_robot_and_no_nod_comes() -> None:
    for seed in range(6):
        plans, nodded = while_robot_speaks(seed, (1.0, 7.0), (3.0, 5.0), clean=True)
        assert not nodded
        over = between(plans, 1.3, 6.9)
        assert {p.turn for p in over} == {"robot_speaking"}
        assert all(p.sound_stamp_ns is not None for p in over)


def test_counts_do_not_reach_back_into_the_robots_speech() -> None:
    own = OwnVoice(timeout_s=1.0)

    def heard(time_s: float, **values: float) -> Voice | None:
        cleaned = own.cleaned(frame(at(time_s), heard=replace(voice(speaking=True), **values)))
        assert (cleaned.sound_stamp_ns is None) == (cleaned.voice is None)
        return cleaned.voice

    own.speaking(True, at(0.0))
    assert own.robot_speaks(at(0.5))
    own.speaking(False, at(1.0))
    assert not own.robot_speaks(at(1.1))
    assert own.deaf(at(1.0 + TAIL_S - 0.04))
    assert not own.deaf(at(1.0 + TAIL_S + 0.04))
    assert heard(1.2) is None
    assert heard(2.0, utterance_s=1.9, pause_s=0.0).utterance_s == pytest.approx(0.5)
    assert math.isnan(heard(2.0, utterance_s=0.0, pause_s=0.9).pause_s)
    assert heard(4.0, utterance_s=0.0, pause_s=0.9).pause_s == pytest.approx(0.9)


def test_after_the_robots_question_it_waits_for_the_answer() -> None:
    """A long monologue of the robot's ends: the other, silent and still meanwhile, is not taken for absent."""
    listener = make_listener("rules", seed=1)

    def make(time_s: float) -> SpeakerFrame:
        if time_s < 30.0:
            listener.robot_speaking(True, at(time_s))
        return frame(at(time_s), heard=voice(speaking=time_s < 30.0))

    plans = run(listener, 60, make)
    assert {p.engaged for p in between(plans, 0, 48)} == {True}
    assert {p.engaged for p in between(plans, 52, 60)} == {False}
    assert listener.state().turn == "idle"


@pytest.mark.parametrize("policy", ["rules", "mime", "random", "idle"])
def test_nobody_there_is_idle_within_a_second_and_back(policy: str) -> None:
    plans = run(
        make_listener(policy, seed=1), 12, lambda t: frame(at(t), face=not 4 <= t < 8, smile=0.8, heard=voice())
    )
    gone = [p.start_ns / 1e9 for p in plans if not p.engaged and p.start_ns > 4e9]
    back = [p.start_ns / 1e9 for p in plans if p.engaged and p.start_ns > 8e9]
    assert 4.5 <= gone[0] <= 5.0
    assert back[0] <= 8.25
    assert np.abs(shown(between(plans, 5.5, 7.9))[1]).max() == 0.0, "an empty room gets a neutral plan"


def sits(time_s: float, *, moves: bool = False, speaks: bool = False) -> SpeakerFrame:
    """Still and silent, but for the brows from 15 s on or a word at 14 s."""
    values = np.zeros(58)
    values[INDEX["browInnerUp"]] = 0.5 * (moves and time_s > 15 and time_s % 4 < 1)
    return frame(at(time_s), coefficients=values, heard=voice(speaking=speaks and 14 < time_s < 15))


@pytest.mark.parametrize(
    ("seconds", "make", "engaged"),
    [
        (30, lambda t: sits(t, moves=True), {(0.2, 30): True}),
        (30, lambda t: sits(t, speaks=True), {(0.2, 30): True}),
        (30, sits, {(0.2, 19): True, (22, 30): False}),
        (40, lambda t: frame(at(t)), {(1, 40): True}),
        (20, lambda t: frame(at(t), camera=False, heard=voice(speaking=2.0 <= t < 6.0)),
         {(0, 1.9): False, (2.3, 13): True, (14.5, 20): False}),
        (10, lambda t: frame(at(t), camera=False, heard=voice(pitch_hz=220.0, loudness=-6.0)), {(0, 10): False}),
        (12, lambda t: frame(at(t), camera=t < 5.0, heard=voice(speaking=True)), {(0.2, 12): True}),
    ],
    ids=["a face that moves", "a word", "silence", "no microphone", "speech without a camera", "loud music",
         "a camera that dies while speech goes on"],
)  # fmt: skip
def test_a_missing_modality_is_neither_silence_nor_an_empty_room(seconds, make, engaged) -> None:
    plans = run(make_listener("rules", seed=1), seconds, make)
    for (begin, end), expected in engaged.items():
        assert {p.engaged for p in between(plans, begin, end)} == {expected}
