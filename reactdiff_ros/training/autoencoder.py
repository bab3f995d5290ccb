"""Training of the listener's autoencoder: every group of coefficients to the same quality, no latent idle.

A weight of the KL term that suits the head lets the brows collapse. So each group has its own, which a slow controller
turns until the group's reconstruction leaves TARGET of its variance unexplained (a constraint on the reconstruction,
as in GECO, Rezende and Viola 2018): a group that reconstructs worse gets less KL, one that is better than needed
more, which keeps its latents smooth and near the unit Gaussian.

Then the decoder alone is fitted once more, to what can be seen (`DecoderFit`).
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from reactdiff_ros.attributes import attributes_of
from reactdiff_ros.coefficients import COEFFICIENT_COUNT, HEAD_PITCH
from reactdiff_ros.model.backends.runtime import VAE_CONTEXT
from reactdiff_ros.model.diffusion.latents import GROUP_COUNT, GROUP_NAMES, GROUP_OF_COEFFICIENT, GROUP_OF_LATENT

from .data import Pool
from .nets import ListenerVae
from .objective import gaussian_kl, masked_mean
from .recorded import group_seen

TARGET: Final = 0.01
"""Unexplained share of a group's variance that is aimed at."""
KL_FIRST: Final = 1e-3
KL_RANGE: Final = (1e-5, 3e-2)
ACTIVE: Final = 0.01
"""Variance of a posterior mean over data above which a latent counts as active (Burda et al. 2016)."""
SEQUENCES: Final = 32
FRAMES: Final = 64
_PEAK: Final = 2e-3
_LEAD_IN: Final = 2 * VAE_CONTEXT
"""Frames at the beginning of a sequence whose past the networks do not see."""
_FINE: Final = 0.1
"""What second differences count for in the fit of the decoder."""
_VISIBLE: Final = torch.full((COEFFICIENT_COUNT,), 0.01)
_VISIBLE[HEAD_PITCH:] = 0.002
"""(58,) deviations that perception can just see (rad and m for the head)."""
_STRAIGHT: Final = 3e-4
"""Deviation of second differences below which a coefficient has no fine motion."""


def _one_hot(owner: np.ndarray[Any, Any]) -> Tensor:
    return torch.nn.functional.one_hot(torch.from_numpy(owner.astype(np.int64)), GROUP_COUNT).float()


_OF_COEFFICIENT, _OF_LATENT = _one_hot(GROUP_OF_COEFFICIENT), _one_hot(GROUP_OF_LATENT)


def per_group(values: Tensor, owner: Tensor, mask: Tensor | None = None) -> Tensor:
    """Means (G,) of values (..., n) over the members of each group, where `mask` (..., n) is 1."""
    kept = torch.ones_like(values) if mask is None else mask.to(values.dtype)
    axes = tuple(range(values.dim() - 1))
    owner = owner.to(values.device)
    return ((values * kept).sum(axes) @ owner) / (kept.sum(axes) @ owner).clamp(min=1.0)


def set_scale(vae: ListenerVae, listener: Tensor) -> None:
    """Bring coefficients to comparable size: their deviations, with a floor for those that hardly move."""
    deviation = listener.flatten(0, 1).std(0)
    floor = torch.full_like(deviation, 0.03)
    floor[52:] = 0.004
    vae.scale.copy_(torch.maximum(deviation, floor))


class AutoencoderStep:
    """Optimiser, KL weights and losses of one step; `state()` is all that a checkpoint needs."""

    def __init__(self, vae: ListenerVae) -> None:
        self.vae = vae
        self.optimizer = torch.optim.AdamW(vae.parameters(), lr=_PEAK, weight_decay=1e-4)
        self.kl_weight = torch.full((GROUP_COUNT,), KL_FIRST)
        self.unexplained = torch.full((GROUP_COUNT,), 1.0)

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {
            "optimizer": self.optimizer.state_dict(), "kl_weight": self.kl_weight, "unexplained": self.unexplained,
        }  # fmt: skip

    def load(self, state: dict[str, Any]) -> None:
        """Go on from `state()`."""
        self.optimizer.load_state_dict(state["optimizer"])
        self.kl_weight, self.unexplained = state["kl_weight"], state["unexplained"]

    def __call__(
        self, x: Tensor, seen: Tensor, labels: Tensor, labelled: Tensor, done: float, seed: int
    ) -> dict[str, float]:
        """One step on listeners x (B, T, 58) of which groups were `seen` (B, T, 58), with attributes `labels`
        (B, T, 25) where a frame is `labelled` (B, T); `done` of the phase is over.
        """
        vae, scale = self.vae, self.vae.scale
        generator = torch.Generator().manual_seed(seed)
        mean, log_var = vae.posterior(x)
        grain = torch.randn(mean.shape, generator=generator).to(mean.device)
        z = mean + torch.exp(0.5 * log_var) * grain
        error = (vae.decode_raw(z) - x) / scale
        late = slice(_LEAD_IN, None)
        squares = per_group(error[:, late].square(), _OF_COEFFICIENT, seen[:, late])
        steps = error[:, late] - error[:, _LEAD_IN - 1 : -1]
        jitter = per_group(steps.square(), _OF_COEFFICIENT, seen[:, late])
        kl = per_group(gaussian_kl(mean, log_var)[:, late], _OF_LATENT)
        guess = vae.attributes_raw(z.detach())
        attribute = masked_mean((guess - labels)[:, late].square().mean(-1), labelled[:, late])
        loss = (squares + jitter + self.kl_weight.to(kl.device) * kl).sum() + 10.0 * attribute
        _descend(self.optimizer, loss, done, 5.0)
        self._turn(squares.detach().cpu(), x, seen)
        losses = {"attributes": float(attribute.detach())}
        for i, name in enumerate(GROUP_NAMES):
            losses[f"unexplained/{name}"] = float(self.unexplained[i])
            losses[f"kl/{name}"] = float(kl[i].detach())
        return losses

    def _turn(self, squares: Tensor, x: Tensor, seen: Tensor) -> None:
        variance = per_group(((x - x.mean((0, 1))) / self.vae.scale).square(), _OF_COEFFICIENT, seen).cpu()
        share = squares / variance.clamp(min=1e-3)
        self.unexplained = torch.lerp(self.unexplained, share, 0.02)
        turn = torch.log(TARGET / self.unexplained.clamp(min=1e-6)).clamp(-1, 1)
        self.kl_weight = (self.kl_weight * torch.exp(0.01 * turn)).clamp(*KL_RANGE)


class DecoderFit:
    """Fits the decoder alone: latents go on meaning what they meant.

    Errors of levels and of second differences each count over their own deviation. In the losses of `AutoencoderStep`,
    motion above 6.5 Hz, a ten-thousandth of all power, counts for nothing: decoded brows trembled there with ten times
    the power of a listener's, and heads had a fifth of it.

    Args:
        vae: whose decoder is fitted.
        listeners: (W, T, 58) of which the deviations are.
    """

    def __init__(self, vae: ListenerVae, listeners: Tensor) -> None:
        self.vae = vae
        self.optimizer = torch.optim.Adam(vae.decode_net.parameters(), lr=_PEAK)
        level = torch.maximum(listeners.flatten(0, 1).std(0), _VISIBLE)
        bend = torch.diff(listeners, n=2, dim=1).flatten(0, 1).std(0).clamp(min=_STRAIGHT)
        self._level, self._bend = level.to(vae.scale.device), bend.to(vae.scale.device)

    def __call__(self, x: Tensor, seen: Tensor, done: float) -> dict[str, float]:
        """One step on listeners x (B, T, 58) of which groups were `seen` (B, T, 58); `done` of the phase is over."""
        late = slice(_LEAD_IN, None)
        with torch.no_grad():
            latents = self.vae.posterior(x)[0]
        error, seen = (self.vae.decode_raw(latents) - x)[:, late], seen[:, late]
        level = masked_mean((error / self._level).square(), seen)
        fine = masked_mean((torch.diff(error, n=2, dim=1) / self._bend).square(), seen[:, 2:])
        _descend(self.optimizer, level + _FINE * fine, done, 1.0)
        return {"level": float(level.detach()), "fine": float(fine.detach())}


def _descend(optimizer: torch.optim.Optimizer, loss: Tensor, done: float, longest: float) -> None:
    """A step when `done` (0..1) of a phase is over, for which gradients are shortened to `longest`."""
    (group,) = optimizer.param_groups
    group["lr"] = _PEAK * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(done, 1.0))))
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(group["params"], longest)
    optimizer.step()


def draw_listeners(pool: Pool, real: Pool | None, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """SEQUENCES random stretches of listeners, the last quarter recorded people where there are any.

    Returns listeners (B, FRAMES, 58), which groups of them were seen, attributes (B, FRAMES, 25), and in which
    frames these are to be learnt (B, FRAMES): the projection of simulated listeners, the labels of recorded ones.
    """
    recorded = SEQUENCES // 4 if real is not None else 0
    at = _stretches(pool, rng, SEQUENCES - recorded)
    x = pool.listener[at]
    seen, labels, labelled = pool.seen[at], labels_of(x), torch.ones(x.shape[:2], dtype=torch.bool)
    if real is None:
        return x, seen, labels, labelled
    at = _stretches(real, rng, recorded)
    return (
        torch.cat([x, real.listener[at]]), torch.cat([seen, group_seen(real.seen[at])]),
        torch.cat([labels, real.labels[at]]), torch.cat([labelled, real.labelled[at]]),
    )  # fmt: skip


def _stretches(pool: Pool, rng: np.random.Generator, count: int) -> tuple[Tensor, Tensor]:
    """Index of `count` random stretches of FRAMES frames."""
    rows, total = pool.listener.shape[:2]
    row = torch.from_numpy(rng.integers(0, rows, count))[:, None]
    return row, torch.from_numpy(rng.integers(0, total - FRAMES + 1, count))[:, None] + torch.arange(FRAMES)


def labels_of(x: Tensor) -> Tensor:
    """REACT's attributes of coefficients (..., 58) by the documented projection."""
    return torch.from_numpy(attributes_of(x.numpy()))


@torch.no_grad()  # type: ignore[untyped-decorator,unused-ignore]
def describe(vae: ListenerVae, listener: Tensor) -> dict[str, Any]:
    """Reconstruction and use of the latents on listeners (W, T, 58): for each group the share of variance that is
    explained and the active units, and the error of the attributes.
    """
    x = listener.to(vae.scale.device)
    mean, log_var = vae.posterior(x)
    error, size = vae.decode_raw(mean) - x, (x - x.mean((0, 1)))
    unexplained = per_group((error / vae.scale).square(), _OF_COEFFICIENT) / per_group(
        (size / vae.scale).square(), _OF_COEFFICIENT
    ).clamp(min=1e-6)
    active = (mean.flatten(0, 1).var(0) > ACTIVE).float().cpu() @ _OF_LATENT
    kl = per_group(gaussian_kl(mean, log_var), _OF_LATENT)
    labels = labels_of(listener).to(x.device)
    off = (vae.attributes_raw(mean) - labels).square().mean((0, 1)).sqrt()
    return {
        "explained": {name: 1.0 - float(unexplained[i]) for i, name in enumerate(GROUP_NAMES)},
        "active_units": {name: int(active[i]) for i, name in enumerate(GROUP_NAMES)},
        "units": {name: int(n) for name, n in zip(GROUP_NAMES, _OF_LATENT.sum(0), strict=True)},
        "kl": {name: float(kl[i]) for i, name in enumerate(GROUP_NAMES)},
        "attribute_error": float(off.mean()),
    }
