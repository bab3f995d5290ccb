"""Conditional latent denoiser: the velocity of a stretch of noisy latents, given speaker, own past and conditions.

Shapes: N contexts, M noisy stretches that share a context, H frames of a stretch (any up to `Shape.horizon`),
L latents, D width, C context tokens (1 + speech + past: conditions, speaker, own past).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from .layers import Attention, attend, feed_forward
from .shape import Shape

_MODULATIONS = 6
_SCALES = (0, 2, 4)
"""Which of them are scales; the others are shifts."""
_FREQUENCIES = 16

Context = tuple[Tensor, Tensor, Tensor]
"""Keys and values of every layer (N, layers, heads, C, dh), and the conditions' modulation (N, 6 D)."""


class DenoiserLayer(nn.Module):  # type: ignore[misc]
    """Self-attention of a stretch, cross-attention to the context, perceptron; modulated by level and conditions."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width) for _ in range(3))
        self.own, self.cross = Attention(width, heads), Attention(width, heads)
        self.mlp = feed_forward(width)
        self.modulation = nn.Parameter(torch.zeros(_MODULATIONS, width))

    def forward(self, x: Tensor, keys: Tensor, values: Tensor, mask: Tensor, m: Sequence[Tensor]) -> Tensor:
        """X (N, M, H, D); keys and values (N, heads, C, dh); mask (N, 1, M H, C); m: 6 of (N, M or 1, 1, D)."""
        contexts, stretches, frames = x.shape[:3]
        h = (self.norm1(x) * m[0] + m[1]).flatten(0, 1)
        x = x + self.own.within(h).unflatten(0, (contexts, stretches))
        h = (self.norm2(x) * m[2] + m[3]).flatten(1, 2)
        mixed = self.cross.join(attend(self.cross.split(self.cross.q(h)), keys, values, mask))
        x = x + mixed.unflatten(1, (stretches, frames))
        h = self.norm3(x) * m[4] + m[5]
        out: Tensor = x + self.mlp(h)
        return out


class Denoiser(nn.Module):  # type: ignore[misc]
    """See the module. Several stretches of one context share its keys and values: noise draws in training, the
    candidates and the unguided half of a plan at run time.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        d = shape.width
        self.from_latent = nn.Linear(shape.latent, d)
        self.from_past = nn.Linear(shape.latent, d)
        self.from_speaker = nn.Linear(d, d)
        self.from_conditions = nn.Sequential(
            nn.Linear(shape.conditions, d), nn.GELU(approximate="tanh"), nn.Linear(d, d)
        )
        self.slot = nn.Parameter(0.02 * torch.randn(shape.horizon, d))
        self.context_slot = nn.Parameter(0.02 * torch.randn(1 + shape.speech + shape.past, d))
        self.context_norm = nn.LayerNorm(d)
        self.level_in = nn.Sequential(nn.Linear(2 * _FREQUENCIES, d), nn.SiLU(), nn.Linear(d, _MODULATIONS * d))
        self.condition_level = nn.Linear(d, _MODULATIONS * d)
        nn.init.zeros_(self.condition_level.weight)
        nn.init.zeros_(self.condition_level.bias)
        self.layers = nn.ModuleList(DenoiserLayer(d, shape.heads) for _ in range(shape.denoiser_layers))
        self.norm = nn.LayerNorm(d)
        self.out = nn.Linear(d, shape.latent)

    def context(self, speaker: Tensor, past: Tensor, conditions: Tensor) -> Context:
        """What all steps of a plan share, from speaker tokens (N, speech, D), whitened latents of the own past
        (N, past, L), each oldest first, and the vector of `model.conditions.condition_vector` (N, conditions).
        """
        told = self.from_conditions(conditions)
        tokens = torch.cat([told[:, None], self.from_speaker(speaker), self.from_past(past)], dim=1)
        memory = self.context_norm(tokens + self.context_slot)
        keys = [layer.cross.split(layer.cross.k(memory)) for layer in self.layers]
        values = [layer.cross.split(layer.cross.v(memory)) for layer in self.layers]
        return torch.stack(keys, dim=1), torch.stack(values, dim=1), self.condition_level(F.silu(told))

    def modulations(self, angle: Tensor, told: Tensor) -> Tensor:
        """What modulates each layer (N, A, 6 layers, D) at noise angles (N, A) in 0 (clean) .. pi/2 (noise), given what
        the conditions add (N, 6 D): scales and shifts in turn.
        """
        frequency = torch.exp(torch.linspace(0.0, 3.5, _FREQUENCIES, device=angle.device))
        phase = angle[..., None] * frequency
        level = self.level_in(torch.cat([torch.sin(phase), torch.cos(phase)], dim=-1)) + told[:, None]
        one = torch.zeros(_MODULATIONS, 1, device=angle.device)
        one[list(_SCALES)] = 1.0
        own = torch.stack([layer.modulation + one for layer in self.layers])
        modulated: Tensor = (level.unflatten(-1, (1, _MODULATIONS, -1)) + own).flatten(2, 3)
        return modulated

    def velocity(self, z: Tensor, angle: Tensor, context: Context, mask: Tensor) -> Tensor:
        """Velocity (N, M, H, L) of noisy latents `z` at noise angles (N, M), or (N, 1) where all stretches have one.

        `mask` (N, M, C) is 0 for context tokens that a stretch may see and `layers.MASKED` for others.
        """
        keys, values, told = context
        return self.modulated(z, self.modulations(angle, told), keys, values, mask)

    def modulated(self, z: Tensor, modulations: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
        """The same with (N, M or 1, 6 layers, D) of `modulations`, which all evaluations of a plan can share."""
        x = self.from_latent(z) + self.slot[: z.shape[2]]
        rows = mask[:, None, :, None, :].expand(-1, -1, -1, z.shape[2], -1).flatten(2, 3)
        # unbind and split, because each select would cost its backward pass a tensor of zeros.
        m = modulations.split(1, dim=2)
        for i, (layer, k, v) in enumerate(zip(self.layers, keys.unbind(1), values.unbind(1), strict=True)):
            x = layer(x, k, v, rows, m[_MODULATIONS * i : _MODULATIONS * (i + 1)])
        out: Tensor = self.out(self.norm(x))
        return out
