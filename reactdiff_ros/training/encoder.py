"""Causal multi-modality transformer of the speaker: intra-class, inter-class and temporal attention.

Shapes: B sequences, N frames, T frames at 25 Hz, S streams, D width. Positions are relative everywhere, so a session
may last for days.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from reactdiff_ros.model.tokens import STREAMS

from .layers import MASKED, Attention, attend, feed_forward
from .shape import Shape


class ClassFusion(nn.Module):  # type: ignore[misc]
    """Intra-class attention: the streams of one class and a class token attend to each other within a frame.

    An unobserved stream is masked as a key; the class token never is, so that nothing observed is still a token.
    """

    def __init__(self, widths: list[int], width: int, heads: int) -> None:
        super().__init__()
        self.projections = nn.ModuleList(
            nn.Sequential(nn.Linear(w, width), nn.GELU(approximate="tanh"), nn.Linear(width, width)) for w in widths
        )
        self.kind = nn.Parameter(0.02 * torch.randn(len(widths) + 1, width))
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.mlp = feed_forward(width)

    def forward(self, streams: list[Tensor], observed: Tensor) -> Tensor:
        """Streams (N, w_i), observed (N, streams) in 0..1; returns tokens (N, 1 + streams, D), class token first."""
        tokens = [p(x) * observed[:, i : i + 1] for i, (p, x) in enumerate(zip(self.projections, streams, strict=True))]
        first = torch.zeros_like(tokens[0])
        x = torch.stack([first, *tokens], dim=1) + self.kind
        x = x + self.attention.within(self.norm1(x), key_mask(observed))
        return x + self.mlp(self.norm2(x))


def key_mask(observed: Tensor) -> Tensor:
    """Mask (N, 1, 1, 1 + streams) that hides unobserved streams behind a class token that is always there."""
    return F.pad((1.0 - observed) * MASKED, (1, 0))[:, None, None, :]


class Temporal(nn.Module):  # type: ignore[misc]
    """Causal attention over `window` frames that lie `stride` frames apart, with a learned bias for each age.

    Keys and values of past frames do not depend on later ones, so they can be cached.
    """

    def __init__(self, width: int, heads: int, window: int, stride: int) -> None:
        super().__init__()
        self.window, self.stride = window, stride
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.age = nn.Parameter(torch.zeros(heads, window))
        self.mlp = feed_forward(width)

    def forward(self, x: Tensor, number: Tensor) -> Tensor:
        """A whole sequence (B, T, D), T a multiple of the stride, its frames sorted by phase of the stride so that none
        is attended to in vain. `number` (T,) counts the frames.
        """
        batch, frames, width = x.shape
        phases = x.reshape(batch, -1, self.stride, width).transpose(1, 2).reshape(batch * self.stride, -1, width)
        phases = phases + self.attention.within(self.norm1(phases), self._bias(number[:: self.stride]))
        phases = phases + self.mlp(self.norm2(phases))
        return phases.reshape(batch, self.stride, -1, width).transpose(1, 2).reshape(batch, frames, width)

    def _bias(self, number: Tensor) -> Tensor:
        age = (number[:, None] - number[None, :]) // self.stride
        bias = F.embedding(age.clamp(0, self.window - 1), self.age.T).permute(2, 0, 1)
        return bias.masked_fill((age < 0) | (age >= self.window), MASKED)

    def step(self, x: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """One frame (B, 1, D) with the keys and values (B, heads, window - 1, dh) of frames `stride` apart, oldest
        first; `mask` (window - 1,) is 0 where there is such a frame and MASKED where there is none.

        Returns the output and the new frame's keys and values (B, heads, 1, dh).
        """
        a = self.attention
        q, key, value = a.projected(self.norm1(x))
        bias = self.age.flip(-1)[None, :, None, :] + F.pad(mask, (0, 1))
        mixed = attend(q, torch.cat([keys, key], dim=2), torch.cat([values, value], dim=2), bias)
        x = x + a.join(mixed)
        return x + self.mlp(self.norm2(x)), key, value


class Encoder(nn.Module):  # type: ignore[misc]
    """Speaker tokens (B, T, D) from features (B, T, FEATURE_COUNT) and observation flags (B, T, STREAM_COUNT)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width, heads = shape.stream_width, shape.heads
        self.widths = [w for _, _, w in STREAMS]
        self.faces = sum(kind == "face" for _, kind, _ in STREAMS)
        self.face = ClassFusion(self.widths[: self.faces], width, heads)
        self.voice = ClassFusion(self.widths[self.faces :], width, heads)
        self.norm_face, self.norm_voice = nn.LayerNorm(width), nn.LayerNorm(width)
        self.face_to_voice, self.voice_to_face = Attention(width, heads), Attention(width, heads)
        self.merge = nn.Linear(2 * width, shape.width)
        self.layers = nn.ModuleList(
            Temporal(shape.width, heads, shape.window, shape.dilation**i) for i in range(shape.encoder_layers)
        )
        self.norm = nn.LayerNorm(shape.width)

    def fuse(self, features: Tensor, observed: Tensor) -> Tensor:
        """Features (N, F) and flags (N, S) of single frames to (N, D): intra- and inter-class attention."""
        streams = list(torch.split(features, self.widths, dim=-1))
        seen, heard = observed[:, : self.faces], observed[:, self.faces :]
        face = self.norm_face(self.face(streams[: self.faces], seen))
        voice = self.norm_voice(self.voice(streams[self.faces :], heard))
        f = face[:, :1] + self.face_to_voice(face[:, :1], voice, key_mask(heard))
        v = voice[:, :1] + self.voice_to_face(voice[:, :1], face, key_mask(seen))
        merged: Tensor = self.merge(torch.cat([f[:, 0], v[:, 0]], dim=-1))
        return merged

    def forward(self, features: Tensor, observed: Tensor) -> Tensor:
        """Tokens (B, T, D) of whole sequences."""
        frames = features.shape[1]
        more = -frames % max(layer.stride for layer in self.layers)
        number = torch.arange(frames + more, device=features.device)
        return self.tokens(F.pad(features, (0, 0, 0, more)), F.pad(observed, (0, 0, 0, more)), number)[:, :frames]

    def tokens(self, features: Tensor, observed: Tensor, number: Tensor) -> Tensor:
        """The same for a multiple of the longest stride, with (T,) numbers of the frames; for export, too."""
        batch, frames = features.shape[:2]
        x = self.fuse(features.flatten(0, 1), observed.flatten(0, 1)).reshape(batch, frames, -1)
        for layer in self.layers:
            x = layer(x, number)
        tokens: Tensor = self.norm(x)
        return tokens


class EncoderStep(nn.Module):  # type: ignore[misc]
    """One new frame of B speakers with cached keys and values, for export."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, features: Tensor, observed: Tensor, cache: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Token (B, D) of features (B, F), and its keys and values (B, layers, 2, heads, dh).

        `cache` (B, layers, 2, heads, window - 1, dh) holds for each layer the frames that it looks at, and `mask`
        (layers, window - 1) which of them there are, as in `Temporal.step`.
        """
        x = self.encoder.fuse(features, observed)[:, None]
        new = []
        for i, layer in enumerate(self.encoder.layers):
            x, keys, values = layer.step(x, cache[:, i, 0], cache[:, i, 1], mask[i])
            new.append(torch.stack([keys[:, :, 0], values[:, :, 0]], dim=1))
        return self.encoder.norm(x)[:, 0], torch.stack(new, dim=1)
