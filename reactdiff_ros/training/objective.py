"""Losses of encoder and denoiser; each is 0 for a perfect prediction, whatever the masks and weights.

Shapes: N plans, H frames of a horizon, L latents, C coefficients. Masks are 1 where something was measured: what a
recording does not show has no loss.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from reactdiff_ros.coefficients import INDEX
from reactdiff_ros.model.backends.runtime import VAE_CONTEXT
from reactdiff_ros.model.diffusion.conditions import GIVEN, NETWORK_CONTROLS, STYLE_COUNT, VALUES, condition_vector
from reactdiff_ros.model.diffusion.latents import GROUP_OF_LATENT, GROUPS
from reactdiff_ros.model.diffusion.memory import lasting, tokens
from reactdiff_ros.model.diffusion.tokens import heard_ages
from reactdiff_ros.simulator.temperament import NATURAL_RESPONSIVENESS

from .config import Shape, TrainConfig
from .data import MARGIN, Pool, Sequences, Streams, cut, filled, joined, reach_back
from .nets import AUX_NAMES, BLOCKS, MASKED, STIMULUS_COUNT, STIMULUS_NAMES, TRACED, Denoiser, Model

_STILL: Final = 0.05
"""Latents whose means move by less are not weighed more."""
UNITS = 15
"""Action units among REACT's 25 attributes; they come first."""


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of `values` where `mask` (broadcast) is 1; 0 if that is nowhere."""
    weights = mask.to(values.dtype).expand_as(values)
    return (values * weights).sum() / weights.sum().clamp(min=1.0)


def motion_loss(faces: Tensor, wanted: Tensor, scale: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
    """Squared errors of velocity and acceleration of decoded coefficients (N, H, C), in units of `scale` (C,) a frame.

    `seen` (N, H, C) masks coefficients.
    """
    difference = (faces - wanted) / scale
    velocity = difference[:, 1:] - difference[:, :-1]
    acceleration = velocity[:, 1:] - velocity[:, :-1]
    both = seen[:, 1:] & seen[:, :-1]
    return masked_mean(velocity.square(), both), masked_mean(acceleration.square(), both[:, 1:] & both[:, :-1])


def level_loss(clean: Tensor, wanted: Tensor, last: Tensor, known: Tensor, clear: Tensor) -> Tensor:
    """Squared error of the mean over a stretch of latents `clean` (N, M, H, L), in deviations of how far the means of
    those `wanted` (N, H, L) are from the `last` ones (N, L) before. `known` (N, H, L) and `clear` (N, M): what counts.
    """
    mean, moved = wanted.mean(1), (wanted.mean(1) - last)
    size = moved.square().mean(0).sqrt().clamp(min=_STILL)
    error = (clean.mean(2) - mean[:, None]) / size
    return masked_mean(error.square(), known[:, :1].bool() & clear[..., None])


def second_moments(units: Tensor) -> Tensor:
    """Which action units occur together: mean products (U, U) over plans and frames of units (N, H, U)."""
    flat = units.flatten(0, 1)
    return flat.T @ flat / flat.shape[0]


def cooccurrence_loss(units: Tensor, wanted: Tensor) -> Tensor:
    """Squared difference of the second moments of action units (N, H, U), relative to the wanted ones' size."""
    target = second_moments(wanted)
    return (second_moments(units) - target).square().sum() / target.square().sum().clamp(min=1e-6)


def gaussian_kl(mean: Tensor, log_var: Tensor) -> Tensor:
    """Kullback-Leibler divergence of diagonal Gaussians to the unit Gaussian, elementwise, in nats."""
    return 0.5 * (mean.square() + torch.exp(log_var) - 1.0 - log_var)


MOTION, COOCCURRENCE, AUXILIARY, LEVEL = 0.05, 0.02, 0.3, 0.1
"""Weights of the losses on decoded coefficients' velocity and acceleration, on which action units occur together, on
what is read from a speaker's token (the listener's next frames, the stimulus), and on a stretch's mean: slow changes,
of which single frames show little. The velocity's weight is 1."""
_AUX = [INDEX[name] for name in AUX_NAMES]

_SIZES = {"contact": 0.5, "speech": 0.5, "sincerity": 0.3}
_STIMULUS_SIZE = torch.tensor([_SIZES.get(name, 0.2) for name in (*STIMULUS_NAMES, *(n for n, _ in TRACED))])
"""Typical sizes, so that every part of the stimulus counts alike."""

LENGTH_SHARE: Final = (0.6, 0.2, 0.2)
"""How often a quarter, a half and all of the horizon is drawn at once; the live listener draws quarters."""
ORDINARY: Final = torch.tensor(
    [NATURAL_RESPONSIVENESS / 2 if name == "responsiveness" else 0.0 for name in NETWORK_CONTROLS] + [0.0] * STYLE_COUNT
)
"""Means of the conditions of simulated listeners who are as natural as people."""
UNGUIDED: Final = 0.12
"""Share of the noise draws without any speaker, for classifier-free guidance."""
UNREMEMBERED: Final = 0.1
"""Share of the plans without any memory."""
GROUP_WEIGHT: Final = {"smile": 2.5, "mouth": 2.0, "brows": 3.0, "lids": 2.0, "blinks": 0.7, "gaze": 0.5, "head": 3.0}
"""Weights of the groups' latents in the loss: what answers a speaker counts more than what moves by itself, and what is
rare more than what moves all the time."""
LATENT_WEIGHT: Final = torch.tensor([GROUP_WEIGHT[GROUPS[i].name] for i in GROUP_OF_LATENT])
"""The same, (L,)."""
FINE: Final = 0.1
"""Share of the noise angles that are for what is fine."""
FIRST: Final = 0.4
"""Share of those at which a plan is decided on."""
DECIDED: Final = 1.15
RETURN_FRAMES: Final = 20.0
"""Time constant with which an offset past comes back: about that with which two simulated listeners of one temperament
to one speaker lose their difference."""
MISTAKEN: Final = 0.15
"""Share of the plans that continue another listener's past."""
SPRING_FRAMES: Final = 10.0
SPEED_FRAMES: Final = 2.0
"""Time constants with which they come back, and with which they lose the speed of the other."""
QUICK: Final = ("blinks", "gaze")
"""Groups that another listener's past does not bring along, see `mistake`."""
HELD_S: Final = 20.0
"""For how long that has lasted at most."""
CLEAR: Final = 0.7
"""Noise angle (rad) below which the clean estimate says enough to be decoded."""
DECODED: Final = 12
"""Noise draws a sequence that are decoded for the losses on coefficients and action units, at most."""


@dataclass(slots=True)
class Plans:
    """N plans of a batch of sequences: what the denoiser is given and what it should draw.

    which (N,) sequence; newest (N,) frame of the newest token; lead (N,); start (N,) = newest + 1 + lead, these four on
    the processor; past (N, past, L); memory (N, ROWS, L) states of `diffusion.memory` before the target; target and
    known (N, H, L); before (N, VAE_CONTEXT, L) what is decoded before the target.
    """

    which: Tensor
    newest: Tensor
    lead: Tensor
    start: Tensor
    past: Tensor
    memory: Tensor
    target: Tensor
    known: Tensor
    before: Tensor

    @property
    def own(self) -> Tensor:
        """(N, ROWS + past, L) what the denoiser is given of the listener itself."""
        return torch.cat([tokens(self.memory), self.past], dim=1) if self.memory.shape[1] else self.past


def draw_plans(s: Sequences, config: TrainConfig, rng: np.random.Generator, horizon: int = 0) -> Plans:
    """`config.plans` plans of each sequence, of `horizon` frames; 0: as LENGTH_SHARE has it.

    Plans are drawn more often where the speaker does something: weights on what the *listener* does would tilt the
    learnt distribution towards events, drawing by the speaker does not.
    """
    shape = config.shape
    batch, frames = s.salience.shape
    chance = 1.0 + config.events * s.salience.double().numpy()
    chance[:, :2] = 0.0
    cumulated = np.cumsum(chance, axis=1)
    drawn = rng.random((batch, config.plans)) * cumulated[:, -1:]
    newest = np.stack([np.searchsorted(c, d, side="right") for c, d in zip(cumulated, drawn, strict=True)]).reshape(-1)
    count = batch * config.plans
    lengths = [shape.horizon // 4, shape.horizon // 2, shape.horizon]
    horizon = horizon or int(rng.choice(lengths, p=LENGTH_SHARE))
    # Stretches of a plan are drawn one after another from the same evidence, so they begin later and later.
    fresh = np.minimum(rng.geometric(0.4, count) - 1, shape.max_lead - 1)
    later = fresh + horizon * rng.integers(1, max(shape.horizon // horizon, 2), count)
    early, usual, other = rng.random(count) < 0.45, rng.random(count) < 0.8, rng.integers(0, 99, count)
    lead = np.minimum(np.select([early, usual], [fresh, later], other), shape.max_lead - 1)
    device = s.latents.device
    which = torch.arange(batch).repeat_interleave(config.plans)
    at, ahead = torch.from_numpy(np.minimum(newest, frames - 1)), torch.from_numpy(lead)
    start = at + 1 + ahead
    row, first = which.to(device)[:, None], (MARGIN + start).to(device)[:, None]
    here = first + torch.arange(horizon, device=device)
    behind = torch.arange(-shape.past, 0, device=device)
    return Plans(
        which=which, newest=at, lead=ahead, start=start, past=s.latents[row, first + behind],
        memory=s.memory[row[:, 0], first[:, 0]][:, : shape.memory],
        target=s.latents[row, here], known=s.known[row, here], before=s.latents[row, first + behind[-VAE_CONTEXT:]],
    )  # fmt: skip


def draw_batch(config: TrainConfig, pool: Pool, real: Pool | None, rng: np.random.Generator) -> tuple[Sequences, Drawn]:
    """The sequences of one step and everything random about its plans.

    Args:
        config: batch, shares and lengths.
        pool: of simulated listeners, with latents.
        real: recorded people, with latents; None: none.
        rng: of all choices.
    """
    c, shape = config, config.shape
    recorded = int((rng.random(c.batch) < c.real_share).sum()) if real is not None else 0
    plain = c.batch - recorded
    parts = [cut(pool, rng, rng.integers(0, c.worlds, plain), c.frames, shape)] if plain else []
    if real is not None and recorded:
        shown = cut(real, rng, rng.integers(0, len(real.features), recorded), c.frames, shape)
        others = cut(pool, rng, rng.integers(0, c.worlds, recorded), c.frames, shape)
        parts.append(filled(shown, others))
    s = joined(parts)
    return s, draw(s, draw_plans(s, c, rng), c, rng)


@dataclass(slots=True)
class Drawn:
    """All random choices of a step: plans, what of their past is shown, conditions, noise."""

    plans: Plans
    past_missing: Tensor
    conditions: Tensor
    unguided: Tensor
    """(N, M)"""
    angle: Tensor
    """(N, M)"""
    noise: Tensor
    """(N, M, H, L)"""
    decoded: Tensor
    """(2, D) plan and stretch of the draws that are decoded."""


def draw(s: Sequences, plans: Plans, config: TrainConfig, rng: np.random.Generator) -> Drawn:
    """Everything random of a step but the plans; their past and target are disturbed in place."""
    count, horizon, width = plans.target.shape
    device = plans.target.device
    noise = torch.Generator(device).manual_seed(int(rng.integers(2**62)))
    if "history" in config.ablate:
        missing = torch.zeros((count, config.shape.memory + plans.past.shape[1]), dtype=torch.bool)
    else:
        missing = forgotten(count, plans.past.shape[1], rng)
        unremembered = torch.from_numpy(rng.random((count, 1)) < UNREMEMBERED).expand(-1, config.shape.memory)
        missing = torch.cat([unremembered, missing], dim=1)
        mistake(plans, rng)
        disturb(plans, rng, noise)
    # Short stretches cost little compared with their context, so they get twice as many draws.
    pairs = config.draws * (2 if horizon < config.shape.horizon // 2 else 1)
    given = conditions(s, plans.which, plans.lead, config.shape.max_lead, rng)
    unguided = np.repeat(rng.random((count, pairs)) < UNGUIDED, 2, axis=1)
    angles = np.repeat(noise_angles((count, pairs), rng), 2, axis=1)
    decoded = np.stack(np.nonzero(angles < CLEAR))[:, : DECODED * len(s.salience)]
    return Drawn(
        plans, missing.to(device), given.to(device), torch.from_numpy(unguided).to(device),
        torch.from_numpy(angles).to(device),
        antithetic(torch.randn((count, pairs, horizon, width), generator=noise, device=device)),
        torch.from_numpy(decoded).to(device),
    )  # fmt: skip


def antithetic(noise: Tensor) -> Tensor:
    """Each draw of noise (N, M, H, L) and its negative, one after the other (N, 2 M, H, L).

    Near pi/2, where it is decided whether something happens, the network has to learn how the clean data x follow
    z = cos(a) x + sin(a) e. That is cos(a) x^2, which drowns in the noise of the gradient, sin(a) x e; networks then
    respond too little to z and move too little. In a pair, that noise cancels.
    """
    return torch.stack([noise, -noise], dim=2).flatten(1, 2)


def noise_angles(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float32]:
    """Noise angles in (0, pi/2): nearly uniform, a tenth spread evenly in their logarithm, four tenths near the end.

    Whether something happens at all is decided near pi/2, and there the speaker has its say. A head or a smile moves
    by a few hundredths of a deviation from frame to frame. What keeps it from trembling is learnt at angles below a
    tenth, of which the uniform part holds a twentieth.
    """
    even = 0.5 * np.pi * rng.beta(1.2, 1.1, shape)
    fine = np.exp(rng.uniform(np.log(0.015), np.log(0.5), shape))
    first = rng.uniform(DECIDED, 0.5 * np.pi, shape)
    which = rng.random(shape)
    angles = np.where(which < FINE, fine, np.where(which < FINE + FIRST, first, even))
    return np.clip(angles, 0.01, 0.5 * np.pi).astype(np.float32)


def forgotten(count: int, length: int, rng: np.random.Generator) -> Tensor:
    """Which frames of the past are missing (count, length): all of a quarter of them, a part of half of the rest."""
    keep = np.where(rng.random(count) < 0.5, length, rng.integers(1, length + 1, count))
    keep = np.where(rng.random(count) < 0.25, 0, keep)
    return torch.arange(length)[None, :] < torch.from_numpy(length - keep)[:, None]


def mistake(plans: Plans, rng: np.random.Generator) -> None:
    """Let some plans continue what another listener has held for a while, in place: groups of its latents that are
    farther from their mean than the plan's own, but for blinks and gaze, which are quick.

    In the data, raised inner brows of the last seconds have a reason in the speaker. A network that raises them by
    mistake would take its own past for that reason and keep them up for half a minute. Here the speaker gives none: the
    other has shown them all the while, for up to HELD_S by what is remembered, which no listener of the data does. The
    target comes back to its own listener as a critically damped spring would, without a jump in speed, which fades
    within a few frames. Where others could be less moved than the plan's own, brow raises came out of nothing.
    """
    device = plans.past.device
    rows = torch.from_numpy(np.flatnonzero(rng.random(len(plans.past)) < MISTAKEN)).to(device)
    if not len(rows):
        return
    away = (plans.past - plans.past.mean((0, 1))) / plans.past.std((0, 1)).clamp(min=_STILL)
    least = away.abs().amin(1)
    odd = torch.stack([least[:, g.latents].amax(1) * (g.name not in QUICK) for g in GROUPS], dim=1)
    weight = odd.amax(1).square().double() + 1e-3
    others = torch.from_numpy(rng.choice(len(odd), len(rows), p=(weight / weight.sum()).cpu().numpy())).to(device)
    taken = (odd[others] > odd[rows])[:, None, torch.from_numpy(GROUP_OF_LATENT).to(device)]
    own = plans.past[rows]
    other = torch.where(taken, plans.past[others], own)
    held = torch.from_numpy(HELD_S * rng.random(len(rows)).astype(np.float32) ** 2).to(device)
    memory = torch.where(taken, lasting(plans.memory[others], plans.past[others].mean(1), held), plans.memory[rows])
    gap = other[:, -1:] - own[:, -1:]
    speed = other[:, -1:] - other[:, -2:-1] - own[:, -1:] + own[:, -2:-1]
    t = torch.arange(1, plans.target.shape[1] + 1, device=device)[:, None]
    back = gap * (1 + t / SPRING_FRAMES) * torch.exp(-t / SPRING_FRAMES) + speed * t * torch.exp(-t / SPEED_FRAMES)
    plans.past[rows], plans.memory[rows], plans.before[rows] = other, memory, other[:, -VAE_CONTEXT:]
    plans.target[rows] += back


def disturb(plans: Plans, rng: np.random.Generator, noise: torch.Generator) -> None:
    """Noise some pasts and offset some, in place.

    The network does not know, so it takes a past for what it looks like. Grain can be seen and smoothed away, and is
    fine. An offset cannot be seen: if the target stayed, the network would learn that a face may jump by so much
    after every stretch. So the target is offset too, and comes back within RETURN_FRAMES.
    """
    count, _, width = plans.past.shape

    def amount(most: float, share: float) -> Tensor:
        sizes = most * rng.random((count, 1, 1)) * (rng.random((count, 1, 1)) < share)
        return torch.from_numpy(sizes.astype(np.float32)).to(device)

    device = plans.past.device
    grain = torch.randn(plans.past.shape, generator=noise, device=device) * amount(0.15, 0.25)
    offset = torch.randn((count, 1, width), generator=noise, device=device) * amount(0.4, 0.2)
    back = torch.exp(-torch.arange(1, plans.target.shape[1] + 1, device=device) / RETURN_FRAMES)[:, None]
    plans.past = plans.past + offset + grain
    plans.before = plans.before + offset
    plans.target = plans.target + offset * back


_GIVEN: Final = ((0.2, 1, 1), (0.4, 0, 0), (0.55, 1, 0), (0.7, 0, 1), (1.0, 2, 2))
"""(up to this share, controls, style): 1 all of them are given, 0 none, 2 each with a chance of three in four."""


def conditions(people: Streams, rows: Tensor, lead: Tensor, max_lead: int, rng: np.random.Generator) -> Tensor:
    """The condition vectors (N, conditions) of `rows` (N,) of people whose plans begin `lead` (N,) frames ahead.

    Thinned: everything, nothing, controls, style or single entries are given.
    """
    controls, style, real = people.controls[rows].numpy(), people.style[rows].numpy(), people.real[rows].numpy()
    kind = np.searchsorted([share for share, _, _ in _GIVEN], rng.random(len(controls)), side="right")
    ways = np.array(_GIVEN)[np.minimum(kind, len(_GIVEN) - 1), 1:]

    def flags(way: NDArray[np.floating[Any]], width: int) -> NDArray[np.float32]:
        entries = rng.random((len(way), width)) < 0.75
        return np.where(way[:, None] == 2, entries, way[:, None] == 1).astype(np.float32)

    controls_given = flags(ways[:, 0], controls.shape[1]) * (1 - real[:, None])
    style_given = flags(ways[:, 1], style.shape[1]) * people.style_given[rows].numpy()
    vector = condition_vector(controls, controls_given, style, style_given, real, lead.numpy(), max_lead)
    return torch.from_numpy(vector)


class Objective(nn.Module):  # type: ignore[misc]
    """The weighted sum of all losses of a step, as a module, so that it can be distributed over several GPUs.

    Args:
        model: that learns.
        config: of the run.
        teacher: whose velocity is learnt instead of that of people, see `TrainConfig.speaker_guidance`.
    """

    def __init__(self, model: Model, config: TrainConfig, teacher: Denoiser | None = None) -> None:
        super().__init__()
        self.model, self.config, self.teacher = model, config, teacher
        self.register_buffer("weights", LATENT_WEIGHT / LATENT_WEIGHT.mean(), persistent=False)

    def forward(self, s: Sequences, d: Drawn) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss, and its parts without their weights."""
        model, p = self.model, d.plans
        speaker, speaker_missing = self._heard(s, p)
        context = model.denoiser.context(speaker, p.own, d.conditions)
        mask = context_mask(speaker_missing, d.past_missing, d.unguided)
        cos, sin = torch.cos(d.angle)[..., None, None], torch.sin(d.angle)[..., None, None]
        target = model.vae.emphasise(p.target, p.before)[:, None]
        z = cos * target + sin * d.noise
        predicted = model.denoiser.velocity(z, d.angle, context, mask)
        wanted = cos * d.noise - sin * target
        if self.teacher is not None:
            taught = self._guided(self.teacher, z, d, speaker, speaker_missing)
            losses = {"velocity": ((predicted - taught).square() * self.weights).mean()}
            return losses["velocity"], losses
        known = p.known[:, None].expand_as(predicted)
        error = (predicted - wanted).square() * self.weights
        losses = {"velocity": masked_mean(error, known)}
        clean = model.vae.accumulate(cos * z - sin * predicted, p.before[:, None])
        losses |= self._decoded(s, d, clean)
        losses["level"] = level_loss(clean, p.target, p.before[:, -1], p.known, d.angle < CLEAR)
        total = losses["velocity"] + LEVEL * losses["level"]
        if not self.config.keep_encoder:
            losses["auxiliary"], losses["stimulus"] = self._auxiliary(s, self.model.encoder(s.features, s.observed))
            total = total + AUXILIARY * losses["auxiliary"] + AUXILIARY * losses["stimulus"]
        total = total + MOTION * (losses["speed"] + losses["acceleration"]) + COOCCURRENCE * losses["cooccurrence"]
        return total, losses

    @torch.no_grad()  # type: ignore[untyped-decorator,unused-ignore]
    def _guided(self, teacher: Denoiser, z: Tensor, d: Drawn, speaker: Tensor, speaker_missing: Tensor) -> Tensor:
        """The velocity v = v(s, c) + (a - 1) (v(s, c) - v(none, c)) + (b - 1) (v(s, c) - v(s, o)) of `teacher` with
        guidance a on the speaker s and b on the conditions c; unguided draws have v(none, c).

        o is ORDINARY where a condition is given. A listener of whom nothing is known would be one under the wide prior,
        who smiles more, and ordinary ones would be guided to smile less than they do.
        """
        a, b = self.config.speaker_guidance, self.config.condition_guidance
        heard, deaf = (
            context_mask(speaker_missing, d.past_missing, torch.full_like(d.unguided, which)) for which in (False, True)
        )
        context = teacher.context(speaker, d.plans.own, d.conditions)
        both, unheard = (teacher.velocity(z, d.angle, context, mask) for mask in (heard, deaf))
        guided = both + (a - 1) * (both - unheard)
        if b != 1.0:
            ordinary = d.conditions.clone()
            ordinary[:, VALUES] = ORDINARY.to(ordinary) * ordinary[:, GIVEN]
            usual = teacher.velocity(z, d.angle, teacher.context(speaker, d.plans.own, ordinary), heard)
            guided = guided + (b - 1) * (both - usual)
        return torch.where(d.unguided[..., None, None], unheard, guided)

    def _heard(self, s: Sequences, p: Plans) -> tuple[Tensor, Tensor]:
        shape = self.config.shape
        if s.tokens.numel():
            return gathered(s.tokens, p, shape, s.offset)
        tokens = self.model.encoder(s.features, s.observed)
        return gathered(F.pad(tokens, (0, 0, reach_back(shape), 0)), p, shape)

    def _decoded(self, s: Sequences, d: Drawn, clean: Tensor) -> dict[str, Tensor]:
        """Losses on what some of the clean estimates (N, M, H, L) look like, decoded by the frozen autoencoder."""
        p, vae = d.plans, self.model.vae
        plan, stretch = d.decoded
        if not len(plan):
            nothing = clean.sum() * 0.0
            return {"speed": nothing, "acceleration": nothing, "cooccurrence": nothing}
        before = p.before[plan]
        # Latents that were not measured are taken as they are: they must not count as a difference.
        estimate = torch.where(p.known[plan], clean[plan, stretch], p.target[plan])
        here = torch.cat([before, estimate], dim=1)
        there = torch.cat([before, p.target[plan]], dim=1)
        with torch.no_grad():
            wanted, units_wanted = vae.decode(there), vae.attributes(there)[..., :UNITS]
        row, first = (index.to(plan.device)[plan][:, None] for index in (p.which, MARGIN + p.start))
        seen = s.seen[row, first + torch.arange(estimate.shape[1], device=plan.device)]
        speed, acceleration = motion_loss(vae.decode(here)[:, VAE_CONTEXT:], wanted[:, VAE_CONTEXT:], vae.scale, seen)
        units = vae.attributes(here)[:, VAE_CONTEXT:, :UNITS]
        together = cooccurrence_loss(units, units_wanted[:, VAE_CONTEXT:])
        return {"speed": speed, "acceleration": acceleration, "cooccurrence": together}

    def _auxiliary(self, s: Sequences, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Straight from the speaker's tokens: means of the listener's next 16 frames in four blocks, and the stimulus.

        The denoiser's loss depends on the speaker by a hundredth; these two teach the encoder what to look for.
        """
        frames = tokens.shape[1]
        face = s.listener[:, MARGIN:, _AUX] / self.model.vae.scale[_AUX]
        seen = s.seen[:, MARGIN:, _AUX].float()

        def blocks(values: Tensor) -> Tensor:
            parts = [values[:, 1 + 4 * i : 1 + 4 * i + frames + 3].unfold(1, 4, 1).mean(-1) for i in range(BLOCKS)]
            return torch.stack(parts, dim=2).flatten(2)

        future, stimulus = self.model.aux(tokens).split((BLOCKS * len(_AUX), STIMULUS_COUNT), dim=-1)
        simulated = (s.real < 0.5).to(tokens.device)[:, None, None].expand_as(stimulus)
        wanted = (s.stimulus / _STIMULUS_SIZE.to(tokens.device)).expand_as(stimulus)
        ahead = masked_mean((future - blocks(face)).square(), blocks(seen) > 0.99)
        return ahead, masked_mean((stimulus - wanted).square(), simulated)


def gathered(tokens: Tensor, plans: Plans, shape: Shape, offset: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The tokens that each plan sees (N, far + speech, D), and which are missing (N, far + speech): before the session.

    `tokens` (B, reach_back + frames, D); before the sequence there are some where its `offset` (B,) is above 0.
    """
    ages = torch.from_numpy(heard_ages(shape.as_dict()))
    at = plans.newest[:, None] - ages
    earliest = torch.zeros(1) if offset is None else -offset[plans.which][:, None]
    missing = (at < earliest).to(tokens.device)
    speaker = tokens[plans.which.to(tokens.device)[:, None], (at + reach_back(shape)).clamp(min=0).to(tokens.device)]
    return speaker * (~missing)[..., None], missing


def context_mask(speaker_missing: Tensor, past_missing: Tensor, unguided: Tensor) -> Tensor:
    """(N, M, C): which context each stretch may see."""
    stretches = unguided.shape[1]
    speaker = speaker_missing[:, None] | unguided[:, :, None]
    past = past_missing[:, None].expand(-1, stretches, -1)
    conditions_missing = torch.zeros_like(speaker[..., :1])
    return MASKED * torch.cat([conditions_missing, speaker, past], dim=-1).float()


def schedule(done: float, warm: float) -> float:
    """Learning rate, as a share of its peak, when `done` (0..1) of the run is over: linear, then a cosine to 3 %."""
    return min(1.0, (done + 1e-9) / max(warm, 1e-9)) * (0.03 + 0.97 * 0.5 * (1 + math.cos(math.pi * min(done, 1.0))))
