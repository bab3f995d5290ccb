"""Sizes and schedule of the `paper` preset: the published ones, unless a file says otherwise."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Final, Literal, get_args

from reactdiff_ros.errors import ConfigError

Protocol = Literal["offline", "online"]
Solver = Literal["second_order", "ddim"]
VIDEO_STREAMS: Final = ("va", "au", "expression")
AUDIO_STREAMS: Final = ("mfcc", "speech")
_WORDS: Final = {"Protocol": get_args(Protocol), "Solver": get_args(Solver)}
_LEAST: Final = {"workers": 0, "seed": 0, "overlap": 0, "train_steps": 2}
"""Smallest values of whole numbers; of the others 1."""
_MOST: Final = 2**31 - 1
_MOST_NUMBER: Final = 10**6
_ABOVE_0: Final = ("autoencoder_rate", "diffusion_rate")


@dataclass(frozen=True, slots=True)
class PaperConfig:
    """Everything that a run of the `paper` preset depends on.

    Raises:
        ConfigError: a value is out of range, or sizes do not fit each other.
    """

    va: int = 64
    """Width of the valence-arousal predictor's features."""
    au: int = 25088
    """Width of the action units' features (7 x 7 x 512)."""
    expression: int = 1408
    mfcc: int = 26
    speech: int = 1536
    """Width of the speech representation (wav2vec 2.0, two vectors a frame)."""
    hidden: int = 1024
    heads: int = 4
    depth: int = 2
    """Blocks of intra-class attention over video, and of inter-class attention."""
    latent: int = 256
    decoder_layers: int = 2
    """Layers of each of the two decoders."""
    window: int = 50
    model_channels: int = 256
    channel_factors: tuple[int, ...] = (1, 2, 4, 8)
    residual_blocks: int = 2
    attention_at: tuple[int, ...] = (1, 2, 4)
    """Factors of down-sampling of the latent axis at which the U-Net attends."""
    condition: int = 1024
    train_steps: int = 1000
    """Steps of the linear noise schedule."""
    sample_steps: int = 20
    solver: Solver = "second_order"
    """How a window is drawn in `sample_steps`: "ddim" as published, which loses a quarter of a Gaussian's variance."""
    protocol: Protocol = "offline"
    hop: int = 5
    """Online: frames drawn at a time; the speaker is known up to the first of them."""
    overlap: int = 10
    """Offline: frames of each window that the window before has drawn."""
    clip_frames: int = 750
    """Frames of a clip that one training step sees; longer clips are cut at random places."""
    batch: int = 16
    epochs: int = 200
    """Of the autoencoder, and again of the diffusion."""
    autoencoder_rate: float = 1e-4
    diffusion_rate: float = 5e-5
    weight_decay: float = 5e-4
    average: float = 0.999
    """Decay of the moving average of the weights."""
    attribute_weight: float = 10.0
    coefficient_weight: float = 10.0
    noise_weight: float = 10.0
    validate_every: int = 5
    """Epochs between two looks at the validation split."""
    workers: int = 0
    """Processes that load clips."""
    seed: int = 0

    def __post_init__(self) -> None:
        for f in fields(self):
            problem = _problem(f.name, str(f.type), getattr(self, f.name))
            if problem:
                raise ConfigError(problem, where=f"paper.{f.name}")
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
        if not 0.0 <= self.average < 1.0:
            raise ConfigError("must be in 0..1", where="paper.average")

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

    def as_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        return asdict(self)


def _problem(name: str, kind: str, value: Any) -> str:
    """What is wrong with the value of a setting of that annotation; empty: nothing."""
    least = _LEAST.get(name, 1)
    if kind == "int" and not _is_whole(value, least):
        return f"must be a whole number of at least {least}, at most {_MOST}"
    if kind == "float" and not (_is_number(value) and (value > 0 or name not in _ABOVE_0)):
        return f"must be a number {'above' if name in _ABOVE_0 else 'of at least'} 0, at most {_MOST_NUMBER}"
    if kind.startswith("tuple") and not (isinstance(value, tuple) and all(_is_whole(v, 1) for v in value)):
        return "must be a list of whole numbers of at least 1"
    if name == "channel_factors" and not value:
        return "must be a list of at least one number"
    words = _WORDS.get(kind, (value,))
    return "" if value in words else f"must be {' or '.join(words)}"


def _is_whole(value: Any, least: int) -> bool:
    return type(value) is int and least <= value <= _MOST  # True is none


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value <= _MOST_NUMBER  # NaN is none


def from_dict(values: Mapping[str, Any]) -> PaperConfig:
    """A configuration with `values` in place of the published ones.

    Raises:
        ConfigError: a name is unknown, or a value does not fit.
    """
    known = {f.name for f in fields(PaperConfig)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise ConfigError("there is no such setting", where=f"paper.{unknown[0]}", todo=f"use one of {sorted(known)}")
    lists = {name: tuple(value) for name, value in values.items() if isinstance(value, (list, tuple))}
    return replace(PaperConfig(), **{**dict(values), **lists})


def read_config(path: Path) -> dict[str, Any]:
    """Settings from a JSON file.

    Raises:
        ConfigError: it cannot be read, or is not one JSON object.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError("the settings cannot be read", where=str(path), todo=str(error)) from error
    if not isinstance(values, dict):
        raise ConfigError("the settings must be one JSON object", where=str(path))
    return values
