"""All networks of the `paper` preset as one module, so that one checkpoint holds all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from reactdiff_ros.attributes import ATTRIBUTE_COUNT
from reactdiff_ros.coefficients import COEFFICIENT_COUNT
from reactdiff_ros.training.paper.attention import Decoder, MultiModality
from reactdiff_ros.training.paper.config import PaperConfig
from reactdiff_ros.training.paper.unet import UNet

PUBLISHED_PARAMETERS: Final = 542_000_000


@dataclass(frozen=True, slots=True)
class Features:
    """Predictors' features of one or more people."""

    video: Tensor
    """(B, T, va + au + expression)."""
    audio: Tensor
    """(B, T, mfcc + speech)."""

    def to(self, device: torch.device) -> Features:
        """On another device, float32."""
        return Features(self.video.to(device, torch.float32), self.audio.to(device, torch.float32))


class LatentRange(nn.Module):  # type: ignore[misc]
    """Latents to -1..1 by the range they had in training, and back: each the exact inverse of the other."""

    low: Tensor
    high: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("low", -torch.ones(width))
        self.register_buffer("high", torch.ones(width))

    def learn(self, latents: Tensor) -> None:
        """Take the range of (..., width)."""
        flat = latents.flatten(0, -2)
        self.low.copy_(flat.amin(0))
        self.high.copy_(flat.amax(0))

    def _span(self) -> Tensor:
        span = self.high - self.low
        return torch.where(span > 1e-6, span, torch.ones_like(span))

    def normalised(self, latents: Tensor) -> Tensor:
        """(..., width) -> -1..1."""
        return 2 * (latents - self.low) / self._span() - 1

    def restored(self, normal: Tensor) -> Tensor:
        """The inverse."""
        return (normal + 1) * self._span() / 2 + self.low


class PaperModel(nn.Module):  # type: ignore[misc]
    """Multi-modality transformer, listener's autoencoder, condition and denoiser."""

    mean_face: Tensor

    def __init__(self, config: PaperConfig) -> None:
        super().__init__()
        self.config = config
        latent = config.latent
        self.streams = MultiModality(config)
        self.encoder = nn.Sequential(
            nn.Linear(latent, 2 * latent), nn.LayerNorm(2 * latent), nn.SiLU(), nn.Linear(2 * latent, latent)
        )
        self.decoder = Decoder(config, COEFFICIENT_COUNT, ATTRIBUTE_COUNT)
        self.range = LatentRange(latent)
        self.condition = nn.Sequential(
            nn.Flatten(-2, -1),
            nn.Linear(config.window * latent, config.condition),
            nn.GroupNorm(32 if config.condition % 64 == 0 else 1, config.condition),
            nn.SiLU(),
        )
        self.denoiser = UNet(config)
        self.register_buffer("mean_face", torch.zeros(COEFFICIENT_COUNT))

    def encode(self, features: Features) -> Tensor:
        """Latents (B, T, latent) of either person."""
        out: Tensor = self.encoder(self.streams(features.video, features.audio))
        return out

    def decode(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """Coefficients (B, T, 58), with the mean face, and attributes (B, T, 25)."""
        coefficients, attributes = self.decoder(latents)
        return coefficients + self.mean_face, attributes

    def autoencoder(self) -> list[nn.Module]:
        """What the first part of training changes."""
        return [self.streams, self.encoder, self.decoder]

    def diffusion(self) -> list[nn.Module]:
        """What the second part of training changes."""
        return [self.condition, self.denoiser]


def count_parameters(config: PaperConfig) -> dict[str, int]:
    """Parameters of each part and in all, without making them in memory."""
    with torch.device("meta"):
        model = PaperModel(config)
    parts = {
        "multi_modality": model.streams,
        "autoencoder": nn.ModuleList([model.encoder, model.decoder]),
        "condition": model.condition,
        "denoiser": model.denoiser,
        "total": model,
    }
    return {name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()}
