"""The model in torch: causal multi-modality encoder, listener autoencoder and conditional latent denoiser."""

from __future__ import annotations

from typing import Any

from torch import nn

from .denoiser import Denoiser
from .encoder import Encoder, EncoderStep
from .shape import Shape
from .targets import AUXILIARY
from .vae import ListenerVae

__all__ = ["Denoiser", "Encoder", "EncoderStep", "ListenerVae", "Model", "Shape"]


class Model(nn.Module):  # type: ignore[misc]
    """Encoder, autoencoder and denoiser, with a small auxiliary head that gives the encoder a direct signal."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.encoder, self.vae, self.denoiser = Encoder(shape), ListenerVae(shape), Denoiser(shape)
        self.aux = nn.Sequential(nn.Linear(shape.width, shape.width), nn.GELU(), nn.Linear(shape.width, AUXILIARY))

    def count(self) -> dict[str, int]:
        """Numbers of parameters."""
        parts: dict[str, Any] = {"encoder": self.encoder, "vae": self.vae, "denoiser": self.denoiser}
        return {name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()}
