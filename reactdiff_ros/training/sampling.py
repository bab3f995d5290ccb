"""The sampler in torch, for evaluation and roll-outs; `model/sampler.py` is its counterpart at run time."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from reactdiff_ros.model.sampler import angles, multistep

Velocity = Callable[[Tensor, float], Tensor]


def sample(velocity: Velocity, noise: Tensor, steps: int) -> Tensor:
    """Latents from noise by the second-order multistep solver."""
    with torch.no_grad():
        return multistep(velocity, noise, angles(steps))
