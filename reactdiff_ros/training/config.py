"""Settings of a training run; all of them are kept in its checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from reactdiff_ros.errors import ReactdiffError

from .public_sets import FACEVERSE, data_of
from .shape import Shape

ABLATIONS: Final = ("history", "voice", "face", "real", "randomisation")
"""What a run can do without: disturbed and rolled-out history; the speaker's voice; the speaker's face; recorded
people; the randomisation of what perception makes of a speaker."""


@dataclass(frozen=True, slots=True)
class LossWeights:
    """Share of each loss in the sum; 0 switches one off."""

    velocity: float = 1.0
    motion: float = 0.05
    """Velocity and acceleration of decoded coefficients."""
    cooccurrence: float = 0.02
    """Second moments of action units."""
    auxiliary: float = 0.3
    """Prediction of the listener's next frames from the speaker alone."""
    stimulus: float = 0.3
    """What the speaker does, read from a token: the simulator knows it."""


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """Settings of a training run."""

    seed: int = 0
    steps: int = 12_000
    """Optimiser steps of encoder and denoiser."""
    minutes: float = 0.0
    """Time budget of the whole run; above 0, the schedule ends with it (and after `steps` at the latest)."""
    vae_steps: int = 2000
    batch: int = 4
    """Sequences a step."""
    plans: int = 32
    """Plans a sequence."""
    draws: int = 1
    """Noise draws of a full horizon for each plan, more for shorter stretches: their context is computed once."""
    frames: int = 240
    """Frames of a sequence that the encoder reads."""
    worlds: int = 192
    """Simulated listeners of a pool."""
    world_frames: int = 500
    eager_share: float = 0.5
    """Share of the simulated listeners whose controls are drawn anew so that they answer much."""
    pool_steps: int = 150
    """Steps until the pool is drawn anew."""
    learning_rate: float = 6e-4
    average: float = 0.999
    """Decay of the averaged weights, which are the ones that ship."""
    events: float = 10.0
    """How much more often a plan is drawn where the speaker does most than where nothing happens."""
    onsets: float = 0.0
    """How much more a plan counts in which the listener's activity rises by 1. Unlike `events` this tilts what is
    learnt: events begin about 1 + onsets times as often. For networks that are too quiet after a short training."""
    roll_worlds: int = 48
    """Listeners of a pool that the averaged model plays itself; 0: none."""
    roll_frames: int = 150
    """Length of such a roll-out."""
    roll_share: float = 0.35
    """Share of the plans on their worlds that continue a roll-out."""
    roll_after: float = 0.25
    """Part of the run after which roll-outs begin."""
    real_share: float = 0.25
    """Share of the sequences that are recorded people, where there are any."""
    threads: int = 1
    workers: int = 0
    """Processes that simulate the next pools; 0: this one does."""
    precision: str = "no"
    """Mixed precision: no, bf16 or fp16; tf32 rounds the products alone, which is enough where kernels are small."""
    checkpoint_steps: int = 250
    bank: str = ""
    """File of the voice bank; empty: none."""
    dyads: str = ""
    """Folder of recorded calls; empty: none."""
    recordings: str = ""
    """Folder of a lab's own recordings, as `reactdiff extract --pair` writes them; empty: none."""
    data: tuple[str, ...] = ()
    """Public sets, each KIND:DIR, see `public_sets`."""
    expression_names: str = ""
    """File of FaceVerse's expression names; empty: of FaceVerse's faces only the head is observed."""
    sound: bool = True
    """The sound of public sets is read, where the trainer was given what makes a voice of it."""
    fold: str = ""
    """"2/4": leave the pairs of the second of four folds out."""
    start_from: str = ""
    """Checkpoint or exported weights whose networks the run starts with (fine-tuning); the autoencoder then stays as it
    is."""
    ablate: tuple[str, ...] = ()
    losses: LossWeights = field(default_factory=LossWeights)
    shape: Shape = field(default_factory=Shape)

    def __post_init__(self) -> None:
        unknown = [name for name in self.ablate if name not in ABLATIONS]
        if unknown:
            raise ReactdiffError(f"{unknown[0]} cannot be ablated", todo=f"one of {', '.join(ABLATIONS)}")
        if self.fold:
            fold_of(self.fold)
        kinds = {data_of(text)[0] for text in self.data}
        if self.expression_names and kinds.isdisjoint(FACEVERSE):
            raise ReactdiffError(
                "expression names are for FaceVerse's faces, and no data set has them", where=self.expression_names,
                todo=f"give --data with {' or '.join(FACEVERSE)}, or leave the names out",
            )  # fmt: skip

    @property
    def hears_sets(self) -> bool:
        """Whether the sound of public sets is read."""
        return bool(self.data) and self.sound and {"voice", "real"}.isdisjoint(self.ablate)

    def as_dict(self) -> dict[str, Any]:
        """All settings as plain values."""
        return asdict(self)


def config_from(values: dict[str, Any]) -> TrainConfig:
    """The settings that `TrainConfig.as_dict` gave; unknown ones, of another version, are left out."""
    known = {f.name for f in fields(TrainConfig)}
    given = {name: value for name, value in values.items() if name in known}
    given["losses"] = LossWeights(**values.get("losses", {}))
    given["shape"] = Shape(**values["shape"])
    for name in ("ablate", "data"):
        given[name] = tuple(values.get(name, ()))
    return TrainConfig(**given)


def config_of(state: Mapping[str, Any], checkpoint: Path) -> TrainConfig:
    """The settings in the state of a checkpoint, as `checkpoints.read_checkpoint` gives it.

    Raises:
        ReactdiffError: they are not this version's; it names the file.
    """
    try:
        return config_from(state["config"])
    except (AttributeError, KeyError, TypeError, ValueError, ReactdiffError) as error:
        raise ReactdiffError(
            "the settings in the checkpoint are not this version's", where=str(checkpoint),
            todo="train anew, or go on with the version that wrote it",
        ) from error  # fmt: skip


def fold_of(text: str) -> tuple[int, int]:
    """(index from 0, count) of "i/n".

    Raises:
        ReactdiffError: it is not of that form.
    """
    first, _, second = text.partition("/")
    if not (first.isdigit() and second.isdigit() and 1 <= int(first) <= int(second) and int(second) >= 2):
        raise ReactdiffError("a fold is i/n, counted from 1", where=text, todo="for example 1/4")
    return int(first) - 1, int(second)
