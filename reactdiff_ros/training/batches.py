"""Roll-outs: the averaged model plays its listeners freely, and training continues from what it played.

A model that has only seen true pasts drifts from its own: every plan starts a little off, 6 times a second. So, once a
pool, the model plays some of the pool's listeners for seconds, from a random moment on and each from its own past
alone, as at run time; plans are then trained whose past was played and whose future is the simulator's.

Past and future must fit, or the model would learn to drop whatever it does: a smile that it began for good reasons
would have to end because the simulator's listener happens not to smile. So several listeners of the same temperament
are simulated for the same speaker, and the future is that of the one that was nearest to the played past over the last
frames, cluster of coefficients by cluster; the remaining difference fades out, and a plan without a
near listener counts little (`NEAR`): rejection with a soft kernel, as in approximate Bayesian computation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reactdiff_ros.coefficients import LOWER, UPPER
from reactdiff_ros.model.backends.runtime import VAE_CONTEXT
from reactdiff_ros.model.diffusion.latents import GROUP_OF_COEFFICIENT, GROUP_OF_LATENT, GROUPS
from reactdiff_ros.model.diffusion.memory import remembered, tokens, traced
from reactdiff_ros.model.diffusion.solvers import sample
from reactdiff_ros.model.diffusion.tokens import heard_ages
from reactdiff_ros.model.plan.corrections import LATENT_LIMIT

from .config import TrainConfig
from .data import MARGIN, Indices, Pool, Sequences, cut, cut_at, filled, joined, reach_back, tail
from .nets import Model
from .objective import LATENT_WEIGHT, QUICK, Drawn, Plans, conditions, context_mask, draw, draw_plans, slowed

HOP: Final = 4
"""Frames that are drawn at once, each stretch continuing the one before."""
COMPARED: Final = 8
"""Frames of the past over which listeners are compared."""
NEAR: Final = 0.5
"""Mean squared distance, in standard deviations of latents that count as in the loss, at which a listener counts
1 / e."""
LEAST: Final = 0.1
CLUSTERS: Final = (("smile", "mouth", "brows", "lids"), ("blinks",), ("gaze",), ("head",))
"""Groups that are compared together, as they move together while the others are nearly independent of them."""
FADE: Final = {
    "smile": 50.0, "mouth": 25.0, "brows": 25.0, "lids": 40.0, "blinks": 3.0, "gaze": 14.0, "head": 70.0,
}  # fmt: skip
"""Time constants in frames with which the played face's difference from the nearest listener fades: those with which
two simulated listeners of one temperament to one speaker lose their difference, by its autocorrelation at 8 and 16
frames (blinks: 4). Where it faded sooner, the network learnt to start so: a smile that the nearest listener did not
show ended at once (10 frames), and longer roll-outs made smiles shorter; the head wobbled between 1 and 4 Hz with twice
to four times the power that it should have (6 frames)."""


def _members(owner: NDArray[np.intp]) -> list[Tensor]:
    names = [group.name for group in GROUPS]
    return [torch.from_numpy(np.isin(owner, [names.index(n) for n in cluster])) for cluster in CLUSTERS]


_LATENTS = _members(GROUP_OF_LATENT)
_COEFFICIENTS = _members(GROUP_OF_COEFFICIENT)
_FADE = torch.tensor([FADE[GROUPS[i].name] for i in GROUP_OF_COEFFICIENT])
_SLOW = torch.tensor([GROUPS[i].name not in QUICK for i in GROUP_OF_COEFFICIENT])
_LOWER, _UPPER = torch.from_numpy(LOWER), torch.from_numpy(UPPER)


@dataclass(slots=True)
class RollOuts:
    """What the model played for the first R worlds of a pool, F frames from `begin` (R,) on.

    latents (R, MARGIN + F, L), the first MARGIN being the simulator's before, and faces (R, MARGIN + F, 58); `begin`
    stays on the processor.
    """

    begin: Tensor
    latents: Tensor
    faces: Tensor
    memory: Tensor
    """(R, MARGIN + F + 1, ROWS, L) states of `memory` before each frame and after; the first MARGIN are not used."""

    @property
    def frames(self) -> int:
        """F."""
        return int(self.latents.shape[1]) - MARGIN

    def window(self, rows: Indices, offset: Indices, lead: int) -> Indices:
        """Bounds (n, 2) of the newest token of plans that continue `rows`, in sequences that begin at `offset`."""
        first = self.begin.numpy()[rows] - offset
        return np.stack([first + HOP - 1, first + self.frames - 1 - lead], axis=1)

    def to(self, device: torch.device) -> RollOuts:
        """The same, played on another device."""
        return RollOuts(self.begin, self.latents.to(device), self.faces.to(device), self.memory.to(device))

    def state(self) -> dict[str, Tensor]:
        """For a checkpoint."""
        return {"begin": self.begin, "latents": self.latents, "faces": self.faces, "memory": self.memory}


@torch.no_grad()  # type: ignore[untyped-decorator,unused-ignore]
def roll_out(model: Model, pool: Pool, config: TrainConfig, rng: np.random.Generator) -> RollOuts:
    """Let `model` play the first worlds of the pool freely, stretch by stretch, as at run time."""
    frames, rows = config.roll_frames, pool.twins.shape[0]
    start = rng.integers(0, pool.features.shape[1] - frames - config.shape.horizon + 1, rows)
    start[rng.random(rows) < 0.15] = 0
    player = _Player(model, pool, config, rng, torch.from_numpy(start))
    for frame in range(0, frames, HOP):
        player.play(frame)
    latents = player.latents[:, : MARGIN + frames]
    faces = _bounded(model.vae.decode(latents))
    played = torch.cat([latents[:, MARGIN:], latents[:, -1:]], dim=1)  # and the state after all of it
    states = traced(played.cpu().numpy(), player.first.cpu().numpy())
    memory = torch.from_numpy(np.pad(states, ((0, 0), (MARGIN, 0), (0, 0), (0, 0)))).to(latents.device)
    return RollOuts(torch.from_numpy(start), latents, faces, memory)


def _bounded(faces: Tensor) -> Tensor:
    return torch.clamp(faces, _LOWER.to(faces.device), _UPPER.to(faces.device))


class _Player:
    """A free run: `latents` (R, MARGIN + F, L) grows by HOP frames a stretch, given its own past alone."""

    def __init__(self, model: Model, pool: Pool, config: TrainConfig, rng: np.random.Generator, begin: Tensor) -> None:
        shape, frames = config.shape, config.roll_frames
        self.model, self.config, self.device = model, config, model.vae.scale.device
        rows = len(begin)
        row = torch.arange(rows)
        self._ages = torch.from_numpy(heard_ages(shape.as_dict()))
        self._zero = shape.reach + reach_back(shape)
        at = begin[:, None] + torch.arange(-self._zero, frames)
        self._early = (at < 0).to(self.device)
        there, kept = (row[:, None], at.clamp(min=0)), pool.tokens.numel()
        self.tokens = pool.tokens[there] if kept else self._encoded(pool.features[there], pool.observed[there])
        self.first = pool.memory[row.to(pool.memory.device), (begin + MARGIN).to(pool.memory.device)]
        self._state = self.first.clone()
        before = pool.latents[row[:, None], begin[:, None] + torch.arange(MARGIN)]
        ahead = before.new_zeros(rows, -(-frames // HOP) * HOP, shape.latent)
        self.latents = torch.cat([before, ahead], dim=1).to(self.device)
        noise = torch.Generator().manual_seed(int(rng.integers(2**62)))
        self.tape = torch.randn(ahead.shape, generator=noise).to(self.device)
        self.lead = int(rng.integers(0, 3))
        self.steps = int(rng.integers(4, 7))
        self.guidance = float(rng.choice([1.0, 1.5]))
        recall = int(rng.choice([4, 8, shape.past]))
        seen = torch.arange(-shape.memory, shape.past)
        self._forgotten = ((seen >= 0) & (seen < shape.past - recall)).expand(rows, -1).to(self.device)
        lead = torch.full((rows,), self.lead)
        self.conditions = conditions(pool, row, lead, shape.max_lead, rng).to(self.device)

    def _encoded(self, features: Tensor, observed: Tensor) -> Tensor:
        """Tokens (R, reach + F, D). Before the session, its first frame is repeated: it is masked as a token, and
        little of it reaches the others.
        """
        pairs = zip(features.split(8), observed.split(8), strict=True)
        return torch.cat([self.model.encoder(f.to(self.device), o.to(self.device)) for f, o in pairs])

    def play(self, frame: int) -> None:
        """Draw the stretch that begins at `frame` of the roll-out."""
        shape, denoiser = self.config.shape, self.model.denoiser
        speech = self._zero + frame - 1 - self.lead - self._ages
        missing = self._early[:, speech]
        speaker = self.tokens[:, speech] * (~missing)[..., None]
        past = self.latents[:, MARGIN + frame - shape.past : MARGIN + frame]
        own = torch.cat([tokens(self._state[:, : shape.memory]), past], dim=1) if shape.memory else past
        context = denoiser.context(speaker, own, self.conditions)
        unguided = torch.tensor([False, True], device=self.device).expand(len(past), 2)
        mask = context_mask(missing, self._forgotten, unguided)

        def velocity(z: Tensor, angle: float) -> Tensor:
            if self.guidance == 1.0:
                return denoiser.velocity(z, z.new_full(z.shape[:2], angle), context, mask[:, :1])
            both = denoiser.velocity(z.expand(-1, 2, -1, -1), z.new_full((len(z), 2), angle), context, mask)
            return both[:, 1:] + self.guidance * (both[:, :1] - both[:, 1:])

        drawn = sample(velocity, self.tape[:, None, frame : frame + HOP], self.steps)[:, 0]
        drawn = self.model.vae.accumulate(drawn, past).clamp(-LATENT_LIMIT, LATENT_LIMIT)
        self.latents[:, MARGIN + frame : MARGIN + frame + HOP] = drawn
        self._state = remembered(self._state, drawn)


def continue_from(played: RollOuts, pool: Pool, s: Sequences, plans: Plans, rolled: Tensor, model: Model) -> float:
    """Give plans of the sequences `rolled` (B,) the played past and a future that fits it, in place.

    Returns the share of plans that continue a roll-out.
    """
    since = s.offset[plans.which] + plans.start - played.begin[s.row[plans.which].clamp(max=len(played.begin) - 1)]
    fits = rolled[plans.which] & (since >= HOP) & (since <= played.frames)
    chosen = torch.nonzero(fits)[:, 0]
    if len(chosen):
        row, at = s.row[plans.which[chosen]], since[chosen]
        _continue(played, pool, plans, chosen, row, at, model)
    return len(chosen) / len(since)


@torch.no_grad()  # type: ignore[untyped-decorator,unused-ignore]
def _continue(
    played: RollOuts, pool: Pool, plans: Plans, chosen: Tensor, row: Tensor, at: Tensor, model: Model
) -> None:
    horizon, length = plans.target.shape[1], plans.past.shape[1]
    device = model.vae.scale.device
    frame = (MARGIN + at).to(device)[:, None]
    around = (played.begin[row] + MARGIN + at).to(device)[:, None]
    around = around + torch.arange(-COMPARED - VAE_CONTEXT, horizon, device=device)
    row, chosen = row.to(device), chosen.to(device)
    face = played.faces[row[:, None], frame + torch.arange(-COMPARED - VAE_CONTEXT, 0, device=device)]
    every = torch.arange(pool.twins.shape[1], device=device)[None, :, None]
    twins = pool.twins[row[:, None, None], every, around[:, None]]
    now = COMPARED + VAE_CONTEXT
    theirs = model.vae.encode(twins[:, :, :now].flatten(0, 1)).unflatten(0, twins.shape[:2])
    past = played.latents[row[:, None], frame + torch.arange(-length, 0, device=device)]
    memory = played.memory[row, frame[:, 0]][:, : plans.memory.shape[1]]
    square = (theirs[:, :, VAE_CONTEXT:] - past[:, None, -COMPARED:]).square()
    other, weight = torch.empty_like(twins[:, 0, now - 2 :]), past.new_ones(len(row), horizon, past.shape[-1])
    each = torch.arange(len(row), device=device)
    counts = LATENT_WEIGHT.to(device)
    for latents, coefficients in zip(_LATENTS, _COEFFICIENTS, strict=True):
        share = counts[latents] / counts[latents].sum()
        distance, nearest = (square[..., latents].mean(2) @ share).min(dim=1)
        other[..., coefficients] = twins[each, nearest][:, now - 2 :, coefficients]
        weight[..., latents] = torch.exp(-distance / NEAR).clamp(min=LEAST)[:, None, None]
    future = other[:, 2:] + gone_on(face[:, -2:] - other[:, :2], horizon)
    wanted = torch.cat([face[:, -VAE_CONTEXT:], _bounded(future)], dim=1)
    target = model.vae.encode(wanted)[:, VAE_CONTEXT:]
    plans.replaced(chosen, past, memory, target, weight)


def gone_on(difference: Tensor, horizon: int) -> Tensor:
    """How the difference (R, 2, 58) of a played face from the nearest listener's in the last two frames goes on
    (R, horizon, 58): it fades, and so does its speed, within a few frames.

    Where the speed was dropped at once, every continued stretch began with a jerk, and the networks learnt to draw it.
    """
    t = torch.arange(1, horizon + 1, device=difference.device)[:, None]
    level, speed = difference[:, 1:], difference.diff(dim=1)
    return level * torch.exp(-t / _FADE.to(t.device)) + speed * slowed(t) * _SLOW.to(t.device)


def draw_batch(
    config: TrainConfig, pool: Pool, real: Pool | None, played: RollOuts | None, model: Model, rng: np.random.Generator
) -> tuple[Sequences, Drawn]:
    """The sequences of one step and everything random about its plans.

    Args:
        config: batch, shares and lengths.
        pool: of simulated listeners, with latents.
        real: recorded people, with latents; None: none.
        played: roll-outs on the first worlds of `pool`; None: none.
        model: whose autoencoder the latents are of.
        rng: of all choices.
    """
    c, shape = config, config.shape
    recorded = int((rng.random(c.batch) < c.real_share).sum()) if real is not None else 0
    rolled = int((rng.random(c.batch - recorded) < c.roll_share).sum()) if played is not None else 0
    plain = c.batch - recorded - rolled
    parts = [cut(pool, rng, rng.integers(0, c.worlds, plain), c.frames, shape)] if plain else []
    within = np.tile([0, c.frames], (c.batch, 1))
    if played is not None and rolled:
        sequences, bounds = _around(played, pool, rng, rolled, config)
        parts.append(sequences)
        within[plain : plain + rolled] = bounds
    if real is not None and recorded:
        shown = cut(real, rng, rng.integers(0, len(real.features), recorded), c.frames, shape)
        others = cut(pool, rng, rng.integers(0, c.worlds, recorded), c.frames, shape)
        parts.append(filled(shown, others))
    s = joined(parts)
    plans = draw_plans(s, c, rng, within)
    if played is not None and rolled:
        mask = torch.zeros(c.batch, dtype=torch.bool)
        mask[plain : plain + rolled] = True
        continue_from(played, pool, s, plans, mask, model)
    return s, draw(s, plans, c, rng)


def _around(
    played: RollOuts, pool: Pool, rng: np.random.Generator, count: int, config: TrainConfig
) -> tuple[Sequences, Indices]:
    """`count` sequences around moments of roll-outs, most of the speaker before, and bounds of the newest tokens."""
    rows = rng.integers(0, len(played.begin), count)
    last = pool.features.shape[1] - config.frames - tail(config.shape)
    moment = played.begin.numpy()[rows] + rng.integers(0, config.roll_frames, count)
    offset = np.clip(moment - config.frames * 3 // 4, 0, last)
    bounds = played.window(rows, offset, config.shape.horizon)
    bounds = np.clip(bounds, [[2, 3]], [[config.frames - 1, config.frames]])
    return cut_at(pool, rows, offset, config.frames, config.shape), bounds
