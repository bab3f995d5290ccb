"""The whole session: deterministic and causal, what is shown up to t depends on nothing after t.

On painted pictures the model runs on random weights; on clips everything is what ships.
"""

from collections.abc import Callable
from unittest.mock import Mock

import numpy as np
import pytest

from reactdiff_ros.coefficients import HEAD_YAW, ROTATION, SMILE
from reactdiff_ros.errors import MessageError
from reactdiff_ros.evaluation.online import PaintedPerception, items_of, painted, session_of, show, verify
from reactdiff_ros.expression import ExpressionEngine
from reactdiff_ros.model.diffusion_listener import DiffusionListener
from reactdiff_ros.model.listener import ListenerConfig
from reactdiff_ros.model.policies import make_listener
from reactdiff_ros.perception import SpeakerPerception
from reactdiff_ros.session import ListeningSession
from reactdiff_ros.types import ExpressionFrame, Picture, Sound

MS = 1_000_000
RATE = 16_000


def picture(stamp_ns: int, smile: float, there: bool = True) -> Picture:
    """What `PaintedPerception` reads as somebody who smiles so, and turns away by so much."""
    bgr = np.zeros((1, 59, 3), np.uint8)
    bgr[0, list(SMILE), 0], bgr[0, ROTATION.start : 58, 0], bgr[0, 58, 0] = round(smile * 255), 128, there
    bgr[0, HEAD_YAW, 0] += round(smile * 100)
    return Picture(stamp_ns, bgr)


def session(policy: str, seed: int = 1) -> ListeningSession:
    return ListeningSession(PaintedPerception(), make_listener(policy, seed=seed), ExpressionEngine(seed=seed))


def play(
    s: ListeningSession, seconds: float, smile: Callable[[float], float], *, start_ns: int = 0, every: int = 1
) -> list[ExpressionFrame]:
    """Pictures at 25 Hz and sound in 20 ms chunks: talks 3 s of 4. The session goes on after so many chunks."""
    frames: list[ExpressionFrame] = []
    for i in range(round(seconds * 50)):
        t = i * 20 * MS
        loudness = 8000 if (i * 0.02) % 4 < 3 else 0
        s.push_sound(Sound(start_ns + t, RATE, np.full((RATE // 50, 1), loudness, np.int16)))
        if i % 2 == 0:
            s.push_picture(picture(start_ns + t, smile(t / 1e9)))
        if i % every == 0:
            frames += s.advance(start_ns + t)
    return frames + s.advance(start_ns + t)


def stack(frames: list[ExpressionFrame]) -> np.ndarray:
    return np.stack([f.coefficients for f in frames])


@pytest.mark.parametrize("policy", ["rules", "mime", "random", "idle"])
def test_fifty_frames_a_second_of_which_none_depends_on_what_comes_later(policy):
    cut = 4.0
    one = play(session(policy), 6, lambda t: 0.6 * (t % 3 > 2))
    two = play(session(policy), 6, lambda t: 0.6 * (t % 3 > 2) if t < cut else 0.9)
    stamps = np.array([f.stamp_ns for f in one])
    assert (stamps == np.arange(300) * 20 * MS).all()
    assert one[-1].mode == "listening"
    for f in one:
        for stamp in (f.picture_stamp_ns, f.sound_stamp_ns, f.reaction_picture_stamp_ns):
            assert stamp is None or stamp <= f.stamp_ns, "a stamp from the future"
    before = stamps < cut * 1e9
    assert np.array_equal(stack(one)[before], stack(two)[before])
    assert not np.array_equal(stack(one), stack(two)), "but it does change what follows"


def test_same_seed_same_bits_after_a_reset_too_and_in_steps_of_any_size():
    def smile(t: float) -> float:
        return 0.5 * (t > 2)

    s = session("rules", seed=9)
    first = play(s, 5, smile)
    s.reset()
    assert np.array_equal(stack(first), stack(play(s, 5, smile)))
    assert np.array_equal(stack(first), stack(play(session("rules", seed=9), 5, smile, every=37)))
    s.reset(10)
    assert not np.array_equal(stack(first), stack(play(s, 5, smile)))


def test_without_a_person_it_is_idle_and_on_dead_input_neutral():
    s = session("rules")
    frames: list[ExpressionFrame] = []
    for i in range(200):
        t = i * 40 * MS
        if t < 6_000 * MS:
            s.push_picture(picture(t, 0.0, there=t < 2_000 * MS))
        frames += s.advance(t)
    modes = {f.stamp_ns // MS: f.mode for f in frames}
    assert modes[1_000] == "listening"
    assert modes[3_000] == modes[5_500] == "idle"
    assert modes[7_900] == "neutral"


def test_malformed_input_is_counted_and_the_face_goes_on(monkeypatch):
    s = session("rules")
    refuse = Mock(side_effect=MessageError("not a picture"))
    monkeypatch.setattr(s.perception, "observe_picture", refuse)
    s.push_picture(picture(0, 0.5))
    assert len(s.advance(1_000 * MS)) > 40
    assert s.rejected == 1


def test_a_jump_back_starts_a_new_time_line_without_a_jump_of_the_face():
    s = session("rules")
    before = play(s, 5, lambda t: 0.7, start_ns=100_000 * MS)
    after = play(s, 3, lambda t: 0.0)
    assert after[0].stamp_ns < 100 * MS
    assert len(after) >= 145
    faces = np.concatenate([stack(before)[-1:], stack(after)])
    assert np.abs(np.diff(faces[:, SMILE[0]])).max() < 0.13
    assert after[-1].mode == "listening"
    assert all((f.picture_stamp_ns or 0) < 4_000 * MS for f in after[5:])


CUTS, SECONDS, CLIP_SECONDS = 200, 1.4, 3.0


@pytest.fixture(scope="module")
def listener(any_weights):
    config = ListenerConfig(model_dir=str(any_weights), steps=1, guidance=1.0, candidates=1)
    return DiffusionListener(seed=3, config=config)


@pytest.mark.timeout(900)  # two hundred sessions
@pytest.mark.parametrize("cuts", [40, pytest.param(CUTS, marks=pytest.mark.slow)])
def test_no_picture_and_no_sound_acts_before_it_was_captured(listener, cuts):
    """So many random t: everything after t is another person; every face up to t has the same bits."""
    whole = show(session_of(listener, PaintedPerception(), 3), painted(0, SECONDS), round(SECONDS * 1e9), 3)
    assert max(np.abs(np.diff([f.coefficients for f in whole], axis=0)).max(1)) > 0.01
    verdict = verify(listener, seconds=SECONDS, cuts=cuts, seed=3)
    assert verdict.cuts == cuts
    assert (verdict.deterministic, verdict.first, verdict.holds) == (True, None, True)
    assert verdict.acted > 0.8  # what comes after t does act, soon after t


@pytest.mark.clips
@pytest.mark.timeout(1800)  # nine sessions of what ships
@pytest.mark.parametrize("cuts", [4, pytest.param(CUTS, marks=pytest.mark.slow)])
def test_what_ships_is_causal_on_clips_of_people(clips, cuts):
    """So many random t: after t somebody else is seen and heard; every face up to t has the same bits."""
    mine, other = (items_of(clips(n), CLIP_SECONDS) for n in ("real3dportrait_may_5s.mp4", "mimictalk_german_20s.mp4"))
    shipped, perception = DiffusionListener(seed=3, config=ListenerConfig()), SpeakerPerception()
    whole = show(session_of(shipped, perception, 3), mine, round(CLIP_SECONDS * 1e9), 3)
    late = whole[len(whole) // 2 :]
    assert all(f.mode == "listening" and f.reaction_picture_stamp_ns and f.reaction_sound_stamp_ns for f in late)
    verdict = verify(shipped, cuts=cuts, mine=mine, other=other, perception=perception, seconds=CLIP_SECONDS, seed=3)
    assert (verdict.deterministic, verdict.first, verdict.holds) == (True, None, True)
    assert verdict.acted > 0.8
