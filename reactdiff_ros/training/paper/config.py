"""Sizes and schedule of the `paper` preset: the published ones, unless a file says otherwise."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass

from reactdiff_ros.errors import ConfigError, explained, one_of

Protocol = Literal["offline", "online"]
VIDEO_STREAMS: Final = ("va", "au", "expression")
AUDIO_STREAMS: Final = ("mfcc", "speech")
Count = Annotated[int, Field(ge=1, lt=2**31)]
CountOrNone = Annotated[int, Field(ge=0, lt=2**31)]
Rate = Annotated[float, Field(gt=0, le=10**6)]
Weight = Annotated[float, Field(ge=0, le=10**6)]


@dataclass(frozen=True, slots=True, config=ConfigDict(strict=True, extra="forbid"))
class PaperConfig:
    """Everything that a run of the `paper` preset depends on.

    Raises:
        ValidationError: a value is out of range; `from_dict` names it in a sentence.
        ConfigError: sizes do not fit each other.
    """

    va: Count = 64
    """Width of the valence-arousal predictor's features."""
    au: Count = 25088
    """Width of the action units' features (7 x 7 x 512)."""
    expression: Count = 1408
    mfcc: Count = 26
    speech: Count = 1536
    """Width of the speech representation (wav2vec 2.0, two vectors a frame)."""
    hidden: Count = 1024
    heads: Count = 4
    depth: Count = 2
    """Blocks of intra-class attention over video, and of inter-class attention."""
    latent: Count = 256
    decoder_layers: Count = 2
    """Layers of each of the two decoders."""
    window: Count = 50
    model_channels: Count = 256
    channel_factors: Annotated[tuple[Count, ...], Field(min_length=1)] = (1, 2, 4, 8)
    residual_blocks: Count = 2
    attention_at: tuple[Count, ...] = (1, 2, 4)
    """Factors of down-sampling of the latent axis at which the U-Net attends."""
    condition: Count = 1024
    train_steps: Annotated[int, Field(ge=2, lt=2**31)] = 1000
    """Steps of the linear noise schedule."""
    sample_steps: Count = 20
    solver: Literal["second_order", "ddim"] = "second_order"
    """How a window is drawn in `sample_steps`: "ddim" as published, which loses a quarter of a Gaussian's variance."""
    protocol: Protocol = "offline"
    hop: Count = 5
    """Online: frames drawn at a time; the speaker is known up to the first of them."""
    overlap: CountOrNone = 10
    """Offline: frames of each window that the window before has drawn."""
    clip_frames: Count = 750
    """Frames of a clip that one training step sees; longer clips are cut at random places."""
    batch: Count = 16
    epochs: Count = 200
    """Of the autoencoder, and again of the diffusion."""
    autoencoder_rate: Rate = 1e-4
    diffusion_rate: Rate = 5e-5
    weight_decay: Weight = 5e-4
    average: Annotated[float, Field(ge=0, lt=1)] = 0.999
    """Decay of the moving average of the weights."""
    attribute_weight: Weight = 10.0
    coefficient_weight: Weight = 10.0
    noise_weight: Weight = 10.0
    validate_every: Count = 5
    """Epochs between two looks at the validation split."""
    workers: CountOrNone = 0
    """Processes that load clips."""
    seed: CountOrNone = 0

    def __post_init__(self) -> None:
        if self.hidden % self.heads or self.latent % self.heads:
            raise ConfigError("hidden and latent must be multiples of heads", where="paper.heads")
        if self.latent % 2 ** (len(self.channel_factors) - 1):
            raise ConfigError("latent must be divisible by 2 at every level of the U-Net", where="paper.latent")
        if not 0 < self.hop < self.window or not 0 <= self.overlap < self.window:
            raise ConfigError("hop and overlap must be shorter than the window", where="paper.window")
        if self.sample_steps > self.train_steps:
            raise ConfigError("must be at most train_steps", where="paper.sample_steps")
        if self.clip_frames < self.window:
            raise ConfigError("a clip must hold at least one window", where="paper.clip_frames")

    @property
    def video(self) -> tuple[int, ...]:
        """Widths of the video streams."""
        return tuple(getattr(self, name) for name in VIDEO_STREAMS)

    @property
    def audio(self) -> tuple[int, ...]:
        """Widths of the audio streams."""
        return tuple(getattr(self, name) for name in AUDIO_STREAMS)

    @property
    def known(self) -> int:
        """Frames of a window that are known when it is drawn, but for the first."""
        return self.window - self.hop if self.protocol == "online" else self.overlap

    @property
    def late(self) -> int:
        """Frames by which the speaker's window ends before the listener's: what is not yet known of the speaker."""
        return self.hop - 1 if self.protocol == "online" else 0


def from_dict(values: Mapping[str, Any]) -> PaperConfig:
    """A configuration with `values` in place of the published ones.

    Raises:
        ConfigError: a name is unknown, or a value does not fit.
    """
    lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
    try:
        return PaperConfig(**{**values, **lists})
    except ValidationError as error:
        wrong = error.errors()[0]
        name, known = str(wrong["loc"][0]), [f.name for f in fields(PaperConfig)]
        todo = "" if name in known else one_of(name, known)
        what = wrong["msg"].replace("Input should be", "must be")
        raise ConfigError(what, where=f"paper.{name}", todo=todo) from error


def read_config(path: Path) -> dict[str, Any]:
    """Settings from a JSON file. Raises ConfigError: it cannot be read, or is not one JSON object."""
    with explained((OSError, ValueError, RecursionError), "the settings cannot be read", where=path, error=ConfigError):
        values = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(values, dict):
        raise ConfigError("the settings must be one JSON object", where=str(path))
    return values
