"""How plans are drawn: stretch by stretch, each continuing the one before, guided by the speaker.

A plan reaches `horizon` frames ahead. It is drawn in stretches of `block` frames, later ones given the earlier ones
and older evidence, so that the next plan, which draws the same frames from the same noise tape, differs from this one
by the new evidence alone. Its own past is kept in latents: what was planned, before anything at the output.

Shapes: N listeners, K candidates of each, L latents, D token width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.coefficients import HEAD_PITCH
from reactdiff_ros.model.conditions import CONTROL_COUNT, CONTROL_NAMES, STYLE_COUNT, condition_vector
from reactdiff_ros.model.plan.groups import GROUP_NAMES, GROUP_OF_LATENT
from reactdiff_ros.model.plan.prompt import SHOWN_CONTROL, told_to_networks
from reactdiff_ros.model.runtime import VAE_CONTEXT, Networks
from reactdiff_ros.types import REACTION_RATE_HZ, FloatArray

LATENT_LIMIT: Final = 8.0
"""Whitened latents beyond this many deviations, or NaN, are never passed on."""


# Chosen with `evaluate streams --items 200`: over ancestral sampling, variances lie in .91 to 1.05 and rare events in
# .86 to .97; docs/tuning.md lists what else was tried.
TEMPERATURES: Final = tuple(
    {"smile": 1.038, "mouth": 1.023, "brows": 1.022, "lids": 1.0, "blinks": 1.025, "gaze": 1.0, "head": 1.032}[name]
    for name in GROUP_NAMES
)
CALM: Final = 11
"""Frames over which pitch is averaged, see `faces`; with the decoder's context they are what is known of the past."""
EAGER: Final = 4.0
ORDINARY: Final = 0.35
"""Responsiveness up to which people lie."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How reactions are sampled."""

    steps: int = 8
    """Evaluations of the denoiser for one stretch."""
    guidance: float = 1.0
    """1 = the speaker as trained, above 1 = more; 1 needs half the time. An eager listener has more, see `guided`."""
    eager: float = EAGER
    """How much more of it the most responsive listener has."""
    temperature: tuple[float, ...] = TEMPERATURES
    """Size of the noise of each group of latents. What `steps` damp of fine motion accumulates where each stretch
    continues the last one: at 1 freely running faces vary by .84 of what they should, at 1.05 by 1.2 (mean over the
    groups), and what is rare and large, brow raises and laughs, comes too seldom before the variance is too small."""
    hop: int = 4
    """Frames of a plan that are shown before the next one."""
    block: int = 4
    """Frames that are drawn at once, a divisor of the horizon."""
    lead: int = 1
    """Frames between the newest evidence and the first frame of a plan, minus one."""
    recall: int = 16
    """Frames of its own past that the network is shown."""
    smooth: bool = True
    """Lead plans over into each other and take the jitter out."""
    candidates: int = 1
    """Plans drawn at a choice; see `choice`."""

    @property
    def scale(self) -> FloatArray:
        """`temperature` of each latent (L,)."""
        return _scale(self.temperature)


@lru_cache
def _scale(temperature: tuple[float, ...]) -> FloatArray:
    return np.array(temperature, dtype=np.float32)[GROUP_OF_LATENT]


@dataclass(frozen=True, slots=True)
class Conditions:
    """What N listeners are told about themselves; see `conditions`. All float32, 0 where not given."""

    controls: FloatArray
    """(N, CONTROL_COUNT)."""
    controls_given: FloatArray
    style: FloatArray
    """(N, STYLE_COUNT)."""
    style_given: FloatArray
    real: FloatArray
    """(N,) 1 = as a recorded person, 0 = as a simulated listener."""

    def __len__(self) -> int:
        return len(self.real)

    def take(self, rows: NDArray[np.integer[Any]]) -> Conditions:
        """The listeners of `rows`."""
        return Conditions(
            self.controls[rows], self.controls_given[rows], self.style[rows], self.style_given[rows], self.real[rows]
        )

    def told(self, control: str) -> FloatArray:
        """What they are told of one of CONTROL_NAMES (N,), 0 where it is not given."""
        at = CONTROL_NAMES.index(control)
        return self.controls[:, at] * self.controls_given[:, at]

    @property
    def late(self) -> NDArray[np.int64]:
        """Frames (N,) by which they see the speaker later than they could: their reaction delay.

        The networks were trained to be told it and do not follow (evidence: the lag of an answer stayed the same from
        0 to 1 s), so it acts on what they are shown; they themselves are told that there is none.
        """
        return np.asarray(np.rint(self.told(SHOWN_CONTROL) * REACTION_RATE_HZ), dtype=np.int64)

    def vector(self, lead: int | NDArray[np.integer[Any]], max_lead: int) -> FloatArray:
        """The denoiser's input (N, condition_count) for evidence of age `lead`, of all or (N,)."""
        leads = np.broadcast_to(lead, len(self))
        prompt = told_to_networks(self.controls)
        return condition_vector(prompt, self.controls_given, self.style, self.style_given, self.real, leads, max_lead)


def joined(conditions: Sequence[Conditions]) -> Conditions:
    """The listeners of all of them, in this order."""
    if len(conditions) == 1:
        return conditions[0]
    return Conditions(*(np.concatenate([getattr(c, f.name) for c in conditions]) for f in fields(Conditions)))


def ordinary(count: int, controls: FloatArray | None = None) -> Conditions:
    """Conditions of `count` simulated listeners with these controls (default: all 0) and no style."""
    given = np.zeros((count, CONTROL_COUNT), dtype=np.float32) if controls is None else controls
    style = np.zeros((count, STYLE_COUNT), dtype=np.float32)
    return Conditions(given, np.ones_like(given), style, style, np.zeros(count, dtype=np.float32))


def guided(conditions: Conditions, how: Sampling) -> FloatArray:
    """Guidance on the speaker (N,): `how.guidance`, and more for those who are to answer more than people do.

    A listener that answers nearly everything is rare among people and in training, and a network trained for an hour
    follows that control by half; guidance makes up for the rest. A cool listener, who is to answer less, has none of
    it: the factor is 1 + eager * (responsiveness - ORDINARY) / (1 - ORDINARY) * (1 + min(attitude, 0)), at least 1.
    """
    beyond = np.maximum(conditions.told("responsiveness") - ORDINARY, 0) / (1 - ORDINARY)
    warmth = 1 + np.clip(conditions.told("attitude"), -1, 0)
    return np.asarray(how.guidance * (1 + how.eager * beyond * warmth), dtype=np.float32)


def draw(
    networks: Networks,
    speaker: FloatArray,
    missing: FloatArray,
    past: FloatArray,
    conditions: Conditions,
    noise: FloatArray,
    how: Sampling,
    lead: int | NDArray[np.integer[Any]] | None = None,
) -> FloatArray:
    """Latents (N, K, H, L) of the next H frames.

    Args:
        networks: the exported graphs.
        speaker: (N, speech, D) the newest tokens, oldest first.
        missing: (N, speech) 1 where there is no token.
        past: (N, past, L) latents that were planned for the frames before.
        conditions: of the N listeners.
        noise: (N, K, H, L) of unit variance, H a multiple of `how.block`.
        how: steps, guidance, temperature, block and recall.
        lead: age of the newest token, of all or (N,), instead of `how.lead`.
    """
    s = networks.shape
    count, candidates, frames, width = noise.shape
    age = np.broadcast_to(how.lead if lead is None else lead, count)
    strength = guided(conditions, how)
    drawn: list[FloatArray] = []
    for start in range(0, frames, how.block):
        now = how.scale * noise[:, :, start : start + how.block].reshape(len(past), -1, how.block, width)
        told = conditions.vector(np.minimum(age + start, s["max_lead"] - 1), s["max_lead"])
        new = networks.sample(speaker, missing, past, told, now, steps=how.steps, guidance=strength, recall=how.recall)
        new = sane(new, networks.neutral)
        drawn.append(new.reshape(count, candidates, how.block, width))
        if new.shape[1] > 1:  # after the first stretch each candidate has a past of its own
            each = np.repeat(np.arange(len(past)), new.shape[1])
            speaker, missing, conditions = speaker[each], missing[each], conditions.take(each)
            past, age, strength = past[each], age[each], strength[each]
        past = np.concatenate([past, new.reshape(len(past), -1, width)], axis=1)[:, -s["past"] :]
    return np.concatenate(drawn, axis=2)


def sane(latents: FloatArray, neutral: FloatArray) -> FloatArray:
    """`latents` (..., L) within LATENT_LIMIT; neutral where they are not finite."""
    return np.clip(np.where(np.isfinite(latents), latents, neutral), -LATENT_LIMIT, LATENT_LIMIT)


def faces(networks: Networks, past: FloatArray, latents: FloatArray) -> FloatArray:
    """Coefficients (N, K, H, 58) of sampled latents (N, K, H, L) that continue `past` (N, past, L); not bounded.

    Where the weights have a head for nods, pitch is calmed: the mean over the last CALM frames, of which a nod of
    1.6 Hz keeps a fifth. The networks' own nods come at no particular moment; `nods` adds those that do.
    """
    count, candidates = latents.shape[:2]
    before = 0 if networks.nods is None else CALM - 1
    context = np.repeat(past[:, -VAE_CONTEXT - before :], candidates, axis=0)
    decoded = networks.decode(np.concatenate([context, latents.reshape(len(context), *latents.shape[2:])], axis=1))
    if before:
        pitch = np.lib.stride_tricks.sliding_window_view(decoded[..., HEAD_PITCH], CALM, axis=-1).mean(-1)
        decoded = decoded[:, before:].copy()
        decoded[..., HEAD_PITCH] = pitch
    return decoded.reshape(count, candidates, *decoded.shape[1:])
