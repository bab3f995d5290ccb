"""How a clip is drawn: window after window, each going on from the frames that are known.

Offline, the whole of the speaker is known and windows overlap. Online, the speaker is known up to the first new frame:
windows move by a hop of a few frames, so a reaction can come in the frame after its cause, not a window later.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from reactdiff_ros.training.paper.config import PaperConfig
from reactdiff_ros.training.paper.diffusion import SOLVERS, randoms
from reactdiff_ros.training.paper.model import Features, PaperModel

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
def draw(
    model: PaperModel, speaker: Features, *, count: int, seed: int, continuous: bool = True
) -> tuple[Tensor, Tensor]:
    """Reactions to one speaker.

    Args:
        model: in evaluation mode.
        speaker: (1, T, ...) features.
        count: how many reactions, each with its own noise and its own past.
        seed: the same seed gives the same reactions.
        continuous: False forgets the past at every window (to show what that does).

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
        past = cut(drawn[:, :frames], starts, config.window) * known[..., None] * float(continuous)
        noise = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
        new = draw_window(model, past, known, speaker_window(tokens, starts, config), noise)
        first = max(0, window.start + window.known)
        drawn[:, first : window.start + config.window] = new[:, first - window.start :]
    coefficients, attributes = decode(model, model.range.restored(drawn[:, :frames]))
    return coefficients, attributes
