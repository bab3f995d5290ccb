"""Sizes of the networks."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from reactdiff_ros.model.conditions import condition_count
from reactdiff_ros.model.plan.latents import LATENT_COUNT
from reactdiff_ros.model.weights import encoder_strides


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of the networks; the preset `live` is the default."""

    stream_width: int = 64
    width: int = 192
    heads: int = 4
    encoder_layers: int = 3
    window: int = 24
    """Frames that a temporal layer looks at."""
    dilation: int = 3
    """Layer i looks at every dilation**i-th frame: 0.04, 0.12 and 0.36 s apart, 12 s back in all."""
    latent: int = LATENT_COUNT
    vae_width: int = 32
    """Channels of each group of coefficients."""
    attribute_width: int = 64
    denoiser_layers: int = 4
    horizon: int = 16
    """Longest stretch that is drawn at once; the denoiser takes any shorter one as well."""
    past: int = 16
    """Frames of the listener's own past that the denoiser sees."""
    speech: int = 16
    """Speaker tokens that the denoiser sees."""
    max_lead: int = 24
    """Ages that the newest token can have when a stretch begins: 0 .. max_lead - 1 frames more than the newest."""

    def as_dict(self) -> dict[str, int]:
        """The sizes by name."""
        return asdict(self)

    @property
    def conditions(self) -> int:
        """Width of the condition vector."""
        return condition_count(self.max_lead)

    @property
    def longest_stride(self) -> int:
        """Frames between those that the last temporal layer of the encoder looks at."""
        return encoder_strides(self.dilation, self.encoder_layers)[-1]

    @property
    def reach(self) -> int:
        """Frames that the encoder looks back in all; training sequences should be as long."""
        return (self.window - 1) * sum(encoder_strides(self.dilation, self.encoder_layers))
