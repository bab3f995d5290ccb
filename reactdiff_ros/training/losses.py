"""Losses of encoder and denoiser; each is 0 for a perfect prediction, whatever the masks and weights.

Shapes: N plans, H frames of a horizon, L latents, C coefficients. Masks are 1 where something was measured: what a
recording does not show has no loss.
"""

from __future__ import annotations

import torch
from torch import Tensor

UNITS = 15
"""Action units among REACT's 25 attributes; they come first."""


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of `values` where `mask` (broadcast) is 1; 0 if that is nowhere."""
    weights = mask.to(values.dtype).expand_as(values)
    return (values * weights).sum() / weights.sum().clamp(min=1.0)


def velocity_loss(predicted: Tensor, wanted: Tensor, known: Tensor, weight: Tensor | float = 1.0) -> Tensor:
    """Squared error of the diffusion's velocity (N, H, L), which is the reconstruction loss of v-prediction.

    `known` (N, H, L) masks latents; `weight` (N, H, L) weighs them.
    """
    return masked_mean((predicted - wanted).square() * weight, known)


def motion_loss(faces: Tensor, wanted: Tensor, scale: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
    """Squared errors of velocity and acceleration of decoded coefficients (N, H, C), in units of `scale` (C,) a frame.

    `seen` (N, H, C) masks coefficients.
    """
    difference = (faces - wanted) / scale
    velocity = difference[:, 1:] - difference[:, :-1]
    acceleration = velocity[:, 1:] - velocity[:, :-1]
    both = seen[:, 1:] & seen[:, :-1]
    return masked_mean(velocity.square(), both), masked_mean(acceleration.square(), both[:, 1:] & both[:, :-1])


def second_moments(units: Tensor) -> Tensor:
    """Which action units occur together: mean products (U, U) over plans and frames of units (N, H, U)."""
    flat = units.flatten(0, 1)
    return flat.T @ flat / flat.shape[0]


def cooccurrence_loss(units: Tensor, wanted: Tensor) -> Tensor:
    """Squared difference of the second moments of action units (N, H, U), relative to the wanted ones' size."""
    target = second_moments(wanted)
    return (second_moments(units) - target).square().sum() / target.square().sum().clamp(min=1e-6)


def auxiliary_loss(predicted: Tensor, wanted: Tensor, seen: Tensor) -> Tensor:
    """Squared error of the listener's near future as told from the speaker's tokens alone."""
    return masked_mean((predicted - wanted).square(), seen)


def gaussian_kl(mean: Tensor, log_var: Tensor) -> Tensor:
    """Kullback-Leibler divergence of diagonal Gaussians to the unit Gaussian, elementwise, in nats."""
    return 0.5 * (mean.square() + torch.exp(log_var) - 1.0 - log_var)
