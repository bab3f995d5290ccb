"""The corrections around the networks, in their order: style, mood, limits, choice, joints of plans, nods."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import arrays
from speaker_frames import SLOT, frame, session

from reactdiff_ros.clock import NS
from reactdiff_ros.coefficients import HEAD_ROLL, INDEX, SMILE, bounded, softly_bounded
from reactdiff_ros.evaluation.metrics.events import nods as found_nods
from reactdiff_ros.model.backends.weights import AGES, CONDITION_COUNT, HIDDEN, LOOKS, MOST_RATE, NOD_CONTROLS, NodHead
from reactdiff_ros.model.diffusion.conditions import (
    CONTROL_LOWER,
    CONTROL_NAMES,
    CONTROL_UPPER,
    NETWORK_CONTROLS,
    STYLE_COUNT,
)
from reactdiff_ros.model.diffusion.sampler import SIDED, Conditions, Sampling, drawn_sides, ordinary
from reactdiff_ros.model.diffusion.tokens import SpeakerBatch, blank, from_frame
from reactdiff_ros.model.plan.corrections import (
    BLEND,
    CONTAGION,
    GREETING_RESPONSIVENESS,
    HOLD_SLOTS,
    LATENT_LIMIT,
    LOOKAHEAD,
    MEMORY_S,
    ORDINARY_SMILE,
    RAISED,
    USUAL_S,
    Choice,
    Empathy,
    Mood,
    Nods,
    answered,
    conditioning,
    continued,
    eased,
    greeting,
    heeding,
    in_mood,
    ranked,
    sane,
)  # fmt: skip
from reactdiff_ros.styles import Style, load_styles
from reactdiff_ros.types import EXPRESSION_CLASSES, REACTION_RATE_HZ, Affect, SpeakerFrame

RNG = np.random.default_rng(0)
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


def test_a_greeting_opens_a_listener_to_whoever_smiles_and_leaves_a_cool_one_alone() -> None:
    style = Style()
    at_once, held, fading, later = (greeting(style, met_s, 4.0, 1.0) for met_s in (0.0, 4.0, 5.0, 6.0))
    assert at_once.responsiveness == held.responsiveness == GREETING_RESPONSIVENESS
    assert at_once.attitude == pytest.approx(0.5)
    assert fading.responsiveness == pytest.approx(0.5 * GREETING_RESPONSIVENESS)
    assert later == style == greeting(style, math.inf, 4.0, 1.0) == greeting(style, 0.0, 0.0, 1.0)
    assert greeting(style, 0.0, 4.0, 0.0) == style
    cool = Style(attitude=-0.3)
    assert greeting(cool, 0.0, 4.0, 1.0) == cool
    warm = Style(attitude=0.9, responsiveness=1.0)
    assert greeting(warm, 0.0, 4.0, 1.0) == warm


def test_a_reference_speaks_for_the_controls_that_it_measures() -> None:
    reference = (0.5, None, -1.0, *[0.2] * 5)
    given = conditioning(Style(reference=reference))
    assert given.style.shape == (1, STYLE_COUNT)
    assert given.style_given[0].tolist() == [1, 0, 1, 1, 1, 1, 1, 1]
    assert np.isfinite(given.style).all()
    flags = dict(zip(CONTROL_NAMES, given.controls_given[0], strict=True))
    assert flags == {"attitude": 1, "responsiveness": 1, "smiling": 0, "nodding": 0, "liveliness": 0, "delay": 1}
    moved = conditioning(Style(reference=reference, nodding=0.3))
    assert moved.controls_given[0, CONTROL_NAMES.index("nodding")] == 1


# Mood

SMILING = CONTROL_NAMES.index("smiling")


def showing(smile: float) -> SpeakerBatch:
    """One frame of a speaker."""
    return from_frame(next(iter(session(0.04, smile=smile))))


def after(seconds: float, speaker: SpeakerBatch, mood: Mood | None = None) -> float:
    """Mood after so long with the same frame."""
    mood = mood or Mood(1)
    return [float(mood.step(speaker)[0, 0]) for _ in range(round(seconds * 25))][-1]


def test_a_smile_lifts_the_mood_until_it_is_usual_and_a_straight_face_then_lowers_it() -> None:
    mood, rise = Mood(1), np.exp(-MEMORY_S / USUAL_S) - np.exp(-1)
    assert after(MEMORY_S, showing(0.8), mood) == pytest.approx(CONTAGION * (0.8 - ORDINARY_SMILE) * rise, rel=0.02)
    assert abs(after(200, showing(0.8), mood)) < 0.01
    assert after(MEMORY_S, showing(0.0), mood) == pytest.approx(-CONTAGION * 0.8 * rise, rel=0.02)
    assert abs(after(60, showing(ORDINARY_SMILE))) < 1e-3


def broken(smile: float, value: float) -> SpeakerBatch:
    speaker = showing(smile)
    speaker.coefficients[:, SMILE[0]] = value
    return speaker


@pytest.mark.parametrize(
    "unseen", [blank(1), broken(0.8, np.nan), broken(0.8, np.inf), replace(showing(0.8), confidence=np.zeros((1, 58)))]
)
def test_what_cannot_be_seen_returns_to_the_ordinary(unseen: SpeakerBatch) -> None:
    mood = Mood(1)
    after(10, showing(0.8), mood)
    usual = (0.8 - ORDINARY_SMILE) * (1 - np.exp(-10 / USUAL_S))
    assert after(20, unseen, mood) == pytest.approx(-CONTAGION * usual * np.exp(-20 / USUAL_S), rel=0.02)
    assert abs(after(200, unseen, mood)) < 0.01


def test_wild_coefficients_stay_within_the_range_of_the_control() -> None:
    speaker = broken(0.5, 1e9)
    assert after(100, speaker) <= CONTAGION
    asked = in_mood(ordinary(1), np.array([[50.0, 0.0]], dtype=np.float32), Sampling())
    assert asked.controls[0, SMILING] == 1.0


def answering(broad: float, **controls: float) -> float:
    """The responsiveness of a listener with these controls to whom so broad a smile is shown."""
    values = np.array([[controls.get(name, 0.0) for name in CONTROL_NAMES]], dtype=np.float32)
    asked = in_mood(ordinary(1, values), np.array([[0.0, broad]], dtype=np.float32), Sampling())
    return float(asked.control("responsiveness")[0])


def test_a_broad_smile_is_answered_more_surely_for_as_long_as_it_is_fresh() -> None:
    mood = Mood(1)
    after(1, showing(0.6), mood)
    assert mood.step(showing(0.6))[0, 1] == 0.0
    assert mood.step(showing(0.95))[0, 1] == 1.0
    after(1, showing(0.0), mood)
    assert mood.step(showing(0.0))[0, 1] == pytest.approx(np.exp(-26 / 25), rel=0.01)
    assert answering(1.0) == pytest.approx(0.65)
    assert answering(0.5) == pytest.approx(0.325)
    assert answering(0.5, responsiveness=0.9) == pytest.approx(0.9)


@pytest.mark.parametrize("control", ["attitude", "smiling"])
def test_who_is_to_be_cool_or_not_to_smile_does_not_answer_broad_smiles(control: str) -> None:
    assert answering(1.0, **{control: -1.0}) == 0.0
    assert answering(1.0, **{control: -0.5}) == pytest.approx(0.325)


# Conditions


@pytest.mark.parametrize("name", CONTROL_NAMES)
def test_the_networks_get_the_controls_as_they_are_asked_for_but_never_the_delay(name: str) -> None:
    at = CONTROL_NAMES.index(name)
    conditions = ordinary(1, np.eye(len(CONTROL_NAMES), dtype=np.float32)[at : at + 1])
    read = conditions.vector(1, 24)[0, : len(NETWORK_CONTROLS)]
    assert read.tolist() == [float(name == other) for other in NETWORK_CONTROLS]
    assert conditions.late[0] == (REACTION_RATE_HZ if name == "delay" else 0)


def test_each_listener_keeps_its_sides() -> None:
    sides = drawn_sides(range(200))
    assert np.unique(sides[:, SIDED]).tolist() == [-1.0, 1.0]
    assert (np.abs(sides[:, SIDED].mean(0)) < 0.2).all()
    assert np.delete(sides, SIDED, axis=1).min() == 1.0
    assert (drawn_sides(range(50, 60)) == sides[50:60]).all()
    assert drawn_sides([-1]).shape == (1, sides.shape[1])


# Choice


def candidates(rng, count, frames=4):
    """Plans of a face that mostly rests and now and then smiles: skewed, as faces are."""
    plans = np.zeros((count, frames, 58), dtype=np.float32)
    smile = np.where(rng.random(count) < 0.25, rng.uniform(0.2, 0.9, count), 0.05 * rng.random(count))
    plans[:, :, 43:45] = smile[:, None, None]
    plans[:, :, 52] = 0.05 * rng.standard_normal((count, frames))
    return plans


def choose(choice, slot, plans):
    which = int(ranked(plans[None], np.array([choice.rank]))[0])
    choice.follow(slot, which)
    return which


def test_the_choice_shows_what_a_single_candidate_shows():
    choice, rng = Choice(5, 10), np.random.default_rng(0)
    drawn = [candidates(rng, 10) for _ in range(4000)]
    chosen = np.stack([plans[choose(choice, i * HOLD_SLOTS, plans)] for i, plans in enumerate(drawn)])
    single = np.stack([plans[0] for plans in drawn])
    assert chosen[..., 43].var() == pytest.approx(single[..., 43].var(), rel=0.1)
    assert (chosen[:, 0, 43] > 0.15).mean() == pytest.approx((single[:, 0, 43] > 0.15).mean(), rel=0.1)
    assert chosen[..., 52].var() == pytest.approx(single[..., 52].var(), rel=0.1)


def test_a_choice_is_held():
    choice, rng = Choice(0, 4), np.random.default_rng(0)
    made = []
    for slot in range(0, 400, 3):
        if choice.due(slot):
            choose(choice, slot, candidates(rng, 4))
            made.append(slot)
    assert made[0] == 0
    assert all(b - a >= HOLD_SLOTS for a, b in pairwise(made))
    assert len(made) > 15


# From one plan to the next


def noise(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize(("name", "moved"), [("browInnerUp", 0.04), ("mouthSmileLeft", 0.02), ("eyeBlinkLeft", 0.0)])
def test_frames_on_both_sides_of_a_joint_go_towards_their_neighbours(name, moved):
    plan, last = np.zeros((1, 12, 58)), np.zeros((1, 58))
    plan[0, 4:] = 1.0  # a step where the second block begins
    found = eased(plan, last, 4)[0, :, INDEX[name]]
    np.testing.assert_allclose(found, [0, 0, 0, moved, 1 - moved, *[1] * 7], atol=1e-6)
    late = np.ones((1, 8, 58))  # a step where the plan begins; what was shown stays
    np.testing.assert_allclose(eased(late, last, 4)[0, :, INDEX[name]], [1 - moved, *[1] * 7], atol=1e-6)


def test_easing_keeps_a_steady_motion_and_what_happens_within_blocks():
    ramp = np.arange(1.0, 17.0)[None, :, None] + np.zeros(58)
    np.testing.assert_allclose(eased(ramp.copy(), np.zeros((1, 58)), 4), ramp)
    inside = [1, 2, 5, 6, 9, 10]
    plan = noise(2, 3, 12, 58)
    np.testing.assert_array_equal(eased(plan.copy(), noise(2, 3, 58), 4)[..., inside, :], plan[..., inside, :])


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


def test_a_plan_looks_no_further_ahead_than_it_says():
    how, hop = Sampling(blend=True), 4
    plans, last, before = 0.3 + 0.1 * noise(1, 1, 16, 58), noise(1, 58), noise(1, 16, 58)
    whole = continued(plans, last, before, how)
    part = continued(plans[:, :, : hop + LOOKAHEAD], last, before[:, : hop + LOOKAHEAD], how)
    np.testing.assert_array_equal(whole[:, :, : hop + len(BLEND)], part[:, :, : hop + len(BLEND)])


def test_latents_that_are_not_finite_are_neutral():
    bad = np.array([[np.nan, np.inf, -np.inf, 100.0, -100.0, 0.5]], dtype=np.float32)
    neutral = np.full(6, 0.25, dtype=np.float32)
    np.testing.assert_allclose(sane(bad, neutral)[0], [0.25, 0.25, 0.25, LATENT_LIMIT, -LATENT_LIMIT, 0.5])


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


def nod(
    nods: Nods, frames: int, asked: Conditions, tokens: np.ndarray | None = None, frames_planned: int = 12
) -> np.ndarray:
    """Pitch (N, frames) as shown, plan after plan."""
    count = len(asked)
    given = np.zeros((count, frames + SPEECH, WIDTH), dtype=np.float32) if tokens is None else tokens
    out = np.zeros((count, frames), dtype=np.float32)
    for slot in range(0, frames, HOP):
        speaker = given[:, slot : slot + SPEECH]
        plan = nods.plan(slot, frames_planned, HOP, speaker, np.zeros((count, SPEECH), np.float32), asked, 1)
        out[:, slot : slot + HOP] = plan[:, :HOP]
    return out


def test_nods_come_at_the_rate_of_the_head_and_look_like_nods() -> None:
    count, seconds, rate = 40, 240, 0.004
    pitch = nod(Nods(head(0.004), range(count), Sampling()), seconds * 25, ordinary(count))
    begins = (np.diff((pitch > 0).astype(int), axis=1) == 1).sum() / count / (seconds / 60)
    assert begins == pytest.approx(rate * 25 * 60 * (1 - rate * 35), rel=0.1)  # none begins while one goes on
    seen = found_nods(pitch)
    assert len(seen) / count / (seconds / 60) > 0.4 * begins  # the smallest are below three degrees
    assert np.degrees(np.quantile(seen.size, [0.25, 0.75])) == pytest.approx([4.1, 7.1], abs=1.2)


def test_nods_follow_cues_and_not_their_absence() -> None:
    count, frames = 60, 1000
    tokens = np.zeros((count, frames + SPEECH, WIDTH), dtype=np.float32)
    cued = np.zeros(frames, dtype=bool)
    for start in range(100, 900, 200):
        tokens[:, SPEECH + start : SPEECH + start + 10, 0] = 1.0
        cued[start : start + 25] = True
    pitch = nod(Nods(head(0.002, cue=4.0), range(count), Sampling()), frames, ordinary(count), tokens)
    begins = np.diff((pitch > 0).astype(int), axis=1, prepend=0) == 1
    assert begins[:, cued].mean() > 8 * begins[:, ~cued].mean()


def test_who_gives_no_clear_cues_is_nodded_to_as_often_as_learnt() -> None:
    """Sharpened alone, rates of .37 times the ordinary one would be .05 times it."""
    count, seconds, rate = 40, 240, 0.01
    tokens = np.zeros((count, seconds * 25 + SPEECH, WIDTH), dtype=np.float32)
    tokens[..., 0] = 1.0
    pitch = nod(Nods(head(rate, cue=-1.0), range(count), Sampling()), seconds * 25, ordinary(count), tokens)
    late = (np.diff((pitch > 0).astype(int), axis=1) == 1)[:, 60 * 25 :].sum() / count / (seconds - 60) * 60
    learnt = rate * np.exp(-1.0)
    assert late == pytest.approx(learnt * 25 * 60 * (1 - learnt * 35), rel=0.15)


@pytest.mark.parametrize(("name", "weight"), [("nodding", 1.0), ("responsiveness", 1.0), ("attitude", -1.0)])
def test_nods_come_as_controls_ask(name: str, weight: float) -> None:
    drive = np.zeros(CONDITION_COUNT, dtype=np.float32)
    drive[NOD_CONTROLS.index(name)] = weight
    obeys = replace(head(0.004), drive=drive)
    counts = []
    for value in (0.0, 1.0):
        controls = np.zeros((30, len(CONTROL_NAMES)), dtype=np.float32)
        controls[:, CONTROL_NAMES.index(name)] = value
        asked = ordinary(30, controls)
        counts.append((np.diff((nod(Nods(obeys, range(30), Sampling()), 2500, asked) > 0).astype(int)) == 1).sum())
    assert counts[1] / counts[0] == pytest.approx(np.exp(weight), rel=0.3)


def test_a_plan_that_is_drawn_again_keeps_what_was_decided() -> None:
    asked, missing = ordinary(8), np.zeros((8, SPEECH), np.float32)
    tokens = np.zeros((8, SPEECH, WIDTH), dtype=np.float32)
    nods = Nods(head(0.05), range(8), Sampling())
    first = nods.plan(100, 12, 8, tokens, missing, asked, 1)
    again = nods.plan(102, 12, 4, tokens, missing, asked, 1)  # new evidence: the next plan comes early
    np.testing.assert_array_equal(again[:, :6], first[:, 2:8])
    assert first.any()


def test_the_same_seed_is_the_same_nods_whichever_others_listen() -> None:
    alone = nod(Nods(head(0.01), [7], Sampling()), 600, ordinary(1))
    among = nod(Nods(head(0.01), [3, 7, 9], Sampling()), 600, ordinary(3))
    np.testing.assert_allclose(among[1], alone[0], atol=1e-6)
    assert np.abs(among[0] - among[1]).max() > 0.02


def test_rates_are_bounded_whatever_comes_in() -> None:
    wild = replace(head(), bias=np.float32(1e9))
    rates = wild.rates(np.zeros((1, SPEECH, WIDTH), np.float32), np.ones((1, SPEECH), np.float32),
                       np.zeros((1, CONDITION_COUNT), np.float32), np.array([[1, 50]]))  # fmt: skip
    assert rates.tolist() == [[pytest.approx(MOST_RATE)] * 2]


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
    return answered(plan, levels[-1], empathy.tilt)[0]


@pytest.mark.parametrize("label", ["angry", "disgust", "fear", "sad"])
def test_nothing_is_smiled_at_that_hurts(label: str) -> None:
    faces = [face(**{label: 1.0})] * 50
    assert shows(faces, 0.6)[:, SMILE].max() < 0.02
    empathy, _ = watched(faces)
    assert (empathy.negative, empathy.pleased) == (1.0, 0.0)
    assert heeding(Style(smiling=0.3, responsiveness=0.8), empathy.negative) == Style(smiling=-1.0, responsiveness=0.0)


@pytest.mark.parametrize("label", ["angry", "sad", "surprise"])
def test_an_unsure_expression_of_a_stranger_counts_less_and_a_sure_one_in_full(label: str) -> None:
    raised = {
        (sure, known): shows([face(known=known, **{label: sure, "neutral": 1 - sure})] * 20)[-1, BROW]
        for sure in (0.5, 1.0)
        for known in (0.0, 1.0, float("nan"))
    }
    assert 0.0 <= raised[0.5, 0.0] < 0.5 * raised[0.5, 1.0]
    assert raised[1.0, 0.0] == pytest.approx(raised[1.0, 1.0], rel=0.1)
    assert np.isfinite(list(raised.values())).all()


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


@pytest.mark.parametrize(("other", "hurts"), [("fear", False), ("sad", False), ("angry", True), ("disgust", True)])
def test_who_smiled_just_now_is_not_afraid_but_may_be_angry(other: str, hurts: bool) -> None:
    """A lively face is read as happy and afraid in turn."""
    in_turn = [face(happy=0.5, **{other: 0.4}), face(happy=0.4, **{other: 0.5})]
    faces = [in_turn[slot % 20 >= 10] for slot in range(100)]
    assert (shows(faces, 0.6)[-1, SMILE].max() < 0.2) == hurts
    raised = shows(faces)[-1, BROW]
    assert raised > 0.2 if hurts else raised < 0.05


def test_surprise_that_goes_on_is_answered_less_and_a_new_one_as_much_as_the_first() -> None:
    faces = [face(**{"neutral" if 500 <= slot < 1000 else "surprise": 1.0}) for slot in range(1040)]
    raised = watched(faces)[1][:, 0, RAISED]
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


def test_the_head_tilts_to_one_side_in_concern_and_each_listener_has_its_own() -> None:
    left, right = (shows([face(sad=1.0)] * 50, seed=seed)[-1, HEAD_ROLL] for seed in (0, 1))
    assert left == -right != 0.0


def test_answers_come_and_go_without_a_step() -> None:
    """Plans overlap: what the last plan had for a frame is what the next one begins with."""
    _, levels = watched([face(**{"sad" if 20 <= slot < 100 else "neutral": 1.0}) for slot in range(200)], every=4)
    assert levels.min() >= 0
    assert levels.max() <= 1
    assert np.abs(np.diff(levels, axis=1)).max() < 0.15
    np.testing.assert_allclose(levels[1:, 0], levels[:-1, 4], atol=1e-9)


def test_a_delay_delays_the_answer_and_a_lost_face_ends_it() -> None:
    (prompt, _), (late, _) = (watched([face(sad=1.0)] * 10, delay_ns=delay_ns) for delay_ns in (0, NS))
    assert (prompt.negative, late.negative) == (1.0, 0.0)
    prompt.look(3 * NS, 0)
    assert prompt.negative == 0.0


def test_where_no_expression_was_read_the_smile_counts() -> None:
    assert watched([replace(frame(0, 0.8), affect=None)])[0].pleased == 1.0
