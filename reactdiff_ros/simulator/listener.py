"""A simulated listener: a causal function of what it can know of the speaker and of noise that belongs to frames.

Every part (smiles, nods, gestures, eyes, sway) is a state machine over N listeners at once. An event of the speaker is
found at its onset, answered or not with a probability from temperament, and the answer comes after a lag. Nobody seen
or heard: no feedback, only calm motion.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from reactdiff_ros.coefficients import COEFFICIENT_COUNT, HEAD_PITCH, HEAD_YAW
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.types import FloatArray

from .dynamics import STEP, rate_of
from .gazing import Gazing
from .gesturing import Gesturing
from .listener_face import Face
from .motion import BoolArray
from .nodding import Nodding, Swaying
from .senses import Senses
from .smiling import Smiling
from .stimulus import Stimulus
from .temperament import Temperament

BURST_HZ = 4.6
"""Pulses of a laugh a second."""
_FOLLOW = rate_of(0.35)
_FADE = rate_of(0.2)


@dataclass(slots=True)
class Listening:
    """What N listeners do over T frames of 25 Hz."""

    coefficients: FloatArray
    """(N, T, 58), see `reactdiff_ros.coefficients`."""
    activity: FloatArray
    """(N, T) 0..1: how much happens in the face (weights rare events in training)."""
    onsets: dict[str, BoolArray]
    """(N, T) each: "smile" (an answer or an anticipation is decided on), "nod" (a nod begins)."""


def listen(stimulus: Stimulus, who: Temperament, seed: int | np.random.SeedSequence) -> Listening:
    """How N listeners react to N speakers, row by row.

    Frame t depends on the stimulus up to t, on `who` and on noise that depends on `seed` and t only: paired trials
    with one seed share their noise exactly. Rows do not know of each other, but their noise depends on N.

    Raises:
        ReactdiffError: the numbers of speakers and listeners differ.
    """
    count, frames = stimulus.seen.shape
    if count != len(who):
        raise ReactdiffError(
            "every speaker needs one listener",
            where=f"{count} speakers, {len(who)} listeners",
            todo="repeat speakers with Stimulus.take or listeners with Temperament.take",
        )
    root = seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)
    first = np.nan_to_num(stimulus.smile[:, 0] * stimulus.seen[:, 0])
    senses, smiling = Senses(stimulus, who), Smiling(who, root, first)
    nodding, swaying = Nodding(who, root), Swaying(who, root)
    gesturing, gazing, face = Gesturing(who, root), Gazing(who, root), Face(who)
    coefficients = np.empty((count, frames, COEFFICIENT_COUNT), dtype=np.float32)
    activity = np.empty((count, frames), dtype=np.float32)
    onsets = {name: np.zeros((count, frames), dtype=bool) for name in ("smile", "nod")}
    pulse = 2 * np.pi * BURST_HZ * np.exp(0.08 * who.trait("laughing")) * STEP
    phase = 9.0 * who.trait("warmth")
    turned = np.zeros(count, dtype=np.float32)
    busy = np.zeros(count, dtype=np.float32)
    for t in range(frames):
        s = senses.step(t)
        smile, laugh, _, answers = smiling.step(s)
        dip, nods, nodded = nodding.step(s)
        moves = gesturing.step(s, nods, answers)
        eyes, lid, _ = gazing.step(s)
        head = swaying.step(s)
        burst = np.asarray(0.5 - 0.5 * np.cos(pulse * t + phase), dtype=np.float32)
        # The head goes a little with a look away, bows in a nod and goes back in a laugh.
        turned = turned + _FOLLOW * (np.radians(0.25 * eyes[0] * (np.abs(eyes[0]) > 5)) - turned)
        head[0] += dip - 0.06 * laugh + 0.015 * laugh * burst
        head[HEAD_YAW - HEAD_PITCH] += turned
        coefficients[:, t] = face.step(smile, laugh, burst, moves, head, gesturing.sign, eyes, lid).T
        busy = busy + _FADE * (nodded - busy)
        activity[:, t] = np.minimum(1.2 * smile + laugh + busy + moves.max(0), 1)
        onsets["smile"][:, t], onsets["nod"][:, t] = answers, nods
    return Listening(coefficients, activity, onsets)


def stack(parts: list[Stimulus]) -> Stimulus:
    """Several stimuli of one length as one, row after row."""
    return Stimulus(**{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Stimulus)})
