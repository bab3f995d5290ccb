"""The corrections around the networks: style, greeting, broad smiles, choice, limits, nods, empathy."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import arrays
from speaker_frames import SLOT, frame

from reactdiff_ros.clock import NS
from reactdiff_ros.coefficients import HEAD_PITCH, HEAD_ROLL, INDEX, SMILE, bounded, softly_bounded
from reactdiff_ros.evaluation.metrics.events import nods as found_nods
from reactdiff_ros.model.backends.weights import AGES, CONDITION_COUNT, HIDDEN, LOOKS, NOD_CONTROLS, NodHead
from reactdiff_ros.model.diffusion.conditions import CONTROL_LOWER, CONTROL_NAMES, CONTROL_UPPER, NETWORK_CONTROLS
from reactdiff_ros.model.diffusion.sampler import Sampling, ordinary
from reactdiff_ros.model.diffusion.tokens import SpeakerBatch, blank, from_frame
from reactdiff_ros.model.plan import corrections
from reactdiff_ros.model.plan.corrections import BroadSmiles, Empathy, Nods, calmed, conditioning, greeting, smiled_at
from reactdiff_ros.styles import Style, load_styles
from reactdiff_ros.types import EXPRESSION_CLASSES, REACTION_RATE_HZ, Affect, SpeakerFrame

BROW = INDEX["browInnerUp"]


def test_a_style_becomes_conditions_within_their_ranges() -> None:
    for style in load_styles().values():
        given = conditioning(style)
        assert (given.controls == np.clip(given.controls, CONTROL_LOWER, CONTROL_UPPER)).all()
        assert (given.controls_given == 1).all()
        assert (given.style_given == 0).all()
    for name, row in zip(CONTROL_NAMES, np.eye(len(CONTROL_NAMES), dtype=np.float32), strict=True):
        moved = conditioning(Style(**{"delay_s" if name == "delay" else name: 0.4}))
        assert moved.controls[0] == pytest.approx(0.4 * row)
        asked = ordinary(1, row[None])
        read = asked.vector(1, 24)[0, : len(NETWORK_CONTROLS)]
        assert read.tolist() == [float(name == other) for other in NETWORK_CONTROLS], "as asked for, but no delay"
        assert asked.late[0] == (REACTION_RATE_HZ if name == "delay" else 0)


@pytest.mark.parametrize(("met_s", "greeting_s", "pleased", "attitude", "responsiveness"), [
    (0.0, 4.0, 1.0, 0.5, 1.0), (4.0, 4.0, 1.0, 0.5, 1.0), (5.0, 4.0, 1.0, 0.25, 0.5), (6.0, 4.0, 1.0, 0.0, 0.0),
    (math.inf, 4.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0, 0.0), (0.0, 4.0, 0.0, 0.0, 0.0),
])  # fmt: skip
def test_a_greeting_answers_those_who_come_and_smile(met_s, greeting_s, pleased, attitude, responsiveness) -> None:
    found = greeting(Style(), met_s, greeting_s, pleased)
    assert (found.attitude, found.responsiveness) == pytest.approx((attitude, responsiveness))
    for style in (Style(attitude=-0.3), Style(attitude=0.9, responsiveness=1.0)):
        assert greeting(style, met_s, greeting_s, pleased) == style, "cool, or warmer than a greeting"


def test_a_reference_speaks_for_the_controls_that_it_measures() -> None:
    reference = (0.5, None, -1.0, *[0.2] * 5)
    given = conditioning(Style(reference=reference))
    assert given.style_given[0].tolist() == [1, 0, 1, 1, 1, 1, 1, 1]
    assert np.isfinite(given.style).all()
    flags = dict(zip(CONTROL_NAMES, given.controls_given[0], strict=True))
    assert flags == {"attitude": 1, "responsiveness": 1, "smiling": 0, "nodding": 0, "liveliness": 0, "delay": 1}
    moved = conditioning(Style(reference=reference, nodding=0.3))
    assert moved.controls_given[0, CONTROL_NAMES.index("nodding")] == 1


def speaker(smile: float, *, left: float | None = None, sure: bool = True) -> SpeakerBatch:
    """One frame of a speaker; `left`: what the left corner of the mouth is said to do."""
    found = from_frame(frame(0, smile))
    if left is not None:
        found.coefficients[:, SMILE[0]] = left
    return found if sure else replace(found, confidence=np.zeros((1, 58)))


UNSEEN = {
    "a calm face": speaker(0.0), "no face": blank(1), "not a number": speaker(0.95, left=math.nan),
    "infinite": speaker(0.95, left=math.inf), "not sure": speaker(0.95, sure=False),
}  # fmt: skip


@pytest.mark.parametrize("unseen", UNSEEN)
def test_a_broad_smile_counts_for_as_long_as_it_is_fresh_and_what_cannot_be_seen_is_none(unseen: str) -> None:
    def after(frames: int, seen: SpeakerBatch, smiles: BroadSmiles) -> float:
        return [float(smiles.step(seen)[0]) for _ in range(frames)][-1]

    smiles = BroadSmiles(1)
    assert after(25, speaker(0.6), smiles) == 0.0
    assert after(1, speaker(0.95), smiles) == 1.0
    assert after(26, UNSEEN[unseen], smiles) == pytest.approx(np.exp(-26 / 25), rel=0.01)
    assert after(25, speaker(0.5, left=1e9), BroadSmiles(1)) == pytest.approx(0.4)


@pytest.mark.parametrize(("broad", "controls", "asked"), [
    (1.0, {}, 0.65), (0.5, {}, 0.325), (0.5, {"responsiveness": 0.9}, 0.9), (1.0, {"attitude": -0.5}, 0.325),
    (1.0, {"smiling": -1.0}, 0.0),
])  # fmt: skip
def test_a_broad_smile_asks_for_an_answer_but_of_who_is_cool_or_not_to_smile_less(broad, controls, asked) -> None:
    values = np.array([[controls.get(name, 0.0) for name in CONTROL_NAMES]], dtype=np.float32)
    smile = np.array([broad], dtype=np.float32)
    assert smiled_at(ordinary(1, values), smile, Sampling()).control("responsiveness")[0] == pytest.approx(asked)
    unchanged = smiled_at(ordinary(1, values), smile, Sampling(without=("broad",)))
    assert unchanged.controls.tolist() == values.tolist()


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


def test_a_calm_head_sways_and_trembles_as_drawn_but_does_not_nod() -> None:
    sway, nod, rest = (a * np.sin(f * math.tau * np.arange(760)) for a, f in ((0.1, 0.002), (0.06, 0.08), (0.005, 0.2)))
    drawn = np.full((2, 760, 58), 0.5, dtype=np.float32)
    drawn[..., HEAD_PITCH] = sway + rest + [nod, 0 * nod]
    calm = calmed(drawn)
    assert (len(found_nods(drawn[:1, :, HEAD_PITCH])), len(found_nods(calm[..., HEAD_PITCH]))) == (1, 0)
    assert np.abs(calm[0, :, HEAD_PITCH] - sway[10:]).max() < 0.04
    np.testing.assert_allclose(calm[1], drawn[1, 10:], atol=0.01)


@pytest.mark.parametrize(
    ("name", "weight"), [("no control", 0.0), ("no clear cue", -1.0), ("nodding", 1.0), ("attitude", -1.0)]
)
def test_nods_look_like_nods_and_come_as_often_as_learnt_and_asked_for(name: str, weight: float) -> None:
    """Learnt is a rate of .008, and where a token's first number is large or a control is given, e ** weight times it.

    Sharpened alone, rates of .37 times the ordinary one would be .05 times it.
    """
    count, frames, skipped = 40, 6000, 1500
    width, speech, hop = 4, 16, 4
    learnt = NodHead(
        tokens=np.zeros((LOOKS * width, HIDDEN), np.float32), known=np.zeros((LOOKS, HIDDEN), np.float32),
        conditions=np.zeros((CONDITION_COUNT, HIDDEN), np.float32), ages=np.zeros((AGES, HIDDEN), np.float32),
        out=np.zeros(HIDDEN, np.float32), drive=np.zeros(CONDITION_COUNT, np.float32), bias=np.float32(np.log(0.008)),
    )  # fmt: skip
    tokens = np.zeros((count, frames + speech, width), dtype=np.float32)
    controls = np.zeros((count, len(CONTROL_NAMES)), dtype=np.float32)
    if name == "no clear cue":
        learnt.tokens[0, 0], learnt.out[0], tokens[..., 0] = 100.0, weight, 1.0
    elif weight:
        learnt.drive[NOD_CONTROLS.index(name)] = weight
        controls[:, CONTROL_NAMES.index(name)] = 1.0
    nods, asked, planned = Nods(learnt, range(count), Sampling()), ordinary(count, controls), []
    for slot in range(0, frames, hop):
        missing = np.zeros((count, speech), np.float32)
        planned.append(nods.plan(slot, 12, hop, tokens[:, slot : slot + speech], missing, asked, 1)[:, :hop])
    pitch = np.concatenate(planned, axis=1)[:, skipped:]
    found = (np.diff((pitch > 0).astype(int), axis=1) == 1).mean()
    rate = 0.008 * np.exp(weight)
    assert found == pytest.approx(rate / (1 + rate * 35), rel=0.1)  # none begins while one goes on
    seen = found_nods(pitch)
    assert len(seen) / pitch.size > 0.4 * found  # the smallest are below three degrees
    assert np.degrees(np.quantile(seen.size, [0.25, 0.75])) == pytest.approx([4.1, 7.1], abs=1.2)


def face(valence: float = 0.0, **read: float) -> SpeakerFrame:
    """Someone whose expressions were read with these probabilities."""
    probabilities = np.array([read.get(name, 0.0) for name in EXPRESSION_CLASSES], np.float32)
    return replace(frame(0), neutral_confidence=1.0, affect=Affect("neutral", probabilities, valence, 0.0))


def watched(faces: Sequence[SpeakerFrame], smile: float = 0.0, seed: int = 0, delay_ns: int = 0):
    """After these faces, one a slot; and a plan (8, 58) at each of them, where the networks smile so much."""
    empathy, shown = Empathy(seed), []
    for slot, seen in enumerate(faces):
        empathy.observe(replace(seen, stamp_ns=slot * SLOT))
        empathy.look(slot * SLOT, delay_ns)
        plan = np.zeros((1, 8, 58), np.float32)
        plan[..., list(SMILE)] = smile
        shown.append(corrections.answered(plan, empathy.frames(slot, 8), empathy.tilt)[0])
    return empathy, np.array(shown)


@pytest.mark.parametrize("label", ["angry", "disgust", "fear", "sad"])
def test_nothing_is_smiled_at_that_hurts(label: str) -> None:
    empathy, shown = watched([face(**{label: 1.0})] * 50, smile=0.6)
    assert shown[-1][:, SMILE].max() < 0.02
    assert (empathy.negative, empathy.pleased) == (1.0, 0.0)
    heeding = corrections.heeding(Style(smiling=0.3, responsiveness=0.8), empathy.negative)
    assert heeding == Style(smiling=-1.0, responsiveness=0.0)


@pytest.mark.parametrize(("sad", "then", "slots", "low", "high"), [
    (75, "neutral", 50, 0.0, 0.05), (75, "neutral", 375, 0.55, 0.61), (75, "happy", 50, 0.4, 0.61),
    (4, "neutral", 50, 0.4, 0.61),
])  # fmt: skip
def test_who_was_in_distress_is_smiled_at_again_as_it_fades_or_when_they_smile(sad, then, slots, low, high) -> None:
    shown = watched([face(sad=1.0)] * sad + [face(**{then: 1.0})] * slots, smile=0.6)[1][-1, -1]
    assert low <= shown[list(SMILE)].max() <= high
    assert (shown[INDEX["browInnerUp"]] > 0.15) == (high < 0.1)


HELD_BACK = {
    "unhappy": ([-0.3] * 100, 0, 0.0, 0.1),
    "hardly": ([-0.03] * 100, 0, 0.59, 0.61),
    "not known": ([math.nan] * 100, 0, 0.59, 0.61),
    "for a moment": ([0.2] * 98 + [-0.3] * 2, 0, 0.59, 0.61),
    "after a smile": ([-0.3] * 60, 50, 0.5, 0.61),
    "not any more": ([-0.3] * 60 + [0.3] * 100, 0, 0.5, 0.61),
}
"""Valences, how many frames begin with a happy face, and the smile that is left of .6."""


@pytest.mark.parametrize("looks", HELD_BACK)
def test_smiles_are_held_back_while_someone_looks_unhappy(looks: str) -> None:
    """No expression is sure: perception reads a calm face whose valence is below 0."""
    valences, happy, low, high = HELD_BACK[looks]
    faces = [face(v, **{"happy" if i < happy else "neutral": 1.0}) for i, v in enumerate(valences)]
    assert low <= watched(faces, smile=0.6)[1][-1, -1, SMILE].max() <= high


def test_surprise_that_goes_on_is_answered_less_and_a_new_one_as_much_as_the_first() -> None:
    faces = [face(**{"neutral" if 500 <= slot < 1000 else "surprise": 1.0}) for slot in range(1040)]
    shown = watched(faces, smile=0.6)[1]
    raised = shown[:, 0, INDEX["browOuterUpLeft"]] / 0.65
    assert raised[32] > 0.6
    assert 0.1 < raised[400] < 0.3
    assert raised[1032] == pytest.approx(raised[32], abs=0.01)
    assert shown[49][:, SMILE].max() < 0.15, "it may be fear"


@pytest.mark.parametrize(
    ("label", "raised"),
    [("sad", ("browInnerUp", "mouthFrownLeft")), ("surprise", ("browInnerUp", "browOuterUpLeft", "browOuterUpRight")),
     ("fear", ("browInnerUp",)), ("contempt", ("browOuterUpLeft", "mouthPressLeft")), ("neutral", ())],
)  # fmt: skip
def test_an_expression_gets_an_answer_that_one_sees(label: str, raised: tuple[str, ...]) -> None:
    shown, other = (watched([face(**{label: 1.0})] * 50, seed=seed)[1][-1, -1] for seed in (0, 1))
    assert all(shown[INDEX[name]] > 0.2 for name in raised)
    assert shown.any() == bool(raised)
    assert shown[HEAD_ROLL] == -other[HEAD_ROLL], "each listener tilts the head to its own side"
    assert (shown[HEAD_ROLL] != 0.0) == (label in ("sad", "fear"))


def test_a_delay_delays_the_answer_and_a_lost_face_ends_it() -> None:
    (prompt, _), (late, _) = (watched([face(sad=1.0)] * 10, delay_ns=delay_ns) for delay_ns in (0, NS))
    assert (prompt.negative, late.negative) == (1.0, 0.0)
    prompt.look(3 * NS, 0)
    assert prompt.negative == 0.0
