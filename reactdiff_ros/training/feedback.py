"""Refits the pre-emphasis of heads to what trained networks miss.

A head goes on as it moves: its last four latents explain half of the variance of what is drawn next (`Emphasis`).
Networks continue it too little, probably because attention normalises what it reads: translation below 1.8 Hz has .6 of
the power that it has in the data. What is missed is linear in those latents: least squares on simulated listeners, less
least squares on what the networks draw after the same pasts. The filter takes it over; the networks stay as they are.

Shapes: N stretches, H frames, L latents.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from torch import Tensor

from reactdiff_ros.model.diffusion.latents import GROUP_OF_LATENT, GROUPS, ORDER
from reactdiff_ros.model.diffusion.sampler import Sampling
from reactdiff_ros.model.diffusion.solvers import sample

from .config import TrainConfig
from .data import Indices, Pool, cut
from .nets import ListenerVae, Model
from .objective import conditions, context_mask, draw_plans, gathered

REFITTED: Final = torch.tensor([GROUPS[i].name == "head" for i in GROUP_OF_LATENT])
"""(L,) latents whose filter is refitted. With those of mouths and brows too, faces at rest tremble."""
PAST_NOISE: Final = 0.01
"""Deviations of noise on pasts for which the regressions allow: those of live listeners have it."""
SEQUENCES: Final = 16
"""Cut-outs of a pool that are drawn at once."""


@torch.no_grad()  # type: ignore[untyped-decorator,unused-ignore]
def refit(model: Model, pool: Pool, config: TrainConfig, rng: np.random.Generator) -> None:
    """Let the filter of `model` take over what its denoiser misses of the listeners of `pool`, which has tokens and
    latents: `config.plans` stretches of each.
    """
    listeners, vae = np.arange(len(pool.features)), model.vae
    parts = np.split(listeners, listeners[SEQUENCES::SEQUENCES])
    people, drawn = zip(*(stretches(model, pool, config, rows, rng) for rows in parts), strict=True)
    missed = continuation(torch.cat(people), vae) - continuation(torch.cat(drawn), vae)
    vae.set_feedback(vae.feedback + vae.step * missed * REFITTED.to(missed.device))


def stretches(
    model: Model, pool: Pool, config: TrainConfig, rows: Indices, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Latents (N, ORDER + H, L) of the listeners `rows`, ORDER before a stretch and the stretch, and the same with a
    stretch that the networks draw, as long as a live one.
    """
    shape, denoiser = config.shape, model.denoiser
    s = cut(pool, rng, rows, config.frames, shape)
    plans = draw_plans(s, config, rng, shape.horizon // 4)
    speaker, missing = gathered(s.tokens, plans, shape, s.offset)
    device = speaker.device
    own = plans.own
    given = conditions(s, plans.which, plans.lead, shape.max_lead, rng).to(device)
    context = denoiser.context(speaker, own, given)
    nothing = torch.zeros((len(own), 1), dtype=torch.bool, device=device)
    mask = context_mask(missing, nothing.expand(-1, own.shape[1]), nothing)

    def velocity(z: Tensor, angle: float) -> Tensor:
        return denoiser.velocity(z, torch.full(z.shape[:2], angle, device=device), context, mask)

    noise = torch.from_numpy(rng.standard_normal((len(own), 1, *plans.target.shape[1:]), dtype=np.float32)).to(device)
    y = sample(velocity, noise, Sampling().steps)[:, 0]
    before = plans.before[:, -ORDER:]
    return torch.cat([before, plans.target], dim=1), torch.cat([before, model.vae.accumulate(y, before)], dim=1)


def continuation(latents: Tensor, vae: ListenerVae) -> Tensor:
    """Coefficients (ORDER, L), newest first, with which least squares predicts what is drawn for latents
    (N, ORDER + H, L) from the ORDER before.
    """
    y = vae.emphasise(latents[:, ORDER:], latents[:, :ORDER]).double()
    past = torch.stack([latents[:, ORDER - 1 - lag : latents.shape[1] - 1 - lag] for lag in range(ORDER)], -1).double()
    squares = torch.einsum("nhli,nhlj->lij", past, past) / y[..., 0].numel()
    cross = torch.einsum("nhli,nhl->li", past, y) / y[..., 0].numel()
    noise = PAST_NOISE**2 * torch.eye(ORDER, dtype=torch.float64, device=y.device)
    return torch.linalg.solve(squares + noise, cross[..., None])[..., 0].T.float()
