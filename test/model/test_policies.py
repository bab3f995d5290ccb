from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_drive import FRAME, MS, frame, run, shown, talk, voice

from reactdiff_ros.coefficients import HEAD_PITCH, HEAD_ROLL, HEAD_YAW, INDEX, LOWER, SMILE, UPPER
from reactdiff_ros.errors import ConfigError, MessageError
from reactdiff_ros.model.listener import HORIZON_FRAMES, Listener, ListenerConfig
from reactdiff_ros.model.policies import fallback_listener, make_listener
from reactdiff_ros.types import SpeakerFrame

SIMPLE = ("rules", "mime", "random", "idle")


def smile_of(faces: np.ndarray) -> np.ndarray:
    return faces[:, list(SMILE)].mean(axis=1)


def nods(faces: np.ndarray) -> list[tuple[int, float]]:
    """First frame and greatest dip in degrees of each nod: pitch above 1.5 degrees, gaps under 0.4 s are one nod."""
    pitch = np.degrees(faces[:, HEAD_PITCH])
    found: list[tuple[int, float]] = []
    last = -100
    for i in np.flatnonzero(pitch > 1.5):
        if i - last > 10:
            found.append((int(i), 0.0))
        found[-1] = (found[-1][0], max(found[-1][1], float(pitch[i])))
        last = int(i)
    return found


@pytest.mark.parametrize("policy", SIMPLE)
def test_contract_of_plans(policy: str) -> None:
    listener = make_listener(policy, seed=7)
    assert isinstance(listener, Listener)
    assert listener.name == policy
    assert listener.plan(0) is None, "nothing was observed yet"
    plans = run(listener, 60, lambda t: talk(t, smile=0.6 * (t % 10 > 7)))
    for plan in plans:
        assert plan.coefficients.shape == (HORIZON_FRAMES, 58)
        assert plan.coefficients.dtype == np.float32
        assert np.isfinite(plan.coefficients).all()
        assert (plan.coefficients >= LOWER).all()
        assert (plan.coefficients <= UPPER).all()
        assert plan.start_ns % FRAME == 0
        assert plan.policy == policy
        assert plan.engaged
    starts = np.array([p.start_ns for p in plans])
    assert (np.diff(starts) >= FRAME).all()
    assert np.diff(starts).max() == 160 * MS
    assert sum(p.reason == "hop" for p in plans) > 0.8 * len(plans)
    assert listener.state().plans == len(plans)


@pytest.mark.parametrize("policy", SIMPLE)
def test_a_plan_continues_the_last_one(policy: str) -> None:
    plans = run(make_listener(policy, seed=3), 120, lambda t: talk(t, smile=0.7 * (t % 9 > 6)))
    limit = 0.4 if policy == "mime" else 0.25  # the mime copies this speaker, whose smile is a step
    for old, new in itertools.pairwise(plans):
        at = (new.start_ns - old.start_ns) // FRAME
        step = np.abs(new.coefficients[0] - old.coefficients[at - 1])
        assert step[:52].max() < limit
        assert step[52:].max() < 0.05
        assert np.abs(np.diff(new.coefficients[:, :52], axis=0)).max() < limit


@pytest.mark.parametrize("policy", SIMPLE)
def test_same_seed_same_bits_also_after_reset(policy: str) -> None:
    def plans(listener: Listener) -> np.ndarray:
        return shown(run(listener, 40, lambda t: talk(t, smile=0.5 * (t % 8 > 5))))[1]

    listener = make_listener(policy, seed=11)
    first = plans(listener)
    assert np.array_equal(first, plans(make_listener(policy, seed=11)))
    listener.reset()
    assert np.array_equal(first, plans(listener))
    if policy in ("rules", "random"):
        assert not np.array_equal(first, plans(make_listener(policy, seed=12)))


@pytest.mark.parametrize("policy", SIMPLE)
def test_stamps_are_those_of_evidence_that_shaped_the_face(policy: str) -> None:
    plans = run(make_listener(policy, seed=1), 4, talk)
    last = plans[-1]
    if policy in ("random", "idle"):
        assert last.picture_stamp_ns is None
        assert last.sound_stamp_ns is None
    else:
        assert last.picture_stamp_ns is not None
        assert 0 <= last.start_ns - last.picture_stamp_ns <= 160 * MS


def test_rules_mirrors_smiles_after_a_human_delay_in_a_share_of_cases() -> None:
    lags, answered, amplitudes = [], 0, []
    for seed in range(40):
        times, faces = shown(run(make_listener("rules", seed=seed), 9, lambda t: talk(t, smile=0.7 * (4 <= t < 5.2))))
        smile = smile_of(faces)
        assert smile[times < 4.3].max() == 0.0
        if smile.max() > 0.1:
            answered += 1
            lags.append(float(times[np.argmax(smile > 0.02)]) - 4.0)
            amplitudes.append(float(smile.max()))
            rise = np.diff(smile).max() / 0.04
            assert rise < 4.0
            assert smile[-5:].max() < 0.02, "it ends"
    assert 0.35 <= answered / 40 <= 0.75
    assert 0.5 <= np.median(lags) <= 0.85
    assert max(lags) <= 1.0
    assert 0.25 <= np.median(amplitudes) <= 0.7


def test_a_smile_that_lasts_is_answered_in_the_end() -> None:
    means = [
        float(smile_of(shown(run(make_listener("rules", seed=s), 12, lambda t: talk(t, smile=0.6)))[1]).mean())
        for s in range(10)
    ]
    assert min(means) > 0.1


def test_nods_have_published_rate_size_and_speed() -> None:
    count, sizes, late = 0, [], []
    for seed in range(3):
        times, faces = shown(run(make_listener("rules", seed=seed), 240, talk))
        found = nods(faces)
        count += len(found)
        sizes += [size for _, size in found]
        late += [float(times[i]) % 4.0 - 3.2 for i, _ in found]
    assert 3.0 <= count / 12 <= 7.0
    assert 4.0 <= np.median(sizes) <= 7.0
    assert max(sizes) <= 14.0
    after_phrase = np.mean([0.0 <= x <= 0.8 or x < -2.9 for x in late])
    assert after_phrase > 0.4, "phrase ends are the main cue, by chance 0.27"


def test_no_nods_to_silence_and_none_while_the_robot_speaks() -> None:
    quiet = shown(run(make_listener("rules", seed=2), 60, lambda t: frame(round(t * 25) * FRAME, heard=voice())))[1]
    assert nods(quiet) == []
    listener = make_listener("rules", seed=2)

    def while_robot_speaks(time_s: float) -> object:
        listener.robot_speaking(True, round(time_s * 25) * FRAME)
        return talk(time_s)

    assert nods(shown(run(listener, 60, while_robot_speaks))[1]) == []  # type: ignore[arg-type]


def test_robot_speaking_lapses() -> None:
    listener = make_listener("rules", seed=2)
    listener.robot_speaking(True, 0)
    assert len(nods(shown(run(listener, 120, talk))[1])) > 3


def test_without_a_microphone_a_moving_jaw_is_talk() -> None:
    def silent_talk(time_s: float, *, jaw: bool) -> object:
        values = np.zeros(58)
        talking = time_s % 4.0 < 3.2
        values[INDEX["jawOpen"]] = 0.15 + 0.12 * np.sin(time_s * 22) if jaw and talking else 0.0
        return frame(round(time_s * 25) * FRAME, coefficients=values)

    moving = run(make_listener("rules", seed=2), 120, lambda t: silent_talk(t, jaw=True))  # type: ignore[arg-type,return-value]
    still = run(make_listener("rules", seed=2), 120, lambda t: silent_talk(t, jaw=False))  # type: ignore[arg-type,return-value]
    assert len(nods(shown(moving)[1])) >= 4
    assert nods(shown(still)[1]) == []
    assert all(p.engaged for p in still), "no microphone is not silence"


def test_surprise_raises_brows_in_a_share_of_cases() -> None:
    raised = 0
    for seed in range(20):
        values = np.zeros(58)
        brows = [INDEX[n] for n in ("browInnerUp", "browOuterUpLeft", "browOuterUpRight")]

        def face(time_s: float, values: np.ndarray = values, brows: list[int] = brows) -> object:
            values[brows] = 0.7 if 4.0 <= time_s < 5.0 else 0.0
            return frame(round(time_s * 25) * FRAME, coefficients=values, heard=voice())

        _, faces = shown(run(make_listener("rules", seed=seed), 8, face))  # type: ignore[arg-type]
        raised += int(faces[:, INDEX["browOuterUpLeft"]].max() > 0.2)
    assert 4 <= raised <= 16


def test_mime_is_a_mirror_with_a_lag() -> None:
    def face(time_s: float) -> object:
        values = np.zeros(58)
        values[INDEX["mouthSmileLeft"]] = 0.8 if time_s >= 3.0 else 0.0
        values[HEAD_YAW] = 0.3 if time_s >= 3.0 else 0.0
        values[HEAD_ROLL] = 0.2 if time_s >= 3.0 else 0.0
        return frame(round(time_s * 25) * FRAME, coefficients=values)

    config = ListenerConfig(mime_lag_s=0.6)
    times, faces = shown(run(make_listener("mime", seed=0, config=config), 6, face))  # type: ignore[arg-type]
    right = faces[:, INDEX["mouthSmileRight"]]
    onset = float(times[np.argmax(right > 0.4)])
    assert 3.6 <= onset <= 3.75
    assert right[-20] == pytest.approx(0.8, abs=0.01)
    assert faces[:, INDEX["mouthSmileLeft"]].max() == 0.0
    assert faces[-20, HEAD_YAW] == pytest.approx(-0.3, abs=0.01)
    assert faces[-20, HEAD_ROLL] == pytest.approx(-0.2, abs=0.01)


def test_random_ignores_what_the_speaker_does_but_lives() -> None:
    calm = shown(run(make_listener("random", seed=4), 120, talk))[1]
    lively = shown(run(make_listener("random", seed=4), 120, lambda t: talk(t, smile=0.8)))[1]
    assert np.array_equal(calm, lively)
    assert 0.02 < float((smile_of(calm) > 0.15).mean()) < 0.4
    assert len(nods(calm)) >= 4


@pytest.mark.parametrize("policy", SIMPLE)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_wild_frames_make_no_wild_plan(policy: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    listener = make_listener(policy, seed=1)
    for i in range(60):
        values = rng.normal(size=58) * 10.0 ** rng.integers(-2, 30)
        values[rng.integers(0, 58, 3)] = rng.choice([np.nan, np.inf, -np.inf], 3)
        wild = frame(
            int(i * FRAME + rng.integers(-60, 60) * MS), heard=voice(pitch_hz=float(rng.choice([np.nan, 1e9])))
        )
        broken = replace(wild, coefficients=values.astype(np.float32), confidence=rng.random(58).astype(np.float32))
        listener.observe(broken)
        plan = listener.plan(i * FRAME)
        if plan is not None:
            assert np.isfinite(plan.coefficients).all()
            assert (np.abs(plan.coefficients) <= 1.0).all()


def test_malformed_frames_are_refused() -> None:
    listener = make_listener("rules", seed=1)
    with pytest.raises(MessageError, match="coefficients"):
        listener.observe(replace(frame(0), coefficients=np.zeros(57, np.float32)))
    with pytest.raises(MessageError, match="confidence"):
        listener.observe(replace(frame(0), confidence=np.zeros((1, 58), np.float32)))
    assert listener.plan(0) is None


def test_late_frames_are_dropped_and_a_jump_back_starts_anew() -> None:
    listener = make_listener("rules", seed=1)
    run(listener, 10, talk)
    listener.observe(talk(9.8))
    assert listener.state().dropped == 1
    plans = run(listener, 5, talk)
    assert plans[0].start_ns <= 200 * MS
    again = run(make_listener("rules", seed=1), 5, talk)
    assert np.array_equal(shown(plans)[1], shown(again)[1])


def test_names_of_policies_and_fallback() -> None:
    with pytest.raises(ConfigError, match="oracle"):
        make_listener("oracle", seed=0)
    with pytest.raises(ConfigError, match="hop_s"):
        ListenerConfig(hop_s=9.0)
    spare = fallback_listener(seed=0, error="the model's weights are missing")
    assert spare.name == "rules"
    assert "weights" in spare.state().error


def test_no_smile_begins_at_somebody_who_has_just_left() -> None:
    begun = 0
    for seed in range(12):

        def leaves(time_s: float) -> SpeakerFrame:
            return frame(round(time_s * 25) * FRAME, smile=0.8 * (time_s >= 3.0), face=time_s < 3.3)

        _, faces = shown(run(make_listener("rules", seed=seed), 6, leaves))
        begun += int(smile_of(faces).max() > 0.02)
    assert begun == 0
