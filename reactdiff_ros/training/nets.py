"""The networks in torch: causal multi-modality encoder, listener VAE, conditional latent denoiser.

Shapes: B batch, T frames at 25 Hz, S streams, D width, L latent width. See docs of each class. Positions are relative
everywhere, so a session may last for days.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from reactdiff_ros.coefficients import COEFFICIENT_COUNT
from reactdiff_ros.model.tokens import STREAMS


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of the networks; the preset `live` is the default."""

    stream_width: int = 64
    width: int = 128
    heads: int = 4
    encoder_layers: int = 3
    window: int = 40
    """Frames that a temporal layer looks back."""
    latent: int = 24
    vae_width: int = 96
    denoiser_layers: int = 4
    horizon: int = 16
    past: int = 16
    """Frames of the listener's own past that the denoiser sees."""
    speech: int = 16
    """Speaker tokens that the denoiser sees."""
    controls: int = 4
    max_lead: int = 8

    def as_dict(self) -> dict[str, int]:
        """The sizes by name."""
        return asdict(self)


VAE_LAYERS = 3
VAE_KERNEL = 3
VAE_CONTEXT = VAE_LAYERS * (VAE_KERNEL - 1)
"""Frames of left context that the causal autoencoder uses, encoder and decoder each."""


class Attention(nn.Module):  # type: ignore[misc]
    """Multi-head attention with an additive mask. Queries (N, Q, D), keys (N, K, D)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v = (nn.Linear(width, width) for _ in range(3))
        self.out = nn.Linear(width, width)

    def split(self, x: Tensor) -> Tensor:
        """(N, T, D) to (N, heads, T, D / heads)."""
        return x.reshape(x.shape[0], x.shape[1], self.heads, -1).transpose(1, 2)

    def attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        """Attention of split queries over split keys; `mask` is added to the scores."""
        scores = q @ k.transpose(-1, -2) * (q.shape[-1] ** -0.5)
        if mask is not None:
            scores = scores + mask
        mixed = (torch.softmax(scores, dim=-1) @ v).transpose(1, 2)
        return self.out(mixed.reshape(mixed.shape[0], mixed.shape[1], -1))

    def forward(self, x: Tensor, memory: Tensor, mask: Tensor | None = None) -> Tensor:
        """Attention of x (N, Q, D) over memory (N, K, D)."""
        return self.attend(self.split(self.q(x)), self.split(self.k(memory)), self.split(self.v(memory)), mask)


def feed_forward(width: int, factor: int = 2) -> nn.Sequential:
    """Two-layer perceptron."""
    return nn.Sequential(
        nn.Linear(width, factor * width), nn.GELU(approximate="tanh"), nn.Linear(factor * width, width)
    )


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
        mask = torch.cat([torch.zeros_like(observed[:, :1]), (observed - 1.0) * 1e4], dim=1)[:, None, None, :]
        normed = self.norm1(x)
        x = x + self.attention(normed, normed, mask)
        return x + self.mlp(self.norm2(x))


class Temporal(nn.Module):  # type: ignore[misc]
    """Causal attention over a bounded window with a learned bias for each age, so that keys can be cached."""

    def __init__(self, width: int, heads: int, window: int) -> None:
        super().__init__()
        self.window = window
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.age = nn.Parameter(torch.zeros(heads, window))
        self.mlp = feed_forward(width)

    def forward(self, x: Tensor) -> Tensor:
        """A whole sequence (B, T, D)."""
        frames = x.shape[1]
        index = torch.arange(frames, device=x.device)
        age = index[:, None] - index[None, :]
        allowed = (age >= 0) & (age < self.window)
        bias = self.age[:, age.clamp(0, self.window - 1)].masked_fill(~allowed, -1e4)
        normed = self.norm1(x)
        x = x + self.attention(normed, normed, bias)
        return x + self.mlp(self.norm2(x))

    def step(self, x: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """One frame (B, 1, D) with cached keys and values (B, heads, window - 1, dh), oldest first.

        `mask` (window - 1,) is 0 where the cache is filled and -1e4 where it is not. Returns output and new caches.
        """
        normed = self.norm1(x)
        a = self.attention
        keys = torch.cat([keys, a.split(a.k(normed))], dim=2)
        values = torch.cat([values, a.split(a.v(normed))], dim=2)
        bias = self.age.flip(-1)[None, :, None, :] + F.pad(mask, (0, 1))
        x = x + a.attend(a.split(a.q(normed)), keys, values, bias)
        return x + self.mlp(self.norm2(x)), keys[:, :, 1:], values[:, :, 1:]


class Encoder(nn.Module):  # type: ignore[misc]
    """Causal multi-modality encoder: intra-class attention, inter-class attention, temporal attention.

    Speaker tokens (B, T, D) from features (B, T, FEATURE_COUNT) and observation flags (B, T, STREAM_COUNT).
    """

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
        self.layers = nn.ModuleList(Temporal(shape.width, heads, shape.window) for _ in range(shape.encoder_layers))
        self.norm = nn.LayerNorm(shape.width)

    def fuse(self, features: Tensor, observed: Tensor) -> Tensor:
        """Features (N, F) and flags (N, S) of single frames to (N, D): intra- and inter-class attention."""
        streams = list(torch.split(features, self.widths, dim=-1))
        face = self.norm_face(self.face(streams[: self.faces], observed[:, : self.faces]))
        voice = self.norm_voice(self.voice(streams[self.faces :], observed[:, self.faces :]))
        face_mask = torch.cat([torch.zeros_like(observed[:, :1]), (observed[:, : self.faces] - 1) * 1e4], 1)
        voice_mask = torch.cat([torch.zeros_like(observed[:, :1]), (observed[:, self.faces :] - 1) * 1e4], 1)
        f = face[:, :1] + self.face_to_voice(face[:, :1], voice, voice_mask[:, None, None, :])
        v = voice[:, :1] + self.voice_to_face(voice[:, :1], face, face_mask[:, None, None, :])
        return self.merge(torch.cat([f[:, 0], v[:, 0]], dim=-1))

    def forward(self, features: Tensor, observed: Tensor) -> Tensor:
        """Tokens (B, T, D) of whole sequences."""
        batch, frames = features.shape[:2]
        x = self.fuse(features.flatten(0, 1), observed.flatten(0, 1)).unflatten(0, (batch, frames))
        for layer in self.layers:
            x = layer(x)
        return self.norm(x)


class EncoderStep(nn.Module):  # type: ignore[misc]
    """One new frame with cached keys and values, for export. Cache (layers, 2, heads, window - 1, dh)."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, features: Tensor, observed: Tensor, cache: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Token (1, D) of features (1, F) and the cache with it; mask as in `Temporal.step`."""
        x = self.encoder.fuse(features, observed)[:, None]
        new = []
        for i, layer in enumerate(self.encoder.layers):
            x, keys, values = layer.step(x, cache[i, 0][None], cache[i, 1][None], mask)
            new.append(torch.stack([keys[0], values[0]]))
        return self.encoder.norm(x)[:, 0], torch.stack(new)


class CausalConvs(nn.Module):  # type: ignore[misc]
    """Residual causal convolutions over frames (B, T, in) -> (B, T, out); the left is padded with zeros."""

    def __init__(self, inputs: int, width: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Linear(inputs, width)
        self.convs = nn.ModuleList(nn.Conv1d(width, width, VAE_KERNEL) for _ in range(VAE_LAYERS))
        self.last = nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, in) to (B, T, out)."""
        h = self.first(x).transpose(1, 2)
        for conv in self.convs:
            h = h + F.gelu(conv(F.pad(h, (VAE_KERNEL - 1, 0))), approximate="tanh")
        return self.last(h.transpose(1, 2))


class ListenerVae(nn.Module):  # type: ignore[misc]
    """Causal VAE of the listener's 58 coefficients: one latent a frame, KL to a unit Gaussian.

    `scale` brings coefficients to comparable size; `center`, `spread` whiten the latents that the diffusion sees.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.encode_net = CausalConvs(COEFFICIENT_COUNT, shape.vae_width, 2 * shape.latent)
        self.decode_net = CausalConvs(shape.latent, shape.vae_width, COEFFICIENT_COUNT)
        self.register_buffer("scale", torch.ones(COEFFICIENT_COUNT))
        self.register_buffer("center", torch.zeros(shape.latent))
        self.register_buffer("spread", torch.ones(shape.latent))

    def posterior(self, listener: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance (B, T, L) of coefficients (B, T, 58)."""
        mean, log_var = self.encode_net(listener / self.scale).chunk(2, dim=-1)
        return mean, log_var.clamp(-12, 4)

    def encode(self, listener: Tensor) -> Tensor:
        """Whitened latents (B, T, L)."""
        return (self.posterior(listener)[0] - self.center) / self.spread

    def decode(self, latents: Tensor) -> Tensor:
        """Coefficients (B, T, 58) of whitened latents."""
        return self.decode_raw(latents * self.spread + self.center)

    def decode_raw(self, z: Tensor) -> Tensor:
        """Coefficients of latents before whitening."""
        out: Tensor = self.decode_net(z) * self.scale
        return out


class DenoiserLayer(nn.Module):  # type: ignore[misc]
    """Self-attention of the horizon, cross-attention to the context, perceptron; modulated by the noise level."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width) for _ in range(3))
        self.own, self.cross = Attention(width, heads), Attention(width, heads)
        self.mlp = feed_forward(width)
        self.modulation = nn.Parameter(torch.zeros(6, width))

    def forward(self, x: Tensor, keys: Tensor, values: Tensor, mask: Tensor, level: Tensor) -> Tensor:
        """X (N, H, D); keys and values (N, heads, C, dh); mask (N, 1, 1, C); level (N, 6, D)."""
        m = level + self.modulation
        h = self.norm1(x) * (1 + m[:, 0:1]) + m[:, 1:2]
        x = x + self.own(h, h)
        h = self.norm2(x) * (1 + m[:, 2:3]) + m[:, 3:4]
        x = x + self.cross.attend(self.cross.split(self.cross.q(h)), keys, values, mask)
        h = self.norm3(x) * (1 + m[:, 4:5]) + m[:, 5:6]
        return x + self.mlp(h)


class Denoiser(nn.Module):  # type: ignore[misc]
    """Predicts the velocity of the latents of a horizon from noisy ones, speaker tokens, own past and controls."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        d = shape.width
        self.shape = shape
        self.heads = shape.heads
        self.from_latent = nn.Linear(shape.latent, d)
        self.from_past = nn.Linear(shape.latent, d)
        self.from_speaker = nn.Linear(d, d)
        self.from_controls = nn.Sequential(
            nn.Linear(2 * shape.controls + shape.max_lead, d), nn.GELU(approximate="tanh"), nn.Linear(d, d)
        )
        self.slot = nn.Parameter(0.02 * torch.randn(shape.horizon, d))
        self.context_slot = nn.Parameter(0.02 * torch.randn(1 + shape.speech + shape.past, d))
        self.context_norm = nn.LayerNorm(d)
        self.level_in = nn.Sequential(nn.Linear(32, d), nn.SiLU(), nn.Linear(d, 6 * d))
        self.style_level = nn.Linear(d, 6 * d)
        nn.init.zeros_(self.style_level.weight)
        nn.init.zeros_(self.style_level.bias)
        self.layers = nn.ModuleList(DenoiserLayer(d, shape.heads) for _ in range(shape.denoiser_layers))
        self.norm = nn.LayerNorm(d)
        self.out = nn.Linear(d, shape.latent)

    def context(self, speaker: Tensor, past: Tensor, controls: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Keys and values of every layer, (N, layers, heads, C, dh) each, and style (N, 6 D); computed once a plan.

        speaker (N, speech, D), past (N, past, L) whitened latents, controls (N, 2 * controls + max_lead): values,
        flags which are given, and the lead as one-hot.
        """
        style = self.from_controls(controls)
        tokens = torch.cat([style[:, None], self.from_speaker(speaker), self.from_past(past)], dim=1)
        memory = self.context_norm(tokens + self.context_slot)
        keys = [layer.cross.split(layer.cross.k(memory)) for layer in self.layers]
        values = [layer.cross.split(layer.cross.v(memory)) for layer in self.layers]
        return torch.stack(keys, dim=1), torch.stack(values, dim=1), self.style_level(F.silu(style))

    def velocity(self, z: Tensor, angle: Tensor, context: tuple[Tensor, Tensor, Tensor], mask: Tensor) -> Tensor:
        """Velocity (N, H, L) at noise angle (N,) in 0 (clean) .. pi/2 (noise); mask (N, C) is 0 or -1e4."""
        keys, values, style = context
        frequency = torch.exp(torch.linspace(0.0, 3.5, 16, device=z.device))
        phase = angle[:, None] * frequency
        level = self.level_in(torch.cat([torch.sin(phase), torch.cos(phase)], dim=-1)) + style
        level = level.unflatten(-1, (6, -1))
        x = self.from_latent(z) + self.slot
        for i, layer in enumerate(self.layers):
            x = layer(x, keys[:, i], values[:, i], mask[:, None, None, :], level)
        out: Tensor = self.out(self.norm(x))
        return out


class Model(nn.Module):  # type: ignore[misc]
    """Encoder, autoencoder and denoiser, with a small auxiliary head that gives the encoder a direct signal."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.encoder, self.vae, self.denoiser = Encoder(shape), ListenerVae(shape), Denoiser(shape)
        self.aux = nn.Sequential(nn.Linear(shape.width, shape.width), nn.GELU(), nn.Linear(shape.width, 4 * 12))

    def count(self) -> dict[str, int]:
        """Numbers of parameters."""
        parts: dict[str, Any] = {"encoder": self.encoder, "vae": self.vae, "denoiser": self.denoiser}
        return {name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()}
