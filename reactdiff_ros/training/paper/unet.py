"""The denoiser: a 1-D U-Net whose channels are the window's frames and whose axis is the latent's, as published.

After Dhariwal and Nichol 2021 (residual blocks that take the embedding of step and condition, attention at some
levels). One thing is added: a second set of channels says which frames of the window are already known; their rows hold
the known latents in place of noise, so that a window goes on from the one before.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from reactdiff_ros.training.paper.config import PaperConfig


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(math.gcd(32, channels), channels)


def _zero(layer: nn.Conv1d) -> nn.Conv1d:
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


def step_embedding(steps: Tensor, width: int) -> Tensor:
    """Sines and cosines (B, width) of diffusion steps (B,)."""
    half = width // 2
    rates = torch.exp(-math.log(10000.0) * torch.arange(half, device=steps.device) / half)
    angles = steps[:, None].float() * rates
    return functional.pad(torch.cat([angles.cos(), angles.sin()], -1), (0, width % 2))


class Residual(nn.Module):  # type: ignore[misc]
    """Two convolutions; the embedding is added between them."""

    def __init__(self, channels: int, out: int, embedding: int) -> None:
        super().__init__()
        self.enter = nn.Sequential(_norm(channels), nn.SiLU(), nn.Conv1d(channels, out, 3, padding=1))
        self.embedding = nn.Sequential(nn.SiLU(), nn.Linear(embedding, out))
        self.leave = nn.Sequential(_norm(out), nn.SiLU(), _zero(nn.Conv1d(out, out, 3, padding=1)))
        self.skip = nn.Identity() if out == channels else nn.Conv1d(channels, out, 1)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """(B, channels, L), (B, embedding) -> (B, out, L)."""
        out: Tensor = self.skip(x) + self.leave(self.enter(x) + self.embedding(embedding)[..., None])
        return out


class Attend(nn.Module):  # type: ignore[misc]
    """Self-attention along the axis, one head."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = _norm(channels)
        self.inputs = nn.Conv1d(channels, 3 * channels, 1)
        self.out = _zero(nn.Conv1d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, L) -> the same."""
        query, key, value = self.inputs(self.norm(x)).transpose(1, 2).chunk(3, dim=-1)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        out: Tensor = x + self.out(mixed.transpose(1, 2))
        return out


class Stage(nn.Module):  # type: ignore[misc]
    """A residual block, attention where there is some, and a change of resolution where there is one."""

    def __init__(self, block: Residual, attend: Attend | None = None, scale: nn.Module | None = None) -> None:
        super().__init__()
        self.block, self.attend, self.scale = block, attend or nn.Identity(), scale or nn.Identity()

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """(B, channels, L), (B, embedding) -> (B, out, L')."""
        out: Tensor = self.scale(self.attend(self.block(x, embedding)))
        return out


class UNet(nn.Module):  # type: ignore[misc]
    """Noisy window and condition -> its noise."""

    def __init__(self, config: PaperConfig) -> None:
        super().__init__()
        base, factors = config.model_channels, config.channel_factors
        self.base = base
        embedding = 4 * base + config.condition
        self.step = nn.Sequential(nn.Linear(base, 4 * base), nn.SiLU(), nn.Linear(4 * base, 4 * base))
        self.enter = nn.Conv1d(2 * config.window, base * factors[0], 3, padding=1)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        channels, skips, scale = base * factors[0], [base * factors[0]], 1
        for level, factor in enumerate(factors):
            for _ in range(config.residual_blocks):
                self.down.append(self._stage(channels, base * factor, embedding, scale in config.attention_at))
                channels = base * factor
                skips.append(channels)
            if level < len(factors) - 1:
                self.down.append(nn.Conv1d(channels, channels, 3, stride=2, padding=1))
                skips.append(channels)
                scale *= 2
        self.middle = nn.ModuleList(
            [self._stage(channels, channels, embedding, True), self._stage(channels, channels, embedding, False)]
        )
        for level, factor in reversed(list(enumerate(factors))):
            for block in range(config.residual_blocks + 1):
                change = None
                if level and block == config.residual_blocks:
                    change = nn.Sequential(
                        nn.Upsample(scale_factor=2.0), nn.Conv1d(base * factor, base * factor, 3, padding=1)
                    )
                attends = scale in config.attention_at
                self.up.append(self._stage(channels + skips.pop(), base * factor, embedding, attends, change))
                channels = base * factor
                scale = scale // 2 if change is not None else scale
        self.leave = nn.Sequential(_norm(channels), nn.SiLU(), _zero(nn.Conv1d(channels, config.window, 3, padding=1)))

    @staticmethod
    def _stage(channels: int, out: int, embedding: int, attends: bool, change: nn.Module | None = None) -> Stage:
        return Stage(Residual(channels, out, embedding), Attend(out) if attends else None, change)

    def forward(self, x: Tensor, known: Tensor, steps: Tensor, condition: Tensor) -> Tensor:
        """The noise in a window.

        Args:
            x: (B, window, latent); rows of known frames hold their latents, the others noise.
            known: (B, window) 1 where known.
            steps: (B,) diffusion steps.
            condition: (B, condition) of the speaker.

        Returns:
            (B, window, latent).
        """
        embedding = torch.cat([self.step(step_embedding(steps, self.base).to(x.dtype)), condition], -1)
        h = self.enter(torch.cat([x, known.to(x.dtype)[..., None].expand_as(x)], 1))
        skips = [h]
        for stage in self.down:
            h = stage(h, embedding) if isinstance(stage, Stage) else stage(h)
            skips.append(h)
        for stage in self.middle:
            h = stage(h, embedding)
        for stage in self.up:
            h = stage(torch.cat([h, skips.pop()], 1), embedding)
        out: Tensor = self.leave(h)
        return out
