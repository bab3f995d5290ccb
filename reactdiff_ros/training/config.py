"""Settings of a training run and sizes of the networks; all of them are kept in its checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Final

from reactdiff_ros.errors import ReactdiffError, explained
from reactdiff_ros.model.backends.weights import encoder_strides
from reactdiff_ros.model.diffusion.conditions import condition_count
from reactdiff_ros.model.diffusion.latents import LATENT_COUNT
from reactdiff_ros.model.diffusion.memory import ROWS
from reactdiff_ros.simulator.dyads import STYLE_S

KINDS: Final = ("react", "mars", "dualtalk")
"""Kinds of public sets of recorded people: REACT2023 and 2024, REACT2025 and 2026, DualTalk."""
FACEVERSE: Final = ("react", "mars")
"""Those whose faces are FaceVerse's, in an order that only its licensed file has."""
NAMELESS: Final = ("mars", "dualtalk")
"""Those that do not name which of their recordings are of the same person."""


def data_of(text: str) -> tuple[str, Path]:
    """(kind, folder) of "KIND:DIR". Raises ReactdiffError: it is not of that form."""
    kind, colon, folder = text.partition(":")
    if kind not in KINDS or not colon or not folder:
        raise ReactdiffError(
            "a data set is KIND:DIR", where=text, todo=f"KIND one of {', '.join(KINDS)}, for example react:data/REACT"
        )
    return kind, Path(folder)


ABLATIONS: Final = ("history", "voice", "face", "fusion", "real", "randomisation")
"""What a run can do without: disturbed history; the speaker's voice; the speaker's face; attention within a frame,
which a perceptron on all streams replaces; recorded people; the randomisation of what perception makes of a speaker."""
JOINED: Final = 480
"""Inner width with which that perceptron has about as many parameters as attention."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of the networks; the preset `live` is the default."""

    stream_width: int = 64
    width: int = 192
    heads: int = 4
    joined: int = 0
    """Inner width of the perceptron in place of attention within a frame; 0: there is attention."""
    encoder_layers: int = 3
    window: int = 24
    """Frames that a temporal layer looks at."""
    dilation: int = 3
    """Layer i looks at every dilation**i-th frame: 0.04, 0.12 and 0.36 s apart, 12 s back in all."""
    latent: int = LATENT_COUNT
    vae_width: int = 32
    """Channels of each group of coefficients."""
    attribute_width: int = 64
    denoiser_layers: int = 4
    horizon: int = 16
    """Longest stretch that is drawn at once; the denoiser takes any shorter one as well."""
    past: int = 16
    """Frames of the listener's own past that the denoiser sees."""
    speech: int = 16
    """Newest speaker tokens that the denoiser sees."""
    far: int = 8
    """Speaker tokens before these, `tokens.FAR_STEP` frames apart."""
    memory: int = ROWS
    """Tokens of what listeners remember of themselves: 0 or `memory.ROWS`."""
    max_lead: int = 24
    """Ages that the newest token can have when a stretch begins: 0 .. max_lead - 1 frames more than the newest."""

    def as_dict(self) -> dict[str, int]:
        """The sizes by name; what is not there is left out."""
        return {name: size for name, size in asdict(self).items() if size}

    @property
    def context(self) -> int:
        """Tokens of the denoiser's context: conditions, speaker, memory, own past."""
        return 1 + self.far + self.speech + self.memory + self.past

    @property
    def conditions(self) -> int:
        """Width of the condition vector."""
        return condition_count(self.max_lead)

    @property
    def longest_stride(self) -> int:
        """Frames between those that the last temporal layer of the encoder looks at."""
        return encoder_strides(self.dilation, self.encoder_layers)[-1]

    @property
    def reach(self) -> int:
        """Frames that the encoder looks back in all; training sequences should be as long."""
        return (self.window - 1) * sum(encoder_strides(self.dilation, self.encoder_layers))


def shape_of(sizes: Mapping[str, int]) -> Shape:
    """The shape with the sizes of `Shape.as_dict`, which leaves out what is not there."""
    return Shape(**{"far": 0, "memory": 0, **sizes})


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """Settings of a training run."""

    seed: int = 0
    steps: int = 12_000
    """Optimiser steps of encoder and denoiser."""
    minutes: float = 0.0
    """Time budget of the whole run; above 0, the schedule ends with it (and after `steps` at the latest)."""
    vae_steps: int = 2000
    decoder_steps: int = 1500
    """Steps of the decoder's own fit after the autoencoder; networks that had it keep their decoder."""
    batch: int = 4
    """Sequences a step."""
    plans: int = 32
    """Plans a sequence."""
    draws: int = 1
    """Pairs of noise draws for each plan, twice as many of the shortest stretches: their context is computed once."""
    frames: int = 240
    """Frames of a sequence that the encoder reads."""
    worlds: int = 192
    """Simulated listeners of a pool."""
    world_frames: int = 500
    style_seconds: float = STYLE_S
    """For how long listeners are seen with others; their style comes from it (`model.style`)."""
    eager_share: float = 0.5
    """Share of the simulated listeners whose controls are drawn again so that they answer much."""
    emotions: float = 0.0
    """Share of the simulated speakers who have emotional episodes."""
    ambivalence: float = 0.0
    """Share of the others who have episodes of ambivalence; a quarter of the sequences are then answers to it."""
    pool_steps: int = 150
    """Steps until the next pool is drawn."""
    learning_rate: float = 6e-4
    average: float = 0.999
    """Decay of the averaged weights, which are the ones that ship."""
    events: float = 10.0
    """How much more often a plan is drawn where the speaker does most than where nothing happens."""
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
    speakers: str = ""
    """Folder of recorded calls whose smiles and glances half of the simulated speakers get; empty: none."""
    recordings: str = ""
    """Folder of a lab's own recordings, as `reactdiff extract --pair` writes them; empty: none."""
    data: tuple[str, ...] = ()
    """Public sets, each KIND:DIR, see `data_of`."""
    expression_names: str = ""
    """File of FaceVerse's expression names; empty: of FaceVerse's faces only the head is observed."""
    sound: bool = True
    """Read the sound of public sets, where the trainer was given a voice extractor."""
    fold: str = ""
    """"2/4": leave the pairs of the second of four folds out."""
    start_from: str = ""
    """Checkpoint or exported weights whose networks the run starts with (fine-tuning); the autoencoder then stays as it
    is."""
    keep_encoder: bool = False
    """The encoder stays as it is in `start_from`: its tokens are computed once a pool, which halves the time."""
    keep: float = 0.0
    """Share of the networks of `start_from` in those that ship, whose rare movements a short run unlearns (weights of
    both are averaged: Wortsman et al. 2022, arXiv 2109.01903)."""
    speaker_guidance: float = 1.0
    """With one of these two off 1, the networks learn to draw what those of `start_from` draw with so much guidance on
    the speaker and on the conditions (distillation of guidance: Meng et al. 2023; of several conditions: Liu et al.
    2022)."""
    condition_guidance: float = 1.0
    ablate: tuple[str, ...] = ()
    shape: Shape = Shape()

    def __post_init__(self) -> None:
        if "fusion" in self.ablate:
            object.__setattr__(self, "shape", replace(self.shape, joined=JOINED))
        if self.distils and not self.start_from:
            raise ReactdiffError("what is distilled comes from networks that are there", todo="give --from as well")
        if self.keep and not self.start_from:
            raise ReactdiffError("there are no networks of which to keep a share", todo="give --from as well")
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
    def distils(self) -> bool:
        """Whether the networks learn from those of `start_from` instead of from people."""
        return (self.speaker_guidance, self.condition_guidance) != (1.0, 1.0)

    @property
    def meets_speakers(self) -> bool:
        """Whether recorded people are among the simulated speakers."""
        return bool(self.speakers) and "real" not in self.ablate

    @property
    def hears_sets(self) -> bool:
        """Whether the sound of public sets is read."""
        return bool(self.data) and self.sound and {"voice", "real"}.isdisjoint(self.ablate)


def config_from(values: dict[str, Any]) -> TrainConfig:
    """The settings that `asdict` gave; unknown ones, of another version, are left out."""
    known = {f.name for f in fields(TrainConfig)}
    given = {name: value for name, value in values.items() if name in known}
    given["shape"] = shape_of(values["shape"])
    for name in ("ablate", "data"):
        given[name] = tuple(values.get(name, ()))
    return TrainConfig(**given)


def config_of(state: Mapping[str, Any], checkpoint: Path) -> TrainConfig:
    """The settings in the state of a checkpoint, as `run.read_checkpoint` gives it.

    Raises:
        ReactdiffError: they are not this version's; it names the file.
    """
    wrong = (AttributeError, KeyError, TypeError, ValueError, ReactdiffError)
    todo = "train again, or go on with the version that wrote it"
    with explained(wrong, "the settings in the checkpoint are not this version's", where=checkpoint, todo=todo):
        return config_from(state["config"])


def fold_of(text: str) -> tuple[int, int]:
    """(index from 0, count) of "i/n". Raises ReactdiffError: it is not of that form."""
    first, _, second = text.partition("/")
    if not (first.isdigit() and second.isdigit() and 1 <= int(first) <= int(second) and int(second) >= 2):
        raise ReactdiffError("a fold is i/n, counted from 1", where=text, todo="for example 1/4")
    return int(first) - 1, int(second)
