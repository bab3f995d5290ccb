"""Drawing with the `paper` preset: noise schedule, samplers, windows of a clip, and the arrays of a challenge.

A clip is drawn window after window, each continuing the frames that are known. Offline, the whole of the speaker is
known and windows overlap. Online, the speaker is known up to the first new frame: windows move by a hop of a few
frames, so a reaction can come in the frame after its cause, not a window later.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import torch
from torch import Tensor

from reactdiff_ros.attributes import ATTRIBUTE_COUNT
from reactdiff_ros.coefficients import COEFFICIENT_COUNT
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.training.paper.config import PaperConfig
from reactdiff_ros.training.paper.data import ReactClips
from reactdiff_ros.training.paper.networks import Features, PaperModel

NoiseOf: TypeAlias = Callable[[Tensor, int], Tensor]
"""(x, step) -> the noise in x."""
BETA_FIRST, BETA_LAST = 1e-4, 0.02
"""Linear schedule of Ho et al. 2020 over 1000 steps; other counts keep the same end."""


def kept(steps: int) -> Tensor:
    """Share of signal variance left after each of `steps` diffusion steps, (steps,), float64."""
    scale = 1000 / steps
    betas = torch.linspace(scale * BETA_FIRST, min(scale * BETA_LAST, 0.999), steps, dtype=torch.float64)
    return torch.cumprod(1 - betas, 0)


def noised(clean: Tensor, noise: Tensor, share: Tensor) -> Tensor:
    """`clean` (B, ...) with `noise` so that `share` (B,) of the variance is signal."""
    share = share.view(-1, *[1] * (clean.dim() - 1)).to(clean)
    return share.sqrt() * clean + (1 - share).sqrt() * noise


def ddim_steps(train_steps: int, sample_steps: int) -> list[int]:
    """The diffusion steps that DDIM visits, falling: evenly spaced, the last one is 0."""
    ratio = train_steps // sample_steps
    return [i * ratio for i in reversed(range(sample_steps))]


def ddim(noise_of: NoiseOf, x: Tensor, train_steps: int, sample_steps: int) -> Tensor:
    """Deterministic DDIM (Song et al. 2021) from noise `x` to a sample, as published.

    First order: with 20 steps it loses 17 % of the variance of N(0, 1) and 25 % of that of N(0, .25).

    Args:
        noise_of: (x, step) -> the noise in x.
        x: (B, ...) standard normal.
        train_steps: steps of the schedule.
        sample_steps: how many are visited.
    """
    shares = kept(train_steps)
    visited = ddim_steps(train_steps, sample_steps)
    for step, after in zip(visited, [*visited[1:], -1], strict=True):
        share, share_after = float(shares[step]), float(shares[after]) if after >= 0 else 1.0
        noise = noise_of(x, step)
        clean = (x - (1 - share) ** 0.5 * noise) / share**0.5
        x = share_after**0.5 * clean + (1 - share_after) ** 0.5 * noise
    return x


def even_steps(train_steps: int, sample_steps: int) -> list[int]:
    """Diffusion steps, falling from the noisiest to 0, evenly spaced in the logarithm of signal over noise."""
    shares = kept(train_steps)
    log_ratio = torch.log(shares / (1 - shares))
    wanted = torch.linspace(float(log_ratio[-1]), float(log_ratio[0]), sample_steps, dtype=torch.float64)
    nearest = (log_ratio[None] - wanted[:, None]).abs().argmin(1)
    return sorted({int(step) for step in nearest}, reverse=True)


def second_order(noise_of: NoiseOf, x: Tensor, train_steps: int, sample_steps: int) -> Tensor:
    """DPM-Solver++(2M) (Lu et al. 2022) over `even_steps`: one evaluation a step, as DDIM, variance within 3 %.

    Arguments as in `ddim`.
    """
    shares = kept(train_steps)
    visited = even_steps(train_steps, sample_steps)
    before: tuple[float, Tensor] | None = None
    for step, after in zip(visited, [*visited[1:], -1], strict=True):
        share = float(shares[step])
        clean = (x - (1 - share) ** 0.5 * noise_of(x, step)) / share**0.5
        if after < 0:
            return clean
        share_after = float(shares[after])
        here, there = _half_log_ratio(share), _half_log_ratio(share_after)
        direction = clean
        if before is not None:
            ratio = (here - before[0]) / (there - here)
            direction = clean + (clean - before[1]) / (2 * ratio)
        before = (here, clean)
        shrink = ((1 - share_after) / (1 - share)) ** 0.5
        x = shrink * x - share_after**0.5 * math.expm1(here - there) * direction
    return x


def _half_log_ratio(share: float) -> float:
    return 0.5 * math.log(share / (1 - share))


SOLVERS: Final[dict[str, Callable[[NoiseOf, Tensor, int, int], Tensor]]] = {"second_order": second_order, "ddim": ddim}


def randoms(shape: tuple[int, ...], seed: int, like: Tensor) -> Tensor:
    """Standard normal numbers of a seed, drawn on the CPU so that every device gets the same."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator).to(like)


PIECE, WARM_UP = 750, 250
"""Frames that attention sees at once, and how many of them only lead in: longer clips go in pieces."""


@dataclass(frozen=True, slots=True)
class Window:
    """Frames start .. start + length of a clip, the first `known` of which are there already."""

    start: int
    known: int


def plan(frames: int, config: PaperConfig) -> Iterator[Window]:
    """The windows that draw a clip of `frames`, in order.

    Online, the first begin before the clip, where nothing is. Offline, the last ends with it and knows more of its past
    than the others, so that it is not asked to go on where there is no speaker.
    """
    if config.protocol == "online":
        for end in range(config.hop, frames + config.hop, config.hop):
            yield Window(end - config.window, config.window - config.hop)
        return
    start, known = 0, 0
    while start + known < frames:
        back = max(0, min(start, start + config.window - frames))
        yield Window(start - back, known + back)
        start, known = start + config.window - config.overlap, config.overlap


def cut(sequence: Tensor, starts: Tensor, length: int) -> Tensor:
    """(B, T, D) from `starts` (B,) on, (B, length, D); zeros before the beginning and after the end."""
    index = starts[:, None].to(sequence.device) + torch.arange(length, device=sequence.device)
    inside = (index >= 0) & (index < sequence.shape[1])
    rows = torch.arange(len(sequence), device=sequence.device)[:, None]
    return sequence[rows, index.clamp(0, sequence.shape[1] - 1)] * inside[..., None]


def speaker_window(tokens: Tensor, starts: Tensor, config: PaperConfig) -> Tensor:
    """What a window beginning at `starts` may know of the speaker's latents (B, T, latent): (B, window, latent)."""
    return cut(tokens, starts - config.late, config.window)


def known_rows(batch: int, known: Tensor, window: int) -> Tensor:
    """(B, window) 1 for the first `known` (B,) rows."""
    return (torch.arange(window, device=known.device)[None] < known[:, None]).float().expand(batch, window)


def in_pieces(frames: int, causal: bool) -> Iterator[tuple[slice, slice]]:
    """Pieces of a long clip: what attention is given, and which of that is kept. Causal pieces end where they keep."""
    if frames <= PIECE:
        yield slice(0, frames), slice(0, frames)
        return
    step = PIECE - WARM_UP * (1 if causal else 2)
    for start in range(0, frames, step):
        end = min(start + step, frames)
        first = max(0, start - WARM_UP)
        yield slice(first, end if causal else min(end + WARM_UP, frames)), slice(start - first, end - first)


@torch.no_grad()  # type: ignore[untyped-decorator]
def encode(model: PaperModel, features: Features) -> Tensor:
    """Latents (B, T, latent) of clips of any length."""
    causal = model.config.protocol == "online"
    parts = [
        model.encode(Features(features.video[:, given], features.audio[:, given]))[:, keep]
        for given, keep in in_pieces(features.video.shape[1], causal)
    ]
    return torch.cat(parts, 1)


@torch.no_grad()  # type: ignore[untyped-decorator]
def decode(model: PaperModel, latents: Tensor) -> tuple[Tensor, Tensor]:
    """Coefficients (B, T, 58) and attributes (B, T, 25) of clips of any length."""
    causal = model.config.protocol == "online"
    parts = []
    for given, keep in in_pieces(latents.shape[1], causal):
        coefficients, attributes = model.decode(latents[:, given])
        parts.append((coefficients[:, keep], attributes[:, keep]))
    return torch.cat([c for c, _ in parts], 1), torch.cat([a for _, a in parts], 1)


def draw_window(model: PaperModel, past: Tensor, known: Tensor, speaker: Tensor, seed: int) -> Tensor:
    """One window of normalised latents.

    Args:
        model: in evaluation mode.
        past: (B, window, latent) with the known frames in its first rows.
        known: (B, window) 1 where known.
        speaker: (B, window, latent) of `speaker_window`.
        seed: of the noise.
    """
    condition = model.condition(speaker)
    mask = known[..., None]

    def noise_of(x: Tensor, step: int) -> Tensor:
        steps = torch.full((len(x),), step, device=x.device)
        noise: Tensor = model.denoiser(torch.where(mask > 0, past, x), known, steps, condition)
        return noise

    config = model.config
    noise = randoms(tuple(past.shape), seed, past)
    drawn = SOLVERS[config.solver](noise_of, noise, config.train_steps, config.sample_steps)
    return torch.where(mask > 0, past, drawn)


@torch.no_grad()  # type: ignore[untyped-decorator]
def draw(model: PaperModel, speaker: Features, *, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Reactions to one speaker.

    Args:
        model: in evaluation mode.
        speaker: (1, T, ...) features.
        count: how many reactions, each with its own noise and its own past.
        seed: the same seed gives the same reactions.

    Returns:
        Coefficients (count, T, 58) and attributes (count, T, 25).
    """
    config = model.config
    tokens = encode(model, speaker).expand(count, -1, -1)
    frames = tokens.shape[1]
    drawn = tokens.new_zeros(count, frames + config.window, config.latent)
    for number, window in enumerate(plan(frames, config)):
        starts = torch.full((count,), window.start, device=drawn.device)
        known = known_rows(count, torch.full((count,), window.known, device=drawn.device), config.window)
        past = cut(drawn[:, :frames], starts, config.window) * known[..., None]
        noise = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
        new = draw_window(model, past, known, speaker_window(tokens, starts, config), noise)
        first = max(0, window.start + window.known)
        drawn[:, first : window.start + config.window] = new[:, first - window.start :]
    coefficients, attributes = decode(model, model.range.restored(drawn[:, :frames]))
    return coefficients, attributes


FRAMES: Final = 750
"""Frames of a clip in the challenge's arrays."""
ATTRIBUTES, COEFFICIENTS, CLIPS = "attributes.npy", "coefficients.npy", "clips.txt"


@dataclass(frozen=True, slots=True)
class Drawn:
    """One clip is done."""

    clip: str
    number: int
    clips: int


def sample(
    model: PaperModel,
    data: Path,
    split: str,
    output: Path,
    *,
    count: int = 10,
    frames: int = FRAMES,
    seed: int = 0,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[Drawn]:
    """Draw `count` reactions to the speaker of every clip and write them, in the order of `datasets.public.pairs`.

    `attributes.npy` is (N, count, frames, 25), `coefficients.npy` (N, count, frames, 58) in FaceVerse's order,
    `clips.txt` names the N speakers. They appear when all are drawn; a run that ends before leaves no half array.
    Clips longer than `frames` are cut, a shorter clip's last frame is repeated, as the arrays have one length.

    Raises:
        DatasetError: a clip is missing or malformed.
        ReactdiffError: the arrays cannot be written.
    """
    clips = ReactClips(data, split, model.config, targets=False)
    device = next(model.parameters()).device
    try:
        output.mkdir(parents=True, exist_ok=True)
        make: Any = np.lib.format.open_memmap
        parts = {
            name: make(output / f"{name}.part", mode="w+", dtype=np.float32, shape=(len(clips), count, frames, width))
            for name, width in ((ATTRIBUTES, ATTRIBUTE_COUNT), (COEFFICIENTS, COEFFICIENT_COUNT))
        }
        _reserve(output, list(parts))
    except OSError as error:
        _discard(output)
        raise ReactdiffError("the reactions cannot be written", where=str(output), todo=str(error.strerror)) from error
    try:
        for i in range(len(clips)):
            clip = clips[i]
            features = Features(*(torch.from_numpy(x[:frames])[None] for x in clip.speaker)).to(device)
            drawn = draw(model, features, count=count, seed=seed + 1_000_003 * i)
            for name, values in zip((COEFFICIENTS, ATTRIBUTES), drawn, strict=True):
                array = values.float().cpu().numpy()
                parts[name][i, :, : array.shape[1]] = array
                parts[name][i, :, array.shape[1] :] = array[:, -1:]
            yield Drawn(clip.name, i + 1, len(clips))
            if stopped():
                return
        for name, values in parts.items():
            values.flush()
            (output / f"{name}.part").replace(output / name)
        (output / CLIPS).write_text("".join(f"{p.speaker}\n" for p in clips.pairs), encoding="utf-8")
    except OSError as error:
        raise ReactdiffError("the reactions cannot be written", where=str(output), todo=str(error.strerror)) from error
    finally:
        _discard(output)


def _reserve(output: Path, names: list[str]) -> None:
    """Takes the disk now: writing to a memory map on a full disk would end the process without a word."""
    for name in names:
        with (output / f"{name}.part").open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size)


def _discard(output: Path) -> None:
    for name in (ATTRIBUTES, COEFFICIENTS):
        with suppress(OSError):
            (output / f"{name}.part").unlink()
