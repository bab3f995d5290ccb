"""The multi-modality transformer: intra-class attention in video and in audio, inter-class attention between them.

Published sizes; two things are mended. Attention may be causal (online), so that a frame sees no later one. And it
carries a bias against distance in time (ALiBi, Press et al. 2022): without any, attention cannot tell frames' order,
and with absolute positions a clip could not be longer than those seen.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from reactdiff_ros.training.paper.config import PaperConfig


def time_bias(frames: int, heads: int, *, causal: bool, device: torch.device | None = None) -> Tensor:
    """Bias (heads, T, T) added to attention scores: minus distance in frames times a slope a head; later frames out."""
    slopes = 2.0 ** (-8.0 * torch.arange(1, heads + 1, device=device) / heads)
    index = torch.arange(frames, device=device)
    distance = (index[:, None] - index[None, :]).abs()
    bias = -slopes[:, None, None] * distance
    return bias.masked_fill(index[None, :] > index[:, None], float("-inf")) if causal else bias


class MultiHead(nn.Module):  # type: ignore[misc]
    """Multi-head attention with a bias on its scores."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.out = nn.Linear(width, width)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
        """(B, T, width) each, bias (heads, T, T) -> (B, T, width)."""
        q, k, v = (
            layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer, x in ((self.query, query), (self.key, key), (self.value, value))
        )
        mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype))
        out: Tensor = self.out(mixed.transpose(1, 2).flatten(-2))
        return out


class Fusion(nn.Module):  # type: ignore[misc]
    """Attention of one stream on another of any width, added to the first and normed."""

    def __init__(self, query: int, other: int, hidden: int, heads: int) -> None:
        super().__init__()
        self.query = nn.Identity() if query == hidden else nn.Linear(query, hidden)
        self.key = nn.Identity() if other == hidden else nn.Linear(other, hidden)
        self.value = nn.Identity() if other == hidden else nn.Linear(other, hidden)
        self.attention = MultiHead(hidden, heads)
        self.norm = nn.LayerNorm(hidden)

    def forward(self, query: Tensor, other: Tensor, bias: Tensor) -> Tensor:
        """(B, T, query), (B, T, other) -> (B, T, hidden)."""
        q = self.query(query)
        out: Tensor = self.norm(q + self.attention(q, self.key(other), self.value(other), bias))
        return out


class MultiModality(nn.Module):  # type: ignore[misc]
    """All streams of one person -> one vector a frame."""

    def __init__(self, config: PaperConfig) -> None:
        super().__init__()
        hidden, heads = config.hidden, config.heads
        self.widths = (config.video, config.audio)
        self.heads, self.causal = heads, config.protocol == "online"
        self.units = Fusion(config.au, config.au, hidden, heads)
        self.expression = nn.ModuleList([Fusion(hidden, config.expression, hidden, heads) for _ in range(config.depth)])
        self.affect = nn.ModuleList([Fusion(hidden, config.va, hidden, heads) for _ in range(config.depth)])
        self.audio = Fusion(config.speech, config.mfcc, hidden, heads)
        self.between = nn.ModuleList([Fusion(hidden, hidden, hidden, heads) for _ in range(config.depth)])
        self.out = nn.Sequential(
            nn.Linear(hidden, 2 * hidden), nn.LayerNorm(2 * hidden), nn.SiLU(), nn.Linear(2 * hidden, config.latent)
        )

    def forward(self, video: Tensor, audio: Tensor) -> Tensor:
        """(B, T, va + au + expression) and (B, T, mfcc + speech) -> (B, T, latent)."""
        bias = time_bias(video.shape[1], self.heads, causal=self.causal, device=video.device)
        va, au, expression = video.split(self.widths[0], dim=-1)
        mfcc, speech = audio.split(self.widths[1], dim=-1)
        seen = self.units(au, au, bias)
        for on_expression, on_affect in zip(self.expression, self.affect, strict=True):
            seen = on_affect(on_expression(seen, expression, bias), va, bias)
        heard = self.audio(speech, mfcc, bias)
        for layer in self.between:
            seen = layer(seen, heard, bias)
        out: Tensor = self.out(seen)
        return out


class DecoderLayer(nn.Module):  # type: ignore[misc]
    """Attention on the sequence itself, on the latents, and a feed-forward step, each added and normed."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.own, self.latents = MultiHead(width, heads), MultiHead(width, heads)
        self.forward_step = nn.Sequential(nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))
        self.norms = nn.ModuleList([nn.LayerNorm(width) for _ in range(3)])
        self.drop = nn.Dropout(0.1)

    def forward(self, x: Tensor, latents: Tensor, bias: Tensor) -> Tensor:
        """(B, T, width) twice -> (B, T, width)."""
        x = self.norms[0](x + self.drop(self.own(x, x, x, bias)))
        x = self.norms[1](x + self.drop(self.latents(x, latents, latents, bias)))
        out: Tensor = self.norms[2](x + self.drop(self.forward_step(x)))
        return out


class Decoder(nn.Module):  # type: ignore[misc]
    """Latents -> 58 coefficients and 25 attributes, by two transformer decoders one after the other."""

    def __init__(self, config: PaperConfig, coefficients: int, attributes: int) -> None:
        super().__init__()
        width, self.heads, self.causal = config.latent, config.heads, config.protocol == "online"
        self.first = nn.ModuleList([DecoderLayer(width, self.heads) for _ in range(config.decoder_layers)])
        self.second = nn.ModuleList([DecoderLayer(width, self.heads) for _ in range(config.decoder_layers)])
        self.coefficients, self.attributes = (
            nn.Sequential(nn.Linear(width, 2 * width), nn.LayerNorm(2 * width), nn.SiLU(), nn.Linear(2 * width, count))
            for count in (coefficients, attributes)
        )

    def forward(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, latent) -> (B, T, 58), (B, T, 25)."""
        bias = time_bias(latents.shape[1], self.heads, causal=self.causal, device=latents.device)
        x = latents
        for layer in self.first:
            x = layer(x, latents, bias)
        memory = x
        for layer in self.second:
            x = layer(x, memory, bias)
        return self.coefficients(x), self.attributes(x)
