"""The corrections around the networks, in their order: style, broad smiles, limits, choice, joints of plans, nods."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import arrays
from speaker_frames import SLOT, frame, session

from reactdiff_ros.clock import NS
from reactdiff_ros.coefficients import HEAD_ROLL, INDEX, SMILE, bounded, softly_bounded
from reactdiff_ros.evaluation.metrics.events import nods as found_nods
from reactdiff_ros.model.backends.weights import AGES, CONDITION_COUNT, HIDDEN, LOOKS, NOD_CONTROLS, NodHead
from reactdiff_ros.model.diffusion.conditions import CONTROL_LOWER, CONTROL_NAMES, CONTROL_UPPER, NETWORK_CONTROLS
from reactdiff_ros.model.diffusion.sampler import Conditions, Sampling, ordinary
from reactdiff_ros.model.diffusion.tokens import SpeakerBatch, blank, from_frame
from reactdiff_ros.model.plan import corrections
from reactdiff_ros.model.plan.corrections import BroadSmiles, Choice, Empathy, Nods, conditioning, greeting, smiled_at
from reactdiff_ros.styles import Style, load_styles
from reactdiff_ros.types import EXPRESSION_CLASSES, REACTION_RATE_HZ, Affect, SpeakerFrame

BROW = INDEX["browInnerUp"]

# Style


def test_a_style_becomes_conditions_within_their_ranges() -> None:
    for style in load_styles().values():
        given = conditioning(style)
        assert (given.controls >= CONTROL_LOWER).all()
        assert (given.controls <= CONTROL_UPPER).all()
        assert (given.controls_given == 1).all()
        assert (given.style_given == 0).all()
    for name in CONTROL_NAMES:
        moved = conditioning(Style(**{"delay_s" if name == "delay" else name: 0.4})).controls[0]
        assert moved == pytest.approx([0.4 * (name == other) for other in CONTROL_NAMES])
        asked = ordinary(1, np.eye(len(CONTROL_NAMES), dtype=np.float32)[[CONTROL_NAMES.index(name)]])
        read = asked.vector(1, 24)[0, : len(NETWORK_CONTROLS)]
        assert read.tolist() == [float(name == other) for other in NETWORK_CONTROLS], "as asked for, but no delay"
        assert asked.late[0] == (REACTION_RATE_HZ if name == "delay" else 0)


def test_a_greeting_opens_a_listener_to_whoever_smiles_and_leaves_a_cool_one_alone() -> None:
    style = Style()
    at_once, held, fading, later = (greeting(style, met_s, 4.0, 1.0) for met_s in (0.0, 4.0, 5.0, 6.0))
    assert at_once.responsiveness == held.responsiveness == 1.0
    assert at_once.attitude == pytest.approx(0.5)
    assert fading.responsiveness == pytest.approx(0.5)
    assert later == style == greeting(style, math.inf, 4.0, 1.0) == greeting(style, 0.0, 0.0, 1.0)
    assert greeting(style, 0.0, 4.0, 0.0) == style
    cool = Style(attitude=-0.3)
    assert greeting(cool, 0.0, 4.0, 1.0) == cool
    warm = Style(attitude=0.9, responsiveness=1.0)
    assert greeting(warm, 0.0, 4.0, 1.0) == warm


def test_a_reference_speaks_for_the_controls_that_it_measures() -> None:
    reference = (0.5, None, -1.0, *[0.2] * 5)
    given = conditioning(Style(reference=reference))
    assert given.style_given[0].tolist() == [1, 0, 1, 1, 1, 1, 1, 1]
    assert np.isfinite(given.style).all()
    flags = dict(zip(CONTROL_NAMES, given.controls_given[0], strict=True))
    assert flags == {"attitude": 1, "responsiveness": 1, "smiling": 0, "nodding": 0, "liveliness": 0, "delay": 1}
    moved = conditioning(Style(reference=reference, nodding=0.3))
    assert moved.controls_given[0, CONTROL_NAMES.index("nodding")] == 1


# Broad smiles


def showing(smile: float) -> SpeakerBatch:
    """One frame of a speaker."""
    return from_frame(next(iter(session(0.04, smile=smile))))


def after(seconds: float, speaker: SpeakerBatch, smiles: BroadSmiles) -> float:
    """How broad a smile is or was after so long with the same frame."""
    return [float(smiles.step(speaker)[0]) for _ in range(round(seconds * 25))][-1]


def broken(smile: float, value: float) -> SpeakerBatch:
    speaker = showing(smile)
    speaker.coefficients[:, SMILE[0]] = value
    return speaker


@pytest.mark.parametrize(
    "unseen",
    [
        showing(0.0), blank(1), broken(0.95, np.nan), broken(0.95, np.inf),
        replace(showing(0.95), confidence=np.zeros((1, 58))),
    ],
)  # fmt: skip
def test_a_broad_smile_counts_for_as_long_as_it_is_fresh_and_what_cannot_be_seen_is_none(unseen: SpeakerBatch) -> None:
    smiles = BroadSmiles(1)
    assert after(1, showing(0.6), smiles) == 0.0
    assert after(0.04, showing(0.95), smiles) == 1.0
    assert after(1.04, unseen, smiles) == pytest.approx(np.exp(-26 / 25), rel=0.01)
    assert after(1, broken(0.5, 1e9), BroadSmiles(1)) == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("broad", "controls", "asked"),
    [
        (1.0, {}, 0.65),
        (0.5, {}, 0.325),
        (0.5, {"responsiveness": 0.9}, 0.9),
        (1.0, {"attitude": -1.0}, 0.0),
        (1.0, {"attitude": -0.5}, 0.325),
        (1.0, {"smiling": -1.0}, 0.0),
        (1.0, {"smiling": -0.5}, 0.325),
    ],
)
def test_a_broad_smile_asks_for_an_answer_but_of_who_is_cool_or_not_to_smile_less(broad, controls, asked) -> None:
    values = np.array([[controls.get(name, 0.0) for name in CONTROL_NAMES]], dtype=np.float32)
    smile = np.array([broad], dtype=np.float32)
    assert smiled_at(ordinary(1, values), smile, Sampling()).control("responsiveness")[0] == pytest.approx(asked)
    unchanged = smiled_at(ordinary(1, values), smile, Sampling(without=("broad",)))
    assert unchanged.controls.tolist() == values.tolist()


# Choice


def test_the_choice_shows_what_a_single_candidate_shows() -> None:
    """Of plans of a face that mostly rests and now and then smiles: skewed, as faces are."""
    choice, rng, chosen, single = Choice(5, 10), np.random.default_rng(0), [], []
    for i in range(4000):
        smile = np.where(rng.random(10) < 0.25, rng.uniform(0.2, 0.9, 10), 0.05 * rng.random(10))
        plans = np.zeros((10, 4, 58), dtype=np.float32)
        plans[:, :, 43:45] = smile[:, None, None]
        plans[:, :, 52] = 0.05 * rng.standard_normal((10, 4))
        which = int(corrections.ranked(plans[None], np.array([choice.rank]))[0])
        choice.follow(i * corrections.HOLD_SLOTS, which)
        chosen.append(plans[which])
        single.append(plans[0])
    found, expected = (np.stack(shown)[..., [43, 52]] for shown in (chosen, single))
    assert found.var((0, 1)) == pytest.approx(expected.var((0, 1)), rel=0.1)
    assert (found[:, 0, 0] > 0.15).mean() == pytest.approx((expected[:, 0, 0] > 0.15).mean(), rel=0.1)


# From one plan to the next


@pytest.mark.parametrize(("name", "moved"), [("browInnerUp", 0.04), ("mouthSmileLeft", 0.02), ("eyeBlinkLeft", 0.0)])
def test_frames_on_both_sides_of_a_joint_go_towards_their_neighbours(name, moved):
    plan, last = np.zeros((1, 12, 58)), np.zeros((1, 58))
    plan[0, 4:] = 1.0  # a step where the second block begins
    found = corrections.eased(plan, last, 4)[0, :, INDEX[name]]
    np.testing.assert_allclose(found, [0, 0, 0, moved, 1 - moved, *[1] * 7], atol=1e-6)
    late = np.ones((1, 8, 58))  # a step where the plan begins; what was shown stays
    np.testing.assert_allclose(corrections.eased(late, last, 4)[0, :, INDEX[name]], [1 - moved, *[1] * 7], atol=1e-6)


def test_a_laugh_keeps_its_form_below_the_limit():
    faces = np.zeros((7, 58), dtype=np.float32)
    faces[:, BROW] = [-0.1, 0.5, 0.9, 1.0, 1.3, np.nan, np.inf]
    faces[:, HEAD_ROLL] = [-3.0, 0.3, -0.54, 0.6, 0.0, 0.0, 0.0]
    found = softly_bounded(faces)
    np.testing.assert_allclose(found[:, BROW], [0, 0.5, 0.9, 0.9632, 0.9982, 0, 0], atol=1e-4)
    np.testing.assert_allclose(found[:, HEAD_ROLL], [-0.6, 0.3, -0.54, 0.5779, 0, 0, 0], atol=1e-4)


@given(arrays(np.float32, (3, 58)))
def test_soft_limits_hold_whatever_comes_in(faces):
    found = softly_bounded(faces)
    np.testing.assert_array_equal(found, bounded(found))


def test_latents_that_are_not_finite_are_neutral_and_all_are_bounded():
    bad = np.array([[np.nan, np.inf, -np.inf, 100.0, -100.0, 0.5]], dtype=np.float32)
    found = corrections.sane(bad, np.full(6, 0.25, dtype=np.float32))
    np.testing.assert_allclose(found[0], [0.25, 0.25, 0.25, 8, -8, 0.5])


# Nods

WIDTH, SPEECH, HOP = 4, 16, 4


def head(rate: float = 0.0, *, cue: float = 0.0) -> NodHead:
    """Nods begin with `rate` in a frame, and e ** cue times as often where the newest token's first number is large."""
    tokens = np.zeros((LOOKS * WIDTH, HIDDEN), dtype=np.float32)
    tokens[0, 0] = 100.0
    out = np.zeros(HIDDEN, dtype=np.float32)
    out[0] = cue
    return NodHead(
        tokens=tokens, known=np.zeros((LOOKS, HIDDEN), dtype=np.float32),
        conditions=np.zeros((CONDITION_COUNT, HIDDEN), dtype=np.float32),
        ages=np.zeros((AGES, HIDDEN), dtype=np.float32), out=out,
        drive=np.zeros(CONDITION_COUNT, dtype=np.float32), bias=np.float32(np.log(max(rate, 1e-12))),
    )  # fmt: skip


def nod(nods: Nods, frames: int, asked: Conditions, tokens: np.ndarray | None = None) -> np.ndarray:
    """Pitch (N, frames) as shown, plan after plan."""
    count = len(asked)
    given = np.zeros((count, frames + SPEECH, WIDTH), dtype=np.float32) if tokens is None else tokens
    out = np.zeros((count, frames), dtype=np.float32)
    for slot in range(0, frames, HOP):
        speaker = given[:, slot : slot + SPEECH]
        plan = nods.plan(slot, 12, HOP, speaker, np.zeros((count, SPEECH), np.float32), asked, 1)
        out[:, slot : slot + HOP] = plan[:, :HOP]
    return out


def begun(pitch: np.ndarray) -> np.ndarray:
    """In which frames (N, frames) a nod begins."""
    return np.diff((pitch > 0).astype(int), axis=1, prepend=0) == 1


@pytest.mark.parametrize(
    ("name", "weight"),
    [("no control", 0.0), ("no clear cue", -1.0), ("nodding", 1.0), ("responsiveness", 1.0), ("attitude", -1.0)],
)
def test_nods_look_like_nods_and_come_as_often_as_learnt_and_asked_for(name: str, weight: float) -> None:
    """Sharpened alone, rates of .37 times the ordinary one would be .05 times it."""
    count, frames, skipped = 40, 6000, 1500
    tokens = np.zeros((count, frames + SPEECH, WIDTH), dtype=np.float32)
    controls, learnt = np.zeros((count, len(CONTROL_NAMES)), dtype=np.float32), head(0.008)
    if name == "no clear cue":
        learnt, tokens[..., 0] = head(0.008, cue=weight), 1.0
    elif weight:
        learnt.drive[NOD_CONTROLS.index(name)] = weight
        controls[:, CONTROL_NAMES.index(name)] = 1.0
    pitch = nod(Nods(learnt, range(count), Sampling()), frames, ordinary(count, controls), tokens)[:, skipped:]
    rate = 0.008 * np.exp(weight)
    found = begun(pitch).mean()
    assert found == pytest.approx(rate / (1 + rate * 35), rel=0.1)  # none begins while one goes on
    seen = found_nods(pitch)
    assert len(seen) / pitch.size > 0.4 * found  # the smallest are below three degrees
    assert np.degrees(np.quantile(seen.size, [0.25, 0.75])) == pytest.approx([4.1, 7.1], abs=1.2)


# Empathy


def face(valence: float = 0.0, known: float = 1.0, **read: float) -> SpeakerFrame:
    """Someone whose expressions were read with these probabilities; `known`: how well their neutral is."""
    probabilities = np.array([read.get(name, 0.0) for name in EXPRESSION_CLASSES], np.float32)
    return replace(frame(0), neutral_confidence=known, affect=Affect("neutral", probabilities, valence, 0.0))


def watched(
    faces: Sequence[SpeakerFrame], *, seed: int = 0, every: int = 1, delay_ns: int = 0
) -> tuple[Empathy, np.ndarray]:
    """After these faces, one a slot; and the levels (plans, 8, 5) of a plan at every so many of them."""
    empathy, levels = Empathy(seed), []
    for slot, seen in enumerate(faces):
        empathy.observe(replace(seen, stamp_ns=slot * SLOT))
        empathy.look(slot * SLOT, delay_ns)
        if slot % every == 0:
            levels.append(empathy.frames(slot, 8))
    return empathy, np.array(levels)


def shows(faces: Sequence[SpeakerFrame], smile: float = 0.0, seed: int = 0) -> np.ndarray:
    """The last plan (8, 58), where the networks smile so much."""
    empathy, levels = watched(faces, seed=seed)
    plan = np.zeros((1, 8, 58), np.float32)
    plan[..., list(SMILE)] = smile
    return corrections.answered(plan, levels[-1], empathy.tilt)[0]


@pytest.mark.parametrize("label", ["angry", "disgust", "fear", "sad"])
def test_nothing_is_smiled_at_that_hurts(label: str) -> None:
    faces = [face(**{label: 1.0})] * 50
    assert shows(faces, 0.6)[:, SMILE].max() < 0.02
    empathy, _ = watched(faces)
    assert (empathy.negative, empathy.pleased) == (1.0, 0.0)
    heeding = corrections.heeding(Style(smiling=0.3, responsiveness=0.8), empathy.negative)
    assert heeding == Style(smiling=-1.0, responsiveness=0.0)


@pytest.mark.parametrize(
    ("valences", "happy_slots", "low", "high"),
    [
        ([-0.3] * 100, 0, 0.0, 0.1),
        ([-0.03] * 100, 0, 0.59, 0.61),
        ([float("nan")] * 100, 0, 0.59, 0.61),
        ([0.2] * 98 + [-0.3] * 2, 0, 0.59, 0.61),
        ([-0.3] * 60, 50, 0.5, 0.61),
        ([-0.3] * 60 + [0.3] * 100, 0, 0.5, 0.61),
    ],
    ids=["unhappy", "hardly", "not known", "for a moment", "after a smile", "not any more"],
)
def test_smiles_are_held_back_while_someone_looks_unhappy(valences, happy_slots, low, high) -> None:
    """No expression is sure: perception reads a calm face whose valence is below 0."""
    faces = [face(v, **{"happy" if i < happy_slots else "neutral": 1.0}) for i, v in enumerate(valences)]
    assert low <= shows(faces, 0.6)[-1, SMILE].max() <= high


def test_surprise_that_goes_on_is_answered_less_and_a_new_one_as_much_as_the_first() -> None:
    faces = [face(**{"neutral" if 500 <= slot < 1000 else "surprise": 1.0}) for slot in range(1040)]
    raised = watched(faces)[1][:, 0, corrections.RAISED]
    assert raised[32] > 0.6
    assert 0.1 < raised[400] < 0.3
    assert raised[1032] == pytest.approx(raised[32], abs=0.01)
    assert shows(faces[:50], 0.6)[:, SMILE].max() < 0.15, "it may be fear"


@pytest.mark.parametrize(
    ("label", "raised"),
    [("sad", ("browInnerUp", "mouthFrownLeft")), ("surprise", ("browInnerUp", "browOuterUpLeft", "browOuterUpRight")),
     ("fear", ("browInnerUp",)), ("contempt", ("browOuterUpLeft", "mouthPressLeft")), ("neutral", ())],
)  # fmt: skip
def test_an_expression_gets_an_answer_that_one_sees(label: str, raised: tuple[str, ...]) -> None:
    shown = shows([face(**{label: 1.0})] * 50)[-1]
    assert all(shown[INDEX[name]] > 0.2 for name in raised)
    assert shown.any() == bool(raised)
    other = shows([face(**{label: 1.0})] * 50, seed=1)[-1]
    assert shown[HEAD_ROLL] == -other[HEAD_ROLL], "each listener tilts the head to its own side"
    assert (shown[HEAD_ROLL] != 0.0) == (label in ("sad", "fear"))


def test_a_delay_delays_the_answer_and_a_lost_face_ends_it() -> None:
    (prompt, _), (late, _) = (watched([face(sad=1.0)] * 10, delay_ns=delay_ns) for delay_ns in (0, NS))
    assert (prompt.negative, late.negative) == (1.0, 0.0)
    prompt.look(3 * NS, 0)
    assert prompt.negative == 0.0
