"""Everything that corrects the networks, in the order in which it acts on a plan. `planner.draw_plan` calls it.

| | correction | acts on | reason |
|---|---|---|---|
| 1 | `greeting`, `heeding` | style | a smile of greeting is returned more surely; anger and grief are not smiled at |
| 2 | `conditioning` | style -> conditions | people do not nod at their own words |
| 3 | `BroadSmiles`, `smiled_at` | `responsiveness` | the networks answer a broad smile like a slight one |
| 4 | `sane` | latents x_0 | a wild latent must not become part of the past |
| 5 | `calmed` | head pitch | the networks' head swings like a nod at no particular moment; (7) nods when it matters |
| 6 | `continued` | faces | a smile cut flat at its limit, a step between plans, a jerk where blocks join |
| 7 | `Nods` | head pitch | nods are too rare and small to count in the losses of the diffusion |
| 8 | `NodGate` | head pitch | an eager model nods even while the robot itself speaks |
| 9 | `Empathy`, `answered` | faces | an answer to anger, grief or surprise has to be sure; the networks' is not |
| 10 | `presented` | faces | no one is there, the robot speaks, and gaze and lids belong to other layers |

All of it is causal. Live listeners and batched streams share it. Shapes: N listeners, K candidates of each, H frames,
L latents, D token width.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.clock import NS
from reactdiff_ros.coefficients import (
    HEAD_PITCH,
    HEAD_ROLL,
    INDEX,
    LOWER,
    REFLEXES,
    ROTATION,
    SMILE,
    TRANSLATION,
    bounded,
    softly_bounded,
)
from reactdiff_ros.model.backends.weights import MOST_RATE, NOD_CONTROLS, NodHead
from reactdiff_ros.model.diffusion.conditions import CONTROL_NAMES, STYLE_COUNT, STYLE_NAMES
from reactdiff_ros.model.diffusion.latents import GROUP_OF_COEFFICIENT, GROUPS
from reactdiff_ros.model.diffusion.sampler import Conditions, NoiseTape, Sampling
from reactdiff_ros.model.diffusion.tokens import FRAME_S, SpeakerBatch
from reactdiff_ros.model.plan.level import Level
from reactdiff_ros.styles import REFERENCE_LIMIT, Style
from reactdiff_ros.types import EXPRESSION_CLASSES, REACTION_RATE_HZ, FloatArray, SpeakerFrame, Turn

Array = TypeVar("Array", bound=Any)
REMOVABLE: Final = ("broad", "sharpness", "empathy")
"""Corrections that can be left out (`Sampling.without`), because an evaluation asks for it or because networks have
learnt to do without (`Weights.learnt`): 3, SHARPNESS of 7, and 9."""
_AT: Final = {name: index for index, name in enumerate(CONTROL_NAMES)}

# 1. Greeting

GREETING_ATTITUDE: Final = 0.5
GREETING_RESPONSIVENESS: Final = 1.0
"""At .7 the broad smile of a woman who arrives was answered with a faint one."""
GREETING_FADE_S: Final = 2.0


def greeting(style: Style, met_s: float, greeting_s: float, pleased: float) -> Style:
    """The style of a listener who met the speaker `met_s` ago: at first it answers nearly every smile.

    Only as far as the speaker is `pleased` (0..1): no one who comes angry or in tears is laughed at. A style that is
    cool (attitude below 0) does not greet. After `greeting_s` it fades to the style within GREETING_FADE_S.
    """
    share = pleased * float(np.clip((greeting_s + GREETING_FADE_S - met_s) / GREETING_FADE_S, 0.0, 1.0))
    if share == 0.0 or greeting_s == 0.0 or style.attitude < 0.0:
        return style
    return replace(
        style,
        responsiveness=max(style.responsiveness, GREETING_RESPONSIVENESS * share),
        attitude=max(style.attitude, GREETING_ATTITUDE * share),
    )


def heeding(style: Style, negative: float) -> Style:
    """The style of a listener whose speaker shows a negative expression as surely as `negative` (0..1)."""
    if negative == 0.0:
        return style
    return replace(
        style, responsiveness=(1.0 - negative) * style.responsiveness, smiling=max(style.smiling - 2.0 * negative, -1.0)
    )


# 2. Conditions of a style

MEASURED: Final = ("smiling", "nodding", "liveliness")
"""Controls of what a reference measures as well: they are left to it unless the user sets them."""


def conditioning(style: Style, turn: Turn = "listening") -> Conditions:
    """The conditions of one listener with this style; while the robot itself speaks, with as few nods as possible."""
    values = {name: style.delay_s if name == "delay" else getattr(style, name) for name in CONTROL_NAMES}
    given = dict.fromkeys(CONTROL_NAMES, 1.0)
    if style.reference:
        given |= {name: float(values[name] != 0.0) for name in MEASURED}
    if turn == "robot_speaking":
        values["nodding"], given["nodding"] = -1.0, 1.0
    reference = style.reference or (None,) * STYLE_COUNT
    return Conditions(
        controls=_row([values[name] for name in CONTROL_NAMES]),
        controls_given=_row([given[name] for name in CONTROL_NAMES]),
        style=np.clip(_row([0.0 if v is None else v for v in reference]), -REFERENCE_LIMIT, REFERENCE_LIMIT),
        style_given=_row([float(v is not None) for v in reference]),
        real=np.zeros(1, dtype=np.float32),
    )


def _row(values: Sequence[float]) -> FloatArray:
    return np.array([values], dtype=np.float32)


# 3. Broad smiles

BROAD: Final = (0.65, 0.9)
"""The smile from which on it is answered more surely, and from which on in full. After a smile of .86 and more,
recorded people's smiles rise by .12 more than at random moments; after smaller ones by at most .05. The networks answer
both alike. See docs/tuning.md."""
BROAD_RESPONSIVENESS: Final = 0.65
"""What a broad smile raises `responsiveness` to."""
_BROAD_S: Final = 1.0
"""Time constant with which a broad smile is forgotten."""
_SEEN: Final = 0.05
_BROAD_KEPT: Final = math.exp(-FRAME_S / _BROAD_S)


class BroadSmiles:
    """Follows the smiles of B speakers, frame by frame of the 25 Hz grid."""

    def __init__(self, batch: int) -> None:
        self._broad = np.zeros(batch)

    def step(self, speaker: SpeakerBatch) -> FloatArray:
        """How broad (B,), 0..1, each speaker's smile is or just was, after the next frame; what cannot be seen (no
        face, no confidence, NaN) is no smile.
        """
        smile, sure = (values[:, list(SMILE)] for values in (speaker.coefficients, speaker.confidence))
        seen = speaker.mesh & np.isfinite(smile).all(1) & (np.nan_to_num(sure) > _SEEN).all(1)
        shown = np.where(seen, np.clip(np.nan_to_num(smile), 0.0, 1.0).mean(1), 0.0)
        low, high = BROAD
        self._broad = np.maximum(np.clip((shown - low) / (high - low), 0.0, 1.0), self._broad * _BROAD_KEPT)
        return self._broad.astype(np.float32)


def smiled_at(conditions: Conditions, broad: FloatArray, how: Sampling) -> Conditions:
    """`conditions` of N listeners with the `responsiveness` that the speakers' smiles, `broad` (N,), deserve: of a cool
    or unsmiling listener less, and with guidance below 1, which shows the networks less of the speaker.
    """
    if "broad" in how.without:
        return conditions
    controls, answering = conditions.controls.copy(), _AT["responsiveness"]
    share = min(how.guidance, 1.0) * broad
    for name in ("attitude", "smiling"):
        share = share * (1.0 + np.minimum(conditions.control(name), 0.0))
    controls[:, answering] = np.maximum(controls[:, answering], BROAD_RESPONSIVENESS * share)
    return replace(conditions, controls=controls)


# 4. Limits of latents

LATENT_LIMIT: Final = 8.0
"""Whitened latents beyond this many deviations, or NaN, are never passed on."""


def sane(latents: FloatArray, neutral: FloatArray) -> FloatArray:
    """`latents` (..., L) within LATENT_LIMIT; neutral where they are not finite."""
    return np.clip(np.where(np.isfinite(latents), latents, neutral), -LATENT_LIMIT, LATENT_LIMIT)


# 5. A calm head

CALM: Final = 11
"""Frames over which pitch is averaged: a nod of 1.6 Hz keeps a fifth."""
CALM_RAD: Final = 0.015
"""Most that pitch departs from that mean. From limit to limit is less than the 0.052 rad of a nod: of two
swings a minute that look like nods, .2 are left, with the spectrum of listeners who do not nod."""


def calmed(decoded: FloatArray) -> FloatArray:
    """Faces (..., n, 58) without the first CALM - 1 frames, their pitch within CALM_RAD of its mean over the last CALM
    frames.
    """
    mean = np.lib.stride_tricks.sliding_window_view(decoded[..., HEAD_PITCH], CALM, axis=-1).mean(-1)
    out = decoded[:, CALM - 1 :].copy()
    out[..., HEAD_PITCH] = np.clip(out[..., HEAD_PITCH], mean - CALM_RAD, mean + CALM_RAD)
    return out


# 6. From one plan to the next

BLEND: Final = (0.2, 0.5, 0.8, 0.95)
"""Share of a new plan in its first frames; the rest is the old plan, which covers the same times."""
JOINT: Final = np.array([0.04, 0.08, 0.08, 0.09, 0.0, 0.0, 0.04], dtype=np.float32)[GROUP_OF_COEFFICIENT]
"""(58,) of smile, mouth, brows, lids, blinks, gaze and head: the share of the way to the mean of its neighbours that a
frame next to a joint of blocks goes, so that its jerk is that inside blocks. See docs/tuning.md."""
LOOKAHEAD: Final = len(BLEND) + 1
"""Frames that `continued` needs of a plan beyond those that are shown."""


def blend(plan: Array, before: Array) -> Array:
    """Lead `before` (..., n, C), what was planned for the same frames, over into `plan` (..., n, C), in place."""
    for i, share in enumerate(BLEND[: plan.shape[-2]]):
        plan[..., i, :] = share * plan[..., i, :] + (1 - share) * before[..., i, :]
    return plan


def eased(plan: Array, last: Array, block: int) -> Array:
    """Move the frames on both sides of each joint of `plan` (..., n, C), in place; `last` (..., C) is the frame before.

    Blocks of `block` frames join where the plan begins and wherever one ends; the end of the plan joins nothing yet.
    """
    around = np.concatenate([last[..., None, :], plan], axis=-2)
    at = np.arange(plan.shape[-2] - 1)
    at = at[np.isin(at % block, (0, block - 1))]
    plan[..., at, :] += JOINT * (0.5 * (around[..., at, :] + around[..., at + 2, :]) - plan[..., at, :])
    return plan


def continued(plans: FloatArray, last: FloatArray, before: FloatArray, how: Sampling) -> FloatArray:
    """Plans (N, K, H, 58) as they continue the last one: bounded and, with `how.blend`, without steps and jerks.

    `last` (N, 58) is the frame before, `before` (N, H, 58) is what was planned so far for the same frames.
    """
    plans = softly_bounded(plans)
    if not how.blend:
        return plans
    follows = np.broadcast_to(last[:, None], (*plans.shape[:2], plans.shape[-1]))
    return eased(blend(plans, before[:, None]), follows, how.block)


# 7. Nods are a point process: a small network reads the speaker's newest tokens and returns how likely a nod begins in
# each of the next frames. Their shape follows Mori, Den and Jokinen (2025): 1 / 2 / 3 / 4 / 5 peaks in
# 400 / 148 / 80 / 40 / 68 of 736 nods, the first cycle larger the more follow, a declining trend, the last cycle below
# it; 4.1 / 5.2 / 7.1 degrees peak to peak and 1.2 to 2.1 Hz (quartiles).

REST_S: Final = 0.4
"""From the end of a nod to the next, at least."""
SHARPNESS: Final = 3.0
"""Nods are rare and read through perception, so the network's rates rise little at a cue. With three times as far, nods
match those of simulated listeners by .46 more than chance instead of .23 (these each other's by .44; 24 speakers, nods
alone), as many as before."""
REMEMBERED, AT_FIRST, MOST_MORE = 1.0, 0.1, 10.0
"""Over how many nods sharpened rates are as many as learnt ones, later and at the start (seconds, not half a minute),
and how far they are scaled for it. Sharpened alone they fall to a third where no cue is clear: a newsreader never looks
away. See docs/tuning.md."""
_TAPE: Final = 1 << 40
"""Of the noise tapes, one that no candidate has."""
_PEAKS: Final = np.cumsum(np.array([400, 148, 80, 40, 68]) / 736.0)
_SIZE_RAD: Final = math.radians(4.8)
_SIZE_SPREAD: Final = 0.35
_SMALLEST_RAD, _LARGEST_RAD = math.radians(1.5), math.radians(12.0)
_HZ: Final = 1.6
_HZ_SPREAD: Final = 0.17
_CONTROLS: Final = [_AT[name] for name in NOD_CONTROLS]
_NOD_RATE, _NOD_SIZE = STYLE_NAMES.index("nod_rate"), STYLE_NAMES.index("nod_size")
_below = np.vectorize(lambda z: 0.5 * math.erfc(-z / math.sqrt(2.0)), otypes=[np.float64])


def nod_conditions(conditions: Conditions) -> FloatArray:
    """What of `conditions` says how often a listener nods (N, C)."""
    given = conditions.controls_given[:, _CONTROLS]
    style_given = conditions.style_given[:, _NOD_RATE]
    parts = [
        conditions.controls[:, _CONTROLS] * given, given,
        (conditions.style[:, _NOD_RATE] * style_given)[:, None], style_given[:, None],
    ]  # fmt: skip
    return np.concatenate(parts, axis=1, dtype=np.float32)


class Nods:
    """Nods of N listeners, drawn once for every frame and played to their end.

    Args:
        head: the network.
        seeds: (N,) of their noise; the same seed and evidence are the same nods.
        how: what is left out.
    """

    def __init__(self, head: NodHead, seeds: Sequence[int], how: Sampling) -> None:
        self._head, self._sharp = head, "sharpness" not in how.without
        self._tapes = [NoiseTape(seed, 4) for seed in seeds]
        self.forget()

    def forget(self) -> None:
        """No nod is under way, and nothing is decided beyond now."""
        count = len(self._tapes)
        self._decided: int | None = None
        self._learnt, self._sharpened = np.full((2, count), AT_FIRST)
        self._begin = np.zeros(count, dtype=np.int64)
        self._cycles, self._hz, self._top = np.zeros(count), np.ones(count), np.zeros(count)

    def plan(
        self, slot: int, frames: int, commit: int, speaker: FloatArray, missing: FloatArray, conditions: Conditions,
        lead: int | NDArray[np.integer[Any]],
    ) -> FloatArray:  # fmt: skip
        """How far the head is bowed (N, frames) in rad from `slot` on.

        Whether a nod begins is decided for the first `commit` frames, as far as it is not yet; what was decided stays.

        Args:
            slot: the first frame; must not go back.
            frames: that are planned.
            commit: that will be shown before the next plan.
            speaker: (N, speech, D) the newest tokens, oldest first.
            missing: (N, speech) 1 where there is none.
            conditions: of the N listeners.
            lead: frames between the newest token and `slot`, minus one; of all, or (N,).
        """
        first = slot if self._decided is None else max(slot, self._decided)
        undecided = np.arange(first, slot + commit)
        if len(undecided):
            known = nod_conditions(conditions)
            ages = np.broadcast_to(lead, len(self._tapes))[:, None] + 1 + undecided - slot
            rates = self._head.rates(speaker, missing, known, ages)
            if self._sharp:
                rates = self._as_many(rates, self._head.rates(speaker, missing, known, ages, sharpness=SHARPNESS))
            noise = np.stack([tape.frames(first, len(undecided), _TAPE) for tape in self._tapes])
            for i, frame in enumerate(undecided):
                self._decide(int(frame), rates[:, i], noise[:, i], conditions)
            self._decided = slot + commit
        return self._dips(slot, frames)

    def _as_many(self, learnt: FloatArray, sharpened: FloatArray) -> FloatArray:
        """`sharpened` rates (N, F), times what makes them as many as the `learnt` ones over the last nods."""
        out = np.empty_like(sharpened)
        for i in range(out.shape[1]):
            more = np.clip(self._learnt / self._sharpened, 1 / MOST_MORE, MOST_MORE)
            out[:, i] = np.minimum(more * sharpened[:, i], MOST_RATE)
            kept = np.exp(-learnt[:, i] / REMEMBERED)
            self._learnt = kept * self._learnt + learnt[:, i]
            self._sharpened = kept * self._sharpened + sharpened[:, i]
        return out

    def _decide(self, frame: int, rates: FloatArray, noise: FloatArray, conditions: Conditions) -> None:
        length = self._cycles / self._hz * REACTION_RATE_HZ
        rested = frame >= self._begin + length + REST_S * REACTION_RATE_HZ
        begins = (_below(noise[:, 0]) < rates) & (rested | (self._cycles == 0))
        if not begins.any():
            return
        peaks = 1 + (_below(noise[:, 1])[:, None] > _PEAKS[:-1]).sum(1)
        hz = np.clip(_HZ * np.exp(_HZ_SPREAD * noise[:, 2]), 1.0, 2.6)
        style = conditions.style[:, _NOD_SIZE] * conditions.style_given[:, _NOD_SIZE]
        size = _SIZE_RAD * np.exp(0.3 * style + 0.2 * conditions.control("liveliness") + _SIZE_SPREAD * noise[:, 3])
        top = np.clip(size, _SMALLEST_RAD, _LARGEST_RAD) * (0.94 + 0.07 * peaks)
        self._begin[begins], self._cycles[begins] = frame, peaks[begins]
        self._hz[begins], self._top[begins] = hz[begins], top[begins]

    def _dips(self, slot: int, frames: int) -> FloatArray:
        phase = (np.arange(slot, slot + frames) - self._begin[:, None]) / REACTION_RATE_HZ * self._hz[:, None]
        cycles = self._cycles[:, None]
        on = (phase >= 0) & (phase < cycles)
        cycle = np.floor(phase)
        last = (cycle >= cycles - 1) & (cycles > 1)
        trend = np.exp(-0.28 * cycle) * np.where(last, 0.75, 1.0)
        dip = self._top[:, None] * trend * 0.5 * (1 - np.cos(2 * np.pi * phase))
        return np.asarray(np.where(on, dip, 0.0), dtype=np.float32)


def bowed(plans: FloatArray, dip: FloatArray) -> FloatArray:
    """`plans` (N, K, H, 58) with the head bowed by `dip` (N, H) rad."""
    if not dip.any():
        return plans
    out = plans.copy()
    out[..., HEAD_PITCH] += dip[:, None]
    return out


# 8. No nods while the robot itself speaks


class NodGate:
    """Fades out the nod that is under way when the robot begins to speak, and drops to its end what began meanwhile."""

    def __init__(self) -> None:
        self._level = Level(1.0)
        self._shut = False

    def let_through(self, slot: int, turn: Turn, nodding: FloatArray, still: FloatArray) -> FloatArray:
        """`nodding` as it may be shown.

        Args:
            slot: of the plan's first frame.
            turn: whose turn it is.
            nodding: (K, H, 58) plans with nods.
            still: (K, H, 58) the same without.
        """
        dip: NDArray[np.float32] = nodding[..., HEAD_PITCH] - still[..., HEAD_PITCH]
        self._shut = turn == "robot_speaking" or (self._shut and bool(dip[:, 0].any()))
        level = self._level.frames(slot, 0.0 if self._shut else 1.0)[: dip.shape[1]]
        shown = nodding.copy()
        shown[..., HEAD_PITCH] -= ((1.0 - level) * dip).astype(np.float32)
        return shown


# 9. Answers that have to be sure

_SMILE: Final = next(list(group.coefficients) for group in GROUPS if group.name == "smile")
KEPT, RAISED, CONCERNED, SERIOUS, DOUBTFUL = range(5)
"""Columns of levels: how much of a smile is kept, then the answers: raised brows, concern, a serious face, doubt."""
_AFTER: Final = {
    RAISED: ("surprise",), CONCERNED: ("sad", "fear"), SERIOUS: ("angry", "disgust"), DOUBTFUL: ("contempt",),
}  # fmt: skip
"""The expressions that each answer answers."""
_CALM: Final = 0.5
_SURE: Final = (0.15, 0.4)
"""From which evidence on an expression is answered, and from which on in full. Evidence is its probability less half
of a neutral face's. Of eight classes, a calibrated read-out is seldom surer of people whom it has not met."""
_PLEASED: Final = (0.45, 0.75)
"""The same of the probability of a happy face, for the greeting."""
_HURT: Final = (0.3, 0.55)
"""The same of the evidence of all negative expressions together, for holding smiles back."""
_STRANGER: Final = 0.7
"""How far an expression other than a happy or calm one counts of someone whose neutral face is not known yet. Of people
who just talk or smile, perception takes 17 % for worse in their first 2 s, 4 % later (29 people, each left out)."""
_GLUM: Final = (0.08, 0.2)
"""How far below 0 valence must be for smiles to be held back, and for all of them: perception is sure of few stern
strangers, and the networks smile at some of them by themselves."""
_GLUM_S: Final = 0.8
"""Time constant of the mean of valence: a moment is no mood."""
_PERHAPS_AFRAID: Final = 0.5
"""Share of surprise that counts as negative: perception reads many strangers' fear as surprise."""
_ANSWER_S: Final = 0.3
_FADE_S: Final = 1.5
"""Time constants with which an answer comes and goes."""
_SURPRISE_S: Final = 3.0
_FAMILIAR: Final = 0.8
"""Time constant with which surprise that goes on is answered less, and by how much. Nothing surprises for long, and
lively talkers and children look surprised all the time."""
_MOVED_S: Final = 1.0
_MOVED_FOR_S: Final = 6.0
"""Time constants with which a listener is moved by distress that lasts, and with which that fades: who wipes tears away
and looks calm again is not beamed at. Someone who smiles is smiled at all the same."""
_MOVED: Final = (0.2, 0.6)
"""How moved a listener must be to hold a smile back, and to hold all of it back."""
_HELD_S: Final = 1.0
"""How long an expression counts after it was seen last."""
_LOOKS: Final = {
    RAISED: {
        "browInnerUp": 0.65, "browOuterUpLeft": 0.65, "browOuterUpRight": 0.65, "eyeWideLeft": 0.4, "eyeWideRight": 0.4,
        "jawOpen": 0.2, "mouthFunnel": 0.2,
    },
    CONCERNED: {
        "browInnerUp": 0.6, "mouthFrownLeft": 0.25, "mouthFrownRight": 0.25, "mouthPressLeft": 0.15,
        "mouthPressRight": 0.15,
    },
    SERIOUS: {
        "browInnerUp": 0.35, "browDownLeft": 0.1, "browDownRight": 0.1, "mouthFrownLeft": 0.2, "mouthFrownRight": 0.2,
        "mouthPressLeft": 0.1, "mouthPressRight": 0.1,
    },
    DOUBTFUL: {
        "browOuterUpLeft": 0.55, "browDownRight": 0.3, "mouthPressLeft": 0.35, "mouthPressRight": 0.35,
        "mouthLeft": 0.15,
    },
}  # fmt: skip
"""Concern after the literature on listeners of sad stories: inner brows, pressed lips, corners down, a tilted head,
stillness (Eisenberg et al. 1989; Bavelas et al. 1986)."""
_TILT_RAD: Final = 0.09


def _looks() -> FloatArray:
    faces = np.zeros((5, len(LOWER)), dtype=np.float32)
    for answer, look in _LOOKS.items():
        for name, value in look.items():
            faces[answer, INDEX[name]] = value
    return faces


_FACES: Final = _looks()
_EVIDENCE: Final = np.array([[name in _AFTER.get(answer, ()) for name in EXPRESSION_CLASSES] for answer in range(5)])
_HAPPY, _NEUTRAL, _SURPRISED = (EXPRESSION_CLASSES.index(name) for name in ("happy", "neutral", "surprise"))
_AT_EASE: Final = np.isin(EXPRESSION_CLASSES, ("happy", "neutral"))
_DISTRESS, _HOSTILE = ([EXPRESSION_CLASSES.index(name) for name in _AFTER[answer]] for answer in (CONCERNED, SERIOUS))


class Empathy:
    """What a speaker expresses, and how far each answer to it has come.

    The raised brows and open mouth of someone who smiles and talks are often read as fear. So the probability of a
    happy face, which fades as an answer does, is subtracted from that of fear and sadness; not from that of anger and
    disgust, whose bared teeth are read as a smile.

    Args:
        seed: of the side to which the head tilts.
    """

    def __init__(self, seed: int) -> None:
        self._waiting: deque[tuple[int, NDArray[np.float64], float]] = deque(maxlen=256)
        self._seen = np.zeros(len(EXPRESSION_CLASSES))
        self._seen_ns: int | None = None
        self._cheer = self._valence = self._moved = 0.0
        self._levels = self._wanted = np.zeros(5)
        self._surprise = self._familiar = 0.0
        self._slot: int | None = None
        self.tilt = _TILT_RAD if seed % 2 else -_TILT_RAD

    def observe(self, frame: SpeakerFrame) -> None:
        """Take in a frame; those without a face leave things as they are.

        Where no expression was read (a recording without landmarks), the corners of the mouth say how pleased they are.
        """
        if not frame.mesh_present:
            return
        seen, valence = np.zeros(len(EXPRESSION_CLASSES)), 0.0
        if frame.affect is not None:
            known = _STRANGER + (1.0 - _STRANGER) * np.clip(np.nan_to_num(frame.neutral_confidence), 0.0, 1.0)
            seen[:] = np.clip(np.nan_to_num(frame.affect.probabilities), 0.0, 1.0) * np.where(_AT_EASE, 1.0, known)
            valence = known * float(np.clip(np.nan_to_num(frame.affect.valence), -1.0, 1.0))
        if not seen.any():
            seen[_HAPPY], valence = np.nan_to_num(np.asarray(frame.coefficients)[list(SMILE)]).mean(), 0.0
        self._waiting.append((frame.stamp_ns, seen, valence))

    def look(self, now_ns: int, delay_ns: int) -> None:
        """Go on to `now_ns`, with a speaker who is seen `delay_ns` late."""
        while self._waiting and self._waiting[0][0] + delay_ns <= now_ns:
            stamp_ns, seen, valence = self._waiting.popleft()
            passed_s = 0.0 if self._seen_ns is None else max(stamp_ns - self._seen_ns, 0) / NS
            self._valence += (valence - self._valence) * (1.0 - math.exp(-passed_s / _GLUM_S))
            self._cheer = max(float(seen[_HAPPY]), self._cheer * math.exp(-passed_s / _FADE_S))
            self._seen_ns, self._seen = stamp_ns, seen
            distress = _ramp(self._distressed - self._unmoved, *_HURT)
            pace_s = _MOVED_S if distress > self._moved else _MOVED_FOR_S
            self._moved += (distress - self._moved) * (1.0 - math.exp(-passed_s / pace_s))
        if self._seen_ns is None or now_ns - delay_ns - self._seen_ns > _HELD_S * NS:
            self._seen, self._valence = np.zeros(len(EXPRESSION_CLASSES)), 0.0

    @property
    def pleased(self) -> float:
        """0..1, how surely the speaker smiles."""
        return _ramp(float(self._seen[_HAPPY]), *_PLEASED)

    @property
    def negative(self) -> float:
        """0..1, how surely the speaker is angry, disgusted, afraid or sad, or was in distress a moment ago."""
        perhaps = _PERHAPS_AFRAID * float(self._seen[_SURPRISED])
        hurt = float(self._seen[_HOSTILE].sum()) + max(self._distressed + perhaps, 0.0)
        return max(_ramp(hurt - self._unmoved, *_HURT), self._still_moved)

    @property
    def _distressed(self) -> float:
        """Evidence of sadness and fear, less that of a smile; can be below 0."""
        return float(self._seen[_DISTRESS].sum()) - self._cheer

    @property
    def _still_moved(self) -> float:
        """0..1, how far the listener is still moved by distress of the last seconds; not while no face is seen."""
        return _ramp(self._moved, *_MOVED) * max(1.0 - self._cheer, 0.0) if self._seen.any() else 0.0

    @property
    def _unmoved(self) -> float:
        return _CALM * float(self._seen[_NEUTRAL])

    def frames(self, slot: int, count: int) -> NDArray[np.float64]:
        """Levels 0..1 of the answers in the frames of a plan from `slot` on, (count, 5).

        The first column is how much is left of smiles.
        """
        likeliest = (_EVIDENCE * self._seen).max(axis=1)
        likeliest[CONCERNED] -= self._cheer
        wanted = np.array([_ramp(value - self._unmoved, *_SURE) for value in likeliest])
        wanted[CONCERNED] = max(wanted[CONCERNED], 0.5 * self._still_moved)
        wanted[KEPT] = max(self.negative, _ramp(-self._valence - 0.5 * self._cheer, *_GLUM))
        if self._slot is not None:  # what the last plan had for this slot
            passed = max(slot - self._slot, 0)
            self._levels = _approached(self._levels, self._wanted, np.array([passed]))[0]
            left = math.exp(-passed * FRAME_S / _SURPRISE_S)
            self._familiar = self._surprise + (self._familiar - self._surprise) * left
        self._surprise = float(wanted[RAISED])
        wanted[RAISED] *= 1.0 - _FAMILIAR * self._familiar
        self._slot, self._wanted = slot, wanted
        levels = _approached(self._levels, wanted, np.arange(count))
        levels[:, KEPT] = 1.0 - levels[:, KEPT]
        return levels


def _ramp(value: float, low: float, high: float) -> float:
    return min(max((value - low) / (high - low), 0.0), 1.0)


def _approached(level: NDArray[np.float64], wanted: NDArray[np.float64], frames: NDArray[Any]) -> NDArray[np.float64]:
    time_constant = np.where(wanted > level, _ANSWER_S, _FADE_S)
    left = np.exp(-frames[:, None] * FRAME_S / time_constant)
    return np.asarray(wanted + (level - wanted) * left)


def answered(plans: FloatArray, levels: NDArray[np.float64], tilt: float) -> FloatArray:
    """Plans (K, H, 58) with the answers of `Empathy.frames` (at least H, 5): nothing is smiled at that hurts."""
    levels = levels[: plans.shape[1]].astype(np.float32)
    if not levels[:, 1:].any() and (levels[:, KEPT] == 1.0).all():
        return plans
    out = np.maximum(plans, (levels[:, 1:, None] * _FACES[1:]).max(axis=1))
    out[..., ROTATION] = plans[..., ROTATION] * (1.0 - 0.5 * levels[:, SERIOUS, None])
    out[..., TRANSLATION] = plans[..., TRANSLATION]
    out[..., HEAD_ROLL] += tilt * levels[:, CONCERNED]
    out[..., _SMILE] *= levels[:, KEPT, None]
    return out


# 10. What of it is shown

HEAD_SHARE: Final = 0.3
"""What is left of the head's motion while the robot itself speaks; of nods nothing is."""


def presented(plans: FloatArray, presence: NDArray[np.float64], head: NDArray[np.float64]) -> FloatArray:
    """Plans (K, H, 58) by the shares (at least H,) of the face and of the head's motion that are shown; bounded."""
    frames = plans.shape[1]
    shown = presence[:frames, None] * plans
    shown[..., REFLEXES] = 0.0
    shown[..., ROTATION] *= head[:frames, None]
    return bounded(shown)
