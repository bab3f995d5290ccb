"""The networks in torch: causal multi-modality encoder, listener autoencoder and conditional latent denoiser.

Shapes: B sequences, T frames at 25 Hz, S streams, D width, L latents, H frames of a stretch (any up to
`Shape.horizon`), N contexts, M noisy stretches that share a context, C context tokens (conditions, speaker,
memory, own past). Positions are relative everywhere, so a session may last for days. Groups: `model.plan.groups`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Final, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from reactdiff_ros.attributes import ATTRIBUTE_COUNT
from reactdiff_ros.coefficients import COEFFICIENT_COUNT
from reactdiff_ros.model.backends.runtime import VAE_CONTEXT
from reactdiff_ros.model.diffusion.head_mean import AXES
from reactdiff_ros.model.diffusion.latents import (
    GROUP_COUNT,
    GROUP_OF_COEFFICIENT,
    GROUP_OF_LATENT,
    ORDER,
    PARTS,
    Emphasis,
    emphasis_of,
    emphasise,
    feedback,
    no_emphasis,
    responses,
)
from reactdiff_ros.model.diffusion.tokens import STREAMS
from reactdiff_ros.simulator.stimulus import EMOTIONS, Stimulus

from .config import Shape

MASKED = -1e4
FEW = 16
"""Keys up to which plain products are faster on a GPU than fused attention, whose blocks hold 64."""


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Scaled dot-product attention of (N, heads, Q, dh) over (N, heads, K, dh); `mask` is added to the scores.

    Fused in torch; written out where a graph is exported, so that the graph stays plain, for few keys on a GPU, and in
    half precision on a CPU, where the fused gradient takes seven times as long.
    """
    few = q.is_cuda and k.shape[-2] <= FEW
    rounded = q.device.type == "cpu" and q.dtype != torch.float32
    plain = torch.onnx.is_in_onnx_export() or few or rounded
    if not plain:
        return F.scaled_dot_product_attention(q, k, v, mask)
    scores = q @ k.transpose(-1, -2) * (q.shape[-1] ** -0.5)
    return torch.softmax(scores if mask is None else scores + mask, dim=-1) @ v


class Attention(nn.Module):  # type: ignore[misc]
    """Multi-head attention. Queries (N, Q, D), keys and values (N, K, D)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v = (nn.Linear(width, width) for _ in range(3))
        self.out = nn.Linear(width, width)

    def split(self, x: Tensor) -> Tensor:
        """(N, T, D) to (N, heads, T, D / heads)."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def join(self, x: Tensor) -> Tensor:
        """(N, heads, T, D / heads) to (N, T, D), projected."""
        return self.out(x.transpose(1, 2).flatten(2))

    def forward(self, x: Tensor, memory: Tensor, mask: Tensor | None = None) -> Tensor:
        """Attention of x (N, Q, D) over memory (N, K, D)."""
        q, k, v = self.split(self.q(x)), self.split(self.k(memory)), self.split(self.v(memory))
        return self.join(attend(q, k, v, mask))

    def projected(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values (N, heads, T, D / heads) of x (N, T, D) in one product."""
        parts = (self.q, self.k, self.v)
        weight, bias = torch.cat([p.weight for p in parts]), torch.cat([p.bias for p in parts])
        q, k, v = F.linear(x, weight, bias).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        return q, k, v

    def within(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Attention of x (N, T, D) over itself."""
        return self.join(attend(*self.projected(x), mask))


def perceptron(inputs: int, inner: int, outputs: int) -> nn.Sequential:
    """Two layers."""
    return nn.Sequential(nn.Linear(inputs, inner), nn.GELU(approximate="tanh"), nn.Linear(inner, outputs))


class ClassFusion(nn.Module):  # type: ignore[misc]
    """Intra-class attention: the streams of one class and a class token attend to each other within a frame.

    An unobserved stream is masked as a key; the class token never is, so that nothing observed is still a token.
    """

    def __init__(self, widths: list[int], width: int, heads: int) -> None:
        super().__init__()
        self.projections = nn.ModuleList(perceptron(w, width, width) for w in widths)
        self.kind = nn.Parameter(0.02 * torch.randn(len(widths) + 1, width))
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.mlp = perceptron(width, 2 * width, width)

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
        self.mlp = perceptron(width, 2 * width, width)

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
        self.joined = perceptron(sum(self.widths) + len(STREAMS), shape.joined, shape.width) if shape.joined else None
        if self.joined is None:
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
        """Features (N, F) and flags (N, S) of single frames to (N, D): intra- and inter-class attention, or what it is
        compared with, a perceptron on all streams at once.
        """
        streams = list(torch.split(features, self.widths, dim=-1))
        if self.joined is not None:
            known = [x * observed[:, i : i + 1] for i, x in enumerate(streams)]
            return cast(Tensor, self.joined(torch.cat([*known, observed], dim=-1)))
        seen, heard = observed[:, : self.faces], observed[:, self.faces :]
        face = self.norm_face(self.face(streams[: self.faces], seen))
        voice = self.norm_voice(self.voice(streams[self.faces :], heard))
        f = face[:, :1] + self.face_to_voice(face[:, :1], voice, key_mask(heard))
        v = voice[:, :1] + self.voice_to_face(voice[:, :1], face, key_mask(seen))
        return self.merge(torch.cat([f[:, 0], v[:, 0]], dim=-1))

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
        return self.norm(x)


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


VAE_KERNEL = 3
VAE_LAYERS = VAE_CONTEXT // (VAE_KERNEL - 1)
_SHORTEST = 0.02
_NARROWEST = 0.1
"""A latent that the KL term has closed carries nothing: it stays small instead of its noise being blown up."""


class GroupedLinear(nn.Linear):  # type: ignore[misc]
    """Linear layer whose outputs see the inputs of their own group only."""

    def __init__(self, inputs: NDArray[np.intp], outputs: NDArray[np.intp]) -> None:
        super().__init__(len(inputs), len(outputs))
        self.register_buffer("blocks", torch.from_numpy(outputs[:, None] == inputs[None, :]).float(), persistent=False)
        with torch.no_grad():  # as wide a start as a layer of the group's own size would have
            self.weight.mul_(torch.sqrt(len(inputs) / self.blocks.sum(1, keepdim=True)))

    def forward(self, x: Tensor) -> Tensor:
        """(..., inputs) to (..., outputs)."""
        return F.linear(x, self.weight * self.blocks, self.bias)


class CausalConvs(nn.Module):  # type: ignore[misc]
    """Residual causal convolutions over frames, (B, T, in) to (B, T, out); the left is padded with zeros."""

    def __init__(self, first: nn.Module, width: int, last: nn.Module, groups: int) -> None:
        super().__init__()
        self.first, self.last = first, last
        self.convs = nn.ModuleList(nn.Conv1d(width, width, VAE_KERNEL, groups=groups) for _ in range(VAE_LAYERS))

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, in) to (B, T, out)."""
        h = self.first(x).transpose(1, 2)
        for conv in self.convs:
            h = h + F.gelu(conv(F.pad(h, (VAE_KERNEL - 1, 0))), approximate="tanh")
        return self.last(h.transpose(1, 2))


class ListenerVae(nn.Module):  # type: ignore[misc]
    """Causal variational autoencoder of the listener's coefficients, block-diagonal in groups.

    One latent a frame, KL to a unit Gaussian; heads for the 58 coefficients and for REACT's 25 attributes.

    `scale` brings coefficients to comparable size; `center` and `spread` whiten the latents that the diffusion sees.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        inner = np.repeat(np.arange(GROUP_COUNT), shape.vae_width)

        def grouped(inputs: NDArray[np.intp], outputs: NDArray[np.intp]) -> CausalConvs:
            return CausalConvs(GroupedLinear(inputs, inner), len(inner), GroupedLinear(inner, outputs), GROUP_COUNT)

        self.encode_net = grouped(GROUP_OF_COEFFICIENT, np.concatenate([GROUP_OF_LATENT, GROUP_OF_LATENT]))
        self.decode_net = grouped(GROUP_OF_LATENT, GROUP_OF_COEFFICIENT)
        self.attribute_net = CausalConvs(
            nn.Linear(shape.latent, shape.attribute_width), shape.attribute_width,
            nn.Linear(shape.attribute_width, ATTRIBUTE_COUNT), 1,
        )  # fmt: skip
        self.register_buffer("scale", torch.ones(COEFFICIENT_COUNT))
        self.register_buffer("center", torch.zeros(shape.latent))
        self.register_buffer("spread", torch.ones(shape.latent))
        for name, value in no_emphasis(shape.latent).items():
            self.register_buffer(name, torch.from_numpy(value))
        self._known_responses: dict[tuple[int, torch.device], Tensor] = {}

    def posterior(self, listener: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance (B, T, L) of coefficients (B, T, 58), before whitening."""
        mean, log_var = self.encode_net(listener / self.scale).chunk(2, dim=-1)
        return mean, log_var.clamp(-12, 4)

    def whiten(self, z: Tensor) -> Tensor:
        """Latents of about unit variance."""
        return (z - self.center) / self.spread

    def unwhiten(self, latents: Tensor) -> Tensor:
        """The inverse of `whiten`."""
        return latents * self.spread + self.center

    def set_whitening(self, mean: Tensor) -> None:
        """Take centre, spread and the size of `emphasise` from posterior means (B, T, L) of training data."""
        flat = mean.reshape(-1, mean.shape[-1])
        self.center.copy_(flat.mean(0))
        self.spread.copy_(flat.std(0).clamp(min=_NARROWEST))
        self.set_feedback(torch.from_numpy(feedback()))
        fine = emphasise(self.whiten(mean), self.feedback, torch.ones_like(self.step)).flatten(0, 1)
        self.step.copy_(fine.std(0).clamp(min=_SHORTEST))

    def set_feedback(self, coefficients: Tensor) -> None:
        """Take these coefficients (ORDER, L) of the pre-emphasis."""
        self.feedback.copy_(coefficients)
        self._known_responses.clear()

    @property
    def emphasis(self) -> Emphasis:
        """The map between latents and what the denoiser draws."""
        return emphasis_of({name: getattr(self, name) for name in PARTS})

    def emphasise(self, latents: Tensor, before: Tensor) -> Tensor:
        """What the denoiser draws for whitened latents (..., H, L) that follow `before` (..., n, L), see
        `model.emphasis`.
        """
        return self.emphasis.drawn(torch.cat([before[..., -ORDER:, :], latents], dim=-2))

    def accumulate(self, drawn: Tensor, before: Tensor) -> Tensor:
        """The whitened latents (..., H, L) of what the denoiser drew: the inverse of `emphasise`."""
        return self.emphasis.latents(drawn, before[..., -ORDER:, :], self._responses(drawn.shape[-2], drawn.device))

    def _responses(self, frames: int, device: torch.device) -> Tensor:
        """`emphasis.responses`, kept: to compute them waits for the GPU."""
        known = self._known_responses
        if (frames, device) not in known:
            known[frames, device] = torch.from_numpy(responses(self.feedback.cpu().numpy(), frames)).to(device)
        return known[frames, device]

    def _load_from_state_dict(self, state: dict[str, Tensor], prefix: str, *rest: Any) -> None:
        """Networks that were trained without emphasis draw the latents themselves."""
        for name, value in no_emphasis(len(self.step)).items():
            state.setdefault(prefix + name, torch.from_numpy(value))
        known = state[prefix + "feedback"]  # older networks have fewer rows
        state[prefix + "feedback"] = F.pad(known, (0, 0, 0, max(ORDER - len(known), 0)))
        self._known_responses.clear()
        super()._load_from_state_dict(state, prefix, *rest)

    def encode(self, listener: Tensor) -> Tensor:
        """Whitened latents (B, T, L): the posterior's mean."""
        return self.whiten(self.posterior(listener)[0])

    def decode(self, latents: Tensor) -> Tensor:
        """Coefficients (B, T, 58) of whitened latents."""
        return self.decode_raw(self.unwhiten(latents))

    def decode_raw(self, z: Tensor) -> Tensor:
        """Coefficients of latents before whitening."""
        return self.decode_net(z) * self.scale

    def attributes(self, latents: Tensor) -> Tensor:
        """REACT's 25 attributes (B, T, 25) of whitened latents: 15 action units 0..1, valence and arousal -1..1, and 8
        probabilities of expressions.
        """
        return self.attributes_raw(self.unwhiten(latents))

    def attributes_raw(self, z: Tensor) -> Tensor:
        """Attributes of latents before whitening."""
        raw = self.attribute_net(z)
        units, affect, expressions = raw.split((15, 2, 8), dim=-1)
        return torch.cat([torch.sigmoid(units), torch.tanh(affect), torch.softmax(expressions, dim=-1)], dim=-1)


_MODULATIONS = 6
_SCALES = (0, 2, 4)
"""Which of them are scales; the others are shifts."""
_FREQUENCIES = 16

Context = tuple[Tensor, Tensor, Tensor]
"""Keys and values of every layer (N, layers, heads, C, dh), and the conditions' modulation (N, 6 D)."""


class DenoiserLayer(nn.Module):  # type: ignore[misc]
    """Self-attention of a stretch, cross-attention to the context, perceptron; modulated by level and conditions."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width) for _ in range(3))
        self.own, self.cross = Attention(width, heads), Attention(width, heads)
        self.mlp = perceptron(width, 2 * width, width)
        self.modulation = nn.Parameter(torch.zeros(_MODULATIONS, width))

    def forward(self, x: Tensor, keys: Tensor, values: Tensor, mask: Tensor, m: Sequence[Tensor]) -> Tensor:
        """X (N, M, H, D); keys and values (N, heads, C, dh); mask (N, 1, M H, C); m: 6 of (N, M or 1, 1, D)."""
        contexts, stretches, frames = x.shape[:3]
        h = (self.norm1(x) * m[0] + m[1]).flatten(0, 1)
        x = x + self.own.within(h).unflatten(0, (contexts, stretches))
        h = (self.norm2(x) * m[2] + m[3]).flatten(1, 2)
        mixed = self.cross.join(attend(self.cross.split(self.cross.q(h)), keys, values, mask))
        x = x + mixed.unflatten(1, (stretches, frames))
        h = self.norm3(x) * m[4] + m[5]
        return x + self.mlp(h)


class Denoiser(nn.Module):  # type: ignore[misc]
    """Conditional latent denoiser: the velocity of a stretch of noisy latents, given speaker, own past and conditions.

    Several stretches of one context share its keys and values: noise draws in training, the
    candidates and the unguided half of a plan at run time.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        d = shape.width
        self.from_latent, self.from_past = nn.Linear(shape.latent, d), nn.Linear(shape.latent, d)
        self.from_speaker = nn.Linear(d, d)
        self.from_conditions = perceptron(shape.conditions, d, d)
        self.slot = nn.Parameter(0.02 * torch.randn(shape.horizon, d))
        self.memory = shape.memory
        if shape.memory:
            self.from_memory = nn.ModuleList(nn.Linear(shape.latent, d) for _ in range(shape.memory))
        self.context_slot = nn.Parameter(0.02 * torch.randn(shape.context, d))
        self.context_norm = nn.LayerNorm(d)
        self.level_in = nn.Sequential(nn.Linear(2 * _FREQUENCIES, d), nn.SiLU(), nn.Linear(d, _MODULATIONS * d))
        self.condition_level = nn.Linear(d, _MODULATIONS * d)
        nn.init.zeros_(self.condition_level.weight)
        nn.init.zeros_(self.condition_level.bias)
        self.layers = nn.ModuleList(DenoiserLayer(d, shape.heads) for _ in range(shape.denoiser_layers))
        self.norm = nn.LayerNorm(d)
        self.out = nn.Linear(d, shape.latent)

    def context(self, speaker: Tensor, past: Tensor, conditions: Tensor) -> Context:
        """What all steps of a plan share, from speaker tokens (N, far + speech, D), the memory's tokens and whitened
        latents of the own past (N, memory + past, L), each oldest first, and the vector of
        `model.diffusion.conditions.condition_vector` (N, conditions).
        """
        given = self.from_conditions(conditions)
        parts = [given[:, None], self.from_speaker(speaker)]
        if self.memory:
            parts += [layer(past[:, i : i + 1]) for i, layer in enumerate(self.from_memory)]
        tokens = torch.cat([*parts, self.from_past(past[:, self.memory :])], dim=1)
        memory = self.context_norm(tokens + self.context_slot)
        keys = [layer.cross.split(layer.cross.k(memory)) for layer in self.layers]
        values = [layer.cross.split(layer.cross.v(memory)) for layer in self.layers]
        return torch.stack(keys, dim=1), torch.stack(values, dim=1), self.condition_level(F.silu(given))

    def modulations(self, angle: Tensor, conditions: Tensor) -> Tensor:
        """What modulates each layer (N, A, 6 layers, D) at noise angles (N, A) in 0 (clean) .. pi/2 (noise), given what
        the conditions add (N, 6 D): scales and shifts in turn.
        """
        frequency = torch.exp(torch.linspace(0.0, 3.5, _FREQUENCIES, device=angle.device))
        phase = angle[..., None] * frequency
        level = self.level_in(torch.cat([torch.sin(phase), torch.cos(phase)], dim=-1)) + conditions[:, None]
        one = torch.zeros(_MODULATIONS, 1, device=angle.device)
        one[list(_SCALES)] = 1.0
        own = torch.stack([layer.modulation + one for layer in self.layers])
        return (level.unflatten(-1, (1, _MODULATIONS, -1)) + own).flatten(2, 3)

    def velocity(self, z: Tensor, angle: Tensor, context: Context, mask: Tensor) -> Tensor:
        """Velocity (N, M, H, L) of noisy latents `z` at noise angles (N, M), or (N, 1) where all stretches have one.

        `mask` (N, M, C) is 0 for context tokens that a stretch may see and `layers.MASKED` for others.
        """
        keys, values, level = context
        return self.modulated(z, self.modulations(angle, level), keys, values, mask)

    def modulated(self, z: Tensor, modulations: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
        """The same with (N, M or 1, 6 layers, D) of `modulations`, which all evaluations of a plan can share."""
        x = self.from_latent(z) + self.slot[: z.shape[2]]
        rows = mask[:, None, :, None, :].expand(-1, -1, -1, z.shape[2], -1).flatten(2, 3)
        # unbind and split, because each select would cost its backward pass a tensor of zeros.
        m = modulations.split(1, dim=2)
        for i, (layer, k, v) in enumerate(zip(self.layers, keys.unbind(1), values.unbind(1), strict=True)):
            x = layer(x, k, v, rows, m[_MODULATIONS * i : _MODULATIONS * (i + 1)])
        return self.out(self.norm(x))


AUX_NAMES: Final = (
    "mouthSmileLeft", "cheekSquintLeft", "browInnerUp", "browOuterUpLeft", "browDownLeft", "mouthFrownLeft",
    "mouthPressLeft", "jawOpen", "headPitch", "headYaw", "headRoll", "headZ",
)  # fmt: skip
"""Coefficients of the listener's near future."""
BLOCKS: Final = 4
"""Blocks of 4 frames whose means the head predicts."""
STIMULUS_NAMES: Final = tuple(f.name for f in fields(Stimulus) if f.name not in ("seen", "heard", *EMOTIONS))
"""What the auxiliary head should read from a token: the stimulus itself, and, for moods, a trace of it. Emotions are in
`sad`, `frown`, `brow_up` and `doubt`; heads of older weights have no outputs for more."""
TRACED: Final = (("smile", 3.0), ("smile", 10.0), ("laugh", 3.0), ("speech", 3.0), ("cue", 1.0), ("smile", 1.0))
"""(field, time constant in seconds) of the traces."""
STIMULUS_COUNT: Final = len(STIMULUS_NAMES) + len(TRACED)
AUXILIARY: Final = BLOCKS * len(AUX_NAMES) + STIMULUS_COUNT
"""Outputs of the head: the listener's near future, and the speaker's stimulus."""


class Model(nn.Module):  # type: ignore[misc]
    """Encoder, autoencoder and denoiser, with a small auxiliary head that gives the encoder a direct signal.

    `head_mean` (D + 1, 3): see `diffusion.head_mean`.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.encoder, self.vae, self.denoiser = Encoder(shape), ListenerVae(shape), Denoiser(shape)
        self.register_buffer("head_mean", torch.zeros(shape.width + 1, AXES))
        self.aux = nn.Sequential(nn.Linear(shape.width, shape.width), nn.GELU(), nn.Linear(shape.width, AUXILIARY))

    def count(self) -> dict[str, int]:
        """Numbers of parameters."""
        parts: dict[str, Any] = {"encoder": self.encoder, "vae": self.vae, "denoiser": self.denoiser}
        return {name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()}


class Call(nn.Module):  # type: ignore[misc]
    """A method of a module as a module, because the ONNX exporter takes modules alone."""

    def __init__(self, module: nn.Module, method: str) -> None:
        super().__init__()
        self.module, self.method = module, method

    def forward(self, *inputs: Tensor) -> Any:
        """What the method returns."""
        return getattr(self.module, self.method)(*inputs)
