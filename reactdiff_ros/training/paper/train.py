"""Training of the `paper` preset: the autoencoder with its multi-modality transformer, then the diffusion.

Weights are chosen by the validation split; the test split is never opened. A checkpoint is written after every epoch
and when training is stopped; randomness is a function of seed, part, epoch and step, so a run that was killed goes on
as if it had not been.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import torch
from torch import Tensor, nn

from reactdiff_ros.errors import ConfigError, ReactdiffError, explained
from reactdiff_ros.training.paper.config import PaperConfig, from_dict
from reactdiff_ros.training.paper.data import Batch, ReactClips, batches, mean_face
from reactdiff_ros.training.paper.drawing import cut, encode, kept, known_rows, noised, speaker_window
from reactdiff_ros.training.paper.networks import PaperModel
from reactdiff_ros.training.run import load_state, save_state

Part = Literal["autoencoder", "diffusion"]
PARTS: Final[tuple[Part, ...]] = ("autoencoder", "diffusion")
FORMAT: Final = "reactdiff-paper"
CHECKPOINT, MODEL, LOG = "checkpoint.pt", "model.pt", "log.jsonl"
FORGET: Final = 0.2
"""Share of offline training windows of which nothing is known, as of the first one of a clip; of as many others more is
known than the overlap, as of the last one."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How training goes."""

    part: Part
    epoch: int
    step: int
    """Over the whole run, of `steps`."""
    steps: int
    losses: dict[str, float]


def autoencoder_loss(model: PaperModel, batch: Batch) -> tuple[Tensor, dict[str, float]]:
    """Published: L1 of the attributes and squared error of the coefficients, ten times each."""
    coefficients, attributes = model.decode(model.encode(batch.listener))
    config = model.config
    by_attribute = (attributes - batch.attributes).abs().mean()
    by_coefficient = (coefficients - batch.face).square().mean()
    loss = config.attribute_weight * by_attribute + config.coefficient_weight * by_coefficient
    return loss, {"attributes": float(by_attribute.detach()), "coefficients": float(by_coefficient.detach())}


def diffusion_loss(model: PaperModel, batch: Batch, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
    """L1 of the noise in the new frames of as many random windows as a clip holds."""
    config = model.config
    with torch.no_grad():
        speaker = model.encode(batch.speaker)
        listener = model.range.normalised(model.encode(batch.listener))
    frames, device = speaker.shape[1], speaker.device
    count = frames // config.window
    speaker, listener = speaker.repeat_interleave(count, 0), listener.repeat_interleave(count, 0)
    total = len(speaker)
    earliest = config.hop - config.window if config.protocol == "online" else 0
    starts = torch.from_numpy(rng.integers(earliest, frames - config.window + 1, total)).to(device)
    known = torch.full((total,), config.known, device=device)
    if config.protocol == "offline":
        kind = rng.random(total)
        longer = rng.integers(config.overlap, config.window, total)
        known = torch.from_numpy(np.select([kind < FORGET, kind < 2 * FORGET], [0, longer], config.overlap)).to(device)
    mask = known_rows(total, known, config.window)
    clean = cut(listener, starts, config.window)
    noise = torch.from_numpy(rng.standard_normal(tuple(clean.shape), dtype=np.float32)).to(device)
    steps = torch.from_numpy(rng.integers(0, config.train_steps, total)).to(device)
    shares = kept(config.train_steps).to(device)[steps].float()
    x = torch.where(mask[..., None] > 0, clean, noised(clean, noise, shares))
    condition = model.condition(speaker_window(speaker, starts, config))
    error = (model.denoiser(x, mask, steps, condition) - noise).abs() * (1 - mask[..., None])
    loss = error.sum() / ((1 - mask).sum() * config.latent)
    return config.noise_weight * loss, {"noise": float(loss.detach())}


class Trainer:
    """One run in one folder.

    Args:
        config: sizes and schedule.
        data: the REACT data set's folder, with features.
        folder: of the run.
        device: where to train; None: a GPU if there is one.

    Raises:
        DatasetError: the data set is unusable.
        ReactdiffError: there is no such device here.
    """

    def __init__(self, config: PaperConfig, data: Path, folder: Path, device: str | None = None) -> None:
        self.config, self.data, self.folder = config, data, folder
        self.device = device_of(device)
        self._train, self._val = ReactClips(data, "train", config), ReactClips(data, "val", config)
        torch.manual_seed(config.seed)
        self.model = PaperModel(config).to(self.device)
        self.part, self.epoch, self.step = 0, 0, 0
        self.best = math.inf
        self._begin_part()

    @property
    def checkpoint(self) -> Path:
        """Where the run can go on from."""
        return self.folder / CHECKPOINT

    @property
    def steps_of_epoch(self) -> int:
        """Optimiser steps an epoch."""
        return math.ceil(len(self._train) / self.config.batch)

    @property
    def steps(self) -> int:
        """Optimiser steps of the whole run."""
        return len(PARTS) * self.config.epochs * self.steps_of_epoch

    def resume(self) -> None:
        """Go on from the run's checkpoint. Raises ReactdiffError: it is missing, unreadable, or of other settings."""
        state = read(self.checkpoint)
        if _config_of(state, self.checkpoint) != self.config:
            raise ReactdiffError("the checkpoint was made with other settings", where=str(self.checkpoint))
        if "optimiser" not in state:
            raise ReactdiffError("this is a finished model, not a checkpoint", where=str(self.checkpoint))
        _load(self.model, state["model"], self.checkpoint)
        wrong, what = (AttributeError, KeyError, TypeError, ValueError), "the checkpoint does not fit this run"
        with explained(wrong, what, where=self.checkpoint, todo="train again"):
            self.part, self.epoch, self.step, self.best = (state[k] for k in ("part", "epoch", "step", "best"))
            if self.part < len(PARTS):
                self._begin_part()
                self._optimiser.load_state_dict(state["optimiser"])
                self._average = self._fitting(state["average"])

    def _fitting(self, average: dict[str, Tensor]) -> dict[str, Tensor]:
        """Averaged weights, if they are those of the part's parameters; else a ValueError."""
        if {n: v.shape for n, v in average.items()} != {n: p.shape for n, p in self._parameters().items()}:
            raise ValueError("other parameters")
        return {name: value.to(self.device) for name, value in average.items()}

    def run(self, stopped: Callable[[], bool] = lambda: False) -> Iterator[Progress]:
        """Train until done or stopped; yields after every optimiser step.

        Raises:
            DatasetError: a clip is malformed.
            ReactdiffError: a checkpoint cannot be written, or the loss is not finite.
        """
        with explained(OSError, "the run's folder cannot be created", where=self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        if (self.part, self.epoch, self.step) == (0, 0, 0):
            self.model.mean_face.copy_(torch.from_numpy(mean_face(self.data, "train")))
        while self.part < len(PARTS):
            while self.epoch < self.config.epochs:
                for progress in self._epoch():
                    yield progress
                    if stopped():
                        self._save()
                        return
                self.epoch, self.step = self.epoch + 1, 0
                if self.epoch % self.config.validate_every == 0 or self.epoch == self.config.epochs:
                    self._validate()
                self._save()
            self._end_part()

    def _rng(self, *where: int) -> np.random.Generator:
        return np.random.default_rng([self.config.seed, self.part, *where])

    def _loss(self, batch: Batch, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            if PARTS[self.part] == "autoencoder":
                return autoencoder_loss(self.model, batch)
            return diffusion_loss(self.model, batch, rng)

    def _epoch(self) -> Iterator[Progress]:
        self._learning(True)
        order = self._rng(self.epoch).permutation(len(self._train)).tolist()
        cuts = [self.config.seed, self.part, self.epoch]
        for batch in batches(self._train, self.config, order, cuts, self.step):
            rng = self._rng(self.epoch, self.step)
            torch.manual_seed(int(rng.integers(2**31)))  # dropout
            loss, losses = self._loss(batch.to(self.device), rng)
            if not torch.isfinite(loss):
                raise ReactdiffError("the loss is not finite", where=str(self.folder), todo="use a lower learning rate")
            self._optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_([p for p in self._parameters().values() if p.grad is not None], 1.0)
            self._optimiser.step()
            self._follow()
            self.step += 1
            done = (self.part * self.config.epochs + self.epoch) * self.steps_of_epoch + self.step
            self._log(losses, done)
            yield Progress(PARTS[self.part], self.epoch, done, self.steps, losses)

    def _modules(self) -> nn.ModuleList:
        """What this part of training changes."""
        m = self.model
        autoencoder = PARTS[self.part] == "autoencoder"
        return nn.ModuleList([m.streams, m.encoder, m.decoder] if autoencoder else [m.condition, m.denoiser])

    def _parameters(self) -> dict[str, nn.Parameter]:
        return dict(self._modules().named_parameters())

    def _begin_part(self) -> None:
        config = self.config
        rate = config.autoencoder_rate if PARTS[self.part] == "autoencoder" else config.diffusion_rate
        parameters = self._parameters()
        self._optimiser = torch.optim.AdamW(parameters.values(), lr=rate, weight_decay=config.weight_decay)
        self._average = {name: value.detach().clone() for name, value in parameters.items()}

    def _learning(self, on: bool) -> None:
        self.model.requires_grad_(False)
        self.model.eval()
        if on:
            for module in self._modules():
                module.requires_grad_(True).train()

    def _follow(self) -> None:
        # Early in a run the average follows faster, or it would remember the random start.
        done = self.epoch * self.steps_of_epoch + self.step
        decay = min(self.config.average, (1 + done) / (10 + done))
        with torch.no_grad():
            for name, value in self._parameters().items():
                self._average[name].lerp_(value, 1 - decay)

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """Within the block, which computes no gradients, the averages take the place of the parameters."""
        modules = self._modules()
        kept_back = {name: value.clone() for name, value in modules.state_dict().items()}
        with torch.no_grad():
            modules.load_state_dict(self._average, strict=False)
            try:
                yield
            finally:
                modules.load_state_dict(kept_back)

    def _validate(self) -> None:
        self._learning(False)
        with self._averaged():
            total, count = 0.0, 0
            for number, batch in enumerate(batches(self._val, self.config, range(len(self._val)))):
                # The same windows and noise at every look, so that losses compare.
                rng = np.random.default_rng([self.config.seed, 7919, number])
                total += float(self._loss(batch.to(self.device), rng)[0]) * len(batch.face)
                count += len(batch.face)
            self._log({"validation": total / count}, None)
            if total / count < self.best:
                self.best = total / count
                state = {"config": asdict(self.config), "model": self.model.state_dict(), "validation": self.best}
                where = {"part": PARTS[self.part], "epoch": self.epoch}
                save_state(self.folder / MODEL, {"format": FORMAT, **state, **where})

    def _end_part(self) -> None:
        _load(self.model, read(self.folder / MODEL)["model"], self.folder / MODEL)
        self._learning(False)
        if PARTS[self.part] == "autoencoder":
            self._learn_range()
        self.part, self.epoch, self.step, self.best = self.part + 1, 0, 0, math.inf
        if self.part < len(PARTS):
            self._begin_part()
        self._save()

    def _learn_range(self) -> None:
        ends = []
        for batch in batches(self._train, self.config, range(len(self._train))):
            latents = encode(self.model, batch.to(self.device).listener)
            ends += [latents.amin((0, 1)), latents.amax((0, 1))]
        self.model.range.learn(torch.stack(ends))

    def _save(self) -> None:
        state = {name: getattr(self, name) for name in ("part", "epoch", "step", "best")}
        state |= {"config": asdict(self.config), "model": self.model.state_dict()}
        state |= {"optimiser": self._optimiser.state_dict(), "average": self._average}
        save_state(self.checkpoint, {"format": FORMAT, **state})

    def _log(self, losses: dict[str, float], step: int | None) -> None:
        line = {"part": PARTS[self.part], "epoch": self.epoch, "step": step, **losses}
        with suppress(OSError), (self.folder / LOG).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def read(path: Path) -> dict[str, Any]:
    """A checkpoint or a model. Raises ReactdiffError: it is missing, unreadable, or neither."""
    state = load_state(path)
    if not isinstance(state, dict) or state.get("format") != FORMAT or not {"config", "model"} <= state.keys():
        raise ReactdiffError("this is not a model of the paper preset", where=str(path))
    return state


def device_of(name: str | None) -> torch.device:
    """The device of that name; None: a GPU if there is one, else the processor.

    Raises:
        ReactdiffError: torch knows none of that name, or there is none here.
    """
    name = name or ("cuda" if torch.cuda.is_available() else "cpu")
    wrong, todo = (RuntimeError, AssertionError, ImportError), "give cpu, or cuda where there is a GPU"
    with explained(wrong, "torch cannot use this device here", where=f"--device {name}", todo=todo):
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    return device


def _config_of(state: dict[str, Any], path: Path) -> PaperConfig:
    with explained((AttributeError, TypeError, ConfigError), "the settings in the file do not fit", where=path):
        return from_dict(state["config"])


def _load(model: PaperModel, tensors: dict[str, Tensor], path: Path) -> None:
    wrong, what = (AttributeError, TypeError, RuntimeError), "the weights do not fit the model's settings"
    with explained(wrong, what, where=path, todo="train again"):
        model.load_state_dict(tensors)


def load_model(path: Path, device: str | None = None) -> PaperModel:
    """A trained model, ready to draw.

    Raises:
        ReactdiffError: the file is no such model, its weights do not fit its settings, or there is no such device.
    """
    where = device_of(device)
    state = read(path)
    model = PaperModel(_config_of(state, path))
    _load(model, state["model"], path)
    model.to(where).eval()
    return model
