from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from policy_drive import FRAME, frame, run, shown, talk, voice

from reactdiff_ros.coefficients import INDEX, SMILE
from reactdiff_ros.model.listener import ListenerConfig
from reactdiff_ros.model.policies import make_listener
from reactdiff_ros.types import Reaction, SpeakerFrame

Make = Callable[[float], SpeakerFrame | None]


def at(time_s: float) -> int:
    return round(time_s * 25) * FRAME


def engaged_after(plans: list[Reaction], time_s: float) -> set[bool]:
    return {p.engaged for p in plans if p.start_ns >= time_s * 1e9}


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


def test_silence_and_a_still_face_for_a_while_are_idle() -> None:
    def sits(time_s: float) -> SpeakerFrame:
        return frame(at(time_s), heard=voice(pause_s=time_s))

    plans = run(make_listener("rules", seed=1), 30, sits)
    assert {p.engaged for p in plans if p.start_ns < 19e9} == {True}
    assert engaged_after(plans, 20.5) == {False}


def test_a_moving_face_or_speech_ends_the_silence() -> None:
    def sits(time_s: float, *, moves: bool, speaks: bool) -> SpeakerFrame:
        values = np.zeros(58)
        if moves and time_s > 15:
            values[INDEX["browInnerUp"]] = 0.5 if time_s % 4 < 1 else 0.0
        return frame(at(time_s), coefficients=values, heard=voice(speaking=speaks and 14 < time_s < 15))

    for moves, speaks in ((True, False), (False, True)):
        plans = run(make_listener("rules", seed=1), 30, lambda t, m=moves, s=speaks: sits(t, moves=m, speaks=s))  # type: ignore[misc]
        assert engaged_after(plans, 20.5) == {True}


def test_noise_of_landmarks_is_not_activity() -> None:
    rng = np.random.default_rng(0)

    def sits(time_s: float) -> SpeakerFrame:
        return frame(at(time_s), coefficients=np.abs(rng.normal(size=58)) * 0.02, heard=voice())

    assert engaged_after(run(make_listener("rules", seed=1), 26, sits), 21) == {False}


def test_no_microphone_is_not_silence() -> None:
    plans = run(make_listener("rules", seed=1), 40, lambda t: frame(at(t)))
    assert engaged_after(plans, 1.0) == {True}


def test_no_camera_listens_to_speech_and_stops_some_time_after() -> None:
    def heard(time_s: float) -> SpeakerFrame:
        return frame(at(time_s), camera=False, heard=voice(speaking=2.0 <= time_s < 6.0))

    plans = run(make_listener("rules", seed=1), 20, heard)
    assert {p.engaged for p in plans if p.start_ns < 1.9e9} == {False}
    assert {p.engaged for p in plans if 2.3e9 < p.start_ns < 13e9} == {True}
    assert engaged_after(plans, 14.5) == {False}
    assert all(p.picture_stamp_ns is None for p in plans)


def test_loud_music_is_not_a_voice() -> None:
    def music(time_s: float) -> SpeakerFrame:
        return frame(at(time_s), camera=False, heard=voice(pitch_hz=220.0, loudness=-6.0))

    plans = run(make_listener("rules", seed=1), 20, music)
    assert {p.engaged for p in plans} == {False}
    assert np.abs(shown(plans)[1]).max() == 0.0


def test_a_voice_without_a_face_in_the_picture_is_not_listened_to() -> None:
    plans = run(make_listener("rules", seed=1), 10, lambda t: frame(at(t), face=False, heard=voice(speaking=True)))
    assert {p.engaged for p in plans} == {False}


def test_a_dead_camera_is_not_an_empty_room_while_speech_goes_on() -> None:
    def half(time_s: float) -> SpeakerFrame:
        return frame(at(time_s), camera=time_s < 5.0, heard=voice(speaking=True))

    assert engaged_after(run(make_listener("rules", seed=1), 12, half), 0.2) == {True}


def test_dead_input_ends_planning_without_calling_the_room_empty() -> None:
    plans = run(make_listener("rules", seed=1), 10, lambda t: talk(t) if t < 5.0 else None)
    assert {p.engaged for p in plans} == {True}
    assert plans[-1].start_ns <= 6.1e9


def test_the_robots_own_voice_does_not_hold_the_listener() -> None:
    listener = make_listener("rules", seed=1, config=ListenerConfig(voice_hold_s=2.0))

    def own_voice(time_s: float) -> SpeakerFrame:
        listener.robot_speaking(True, at(time_s))
        return frame(at(time_s), camera=False, heard=voice(speaking=True))

    assert {p.engaged for p in run(listener, 10, own_voice)} == {False}


def test_smile_fades_when_the_person_leaves() -> None:
    def leaves(time_s: float) -> SpeakerFrame:
        return frame(at(time_s), smile=0.8, face=time_s < 6.0)

    times, faces = shown(run(make_listener("rules", seed=0), 10, leaves))
    smile = faces[:, list(SMILE)].mean(axis=1)
    assert smile[times < 6.0].max() > 0.3
    assert smile[times > 7.5].max() == 0.0
    assert np.abs(np.diff(smile)).max() < 0.12
