"""A training run: first the listener's autoencoder, then encoder and denoiser together.

Every random choice of a step is drawn from (seed, step), so a checkpoint needs networks, averages, optimiser and the
step, and a run that was killed goes on to the same bits on a CPU.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import broadcast
from torch import Tensor

from reactdiff_ros.coefficients import ROTATION
from reactdiff_ros.errors import ReactdiffError, explained
from reactdiff_ros.recordings.datasets.recording import VoiceOf
from reactdiff_ros.simulator.dyads import simulator_hash

from .autoencoder import AutoencoderStep, DecoderFit, describe, draw_listeners, set_scale
from .config import TrainConfig, config_from
from .data import MARGIN, Pool, Pools, Sequences, cut, followed, make_pool
from .feedback import refit
from .nets import Model
from .objective import Drawn, Objective, draw, draw_batch, draw_plans, schedule
from .recorded import Completion, Recorded, real_pool, training_recordings
from .run import CHECKPOINT, FORMAT, Progress, Start, load_networks, read_checkpoint, read_start, save_state

REPORT_STEPS: Final = 25
VALIDATION_STEPS: Final = 500
VAE_POOL_STEPS: Final = 500
VAE_POOL, WHITENING_POOL, COMPLETION_POOL, DECODER_POOL, HEAD_MEAN_POOL, FEEDBACK_POOL = (
    n * 10**6 for n in range(1, 7)
)
"""Numbers of pools that are not those of the reaction steps."""
VAE_BUDGET: Final = 0.1
"""Share of a time budget that the autoencoder may take."""
WARM: Final = 0.03
"""Share of the run in which the learning rate rises."""
HEAD_MEAN_POOLS: Final = 4
HEAD_MEAN_PENALTY: Final = 0.5
"""Of .0015 to .5, what correlates most with the heads of listeners to speakers of purpose "tune"."""
AVERAGE_POWER: Final = 20
"""Networks of a step weigh as its 19th power in the average (power-function average: Karras et al., arXiv 2312.02696):
it is over the last 5 % of a run. Longer ones blur what is rare: averaged with a power of 3, mouths and brows have .59
and .43 of simulated listeners' power at .2 to 1.8 Hz where the last networks of the same run have .75 and .67."""
HOPELESS: Final = 50
"""Steps in a row without a finite loss after which the run ends."""


class Trainer:
    """One run: `begin_with()` or `resume()` or neither, then `run()`, which yields progress.

    The state is kept in `folder/checkpoint.pt`.

    Args:
        config: of the run.
        folder: for the checkpoint.
        clock: seconds, for the time budget and the time left.
        voice_of: makes the speaker's voice of the sound of public sets; None: it is unobserved there.

    Raises:
        ReactdiffError: the precision is not available here, or data are wrong.
    """

    def __init__(
        self, config: TrainConfig, folder: Path, clock: Callable[[], float] = time.monotonic, voice_of: VoiceOf = None
    ) -> None:
        torch.manual_seed(config.seed)
        torch.set_num_threads(config.threads)
        self.config, self.folder, self.clock = config, folder, clock
        torch.set_float32_matmul_precision("high" if config.precision == "tf32" else "highest")
        with explained(ValueError, "this precision is not available here", where=config.precision):
            self.accelerator = Accelerator(mixed_precision="no" if config.precision == "tf32" else config.precision)
        self.rank = self.accelerator.process_index
        self.model, self.average = Model(config.shape), Model(config.shape)
        self.step = self.vae_step = self.skipped = 0
        self.spent_s = 0.0
        self.facts: dict[str, Any] = {}
        self.before: list[dict[str, Any]] = []
        self.note = ""
        self.average.load_state_dict(self.model.state_dict())
        self.recordings = training_recordings(config, voice_of)
        self.people = self.recordings.sources
        self.model.to(self.accelerator.device)
        self.average.to(self.accelerator.device).requires_grad_(False)
        self.autoencoder = AutoencoderStep(self.model.vae)
        self.model.vae.requires_grad_(False)
        self._origin = _networks_before(config).to(self.accelerator.device) if config.distils or config.keep else None
        self._teacher = self._origin.denoiser if config.distils and self._origin else None
        objective = Objective(self.model, config, self._teacher)
        # No weight decay: it would win where gradients say little, near pi/2, and leave events undecided.
        optimizer = torch.optim.Adam(self._parameters(), lr=config.learning_rate)
        self.objective, self.optimizer = self.accelerator.prepare(objective, optimizer)
        self._started = clock()
        self._real: Pool | None = None
        self._unseen: Pool | None = None

    def begin_with(self, start: Start) -> None:
        """Take the networks of another run, which `config.start_from` names; the autoencoder stays as it is there.

        Raises:
            ReactdiffError: they have other shapes.
        """
        load_networks(self.model, start.shape, start.networks, self.config.start_from)
        if not self.config.keep_encoder:  # a mean of other tokens
            self.model.head_mean.zero_()
        self.average.load_state_dict(self.model.state_dict())
        self.vae_step, self.facts, self.before = self.config.vae_steps, start.facts, start.runs

    def _parameters(self) -> list[Tensor]:
        m = self.model
        if self.config.keep_encoder:
            return [*m.denoiser.parameters()]
        return [*m.encoder.parameters(), *m.denoiser.parameters(), *m.aux.parameters()]

    # --- checkpoints ---------------------------------------------------------------------------------------------

    @property
    def checkpoint(self) -> Path:
        """Where the state is kept."""
        return self.folder / CHECKPOINT

    def save(self) -> None:
        """Write the checkpoint. Raises ReactdiffError: it cannot be written; the one before stays."""
        if not self.accelerator.is_main_process:
            return
        save_state(self.checkpoint, {
            "format": FORMAT, "config": asdict(self.config), "simulator": simulator_hash(), "facts": self.facts,
            "before": self.before, "people": self.people,
            "step": self.step, "vae_step": self.vae_step, "spent_s": self.spent(), "model": self.model.state_dict(),
            "average": self.average.state_dict(), "optimizer": self.optimizer.state_dict(),
            "autoencoder": self.autoencoder.state(),
        })  # fmt: skip

    def _save_if_possible(self) -> None:
        """Write the checkpoint; a full disk is reported once and tried again later: training need not stop for it."""
        try:
            self.save()
        except ReactdiffError as error:
            self.note = f"{error}; training goes on and tries again"

    def resume(self) -> None:
        """Go on from the checkpoint. Raises ReactdiffError: it is missing, unreadable, or of other networks."""
        state = read_checkpoint(self.checkpoint)
        wrong, what = (KeyError, ValueError, TypeError), "the checkpoint does not fit this run"
        with explained(wrong, what, where=self.checkpoint, todo="train again"):
            shape = config_from(state["config"]).shape
            load_networks(self.model, shape, state["model"], str(self.checkpoint))
            load_networks(self.average, shape, state["average"], str(self.checkpoint))
            self.optimizer.load_state_dict(state["optimizer"])
            self.autoencoder.load(state["autoencoder"])
            self.step, self.vae_step, self.facts = state["step"], state["vae_step"], state["facts"]
            self.spent_s = state["spent_s"]
            self.before = state.get("before", [])
            self.people = sorted({*self.people, *state.get("people", ())})
        if state["simulator"] != simulator_hash():
            self.note = "the simulator has changed since this run began; it goes on with the new one"
        self._started = self.clock()

    # --- the run -------------------------------------------------------------------------------------------------

    def run(self, stop: Callable[[], bool] = lambda: False) -> Iterator[Progress]:
        """Train to the end, or until `stop()`; the checkpoint is written now and then, and at the end.

        Raises:
            ReactdiffError: the last checkpoint cannot be written, or the losses stay infinite.
        """
        self._recorded()  # before the clock starts
        self._started = self.clock()
        pools = Pools(self.config, self.rank, self.accelerator.num_processes)
        try:
            yield from self._train_autoencoder(pools, stop)
            if not stop():
                yield from self._fit_decoder(pools, stop)
            if not stop():
                yield from self._train_reaction(pools, stop)
        finally:
            pools.close()
        self.save()

    def spent(self) -> float:
        """Seconds of training, those before a resumption included."""
        return self.spent_s + self.clock() - self._started

    def _done(self, step: int, steps: int, share: float = 1.0) -> float:
        """How much of a phase is over, 0..1; a phase with a time budget ends with it."""
        done = step / max(steps, 1)
        return max(done, self.spent() / (60 * share * self.config.minutes)) if self.config.minutes else done

    def _agreed(self, done: float, stopped: bool) -> tuple[float, bool]:
        """What all processes agree on: their clocks and signals are not the same."""
        if self.accelerator.num_processes == 1:
            return done, stopped
        both = torch.tensor([done, float(stopped)], dtype=torch.float64, device=self.accelerator.device)
        mean = self.accelerator.reduce(both, "mean")
        return float(mean[0]), bool(mean[1] > 0)

    def _progress(
        self, phase: str, step: int, steps: int, values: dict[str, float], done: float, since: tuple[float, float]
    ) -> Progress:
        began, done_then = since
        gained = done - done_then
        left = (self.clock() - began) * (1 - done) / gained if gained > 0 else float("nan")
        note, self.note = self.note, ""
        return Progress(phase, step, steps, values, left, note)

    def _train_autoencoder(self, pools: Pools, stop: Callable[[], bool]) -> Iterator[Progress]:
        c, vae = self.config, self.model.vae
        if self.vae_step >= c.vae_steps:
            return
        vae.requires_grad_(True)
        pool, since = None, (self.clock(), self._done(self.vae_step, c.vae_steps, VAE_BUDGET))
        while True:
            done, stopped = self._agreed(self._done(self.vae_step, c.vae_steps, VAE_BUDGET), stop())
            if done >= 1.0 or stopped:
                break
            if pool is None or self.vae_step % VAE_POOL_STEPS == 0:
                pool = make_pool(c, "train", VAE_POOL + self.vae_step // VAE_POOL_STEPS, pools.bank)
                if self.vae_step == 0:
                    set_scale(vae, pool.listener)
            rng = np.random.default_rng([c.seed, 101, self.vae_step])
            drawn = draw_listeners(pool, self._recorded(), rng)
            x, seen, labels, labelled = (part.to(vae.scale.device) for part in drawn)
            losses = self.autoencoder(x, seen, labels, labelled, done, int(rng.integers(2**62)))
            self.vae_step += 1
            if self.vae_step % 50 == 0:
                yield self._progress("autoencoder", self.vae_step, c.vae_steps, losses, done, since)
            if self.vae_step % (2 * c.checkpoint_steps) == 0:
                self._save_if_possible()
        if done >= 1.0:
            self._finish_autoencoder(pools)
        vae.requires_grad_(False)
        self._share_autoencoder()
        self.average.load_state_dict(self.model.state_dict())
        self._save_if_possible()

    def _share_autoencoder(self) -> None:
        """Give all processes the autoencoder of the first: each trained its own on the same data, but on GPUs not to
        the same bits, and latents must mean the same everywhere.
        """
        if self.accelerator.num_processes > 1:
            state = {name: value.clone() for name, value in self.model.vae.state_dict().items()}
            self.model.vae.load_state_dict(broadcast(state))

    def _finish_autoencoder(self, pools: Pools) -> None:
        """Whiten the latents."""
        c, vae = self.config, self.model.vae
        self.vae_step = c.vae_steps
        pool = make_pool(c, "train", WHITENING_POOL, pools.bank)
        with torch.no_grad():
            vae.set_whitening(vae.posterior(pool.listener.to(self.accelerator.device))[0])
        real = self._recorded()
        self.facts["autoencoder"] = {"labelled_frames": int(real.labelled.sum()) if real is not None else 0}

    def _fit_decoder(self, pools: Pools, stop: Callable[[], bool]) -> Iterator[Progress]:
        """Fit the decoder, unless these networks have been through it; what is stopped begins again when resumed.

        Then keep what the autoencoder can do on listeners that it has not seen.
        """
        c, vae = self.config, self.model.vae
        facts = self.facts.get("autoencoder", {})
        if "decoder_steps" in facts:
            return
        before = {name: value.clone() for name, value in vae.decode_net.state_dict().items()}
        pool, since = make_pool(c, "train", DECODER_POOL, pools.bank), (self.clock(), 0.0)
        vae.decode_net.requires_grad_(True)
        fit = DecoderFit(vae, pool.listener)
        for step in range(c.decoder_steps):
            if stop():
                vae.decode_net.load_state_dict(before)
                break
            drawn = draw_listeners(pool, self._recorded(), np.random.default_rng([c.seed, 103, step]))
            x, seen = (part.to(vae.scale.device) for part in drawn[:2])
            done = (step + 1) / c.decoder_steps
            losses = fit(x, seen, step / c.decoder_steps)
            if (step + 1) % 50 == 0:
                yield self._progress("decoder", step + 1, c.decoder_steps, losses, done, since)
        else:
            unseen = make_pool(replace(c, worlds=min(32, c.worlds)), "validate", 1, pools.bank)
            known = {"labelled_frames": 0, **facts, "decoder_steps": c.decoder_steps}
            self.facts["autoencoder"] = known | describe(vae, unseen.listener)
        vae.decode_net.requires_grad_(False)
        self._share_autoencoder()
        self.average.vae.load_state_dict(vae.state_dict())
        self._save_if_possible()

    def _train_reaction(self, pools: Pools, stop: Callable[[], bool]) -> Iterator[Progress]:
        c = self.config
        if c.keep_encoder and not c.distils and self.step == 0:  # a teacher may draw the whole head
            self._fit_head_mean(pools)
        since = (self.clock(), self._done(self.step, c.steps))
        sums: dict[str, float] = {}
        pool: Pool | None = None
        batch: tuple[Sequences, Drawn] | None = None
        failures = 0
        while True:
            done, stopped = self._agreed(self._done(self.step, c.steps), stop())
            if done >= 1.0 or stopped:
                break
            number = self.step // c.pool_steps
            if pool is None or self.step % c.pool_steps == 0:
                pool, batch = self._ready(pools.get(number)), None
            loss, parts, norm = self._gradients(*(batch or self._batch(pool, self.step)), done)
            last = (self.step + 1) % c.pool_steps == 0
            batch = None if last else self._batch(pool, self.step + 1)  # while a GPU is at it
            losses = self._update(loss, parts, norm)
            failures = 0 if losses else failures + 1
            if failures >= HOPELESS:
                raise ReactdiffError("the losses stay infinite", where=str(self.folder), todo="lower the learning rate")
            self.step += 1
            for name, value in losses.items():
                sums[name] = sums.get(name, 0.0) + value / REPORT_STEPS
            if self.step % REPORT_STEPS == 0:
                if self.step % VALIDATION_STEPS == 0:
                    sums |= self._validate(pools)
                planned = min(c.steps, round(self.step / max(done, 1e-6)))  # or as many as the budget allows
                yield self._progress("reaction", self.step, planned, sums, done, since)
                sums = {}
            if self.step % c.checkpoint_steps == 0:
                self._save_if_possible()
        if since[1] < 1.0 <= done:
            if self._origin is not None:
                self._move_average(self._origin, c.keep)
            self._refit_feedback(pools)

    def _ready(self, pool: Pool) -> Pool:
        """The pool with latents and, where the encoder stays as it is, tokens."""
        if self.config.keep_encoder:
            pool = pool.encoded(self.model.encoder).without_head_mean(self.model.head_mean, self.config.shape)
        return pool.to_latents(self.model.vae)

    def _fit_head_mean(self, pools: Pools) -> None:
        """The head's mean given the tokens: a ridge regression over HEAD_MEAN_POOLS pools."""
        c = replace(self.config, eager_share=0.0)
        products: list[Tensor] = []
        for number in range(HEAD_MEAN_POOLS):
            pool = make_pool(c, "train", HEAD_MEAN_POOL + number, pools.bank).encoded(self.model.encoder)
            x = followed(pool.tokens, c.shape)[:, MARGIN:].flatten(0, 1).double()
            y = pool.listener[:, 2 * MARGIN :, ROTATION].flatten(0, 1).to(x)
            products.append(x.T @ torch.cat([x, y], dim=1))
        self.model.head_mean.copy_(ridge(torch.stack(products).sum(0)))
        self.average.head_mean.copy_(self.model.head_mean)

    def _refit_feedback(self, pools: Pools) -> None:
        """What ends a run: the filter of heads takes over what the averaged networks miss."""
        c, average = replace(self.config, eager_share=0.0), self.average
        pool = make_pool(c, "train", FEEDBACK_POOL, pools.bank).encoded(average.encoder)
        pool = pool.without_head_mean(average.head_mean, c.shape).to_latents(average.vae)
        refit(average, pool, c, np.random.default_rng([c.seed, 23]))
        self.model.vae.set_feedback(average.vae.feedback)

    def _recorded(self) -> Pool | None:
        """The recordings as a pool; what they lack of a group is completed as some simulated listeners have it."""
        if self._real is None and self.recordings:
            few = replace(self.config, worlds=min(64, self.config.worlds))
            listeners = make_pool(few, "train", COMPLETION_POOL).listener.numpy()
            self._real = real_pool(self.recordings, Completion(listeners), self.config.seed, self.config.ablate)
            self.recordings = Recorded()  # all that is needed of them is in the pool
        return self._real

    def _batch(self, pool: Pool, step: int) -> tuple[Sequences, Drawn]:
        rng = np.random.default_rng([self.config.seed, 7, step, self.rank])
        real = self._recorded()
        if real is not None and not real.latents.numel():
            self._ready(real)  # once the autoencoder stays as it is
        return draw_batch(self.config, pool, real, rng)

    def _gradients(self, sequences: Sequences, drawn: Drawn, done: float) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """Loss, its parts, and the norm of the gradients, which are in the parameters."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.learning_rate * schedule(done, WARM)
        self.optimizer.zero_grad(set_to_none=True)
        with self.accelerator.autocast():
            loss, losses = self.objective(sequences, drawn)
        self.accelerator.backward(loss)
        norm = self.accelerator.clip_grad_norm_(self._parameters(), 1.0)
        return loss.detach(), {name: value.detach() for name, value in losses.items()}, norm

    def _update(self, loss: Tensor, losses: dict[str, Tensor], norm: Tensor) -> dict[str, float]:
        """The optimiser's step and the parts of the loss; nothing, and no change, if the loss is not finite."""
        figures = torch.stack([loss, norm, *losses.values()]).tolist()
        finite = all(math.isfinite(value) for value in figures[:2])
        if finite or self.config.precision == "fp16":  # the scaler of fp16 looks at the gradients itself
            self.optimizer.step()
        if not finite:
            self.optimizer.zero_grad(set_to_none=True)
            self.skipped += 1
            return {}
        keep = min(self.config.average, (self.step + 2) / (self.step + 2 + AVERAGE_POWER))
        self._move_average(self.model, 1.0 - keep)
        return dict(zip(losses, figures[2:], strict=True))

    @torch.no_grad()  # type: ignore[untyped-decorator,unused-ignore]
    def _move_average(self, towards: Model, share: float) -> None:
        """Moves what is trained of the averaged networks, by `share` of the way."""
        three = zip(self.average.parameters(), towards.parameters(), self.model.parameters(), strict=True)
        slow, aims = zip(*((a, t) for a, t, m in three if m.requires_grad), strict=True)
        torch._foreach_lerp_(slow, aims, share)

    @torch.no_grad()  # type: ignore[untyped-decorator,unused-ignore]
    def _validate(self, pools: Pools) -> dict[str, float]:
        """Losses of the averaged model on speakers that training never sees, and how much they rise when each
        listener gets another's speaker.
        """
        c, shape = self.config, self.config.shape
        if self._unseen is None:
            unseen = make_pool(replace(c, worlds=24), "validate", 0, pools.bank)
            self._unseen = self._ready(unseen)
        pool = self._unseen
        rng = np.random.default_rng([c.seed, 19])
        s = cut(pool, rng, np.arange(24), c.frames, shape)
        drawn = draw(s, draw_plans(s, c, rng), replace(c, ablate=()), rng)
        objective = Objective(self.average, c, self._teacher).to(self.accelerator.device)
        _, paired = objective(s, drawn)
        other = replace(
            s, features=s.features.roll(1, 0), observed=s.observed.roll(1, 0),
            tokens=s.tokens.roll(1, 0) if s.tokens.numel() else s.tokens,
        )  # fmt: skip
        _, shuffled = objective(other, drawn)
        figures = {f"validation/{name}": float(value) for name, value in paired.items()}
        return figures | {"validation/reliance": float(shuffled["velocity"] - paired["velocity"])}


def ridge(products: Tensor) -> Tensor:
    """Readout (D + 1, 3) of the sums of products (D + 1, D + 1 + 3) of inputs with inputs and outputs, the last input
    being 1: a ridge regression with a penalty of HEAD_MEAN_PENALTY times each input's variance.
    """
    width = products.shape[0]
    squares, cross = (products / products[-1, width - 1]).split((width, products.shape[1] - width), dim=1)
    variance = (squares.diagonal() - squares[-1].square()).clamp(min=1e-9)
    variance[-1] = 0.0
    return torch.linalg.solve(squares + HEAD_MEAN_PENALTY * torch.diag(variance), cross).float()


def _networks_before(config: TrainConfig) -> Model:
    """The networks as they were before the run: what distils guidance learns from them, and a share may be kept."""
    model, start = Model(config.shape), read_start(Path(config.start_from))
    load_networks(model, start.shape, start.networks, config.start_from)
    model.requires_grad_(False)
    return model
