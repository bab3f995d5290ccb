"""Causal variational autoencoder of the listener's coefficients, block-diagonal in groups.

Shapes: B sequences, T frames, L latents. Groups: `model.groups`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from reactdiff_ros.coefficients import COEFFICIENT_COUNT
from reactdiff_ros.model.plan.latents import (
    GROUP_COUNT,
    GROUP_OF_COEFFICIENT,
    GROUP_OF_LATENT,
    ORDER,
    PARTS,
    Emphasis,
    emphasis_of,
    emphasise,
    feedback,
    no_emphasis,
    responses,
)
from reactdiff_ros.model.runtime import VAE_CONTEXT as VAE_CONTEXT

from .shape import Shape

VAE_KERNEL = 3
VAE_LAYERS = VAE_CONTEXT // (VAE_KERNEL - 1)
ATTRIBUTE_COUNT = 25
_SHORTEST = 0.02
_NARROWEST = 0.1
"""A latent that the KL term has closed carries nothing: it stays small instead of its noise being blown up."""


class GroupedLinear(nn.Linear):  # type: ignore[misc]
    """Linear layer whose outputs see the inputs of their own group only."""

    def __init__(self, inputs: NDArray[np.intp], outputs: NDArray[np.intp]) -> None:
        super().__init__(len(inputs), len(outputs))
        self.register_buffer("blocks", torch.from_numpy(outputs[:, None] == inputs[None, :]).float(), persistent=False)
        with torch.no_grad():  # as wide a start as a layer of the group's own size would have
            self.weight.mul_(torch.sqrt(len(inputs) / self.blocks.sum(1, keepdim=True)))

    def forward(self, x: Tensor) -> Tensor:
        """(..., inputs) to (..., outputs)."""
        return F.linear(x, self.weight * self.blocks, self.bias)


class CausalConvs(nn.Module):  # type: ignore[misc]
    """Residual causal convolutions over frames, (B, T, in) to (B, T, out); the left is padded with zeros."""

    def __init__(self, first: nn.Module, width: int, last: nn.Module, groups: int) -> None:
        super().__init__()
        self.first, self.last = first, last
        self.convs = nn.ModuleList(nn.Conv1d(width, width, VAE_KERNEL, groups=groups) for _ in range(VAE_LAYERS))

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, in) to (B, T, out)."""
        h = self.first(x).transpose(1, 2)
        for conv in self.convs:
            h = h + F.gelu(conv(F.pad(h, (VAE_KERNEL - 1, 0))), approximate="tanh")
        out: Tensor = self.last(h.transpose(1, 2))
        return out


class ListenerVae(nn.Module):  # type: ignore[misc]
    """One latent a frame, KL to a unit Gaussian; heads for the 58 coefficients and for REACT's 25 attributes.

    `scale` brings coefficients to comparable size; `center` and `spread` whiten the latents that the diffusion sees.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        inner = np.repeat(np.arange(GROUP_COUNT), shape.vae_width)
        posterior = np.concatenate([GROUP_OF_LATENT, GROUP_OF_LATENT])
        width = len(inner)
        self.encode_net = CausalConvs(
            GroupedLinear(GROUP_OF_COEFFICIENT, inner), width, GroupedLinear(inner, posterior), GROUP_COUNT
        )
        self.decode_net = CausalConvs(
            GroupedLinear(GROUP_OF_LATENT, inner), width, GroupedLinear(inner, GROUP_OF_COEFFICIENT), GROUP_COUNT
        )
        self.attribute_net = CausalConvs(
            nn.Linear(shape.latent, shape.attribute_width), shape.attribute_width,
            nn.Linear(shape.attribute_width, ATTRIBUTE_COUNT), 1,
        )  # fmt: skip
        self.register_buffer("scale", torch.ones(COEFFICIENT_COUNT))
        self.register_buffer("center", torch.zeros(shape.latent))
        self.register_buffer("spread", torch.ones(shape.latent))
        for name, value in no_emphasis(shape.latent).items():
            self.register_buffer(name, torch.from_numpy(value))
        self._known_responses: dict[tuple[int, torch.device], Tensor] = {}

    def posterior(self, listener: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance (B, T, L) of coefficients (B, T, 58), before whitening."""
        mean, log_var = self.encode_net(listener / self.scale).chunk(2, dim=-1)
        return mean, log_var.clamp(-12, 4)

    def whiten(self, z: Tensor) -> Tensor:
        """Latents of about unit variance."""
        return (z - self.center) / self.spread

    def unwhiten(self, latents: Tensor) -> Tensor:
        """The inverse of `whiten`."""
        return latents * self.spread + self.center

    def set_whitening(self, mean: Tensor) -> None:
        """Take centre, spread and the size of `emphasise` from posterior means (B, T, L) of training data."""
        flat = mean.reshape(-1, mean.shape[-1])
        self.center.copy_(flat.mean(0))
        self.spread.copy_(flat.std(0).clamp(min=_NARROWEST))
        self.feedback.copy_(torch.from_numpy(feedback()))
        fine = emphasise(self.whiten(mean), self.feedback, torch.ones_like(self.step)).flatten(0, 1)
        self.step.copy_(fine.std(0).clamp(min=_SHORTEST))
        self._known_responses.clear()

    @property
    def emphasis(self) -> Emphasis:
        """What stands between latents and what the denoiser draws."""
        return emphasis_of({name: getattr(self, name) for name in PARTS})

    def emphasise(self, latents: Tensor, before: Tensor) -> Tensor:
        """What the denoiser draws for whitened latents (..., H, L) that follow `before` (..., n, L), see
        `model.emphasis`.
        """
        return self.emphasis.drawn(torch.cat([before[..., -ORDER:, :], latents], dim=-2))

    def accumulate(self, drawn: Tensor, before: Tensor) -> Tensor:
        """The whitened latents (..., H, L) of what the denoiser drew: the inverse of `emphasise`."""
        return self.emphasis.latents(drawn, before[..., -ORDER:, :], self._responses(drawn.shape[-2], drawn.device))

    def _responses(self, frames: int, device: torch.device) -> Tensor:
        """`emphasis.responses`, kept: to compute them waits for the GPU."""
        known = self._known_responses
        if (frames, device) not in known:
            known[frames, device] = torch.from_numpy(responses(self.feedback.cpu().numpy(), frames)).to(device)
        return known[frames, device]

    def _load_from_state_dict(self, state: dict[str, Tensor], prefix: str, *rest: Any) -> None:
        """Networks that were trained without emphasis draw the latents themselves."""
        for name, value in no_emphasis(len(self.step)).items():
            state.setdefault(prefix + name, torch.from_numpy(value))
        self._known_responses.clear()
        super()._load_from_state_dict(state, prefix, *rest)

    def encode(self, listener: Tensor) -> Tensor:
        """Whitened latents (B, T, L): the posterior's mean."""
        return self.whiten(self.posterior(listener)[0])

    def decode(self, latents: Tensor) -> Tensor:
        """Coefficients (B, T, 58) of whitened latents."""
        return self.decode_raw(self.unwhiten(latents))

    def decode_raw(self, z: Tensor) -> Tensor:
        """Coefficients of latents before whitening."""
        out: Tensor = self.decode_net(z) * self.scale
        return out

    def attributes(self, latents: Tensor) -> Tensor:
        """REACT's 25 attributes (B, T, 25) of whitened latents: 15 action units 0..1, valence and arousal -1..1, and 8
        probabilities of expressions.
        """
        return self.attributes_raw(self.unwhiten(latents))

    def attributes_raw(self, z: Tensor) -> Tensor:
        """Attributes of latents before whitening."""
        raw = self.attribute_net(z)
        units, affect, expressions = raw.split((15, 2, 8), dim=-1)
        return torch.cat([torch.sigmoid(units), torch.tanh(affect), torch.softmax(expressions, dim=-1)], dim=-1)
