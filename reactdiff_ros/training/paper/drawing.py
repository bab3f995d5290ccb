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
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from reactdiff_ros.attributes import ATTRIBUTE_COUNT
from reactdiff_ros.coefficients import COEFFICIENT_COUNT
from reactdiff_ros.errors import explained
from reactdiff_ros.model.diffusion.solvers import ddim, dpm_solver_pp_2m
from reactdiff_ros.training.paper.config import PaperConfig
from reactdiff_ros.training.paper.data import ReactClips
from reactdiff_ros.training.paper.networks import Features, PaperModel
from reactdiff_ros.types import OnProgress

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


def even_steps(train_steps: int, sample_steps: int) -> list[int]:
    """Diffusion steps, falling from the noisiest to 0, evenly spaced in the logarithm of signal over noise."""
    shares = kept(train_steps)
    log_ratio = torch.log(shares / (1 - shares))
    wanted = torch.linspace(float(log_ratio[-1]), float(log_ratio[0]), sample_steps, dtype=torch.float64)
    nearest = (log_ratio[None] - wanted[:, None]).abs().argmin(1)
    return sorted({int(step) for step in nearest}, reverse=True)


SOLVERS: Final = {"second_order": (dpm_solver_pp_2m, even_steps), "ddim": (ddim, ddim_steps)}
"""Solver and the diffusion steps that it visits. DDIM (Song et al. 2021) as published is of first order: with 20 steps
it loses 17 % of the variance of N(0, 1) and 25 % of that of N(0, .25). DPM-Solver++(2M) (Lu et al. 2022) takes as many
evaluations and keeps it within 3 %."""


def solve(solver: str, noise_of: Callable[[Any, int], Any], x: Any, train_steps: int, sample_steps: int) -> Any:
    """From noise `x` (B, ...), standard normal, to a sample; torch or numpy.

    Args:
        solver: of SOLVERS.
        noise_of: (x, step) -> the noise in x.
        x: where it begins.
        train_steps: steps of the schedule.
        sample_steps: how many are visited.
    """
    run, visit = SOLVERS[solver]
    shares, steps = kept(train_steps), visit(train_steps, sample_steps)
    step_at = {math.acos(float(shares[step]) ** 0.5): step for step in steps}

    def velocity(z: Any, angle: float) -> Any:
        # v = cos(a) e - sin(a) x of the noise e and the clean x = (z - sin(a) e) / cos(a)
        return (noise_of(z, step_at[angle]) - math.sin(angle) * z) / math.cos(angle)

    return run(velocity, x, list(step_at))


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
    pieces = in_pieces(features.video.shape[1], model.config.protocol == "online")
    video, audio = features.video, features.audio
    return torch.cat([model.encode(Features(video[:, g], audio[:, g]))[:, keep] for g, keep in pieces], 1)


@torch.no_grad()  # type: ignore[untyped-decorator]
def decode(model: PaperModel, latents: Tensor) -> tuple[Tensor, Tensor]:
    """Coefficients (B, T, 58) and attributes (B, T, 25) of clips of any length."""
    pieces = in_pieces(latents.shape[1], model.config.protocol == "online")
    parts = [[part[:, keep] for part in model.decode(latents[:, given])] for given, keep in pieces]
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
        return model.denoiser(torch.where(mask > 0, past, x), known, steps, condition)

    config = model.config
    noise = randoms(tuple(past.shape), seed, past)
    drawn = solve(config.solver, noise_of, noise, config.train_steps, config.sample_steps)
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


def sample(
    model: PaperModel,
    data: Path,
    split: str,
    output: Path,
    *,
    count: int = 10,
    frames: int = FRAMES,
    seed: int = 0,
    progress: OnProgress = lambda share: None,
    stopped: Callable[[], bool] = lambda: False,
) -> int:
    """Draw `count` reactions to the speaker of every clip and write them, in the order of `datasets.public.pairs`.

    `attributes.npy` is (N, count, frames, 25), `coefficients.npy` (N, count, frames, 58) in FaceVerse's order,
    `clips.txt` names the N speakers. They appear when all are drawn; a run that ends before leaves no half array.
    Clips longer than `frames` are cut, a shorter clip's last frame is repeated, as the arrays have one length.

    Returns:
        N; 0 where it was stopped before the end and nothing was written.

    Raises:
        DatasetError: a clip is missing or malformed.
        ReactdiffError: the arrays cannot be written.
    """
    clips = ReactClips(data, split, model.config, targets=False)
    device = next(model.parameters()).device
    parts = {name: output / f"{name}.part" for name in (COEFFICIENTS, ATTRIBUTES)}
    refused = "the reactions cannot be written"
    try:
        with explained(OSError, refused, where=output):
            output.mkdir(parents=True, exist_ok=True)
            widths = zip(parts.values(), (COEFFICIENT_COUNT, ATTRIBUTE_COUNT), strict=True)
            arrays = [_new_array(part, (len(clips), count, frames, width)) for part, width in widths]
        for i in range(len(clips)):
            features = Features(*(torch.from_numpy(x[:frames])[None] for x in clips.speaker(i))).to(device)
            drawn = draw(model, features, count=count, seed=seed + 1_000_003 * i)
            for array, values in zip(arrays, drawn, strict=True):
                reactions = values.float().cpu().numpy()
                array[i, :, : reactions.shape[1]] = reactions
                array[i, :, reactions.shape[1] :] = reactions[:, -1:]
            progress((i + 1) / len(clips))
            if stopped():
                return 0
        with explained(OSError, refused, where=output):
            for (name, part), array in zip(parts.items(), arrays, strict=True):
                array.flush()
                part.replace(output / name)
            (output / CLIPS).write_text("".join(f"{p.speaker}\n" for p in clips.pairs), encoding="utf-8")
        return len(clips)
    finally:
        for part in parts.values():
            with suppress(OSError):
                part.unlink()


def _new_array(path: Path, shape: tuple[int, ...]) -> Any:
    """A new array in a file. It takes the disk now: writing to a memory map on a full disk ends the process."""
    make: Any = np.lib.format.open_memmap
    array = make(path, mode="w+", dtype=np.float32, shape=shape)
    with path.open("r+b") as file:
        os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size)
    return array
