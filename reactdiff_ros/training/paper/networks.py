"""All networks of the `paper` preset as one module, so that one checkpoint holds all of them, and their ONNX graphs.

Published sizes. The multi-modality transformer has intra-class attention in video and in audio and inter-class
attention between them; two things differ from the publication. Attention may be causal (online), so that a frame sees
no later one. And it carries a bias against distance in time (ALiBi, Press et al. 2022): without one, attention cannot
tell the order of frames, and with absolute positions a clip could not be longer than those seen.

The denoiser is a 1-D U-Net whose channels are the frames of the window and whose axis is the latent, after Dhariwal and
Nichol 2021 (residual blocks that take the embedding of step and condition, attention at some levels). One thing is
added: a second set of channels says which frames of the window are already known; their rows hold the known latents
instead of noise, so that a window continues the one before.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from reactdiff_ros.attributes import ATTRIBUTE_COUNT
from reactdiff_ros.coefficients import COEFFICIENT_COUNT
from reactdiff_ros.training.export import Graph, write_graph
from reactdiff_ros.training.nets import Call
from reactdiff_ros.training.paper.config import PaperConfig


def time_bias(frames: int, heads: int, *, causal: bool, device: torch.device | None = None) -> Tensor:
    """Bias (heads, T, T) added to attention scores: minus distance in frames times a slope a head; later frames out."""
    slopes = 2.0 ** (-8.0 * torch.arange(1, heads + 1, device=device) / heads)
    index = torch.arange(frames, device=device)
    distance = (index[:, None] - index[None, :]).abs()
    bias = -slopes[:, None, None] * distance
    return bias.masked_fill(index[None, :] > index[:, None], float("-inf")) if causal else bias


def head(inputs: int, inner: int, outputs: int) -> nn.Sequential:
    """Two layers with a norm between them."""
    return nn.Sequential(nn.Linear(inputs, inner), nn.LayerNorm(inner), nn.SiLU(), nn.Linear(inner, outputs))


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
        return self.out(mixed.transpose(1, 2).flatten(-2))


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
        return self.norm(q + self.attention(q, self.key(other), self.value(other), bias))


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
        self.out = head(hidden, 2 * hidden, config.latent)

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
        return self.out(seen)


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
        return self.norms[2](x + self.drop(self.forward_step(x)))


class Decoder(nn.Module):  # type: ignore[misc]
    """Latents -> 58 coefficients and 25 attributes, by two transformer decoders one after the other."""

    def __init__(self, config: PaperConfig, coefficients: int, attributes: int) -> None:
        super().__init__()
        width, self.heads, self.causal = config.latent, config.heads, config.protocol == "online"
        self.first = nn.ModuleList([DecoderLayer(width, self.heads) for _ in range(config.decoder_layers)])
        self.second = nn.ModuleList([DecoderLayer(width, self.heads) for _ in range(config.decoder_layers)])
        self.coefficients, self.attributes = (head(width, 2 * width, count) for count in (coefficients, attributes))

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


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(math.gcd(32, channels), channels)


def _zero(layer: nn.Conv1d) -> nn.Conv1d:
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


def step_embedding(steps: Tensor, width: int) -> Tensor:
    """Sines and cosines (B, width) of diffusion steps (B,)."""
    half = width // 2
    rates = torch.exp(-math.log(10000.0) * torch.arange(half, device=steps.device) / half)
    angles = steps[:, None].float() * rates
    return functional.pad(torch.cat([angles.cos(), angles.sin()], -1), (0, width % 2))


class Residual(nn.Module):  # type: ignore[misc]
    """Two convolutions; the embedding is added between them."""

    def __init__(self, channels: int, out: int, embedding: int) -> None:
        super().__init__()
        self.enter = nn.Sequential(_norm(channels), nn.SiLU(), nn.Conv1d(channels, out, 3, padding=1))
        self.embedding = nn.Sequential(nn.SiLU(), nn.Linear(embedding, out))
        self.leave = nn.Sequential(_norm(out), nn.SiLU(), _zero(nn.Conv1d(out, out, 3, padding=1)))
        self.skip = nn.Identity() if out == channels else nn.Conv1d(channels, out, 1)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """(B, channels, L), (B, embedding) -> (B, out, L)."""
        return self.skip(x) + self.leave(self.enter(x) + self.embedding(embedding)[..., None])


class Attend(nn.Module):  # type: ignore[misc]
    """Self-attention along the axis, one head."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = _norm(channels)
        self.inputs = nn.Conv1d(channels, 3 * channels, 1)
        self.out = _zero(nn.Conv1d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, L) -> the same."""
        query, key, value = self.inputs(self.norm(x)).transpose(1, 2).chunk(3, dim=-1)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        return x + self.out(mixed.transpose(1, 2))


class Stage(nn.Module):  # type: ignore[misc]
    """A residual block, attention where there is some, and a change of resolution where there is one."""

    def __init__(self, block: Residual, attend: Attend | None = None, scale: nn.Module | None = None) -> None:
        super().__init__()
        self.block, self.attend, self.scale = block, attend or nn.Identity(), scale or nn.Identity()

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """(B, channels, L), (B, embedding) -> (B, out, L')."""
        return self.scale(self.attend(self.block(x, embedding)))


class UNet(nn.Module):  # type: ignore[misc]
    """Noisy window and condition -> its noise."""

    def __init__(self, config: PaperConfig) -> None:
        super().__init__()
        base, factors = config.model_channels, config.channel_factors
        self.base = base
        embedding = 4 * base + config.condition
        self.step = nn.Sequential(nn.Linear(base, 4 * base), nn.SiLU(), nn.Linear(4 * base, 4 * base))
        self.enter = nn.Conv1d(2 * config.window, base * factors[0], 3, padding=1)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        channels, skips, scale = base * factors[0], [base * factors[0]], 1
        for level, factor in enumerate(factors):
            for _ in range(config.residual_blocks):
                self.down.append(self._stage(channels, base * factor, embedding, scale in config.attention_at))
                channels = base * factor
                skips.append(channels)
            if level < len(factors) - 1:
                self.down.append(nn.Conv1d(channels, channels, 3, stride=2, padding=1))
                skips.append(channels)
                scale *= 2
        self.middle = nn.ModuleList([self._stage(channels, channels, embedding, attends) for attends in (True, False)])
        for level, factor in reversed(list(enumerate(factors))):
            for block in range(config.residual_blocks + 1):
                change = None
                if level and block == config.residual_blocks:
                    wider = nn.Conv1d(base * factor, base * factor, 3, padding=1)
                    change = nn.Sequential(nn.Upsample(scale_factor=2.0), wider)
                attends = scale in config.attention_at
                self.up.append(self._stage(channels + skips.pop(), base * factor, embedding, attends, change))
                channels = base * factor
                scale = scale // 2 if change is not None else scale
        self.leave = nn.Sequential(_norm(channels), nn.SiLU(), _zero(nn.Conv1d(channels, config.window, 3, padding=1)))

    @staticmethod
    def _stage(channels: int, out: int, embedding: int, attends: bool, change: nn.Module | None = None) -> Stage:
        return Stage(Residual(channels, out, embedding), Attend(out) if attends else None, change)

    def forward(self, x: Tensor, known: Tensor, steps: Tensor, condition: Tensor) -> Tensor:
        """The noise in a window.

        Args:
            x: (B, window, latent); rows of known frames hold their latents, the others noise.
            known: (B, window) 1 where known.
            steps: (B,) diffusion steps.
            condition: (B, condition) of the speaker.

        Returns:
            (B, window, latent).
        """
        embedding = torch.cat([self.step(step_embedding(steps, self.base).to(x.dtype)), condition], -1)
        h = self.enter(torch.cat([x, known.to(x.dtype)[..., None].expand_as(x)], 1))
        skips = [h]
        for stage in self.down:
            h = stage(h, embedding) if isinstance(stage, Stage) else stage(h)
            skips.append(h)
        for stage in self.middle:
            h = stage(h, embedding)
        for stage in self.up:
            h = stage(torch.cat([h, skips.pop()], 1), embedding)
        return self.leave(h)


@dataclass(frozen=True, slots=True)
class Features:
    """Predictors' features of one or more people."""

    video: Tensor
    """(B, T, va + au + expression)."""
    audio: Tensor
    """(B, T, mfcc + speech)."""

    def to(self, device: torch.device) -> Features:
        """On another device, float32."""
        return Features(self.video.to(device, torch.float32), self.audio.to(device, torch.float32))


class LatentRange(nn.Module):  # type: ignore[misc]
    """Latents to -1..1 by the range they had in training, and back: each the exact inverse of the other."""

    low: Tensor
    high: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("low", -torch.ones(width))
        self.register_buffer("high", torch.ones(width))

    def learn(self, latents: Tensor) -> None:
        """Take the range of (..., width)."""
        flat = latents.flatten(0, -2)
        self.low.copy_(flat.amin(0))
        self.high.copy_(flat.amax(0))

    def _span(self) -> Tensor:
        span = self.high - self.low
        return torch.where(span > 1e-6, span, torch.ones_like(span))

    def normalised(self, latents: Tensor) -> Tensor:
        """(..., width) -> -1..1."""
        return 2 * (latents - self.low) / self._span() - 1

    def restored(self, normal: Tensor) -> Tensor:
        """The inverse."""
        return (normal + 1) * self._span() / 2 + self.low


class PaperModel(nn.Module):  # type: ignore[misc]
    """Multi-modality transformer, listener's autoencoder, condition and denoiser."""

    mean_face: Tensor

    def __init__(self, config: PaperConfig) -> None:
        super().__init__()
        self.config = config
        latent = config.latent
        self.streams = MultiModality(config)
        self.encoder = head(latent, 2 * latent, latent)
        self.decoder = Decoder(config, COEFFICIENT_COUNT, ATTRIBUTE_COUNT)
        self.range = LatentRange(latent)
        norm = nn.GroupNorm(32 if config.condition % 64 == 0 else 1, config.condition)
        wide = nn.Linear(config.window * latent, config.condition)
        self.condition = nn.Sequential(nn.Flatten(-2, -1), wide, norm, nn.SiLU())
        self.denoiser = UNet(config)
        self.register_buffer("mean_face", torch.zeros(COEFFICIENT_COUNT))

    def encode(self, features: Features) -> Tensor:
        """Latents (B, T, latent) of either person."""
        return self.encode_streams(features.video, features.audio)

    def encode_streams(self, video: Tensor, audio: Tensor) -> Tensor:
        """The same of `Features` one by one, for export."""
        return self.encoder(self.streams(video, audio))

    def decode(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """Coefficients (B, T, 58), with the mean face, and attributes (B, T, 25)."""
        coefficients, attributes = self.decoder(latents)
        return coefficients + self.mean_face, attributes


def count_parameters(config: PaperConfig) -> dict[str, int]:
    """Parameters of each part and in all, without making them in memory."""
    with torch.device("meta"):
        model = PaperModel(config)
    parts = {
        "multi_modality": model.streams, "autoencoder": nn.ModuleList([model.encoder, model.decoder]),
        "condition": model.condition, "denoiser": model.denoiser, "total": model,
    }  # fmt: skip
    return {name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()}


OPSET: Final = 17


def export_parts(model: PaperModel, folder: Path) -> dict[str, Path]:
    """Write one graph for each part, because together they would exceed the 2 GB of protobuf: encode (video, audio),
    condition (latents), denoise (x, known, steps, condition) and decode (latents).

    All take windows of the published length and any number of them. Returns the files by part.

    Raises:
        OSError: the folder cannot be written; the whole takes 2.2 GB at the published sizes.
    """
    c = model.config
    latents, known = torch.randn(2, c.window, c.latent), torch.zeros(2, c.window)
    video, audio = (torch.randn(2, c.window, sum(widths)) for widths in (c.video, c.audio))
    noisy = {"x": latents, "known": known, "steps": torch.tensor([500, 20]), "condition": torch.randn(2, c.condition)}
    parts: tuple[tuple[str, nn.Module, dict[str, Tensor], tuple[str, ...]], ...] = (
        ("encode", Call(model, "encode_streams"), {"video": video, "audio": audio}, ("latents",)),
        ("condition", model.condition, {"latents": latents}, ("condition",)),
        ("denoise", model.denoiser, noisy, ("noise",)),
        ("decode", Call(model, "decode"), {"latents": latents}, ("coefficients", "attributes")),
    )
    files = {}
    for name, module, inputs, outputs in parts:
        graph = Graph(name, module, inputs, outputs, {n: {0: "samples"} for n in (*inputs, *outputs)})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what the exporter leaves to the runtime's own folding
            files[name] = write_graph(graph, folder, OPSET)
    return files
