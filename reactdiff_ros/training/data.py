"""Training data: a pool of simulated dyads, featurised, drawn anew again and again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from reactdiff_ros.model.tokens import featurize

from .nets import ListenerVae, Shape
from .simulator import Dyads, simulate
from .voice_bank import VoiceBank

MARGIN = 24
"""Frames of neutral face that stand before a session, as at run time."""

AUX_NAMES = (
    "mouthSmileLeft", "cheekSquintLeft", "browInnerUp", "browOuterUpLeft", "browDownLeft", "mouthFrownLeft",
    "mouthPressLeft", "jawOpen", "headPitch", "headYaw", "headRoll", "headZ",
)  # fmt: skip


@dataclass(slots=True)
class Pool:
    """B worlds: features (B, T, F), flags (B, T, S), listener (B, MARGIN + T, 58), controls, activity (B, T)."""

    features: Tensor
    observed: Tensor
    listener: Tensor
    controls: Tensor
    activity: Tensor
    latents: Tensor | None = None


def make_pool(seed: int, worlds: int, frames: int, bank: VoiceBank) -> Pool:
    """Simulate and featurise `worlds` dyads of `frames` frames."""
    dyads: Dyads = simulate(seed, worlds, frames, bank)
    features, observed = featurize(dyads.speaker)
    padded = np.pad(dyads.listener, ((0, 0), (MARGIN, 0), (0, 0)))
    return Pool(
        torch.from_numpy(features), torch.from_numpy(observed), torch.from_numpy(padded),
        torch.from_numpy(dyads.controls), torch.from_numpy(dyads.activity),
    )  # fmt: skip


@dataclass(slots=True)
class Sequences:
    """Cut-outs of a pool: some frames of speaker; the listener's latents and coefficients with MARGIN before."""

    features: Tensor
    observed: Tensor
    latents: Tensor
    listener: Tensor
    controls: Tensor
    activity: Tensor


def cut(pool: Pool, rng: np.random.Generator, count: int, frames: int, vae: ListenerVae, shape: Shape) -> Sequences:
    """`count` random cut-outs. A third begin with the session, where nothing came before."""
    if pool.latents is None:
        with torch.no_grad():
            pool.latents = vae.encode(pool.listener)
    worlds, total = pool.features.shape[:2]
    tail = shape.horizon + shape.max_lead + 1
    which = torch.from_numpy(rng.integers(0, worlds, count))
    start = rng.integers(0, total - frames - tail, count)
    start[rng.random(count) < 0.33] = 0
    offset = torch.from_numpy(start)[:, None]
    here = offset + torch.arange(frames)
    wide = offset + torch.arange(MARGIN + frames + tail)  # index 0 of `listener` is MARGIN frames before the session
    row = which[:, None]
    return Sequences(
        pool.features[row, here], pool.observed[row, here], pool.latents[row, wide], pool.listener[row, wide],
        pool.controls[which], pool.activity[row, torch.clamp(wide - MARGIN, min=0)],
    )  # fmt: skip
