"""Training on simulated dyads: first the listener's autoencoder, then encoder and denoiser together.

Everything is drawn from one seed; a checkpoint holds all that is needed to go on (networks, averages, optimiser,
step). The listener's past is dropped and disturbed heavily, because it predicts the next frame so well that the
network would otherwise ignore the speaker.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reactdiff_ros.coefficients import INDEX
from reactdiff_ros.errors import ReactdiffError

from .data import AUX_NAMES, MARGIN, Sequences, cut, make_pool
from .nets import Model, Shape
from .simulator import simulator_hash
from .voice_bank import load_bank


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """Settings of a training run."""

    seed: int = 0
    steps: int = 7500
    """Optimiser steps of encoder and denoiser."""
    vae_steps: int = 1200
    batch: int = 8
    """Sequences a step."""
    plans: int = 10
    """Plans a sequence."""
    frames: int = 112
    worlds: int = 192
    world_frames: int = 500
    pool_steps: int = 150
    """Steps until the pool of dyads is simulated anew."""
    learning_rate: float = 6e-4
    kl: float = 2e-4
    average: float = 0.998
    threads: int = 1
    checkpoint_steps: int = 250
    bank: str = ""
    """File of the voice bank; empty: none."""
    shape: Shape = field(default_factory=Shape)


@dataclass(frozen=True, slots=True)
class Progress:
    """How training goes."""

    phase: str
    step: int
    steps: int
    losses: dict[str, float]


class Trainer:
    """One run. `run()` yields progress; the state is saved to `folder/checkpoint.pt`."""

    def __init__(self, config: TrainConfig, folder: Path) -> None:
        torch.manual_seed(config.seed)
        torch.set_num_threads(config.threads)
        self.config, self.folder = config, folder
        self.model = Model(config.shape)
        self.average = Model(config.shape)
        self.bank = load_bank(Path(config.bank) if config.bank else None)
        self.step = self.vae_step = 0
        self.optimizer = torch.optim.AdamW(self._reaction_parameters(), lr=config.learning_rate, weight_decay=0.01)
        self._average_all(0.0)

    def _reaction_parameters(self) -> list[Tensor]:
        m = self.model
        return [*m.encoder.parameters(), *m.denoiser.parameters(), *m.aux.parameters()]

    @property
    def checkpoint(self) -> Path:
        """Where the state is kept."""
        return self.folder / "checkpoint.pt"

    def save(self) -> None:
        """Write the checkpoint whole, then move it into place."""
        self.folder.mkdir(parents=True, exist_ok=True)
        state = {
            "config": asdict(self.config), "simulator": simulator_hash(), "step": self.step, "vae_step": self.vae_step,
            "model": self.model.state_dict(), "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(), "torch_rng": torch.get_rng_state(),
        }  # fmt: skip
        partial = self.checkpoint.with_suffix(".part")
        torch.save(state, partial)
        partial.replace(self.checkpoint)

    def resume(self) -> None:
        """Go on from the checkpoint.

        Raises:
            ReactdiffError: it is missing, unreadable or of another shape.
        """
        state = read_checkpoint(self.checkpoint)
        try:
            self.model.load_state_dict(state["model"])
            self.average.load_state_dict(state["average"])
            self.optimizer.load_state_dict(state["optimizer"])
        except (KeyError, RuntimeError, ValueError) as error:
            raise ReactdiffError(
                "the checkpoint does not fit this configuration", where=str(self.checkpoint), todo="train anew"
            ) from error
        torch.set_rng_state(state["torch_rng"])
        self.step, self.vae_step = state["step"], state["vae_step"]

    def run(self, stop: Callable[[], bool] = lambda: False) -> Iterator[Progress]:
        """Train to the end, or until `stop()`; the checkpoint is written now and then, and at the end."""
        yield from self._train_vae(stop)
        yield from self._train_reaction(stop)
        self.save()

    # --- autoencoder ---------------------------------------------------------------------------------------------

    def _train_vae(self, stop: Callable[[], bool]) -> Iterator[Progress]:
        c, vae = self.config, self.model.vae
        if self.vae_step >= c.vae_steps:
            return
        optimizer = torch.optim.AdamW(vae.parameters(), lr=2e-3, weight_decay=1e-4)
        rng = np.random.default_rng([c.seed, 101])
        while self.vae_step < c.vae_steps and not stop():
            if self.vae_step % 300 == 0:
                pool = make_pool(50_000 + c.seed * 1000 + self.vae_step, c.worlds, c.world_frames, self.bank)
                if self.vae_step == 0:
                    deviation = pool.listener.flatten(0, 1).std(0)
                    vae.scale.copy_(deviation.clamp(min=0.03))
                    vae.scale[52:] = deviation[52:].clamp(min=0.004)
            row = torch.from_numpy(rng.integers(0, c.worlds, 32))[:, None]
            start = torch.from_numpy(rng.integers(0, c.world_frames - 64, 32))[:, None]
            x = pool.listener[row, start + torch.arange(64)]
            mean, log_var = vae.posterior(x)
            z = mean + torch.exp(0.5 * log_var) * torch.randn_like(mean)
            error = (vae.decode_raw(z) - x) / vae.scale
            jerk = (error[:, 1:] - error[:, :-1]).square().mean()
            kl = 0.5 * (mean.square() + log_var.exp() - 1 - log_var).mean()
            loss = error.square().mean() + jerk + c.kl * kl
            for group in optimizer.param_groups:
                group["lr"] = 2e-3 * 0.5 * (1 + math.cos(math.pi * self.vae_step / c.vae_steps)) + 2e-5
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            self.vae_step += 1
            if self.vae_step % 50 == 0:
                losses = {
                    "error": float(error.detach().square().mean()),
                    "kl": float(kl.detach()),
                    "jerk": float(jerk.detach()),
                }
                yield Progress("autoencoder", self.vae_step, c.vae_steps, losses)
        self._whiten()
        self._average_all(0.0)
        self.save()

    def _whiten(self) -> None:
        vae, c = self.model.vae, self.config
        pool = make_pool(60_000 + c.seed, c.worlds, c.world_frames, self.bank)
        with torch.no_grad():
            mean = vae.posterior(pool.listener)[0].flatten(0, 1)
        vae.center.copy_(mean.mean(0))
        # A dimension that the KL term has closed carries nothing: keep it small instead of blowing its noise up.
        vae.spread.copy_(mean.std(0).clamp(min=0.1))

    # --- encoder and denoiser --------------------------------------------------------------------------------------

    def _train_reaction(self, stop: Callable[[], bool]) -> Iterator[Progress]:
        c = self.config
        self.model.vae.requires_grad_(False)
        pool = None
        while self.step < c.steps and not stop():
            if pool is None or self.step % c.pool_steps == 0:
                pool = make_pool(c.seed * 100_000 + self.step // c.pool_steps, c.worlds, c.world_frames, self.bank)
            rng = np.random.default_rng([c.seed, 7, self.step])
            sequences = cut(pool, rng, c.batch, c.frames, self.model.vae, c.shape)
            loss, losses = reaction_loss(self.model, sequences, rng, c.plans)
            rate = min(1.0, (self.step + 1) / 200) * (0.03 + 0.97 * 0.5 * (1 + math.cos(math.pi * self.step / c.steps)))
            for group in self.optimizer.param_groups:
                group["lr"] = c.learning_rate * rate
            self.optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self._reaction_parameters(), 1.0)
            self.optimizer.step()
            self.step += 1
            self._average_all(min(c.average, (self.step + 1) / (self.step + 20)))
            if self.step % 25 == 0:
                yield Progress("reaction", self.step, c.steps, losses)
            if self.step % c.checkpoint_steps == 0:
                self.save()

    def _average_all(self, keep: float) -> None:
        for slow, fast in zip(self.average.state_dict().values(), self.model.state_dict().values(), strict=True):
            slow.lerp_(fast.detach(), 1.0 - keep)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The state in a checkpoint.

    Raises:
        ReactdiffError: missing or unreadable.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a broken file makes the unpickler raise anything
        raise ReactdiffError("the checkpoint cannot be read", where=str(path), todo="train first") from error
    return state


def plan_inputs(
    tokens: Tensor, latents: Tensor, which: Tensor, newest: Tensor, lead: Tensor, shape: Shape
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gather the inputs of plans whose newest token is `newest` and that start `lead` + 1 frames later.

    Returns speaker (N, speech, D), speaker_missing (N, speech), past (N, past, L), target (N, horizon, L), start (N,).
    """
    start = newest + 1 + lead
    ages = newest[:, None] + torch.arange(1 - shape.speech, 1)
    speaker = tokens[which[:, None], ages.clamp(min=0)]
    past = latents[which[:, None], MARGIN + start[:, None] + torch.arange(-shape.past, 0)]
    target = latents[which[:, None], MARGIN + start[:, None] + torch.arange(shape.horizon)]
    return speaker * (ages >= 0)[..., None], ages < 0, past, target, start


def control_vector(values: Tensor, given: Tensor, lead: Tensor, shape: Shape) -> Tensor:
    """Values where given, flags, and the lead as one-hot: (N, 2 * controls + max_lead)."""
    one_hot = torch.nn.functional.one_hot(lead, shape.max_lead).to(values.dtype)
    return torch.cat([values * given, given, one_hot], dim=-1)


def reaction_loss(model: Model, s: Sequences, rng: np.random.Generator, plans: int) -> tuple[Tensor, dict[str, float]]:
    """Velocity loss of the denoiser and the auxiliary loss of the encoder."""
    shape = model.shape
    batch, frames = s.features.shape[:2]
    tokens = model.encoder(s.features, s.observed)
    count = batch * plans
    which = torch.arange(batch).repeat_interleave(plans)
    newest = torch.from_numpy(rng.integers(2, frames, count))
    lead = torch.from_numpy(np.minimum(rng.geometric(0.35, count) - 1, shape.max_lead - 1))
    speaker, missing, past, target, start = plan_inputs(tokens, s.latents, which, newest, lead, shape)
    past, past_missing = disturb_past(past, rng)
    given = torch.from_numpy((rng.random((count, shape.controls)) < 0.85).astype(np.float32))
    controls = control_vector(s.controls[which], given, lead, shape)
    unguided = torch.from_numpy(rng.random(count) < 0.12)[:, None]
    mask = -1e4 * torch.cat([torch.zeros(count, 1), (missing | unguided).float(), past_missing.float()], dim=1)
    context = model.denoiser.context(speaker, past, controls)
    angle = torch.from_numpy(0.5 * np.pi * rng.beta(1.2, 1.1, count).astype(np.float32)).clamp(0.005, 0.5 * np.pi)
    noise = torch.randn_like(target)
    cos, sin = torch.cos(angle)[:, None, None], torch.sin(angle)[:, None, None]
    z = cos * target + sin * noise
    predicted = model.denoiser.velocity(z, angle, context, mask)
    active = s.activity[which[:, None], MARGIN + start[:, None] + torch.arange(shape.horizon)]
    weight = (1 + 2 * active)[..., None]
    error = (predicted - (cos * noise - sin * target)).square() * weight
    loss = error.mean()
    aux = _aux_loss(model, s, tokens)
    return loss + 0.3 * aux, {"velocity": float(loss.detach()), "aux": float(aux.detach())}


def disturb_past(past: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Drop, shorten, offset and noise the listener's past. Returns it and which frames are missing (N, past)."""
    count, length, width = past.shape
    noise = torch.randn_like(past) * torch.from_numpy(0.6 * rng.random((count, 1, 1)).astype(np.float32))
    shift = torch.randn(count, 1, width) * torch.from_numpy(0.7 * rng.random((count, 1, 1)).astype(np.float32))
    clean = torch.from_numpy(rng.random((count, 1, 1)) < 0.2).float()
    past = past + (noise + shift) * (1 - clean)
    keep = np.where(rng.random(count) < 0.5, length, rng.integers(1, length + 1, count))
    keep = np.where(rng.random(count) < 0.35, 0, keep)
    missing = torch.arange(length)[None, :] < torch.from_numpy(length - keep)[:, None]
    return past, missing


def _aux_loss(model: Model, s: Sequences, tokens: Tensor) -> Tensor:
    """Prediction of the listener's next 16 frames (means of four blocks) straight from the speaker tokens."""
    columns = [INDEX[name] for name in AUX_NAMES]
    frames = tokens.shape[1]
    face = s.listener[:, MARGIN:, columns] / model.vae.scale[columns]
    blocks = [face[:, 1 + 4 * i : 1 + 4 * i + frames + 3].unfold(1, 4, 1).mean(-1) for i in range(4)]
    wanted = torch.stack(blocks, dim=2).flatten(2)
    loss: Tensor = (model.aux(tokens) - wanted).square().mean()
    return loss
