"""Noise schedule and samplers, as free functions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, TypeAlias

import torch
from torch import Tensor

NoiseOf: TypeAlias = Callable[[Tensor, int], Tensor]
"""(x, step) -> the noise in x."""
BETA_FIRST, BETA_LAST = 1e-4, 0.02
"""Linear schedule of Ho et al. 2020 over 1000 steps; other counts keep the same end."""


def kept(steps: int) -> Tensor:
    """Share of signal variance left after each of `steps` diffusion steps, (steps,), float64."""
    scale = 1000 / steps
    betas = torch.linspace(scale * BETA_FIRST, min(scale * BETA_LAST, 0.999), steps, dtype=torch.float64)
    return torch.cumprod(1 - betas, 0)


def noised(clean: Tensor, noise: Tensor, share: Tensor) -> Tensor:
    """`clean` (B, ...) with `noise` so that `share` (B,) of the variance is signal."""
    share = share.view(-1, *[1] * (clean.dim() - 1)).to(clean)
    return share.sqrt() * clean + (1 - share).sqrt() * noise


def ddim_steps(train_steps: int, sample_steps: int) -> list[int]:
    """The diffusion steps that DDIM visits, falling: evenly spaced, the last one is 0."""
    ratio = train_steps // sample_steps
    return [i * ratio for i in reversed(range(sample_steps))]


def ddim(noise_of: NoiseOf, x: Tensor, train_steps: int, sample_steps: int) -> Tensor:
    """Deterministic DDIM (Song et al. 2021) from noise `x` to a sample, as published.

    First order: with 20 steps it loses 17 % of the variance of N(0, 1) and 25 % of that of N(0, .25).

    Args:
        noise_of: (x, step) -> the noise in x.
        x: (B, ...) standard normal.
        train_steps: steps of the schedule.
        sample_steps: how many are visited.
    """
    shares = kept(train_steps)
    visited = ddim_steps(train_steps, sample_steps)
    for step, after in zip(visited, [*visited[1:], -1], strict=True):
        share, share_after = float(shares[step]), float(shares[after]) if after >= 0 else 1.0
        noise = noise_of(x, step)
        clean = (x - (1 - share) ** 0.5 * noise) / share**0.5
        x = share_after**0.5 * clean + (1 - share_after) ** 0.5 * noise
    return x


def even_steps(train_steps: int, sample_steps: int) -> list[int]:
    """Diffusion steps, falling from the noisiest to 0, evenly spaced in the logarithm of signal over noise."""
    shares = kept(train_steps)
    log_ratio = torch.log(shares / (1 - shares))
    wanted = torch.linspace(float(log_ratio[-1]), float(log_ratio[0]), sample_steps, dtype=torch.float64)
    nearest = (log_ratio[None] - wanted[:, None]).abs().argmin(1)
    return sorted({int(step) for step in nearest}, reverse=True)


def second_order(noise_of: NoiseOf, x: Tensor, train_steps: int, sample_steps: int) -> Tensor:
    """DPM-Solver++(2M) (Lu et al. 2022) over `even_steps`: one evaluation a step, as DDIM, variance within 3 %.

    Arguments as in `ddim`.
    """
    shares = kept(train_steps)
    visited = even_steps(train_steps, sample_steps)
    before: tuple[float, Tensor] | None = None
    for step, after in zip(visited, [*visited[1:], -1], strict=True):
        share = float(shares[step])
        clean = (x - (1 - share) ** 0.5 * noise_of(x, step)) / share**0.5
        if after < 0:
            return clean
        share_after = float(shares[after])
        here, there = _half_log_ratio(share), _half_log_ratio(share_after)
        direction = clean
        if before is not None:
            ratio = (here - before[0]) / (there - here)
            direction = clean + (clean - before[1]) / (2 * ratio)
        before = (here, clean)
        shrink = ((1 - share_after) / (1 - share)) ** 0.5
        x = shrink * x - share_after**0.5 * math.expm1(here - there) * direction
    return x


def _half_log_ratio(share: float) -> float:
    return 0.5 * math.log(share / (1 - share))


SOLVERS: Final[dict[str, Callable[[NoiseOf, Tensor, int, int], Tensor]]] = {"second_order": second_order, "ddim": ddim}


def randoms(shape: tuple[int, ...], seed: int, like: Tensor) -> Tensor:
    """Standard normal numbers of a seed, drawn on the CPU so that every device gets the same."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator).to(like)
