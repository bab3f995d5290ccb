"""Is there someone to listen to? And the robot's own voice: never a reaction to it; the other's face is still seen."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from policy_drive import FRAME, frame, run, shown, voice

from reactdiff_ros.coefficients import HEAD_PITCH, INDEX
from reactdiff_ros.model.listener import Listener, ListenerConfig
from reactdiff_ros.model.policies import make_listener
from reactdiff_ros.model.speaker.engagement import TAIL_S, Engagement, OwnVoice
from reactdiff_ros.types import SpeakerFrame, Voice

KEEN = ListenerConfig(nod_rate_per_min=12.0, smile_share=1.0, responsiveness=1.0, nodding=1.0)


def at(time_s: float) -> int:
    return round(time_s * 25) * FRAME


def dips(faces: np.ndarray) -> bool:
    return bool((faces[:, HEAD_PITCH] > math.radians(1.5)).any())


@pytest.mark.parametrize("seed", range(3))
def test_no_nod_while_the_robot_speaks_nor_at_its_last_words(seed: int) -> None:
    """The other talks until 3 s, the robot from 3 s to 7 s, then both are silent."""
    listener = make_listener("rules", seed=seed, config=KEEN)

    def turns(time_s: float) -> SpeakerFrame:
        robot = 3.0 <= time_s < 7.0
        if robot:
            listener.robot_speaking(True, at(time_s))
        elif 7.0 <= time_s < 7.04:
            listener.robot_speaking(False, at(time_s))
        heard_to = 7.35  # hang-over of the voice activity, echo, buffers
        speaking = time_s < 2.98 or 3.0 <= time_s < heard_to
        pause = max(time_s - heard_to, 0.0)
        return frame(at(time_s), heard=voice(speaking=speaking, pitch_hz=120.0, pause_s=pause))

    plans = run(listener, 12, turns)
    times, faces = shown(plans)
    assert not dips(faces[(times > 3.6) & (times < 12.0)])
    assert {p.turn for p in plans if 3.1e9 < p.start_ns < 6.9e9} == {"robot_speaking"}
    assert {p.turn for p in plans if 7.2e9 < p.start_ns < 11e9} == {"listening"}
    assert all(p.sound_stamp_ns is None for p in plans if 3.3e9 < p.start_ns < 7.2e9)


def test_a_nod_that_was_planned_is_called_off_when_the_robot_begins_to_speak() -> None:
    called_off = 0
    for seed in range(12):

        def ends(time_s: float, *, robot: bool, seed: int = seed) -> np.ndarray:
            listener = make_listener("rules", seed=seed, config=KEEN)

            def make(now_s: float) -> SpeakerFrame:
                if robot and now_s >= 3.08:
                    listener.robot_speaking(True, at(now_s))
                heard = voice(speaking=now_s < 3.0, pitch_hz=120.0, pause_s=max(now_s - 3.0, 0.0))
                return frame(at(now_s), heard=heard)

            times, faces = shown(run(listener, time_s, make))
            return faces[(times > 3.2)]

        if dips(ends(6.0, robot=False)):
            called_off += int(not dips(ends(6.0, robot=True)))
    assert called_off >= 3


def test_counts_do_not_reach_back_into_the_robots_speech() -> None:
    own = OwnVoice(timeout_s=1.0)
    own.speaking(True, at(0.0))
    assert own.robot_speaks(at(0.5))
    own.speaking(False, at(1.0))
    assert not own.robot_speaks(at(1.1))

    def heard(time_s: float, **values: float) -> SpeakerFrame:
        given = replace(voice(speaking=True), **values)
        return own.cleaned(frame(at(time_s), heard=given))

    assert own.deaf(at(1.0 + TAIL_S - 0.04))
    assert not own.deaf(at(1.0 + TAIL_S + 0.04))
    assert heard(1.2).voice is None
    assert heard(1.2).sound_stamp_ns is None
    late = heard(2.0, utterance_s=1.9, pause_s=0.0)
    assert late.voice.utterance_s == pytest.approx(0.5)
    silent = heard(2.0, utterance_s=0.0, pause_s=0.9)
    assert math.isnan(silent.voice.pause_s)
    other = heard(4.0, utterance_s=0.0, pause_s=0.9)
    assert other.voice.pause_s == pytest.approx(0.9)


def test_where_the_echo_is_cancelled_the_other_is_heard_over_the_robot_and_no_nod_comes() -> None:
    """The robot speaks from 1 s to 7 s, the other over it from 3 s to 5 s."""
    shown_over: list[bool] = []
    for seed in range(6):
        listener = make_listener("rules", seed=seed, config=KEEN)

        def make(time_s: float, listener: Listener = listener) -> SpeakerFrame:
            if 1.0 <= time_s < 7.04:
                listener.robot_speaking(time_s < 7.0, at(time_s))
            speaking = 3.0 <= time_s < 5.0
            heard = voice(speaking=speaking, pitch_hz=120.0, pause_s=max(time_s - 5.0, 0.0))
            return frame(at(time_s), heard=replace(heard, clean=time_s < 8.0))

        plans = run(listener, 9, make)
        times, faces = shown(plans)
        shown_over.append(dips(faces[(times > 1.6) & (times < 7.0)]))
        over = [p for p in plans if 1.3e9 < p.start_ns < 6.9e9]
        assert {p.turn for p in over} == {"robot_speaking"}
        assert all(p.sound_stamp_ns is not None for p in over)
    assert not any(shown_over)


def test_sound_without_the_own_voice_is_left_as_it_is_until_it_is_heard_with_it_again() -> None:
    own = OwnVoice(timeout_s=1.0)

    def heard(time_s: float, *, clean: bool) -> Voice | None:
        given = replace(voice(speaking=True), utterance_s=1.9, clean=clean)
        return own.cleaned(frame(at(time_s), heard=given)).voice

    own.speaking(True, at(0.0))
    over = heard(0.4, clean=True)
    assert over.utterance_s == 1.9
    own.speaking(False, at(1.0))
    assert heard(1.2, clean=True) is not None, "its tail is taken out as well"
    after = heard(2.0, clean=False)
    assert after.utterance_s == 1.9, "who spoke over the robot speaks on"
    own.speaking(True, at(3.0))
    assert heard(3.2, clean=False) is None
    assert own.deaf(at(3.2))


def test_after_the_robots_question_it_waits_for_the_answer() -> None:
    """A long monologue of the robot's ends: the other, silent and still meanwhile, is not taken for absent."""
    listener = make_listener("rules", seed=1)

    def make(time_s: float) -> SpeakerFrame:
        if time_s < 30.0:
            listener.robot_speaking(True, at(time_s))
        return frame(at(time_s), heard=voice(speaking=time_s < 30.0))

    plans = run(listener, 60, make)
    assert {p.engaged for p in plans if p.start_ns < 48e9} == {True}
    assert {p.engaged for p in plans if p.start_ns > 52e9} == {False}
    assert listener.state().turn == "idle"


@pytest.mark.parametrize("policy", ["rules", "mime", "random", "idle"])
def test_nobody_there_is_idle_within_a_second_and_back(policy: str) -> None:
    def visits(time_s: float) -> SpeakerFrame:
        return frame(at(time_s), face=not 4.0 <= time_s < 8.0, smile=0.8, heard=voice())

    plans = run(make_listener(policy, seed=1), 12, visits)
    times = np.array([p.start_ns for p in plans]) / 1e9
    engaged = np.array([p.engaged for p in plans])
    gone = times[(times > 4.0) & ~engaged]
    assert 0.5 <= gone[0] - 4.0 <= 1.0
    back = times[(times > 8.0) & engaged]
    assert back[0] - 8.0 <= 0.25
    _, faces = shown([p for p in plans if 5.5e9 < p.start_ns < 7.9e9])
    assert np.abs(faces).max() == 0.0, "an empty room gets a neutral plan"


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
        assert {p.engaged for p in plans if begin * 1e9 <= p.start_ns < end * 1e9} == {expected}
    if not any(p.engaged for p in plans):
        assert np.abs(shown(plans)[1]).max() == 0.0


def test_a_person_who_turns_away_for_a_moment_is_not_met_again() -> None:
    engagement = Engagement(ListenerConfig())
    assert engagement.met_s(0) == math.inf
    times = [*np.arange(0, 3, 0.04), *np.arange(8, 9, 0.04), *np.arange(30, 31, 0.04)]
    met = {}
    for t in times:
        engagement.observe(frame(round(t * 1e9)))
        met[round(t, 2)] = engagement.met_s(round(t * 1e9))
    assert met[2.0] == pytest.approx(2.0)
    assert met[8.4] == pytest.approx(8.4)
    assert met[30.0] == 0.0
