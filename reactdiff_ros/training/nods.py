"""Trains the head that says when a listener nods (`model.nods`) on simulated dyads, on the tokens of trained networks.

Every speaker has several listeners, so that what the cue did and what chance did come apart with fewer speakers.
A frame in which a nod begins is kept, of the others one in KEPT, which then counts as so many.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from reactdiff_ros.errors import explained
from reactdiff_ros.model.backends.runtime import Networks
from reactdiff_ros.model.backends.weights import (
    AGES,
    CARD,
    CONDITION_COUNT,
    HIDDEN,
    LOOKS,
    NODS,
    NodHead,
    Weights,
    sha256,
)
from reactdiff_ros.model.diffusion.sampler import Conditions
from reactdiff_ros.model.diffusion.tokens import SpeakerBatch
from reactdiff_ros.model.plan.corrections import nod_conditions
from reactdiff_ros.model.streams import speaker_tokens
from reactdiff_ros.simulator.dyads import simulator_hash, styles
from reactdiff_ros.simulator.listener import listen
from reactdiff_ros.simulator.observation import observe
from reactdiff_ros.simulator.seeds import Purpose, purpose_seed
from reactdiff_ros.simulator.speaker import make_speakers, stimulus_of
from reactdiff_ros.simulator.temperament import draw_temperaments
from reactdiff_ros.simulator.voices import VoiceBank
from reactdiff_ros.types import FloatArray
from reactdiff_ros.whole_file import write_whole

SPEAKERS: Final = 128
FRAMES: Final = 1500
LISTENERS: Final = 6
"""Of each speaker."""
KEPT: Final = 25
BUSY: Final = 25
"""Frames after the beginning of a nod of which nothing is learnt: most nods last as long."""
STILL, GAZE_OFF = 0.15, 0.25
"""Shares of the speakers of whom perception reads a face that never moves, and a gaze alone that never does."""
NOISE: Final = 0.7
"""Of the tokens in training, in their own deviations: real voices are heard unlike synthesised ones."""
STYLE_SHARE: Final = 0.3
"""Of listeners whose style is given; every other condition is left out of a tenth."""


@dataclass(frozen=True, slots=True)
class Material:
    """Speakers' tokens and, of each of their listeners, its conditions and when it nods."""

    tokens: NDArray[np.float16]
    """(S, T, D)."""
    conditions: FloatArray
    """(L, S, C) of `nod_conditions`, all given."""
    begins: NDArray[np.bool_]
    """(L, S, T)."""


def material(networks: Networks, seed: int, bank: VoiceBank | None) -> Material:
    """SPEAKERS speakers of a minute from a seed of the simulator."""
    truth = make_speakers((seed, 20), SPEAKERS, FRAMES)
    speaker = observe((seed, 21), truth, bank)
    misread(speaker, np.random.default_rng([seed, 25]))
    stimulus = stimulus_of(truth, speaker.camera, speaker.microphone)
    conditions, begins = [], []
    for number in range(LISTENERS):
        who = draw_temperaments(np.random.SeedSequence([seed, 22, number]), SPEAKERS, prior="wide")
        begins.append(listen(stimulus, who, np.random.SeedSequence([seed, 23, number])).onsets["nod"])
        style, given = styles(stimulus, who, seed + number)
        every = np.ones_like(who.controls)
        source = np.zeros(SPEAKERS, dtype=np.float32)
        conditions.append(nod_conditions(Conditions(who.controls, every, style, given, source)))
    tokens = speaker_tokens(networks, speaker)[..., : networks.shape["width"]]
    return Material(tokens.astype(np.float16), np.stack(conditions), np.stack(begins))


def misread(speaker: SpeakerBatch, rng: np.random.Generator) -> None:
    """Let some of the speakers (B, T) be read as real cameras read them, in place.

    A camera next to the screen sees a gaze that never returns, or one that never leaves. A network that has met only
    people who look up at each cue hardly nods to others when they pause. A third of these look into the camera all the
    time.
    """
    worlds, frames = speaker.camera.shape
    drawn, contact = rng.random(worlds), np.minimum(rng.uniform(0.0, 1.5, worlds), 1.0)
    still, off = drawn < STILL, drawn < STILL + GAZE_OFF
    speaker.coefficients[still] = 0.0
    speaker.gaze_observed[off] = speaker.mesh[off]
    speaker.gaze[off] = 0.0
    near = contact[:, None] + 0.03 * rng.standard_normal((worlds, frames))
    speaker.gaze[off, :, 2] = (np.clip(near, 0.0, 1.0) * speaker.mesh)[off]


def rows_of(begins: NDArray[np.bool_], rng: np.random.Generator) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Frames that are learnt from: their places (R, 3) listener, speaker, frame, and whether a nod begins there (R,).

    They are all frames in which a nod begins and one in KEPT of those in which none does and none is going on.
    """
    running = np.zeros(begins.shape, dtype=np.int16)
    for late in range(1, BUSY):
        running[..., late:] += begins[..., :-late]
    free = ~begins & (running == 0) & (rng.random(begins.shape) < 1 / KEPT)
    place = np.argwhere(begins | free).astype(np.int32)
    return place, begins[tuple(place.T)]


class NodNet(nn.Module):  # type: ignore[misc]
    """The network of `model.nods.NodHead`, to be trained."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.tokens = nn.Parameter(torch.randn(LOOKS * width, HIDDEN) * (LOOKS * width) ** -0.5)
        self.known = nn.Parameter(torch.zeros(LOOKS, HIDDEN))
        self.conditions = nn.Parameter(torch.randn(CONDITION_COUNT, HIDDEN) * 0.1)
        self.ages = nn.Parameter(torch.randn(AGES, HIDDEN) * 0.05)
        self.out = nn.Parameter(torch.randn(HIDDEN) * HIDDEN**-0.5)
        self.drive = nn.Parameter(torch.zeros(CONDITION_COUNT))
        self.bias = nn.Parameter(torch.tensor(-6.0))

    def forward(self, looks: Tensor, known: Tensor, conditions: Tensor, age: Tensor) -> Tensor:
        """Log rate (B,) of tokens (B, LOOKS * D), their flags (B, LOOKS), conditions (B, C) and ages (B,)."""
        hidden = looks @ self.tokens + known @ self.known + conditions @ self.conditions + self.ages[age]
        return torch.tanh(hidden) @ self.out + conditions @ self.drive + self.bias

    def head(self) -> NodHead:
        """The weights as they ship."""
        return NodHead(**{name: value.detach().numpy().astype(np.float32) for name, value in self.named_parameters()})


def loss_of(log_rate: Tensor, nods: Tensor) -> Tensor:
    """Negative log likelihood a row of whether a nod begins in a frame, rows without counting as KEPT."""
    rate = torch.exp(torch.clamp(log_rate, max=-0.01))
    return torch.where(nods, -torch.log(rate + 1e-12), -KEPT * torch.log1p(-rate)).mean()


@dataclass(frozen=True, slots=True)
class Fit:
    """A trained head and what it was measured to be worth on speakers that it never saw."""

    head: NodHead
    gain: float
    """Nats a nod by which it predicts better than a constant rate."""
    rate: float
    """Nods a minute that it expects, over those that there are."""


def train_nods(
    networks: Networks,
    *,
    seed: int,
    pools: int,
    steps: int,
    batch: int = 4096,
    bank: VoiceBank | None = None,
    progress: Callable[[float], None] = lambda share: None,
) -> Fit:
    """Train the head for `networks`.

    Args:
        networks: whose tokens it reads.
        seed: of simulator, weights and batches.
        pools: of SPEAKERS speakers of a minute with LISTENERS listeners each.
        steps: of the optimiser.
        batch: rows a step.
        bank: voices.
        progress: called with the share done, 0..1.
    """
    torch.set_num_threads(1)  # small tensors
    torch.manual_seed(seed)
    rng = np.random.default_rng([seed, 71])
    met = []
    for number in range(pools):
        met.append(material(networks, _seed("train", seed, number), bank))
        progress(0.7 * (number + 1) / (pools + 1))
    held = material(networks, _seed("validate", seed, 0), bank)
    progress(0.7)
    rows = [rows_of(m.begins, rng) for m in met]
    pool_of = np.repeat(np.arange(pools), [len(places) for places, _ in rows])
    place, nods = (np.concatenate(column) for column in zip(*rows, strict=True))
    net = NodNet(networks.shape["width"])
    spread = torch.from_numpy(np.tile(met[0].tokens[:16].astype(np.float32).std((0, 1)), LOOKS))
    optimiser = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=steps)
    for step in range(steps):
        chosen = np.sort(rng.integers(0, len(nods), batch))
        parts = [_inputs(met[pool], place[chosen[pool_of[chosen] == pool]], rng) for pool in np.unique(pool_of[chosen])]
        inputs = [torch.cat([part[i] for part in parts]) for i in range(4)]
        inputs[0] += NOISE * spread * torch.randn_like(inputs[0])
        loss = loss_of(net(*inputs), torch.from_numpy(nods[chosen]))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 50 == 0:
            progress(0.7 + 0.3 * step / steps)
    progress(1.0)
    return _judged(net, held, rng)


def _seed(purpose: Purpose, seed: int, number: int) -> int:
    return purpose_seed(purpose, seed, 90_000 + number)


def _inputs(m: Material, place: NDArray[np.int32], rng: np.random.Generator) -> tuple[Tensor, ...]:
    """What the network reads of rows (R, 3): looks, flags, conditions, ages (R, ...), conditions left out at random."""
    listener, speaker, frame = place.T
    age = rng.integers(1, AGES, len(place))
    at = (frame - age)[:, None] - 2 * np.arange(LOOKS)
    known = at >= 0
    looks = m.tokens[speaker[:, None], np.maximum(at, 0)].astype(np.float32) * known[..., None]
    given = m.conditions[listener, speaker].copy()
    controls = (CONDITION_COUNT - 2) // 2
    left_out = rng.random((len(place), controls)) < 0.1
    given[:, :controls] *= ~left_out
    given[:, controls : 2 * controls] *= ~left_out
    given[:, -2:] *= (rng.random(len(place)) < STYLE_SHARE)[:, None]
    arrays = looks.reshape(len(place), -1), known.astype(np.float32), given, age
    return tuple(torch.from_numpy(a) for a in arrays)


def _judged(net: NodNet, held: Material, rng: np.random.Generator) -> Fit:
    place, begins = rows_of(held.begins, rng)
    with torch.no_grad():
        parts = [_inputs(held, p, rng) for p in np.array_split(place, max(len(place) // 20_000, 1))]
        log_rate = torch.cat([net(*part) for part in parts])
        nods = torch.from_numpy(begins)
        weight = torch.where(nods, 1.0, float(KEPT))
        constant = torch.log(nods.sum() / weight.sum())
        gained = loss_of(constant.expand(len(nods)), nods) - loss_of(log_rate, nods)
        expected = (torch.exp(log_rate) * weight).sum() / nods.sum()
    return Fit(net.head(), float(gained * len(nods) / nods.sum()), float(expected))


def add_to(weights: Weights, fit: Fit, facts: dict[str, Any]) -> Path:
    """Put a head into the folder of the weights whose tokens it reads, with its card; returns its file.

    A full disk leaves the head that was there.

    Raises:
        ReactdiffError: the folder cannot be written.
    """
    path = weights.folder / NODS
    with explained(OSError, "the head for nods cannot be put among the weights", where=path):
        fit.head.write(path)
        card = {
            "encoder": weights.encoder, "sha256": sha256(path), "parameters": fit.head.count,
            "gain_nats": round(fit.gain, 3), "rate": round(fit.rate, 3), "simulator": simulator_hash(), **facts,
        }  # fmt: skip
        write_whole(weights.folder / CARD, json.dumps(card, indent=1) + "\n")
    return path
