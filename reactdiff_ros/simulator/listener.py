"""A simulated listener: a causal function of what it can know of the speaker and of noise that belongs to frames.

Every part (smiles, nods, gestures, eyes, sway) is a state machine over N listeners at once. An event of the speaker is
found at its onset, answered or not with a probability from temperament, and the answer comes after a lag. If no one is
seen or heard, there is no feedback, only calm motion.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

import numpy as np

from reactdiff_ros.coefficients import COEFFICIENT_COUNT, HEAD_PITCH, HEAD_ROLL, HEAD_YAW, INDEX, LOWER, UPPER
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.types import FloatArray

from .motion import STEP, BoolArray, rate_of
from .movements import FULL_DEG, ROW, Cheeking, Empathy, Gazing, Gesturing, Nodding, Smiling, Swaying
from .stimulus import EMOTIONS, Senses, Stimulus
from .temperament import Temperament

_SIDED: Final = 0.08


class Face:
    """Turns the activities of N listeners at one frame into the 58 coefficients.

    No one smiles with the corners of the mouth alone: lids go along (more in some people than in others), dimples, lips
    and jaw too. Every face is a little one-sided.
    """

    def __init__(self, who: Temperament) -> None:
        trait = who.trait
        self._side = (1 + _SIDED * trait("side")).astype(np.float32)
        self._lids = np.clip(0.30 + 0.10 * trait("cheeks"), 0.05, 0.6).astype(np.float32)
        self._dimples = np.clip(0.22 + 0.10 * trait("dimple_rate"), 0.02, 0.5).astype(np.float32)
        self._brow_side = (1 + 0.12 * trait("sway")).astype(np.float32)
        self._leading = trait("side") > 0
        self._out = np.zeros((COEFFICIENT_COUNT, len(who)), dtype=np.float32)

    def step(
        self,
        smile: FloatArray,
        laugh: FloatArray,
        burst: FloatArray,
        moves: FloatArray,
        cheeks: FloatArray,
        head: FloatArray,
        sign: FloatArray,
        eyes: FloatArray,
        lid: FloatArray,
    ) -> FloatArray:
        """(58, N), valid until the next call. `burst`: 0..1, the pulses of a laugh; the rest as its maker gives it."""
        self._out[:] = 0
        self._mouth(smile, laugh, burst, moves)
        self._brows(smile, moves)
        self._put("cheekSquint", cheeks + 0.3 * moves[ROW["sneer"]])
        self._eyes(smile, moves, eyes, lid)
        self._out[52:58] = head
        self._out[HEAD_ROLL] += sign * (moves[ROW["tilt"]] + 0.05 * moves[ROW["puzzled"]])
        np.clip(self._out, LOWER[:, None], UPPER[:, None], out=self._out)
        return self._out

    def _put(self, name: str, value: FloatArray, side: FloatArray | None = None) -> None:
        side = self._side if side is None else side
        self._out[INDEX[f"{name}Left"]] += value * side
        self._out[INDEX[f"{name}Right"]] += value * (2 - side)

    def _mouth(self, smile: FloatArray, laugh: FloatArray, burst: FloatArray, moves: FloatArray) -> None:
        big = np.maximum(smile - 0.4, 0)
        lips, press, chin = moves[ROW["lips"]], moves[ROW["press"]], moves[ROW["chin"]]
        concern, sceptic, sneer = moves[ROW["concern"]], moves[ROW["sceptic"]], moves[ROW["sneer"]]
        down = np.maximum(1 - 0.5 * concern - 0.5 * press, 0)
        self._put("mouthSmile", smile * down)
        self._put("mouthDimple", self._dimples * smile + moves[ROW["dimple"]] + 0.2 * press)
        one = np.where(self._leading, 0.55 * sceptic, 0.0)
        self._out[INDEX["mouthDimpleLeft"]] += one
        self._out[INDEX["mouthDimpleRight"]] += 0.55 * sceptic - one
        self._put("mouthStretch", 0.18 * big + 0.12 * concern)
        self._put("mouthUpperUp", 0.55 * big + 0.35 * sneer + 0.2 * laugh)
        self._put("mouthLowerDown", 0.3 * big + 0.3 * lips + 0.25 * laugh)
        self._put("mouthFrown", 0.5 * concern + 0.3 * sceptic + 0.3 * chin)
        self._put("mouthPress", press + 0.25 * moves[ROW["puzzled"]] + 0.3 * sceptic)
        self._put("noseSneer", sneer + 0.35 * laugh + 0.12 * big)
        out = self._out
        out[INDEX["jawOpen"]] = 0.25 * big + lips + laugh * (0.12 + 0.4 * burst)
        out[INDEX["mouthClose"]] = 0.15 * press
        out[INDEX["mouthShrugLower"]] = chin + 0.25 * concern
        out[INDEX["mouthShrugUpper"]] = 0.5 * chin
        out[INDEX["mouthRollLower"]] = 0.8 * moves[ROW["roll"]] + 0.2 * press
        out[INDEX["mouthRollUpper"]] = 0.5 * moves[ROW["roll"]] + 0.15 * press
        out[INDEX["mouthPucker"]] = 0.3 * moves[ROW["puzzled"]] * (1 - smile)
        out[INDEX["mouthFunnel"]] = 0.15 * lips

    def _brows(self, smile: FloatArray, moves: FloatArray) -> None:
        brow, puzzled = moves[ROW["brow"]], moves[ROW["puzzled"]]
        concern, sceptic = moves[ROW["concern"]], moves[ROW["sceptic"]]
        self._out[INDEX["browInnerUp"]] = 0.85 * brow + 0.65 * concern
        self._put("browOuterUp", 0.9 * brow + 0.1 * concern, self._brow_side)
        raised = np.where(self._leading, 0.5 * sceptic + 0.2 * puzzled, 0.0)
        self._out[INDEX["browOuterUpLeft"]] += raised
        self._out[INDEX["browOuterUpRight"]] += 0.5 * sceptic + 0.2 * puzzled - raised
        lowered = 0.75 * puzzled + 0.3 * sceptic + 0.15 * concern + 0.2 * moves[ROW["sneer"]]
        self._put("browDown", np.maximum(lowered - 0.5 * brow, 0), self._brow_side)

    def _eyes(self, smile: FloatArray, moves: FloatArray, eyes: FloatArray, lid: FloatArray) -> None:
        brow = moves[ROW["brow"]]
        squint = self._lids * smile + moves[ROW["squint"]] + 0.3 * moves[ROW["puzzled"]]
        self._put("eyeSquint", np.maximum(squint - 0.4 * brow, 0))
        self._put("eyeWide", np.maximum(0.5 * brow - 0.3 * smile, 0))
        out = self._out
        out[INDEX["eyeBlinkLeft"]] = lid
        out[INDEX["eyeBlinkRight"]] = lid
        yaw, pitch = eyes / np.float32(FULL_DEG)
        left, right = np.maximum(yaw, 0), np.maximum(-yaw, 0)
        out[INDEX["eyeLookOutLeft"]] = out[INDEX["eyeLookInRight"]] = left
        out[INDEX["eyeLookInLeft"]] = out[INDEX["eyeLookOutRight"]] = right
        for side in ("Left", "Right"):
            out[INDEX[f"eyeLookDown{side}"]] = np.maximum(pitch, 0)
            out[INDEX[f"eyeLookUp{side}"]] = np.maximum(-pitch, 0)


BURST_HZ = 4.6
"""Pulses of a laugh a second."""
_FOLLOW = rate_of(0.35)


@dataclass(slots=True)
class Listening:
    """What N listeners do over T frames of 25 Hz."""

    coefficients: FloatArray
    """(N, T, 58), see `reactdiff_ros.coefficients`."""
    onsets: dict[str, BoolArray]
    """(N, T) each: "smile" (an answer or an anticipation is decided on), "nod" (a nod begins)."""
    dips: FloatArray
    """(N, T) what of the pitch is nods, rad."""


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
    senses, smiling, cheeking = Senses(stimulus, who), Smiling(who, root, first), Cheeking(who, root)
    nodding, swaying = Nodding(who, root), Swaying(who, root)
    gesturing, gazing, face = Gesturing(who, root), Gazing(who, root), Face(who)
    moved = any(getattr(stimulus, name).any() for name in EMOTIONS)
    empathy = Empathy(who, root) if moved else None
    coefficients = np.empty((count, frames, COEFFICIENT_COUNT), dtype=np.float32)
    onsets = {name: np.zeros((count, frames), dtype=bool) for name in ("smile", "nod")}
    dips = np.empty((count, frames), dtype=np.float32)
    pulse = 2 * np.pi * BURST_HZ * np.exp(0.08 * who.trait("laughing")) * STEP
    phase = 9.0 * who.trait("warmth")
    turned = np.zeros(count, dtype=np.float32)
    for t in range(frames):
        s = senses.step(t)
        smile, laugh, answers = smiling.step(s)
        dip, nods = nodding.step(s)
        moves = gesturing.step(s, nods, answers)
        eyes, lid = gazing.step(s)
        head = swaying.step(s)
        if empathy is not None:
            empathy.step(s)
            smile, laugh, answers = smile * empathy.kept, laugh * empathy.kept, answers & (empathy.kept > 0.5)
            eyes, head, dip = eyes * empathy.calm, head * empathy.calm, dip * empathy.calm
        cheeks = cheeking.step(s, smile)
        burst = np.asarray(0.5 - 0.5 * np.cos(pulse * t + phase), dtype=np.float32)
        # The head goes a little with a look away, bows in a nod and goes back in a laugh.
        turned = turned + _FOLLOW * (np.radians(0.25 * eyes[0] * (np.abs(eyes[0]) > 5)) - turned)
        head[0] += dip - 0.06 * laugh + 0.015 * laugh * burst
        head[HEAD_YAW - HEAD_PITCH] += turned
        shown = face.step(smile, laugh, burst, moves, cheeks, head, gesturing.sign, eyes, lid)
        if empathy is not None:
            empathy.show(shown)
        coefficients[:, t] = shown.T
        onsets["smile"][:, t], onsets["nod"][:, t], dips[:, t] = answers, nods, dip
    return Listening(coefficients, onsets, dips)


def stack(parts: list[Stimulus]) -> Stimulus:
    """Several stimuli of one length as one, row after row."""
    return Stimulus(**{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Stimulus)})
