"""Batches: simulated sequences, simulated ones with a played past, recorded people; and plans in all of them."""

from __future__ import annotations

import numpy as np
import torch

from .config import TrainConfig
from .data import Indices, Pool, Sequences, cut, cut_at, filled, joined, tail
from .nets import Model
from .objective import Drawn, draw, draw_plans
from .rollout import RollOuts, continue_from


def draw_batch(
    config: TrainConfig,
    pool: Pool,
    real: Pool | None,
    played: RollOuts | None,
    model: Model,
    rng: np.random.Generator,
) -> tuple[Sequences, Drawn]:
    """The sequences of one step and everything random about its plans.

    Args:
        config: batch, shares and lengths.
        pool: of simulated listeners, with latents.
        real: recorded people, with latents; None: none.
        played: roll-outs on the first worlds of `pool`; None: none.
        model: whose autoencoder the latents are of.
        rng: of all choices.
    """
    c, shape = config, config.shape
    recorded = int((rng.random(c.batch) < c.real_share).sum()) if real is not None else 0
    rolled = int((rng.random(c.batch - recorded) < c.roll_share).sum()) if played is not None else 0
    plain = c.batch - recorded - rolled
    parts = [cut(pool, rng, rng.integers(0, c.worlds, plain), c.frames, shape)] if plain else []
    within = np.tile([0, c.frames], (c.batch, 1))
    if played is not None and rolled:
        sequences, bounds = _around(played, pool, rng, rolled, config)
        parts.append(sequences)
        within[plain : plain + rolled] = bounds
    if real is not None and recorded:
        shown = cut(real, rng, rng.integers(0, len(real.features), recorded), c.frames, shape)
        others = cut(pool, rng, rng.integers(0, c.worlds, recorded), c.frames, shape)
        parts.append(filled(shown, others))
    s = joined(parts)
    plans = draw_plans(s, c, rng, within)
    if played is not None and rolled:
        mask = torch.zeros(c.batch, dtype=torch.bool)
        mask[plain : plain + rolled] = True
        continue_from(played, pool, s, plans, mask, model)
    return s, draw(s, plans, c, rng)


def _around(
    played: RollOuts, pool: Pool, rng: np.random.Generator, count: int, config: TrainConfig
) -> tuple[Sequences, Indices]:
    """`count` sequences around roll-outs, most of the speaker before, and bounds of the newest tokens within."""
    rows = rng.integers(0, len(played.begin), count)
    last = pool.features.shape[1] - config.frames - tail(config.shape)
    middle = played.begin.numpy()[rows] + config.roll_frames // 2 - config.frames * 3 // 4
    offset = np.clip(middle, 0, last)
    bounds = played.window(rows, offset, config.shape.horizon)
    bounds = np.clip(bounds, [[2, 3]], [[config.frames - 1, config.frames]])
    return cut_at(pool, rows, offset, config.frames, config.shape), bounds
