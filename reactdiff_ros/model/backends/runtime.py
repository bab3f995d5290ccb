"""The networks as the rest of the model calls them, whatever backend executes them.

Shapes: B speakers, N contexts (listeners), K candidates of one context, H frames, D token width, L latents.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.coefficients import COEFFICIENT_COUNT
from reactdiff_ros.errors import WeightsError
from reactdiff_ros.model.backends.base import Backend, Stretch
from reactdiff_ros.model.backends.onnxruntime_backend import OnnxRuntimeCpu
from reactdiff_ros.model.backends.weights import Weights, encoder_strides
from reactdiff_ros.model.diffusion import memory as own_memory
from reactdiff_ros.model.diffusion.head_mean import head_mean
from reactdiff_ros.model.diffusion.latents import LATENT_COUNT, ORDER, responses
from reactdiff_ros.model.diffusion.sampler import Sampling
from reactdiff_ros.model.diffusion.solvers import angles
from reactdiff_ros.model.diffusion.tokens import FEATURE_COUNT, STREAM_COUNT, heard_ages
from reactdiff_ros.types import FloatArray

MASKED: Final = np.float32(-1e4)
VAE_CONTEXT: Final = 6
"""Frames of left context that encoder and decoder of the autoencoder each use."""
SEGMENT: Final = 750
"""Frames that `Networks.encode_sequence` makes new at once."""
_SIZES: Final = frozenset(
    {"horizon", "past", "speech", "latent", "width", "window", "dilation", "encoder_layers", "heads", "max_lead"}
)


def _strides(shape: dict[str, int]) -> list[int]:
    return encoder_strides(shape["dilation"], shape["encoder_layers"])


class KeyCache:
    """Keys and values of the past frames of B speakers, in a ring for each temporal layer of the encoder.

    Layer i looks at every dilation**i-th frame, `window` - 1 of them.
    """

    def __init__(self, shape: dict[str, int], batch: int) -> None:
        self._looks = shape["window"] - 1
        self._strides = _strides(shape)
        size = (batch, 2, shape["heads"], shape["width"] // shape["heads"])
        self._rings = [np.zeros((self._looks * stride, *size), dtype=np.float32) for stride in self._strides]
        self._frames = 0

    def past(self) -> tuple[FloatArray, FloatArray]:
        """What the next frame looks at: keys and values (B, layers, 2, heads, window - 1, dh), oldest first, and the
        mask (layers, window - 1) that hides what there is not.
        """
        steps = np.arange(self._looks, 0, -1)
        chosen, masks = [], []
        for stride, ring in zip(self._strides, self._rings, strict=True):
            chosen.append(ring[(self._frames - stride * steps) % len(ring)])
            masks.append(np.where(stride * steps <= self._frames, np.float32(0), MASKED))
        cache = np.stack(chosen).transpose(2, 0, 3, 4, 1, 5)
        return np.ascontiguousarray(cache), np.stack(masks)

    def push(self, new: FloatArray) -> None:
        """The next frame is over; `new` (B, layers, 2, heads, dh) are its keys and values."""
        for i, ring in enumerate(self._rings):
            ring[self._frames % len(ring)] = new[:, i]
        self._frames += 1


class Networks:
    """The graphs of one set of weights. Without state: may be called from several threads.

    Args:
        weights: of the graphs.
        threads: of ONNX Runtime on the CPU, where no backend is given.
        backend: what executes them; None: ONNX Runtime on the CPU.

    Raises:
        WeightsError: a graph cannot be loaded, or its inputs are not this version's.
    """

    def __init__(self, weights: Weights, threads: int = 1, backend: Backend | None = None) -> None:
        self.shape, self.name = weights.shape, f"{weights.name}@{weights.digest}"
        self._emphasis, self._head_mean = weights.emphasis, weights.head_mean
        self.nods = weights.nods
        """What says when a listener nods, if the weights have it."""
        self._backend = backend or OnnxRuntimeCpu(weights, threads)
        if not self.shape.keys() >= _SIZES or self.shape["latent"] != LATENT_COUNT:
            raise WeightsError("the model's weights are for another version", where=str(weights.folder))
        self.ages = heard_ages(self.shape)
        """Ages in frames of the speaker's tokens that the denoiser sees, oldest first, S of them."""
        self.reach = (self.shape["window"] - 1) * sum(_strides(self.shape))
        """Frames before a token's own that it may depend on."""
        self.remembers = self.shape.get("memory", 0) == own_memory.ROWS
        """Whether the denoiser sees more of the listener's own past than its newest frames."""
        self.learnt = weights.learnt
        """Of `corrections.REMOVABLE`, what these networks do themselves."""
        self._responses = responses(self._emphasis.feedback, self.shape["horizon"])
        self.neutral = self.latents(np.zeros((1, 4 * VAE_CONTEXT, COEFFICIENT_COUNT), dtype=np.float32))[0, -1]
        """(L,) latent of a face that is and was neutral."""

    @property
    def backend(self) -> str:
        """What executes them now, "onnxruntime-cpu" or another."""
        return self._backend.name

    def suited(self, how: Sampling) -> Sampling:
        """`how` without the corrections that these networks do not need."""
        return replace(how, without=tuple(sorted({*how.without, *self.learnt})))

    def new_cache(self, batch: int = 1) -> KeyCache:
        """The cache of speakers of whom nothing was seen yet."""
        return KeyCache(self.shape, batch)

    def encode(
        self, features: FloatArray, observed: FloatArray, past: tuple[FloatArray, FloatArray]
    ) -> tuple[FloatArray, FloatArray]:
        """Tokens (B, D) of one new frame of B speakers, and what `cache.push` takes once the frame is over.

        Args:
            features: (B, FEATURE_COUNT).
            observed: (B, STREAM_COUNT) flags.
            past: of the frames before, see `KeyCache.past`.
        """
        cache, mask = past
        inputs = {
            "features": features.reshape(-1, FEATURE_COUNT), "observed": observed.reshape(-1, STREAM_COUNT),
            "cache": cache, "mask": mask,
        }  # fmt: skip
        token, new = self._backend.run("encoder", inputs)
        return token, new

    def encode_sequence(self, features: FloatArray, observed: FloatArray) -> FloatArray:
        """Tokens (B, T, D) of speakers of whom nothing was seen before: those of `encode` but for rounding (1e-5).

        Faster than frame by frame for a few speakers; what a frame costs grows with the frames before it.

        Args:
            features: (B, T, FEATURE_COUNT).
            observed: (B, T, STREAM_COUNT) flags.
        """
        frames, s = features.shape[1], self.shape
        reach, longest = self.reach, _strides(s)[-1]
        parts = []
        for start in range(0, frames, SEGMENT):
            stop, first = min(start + SEGMENT, frames), max(start - reach, 0)
            more = (first - stop) % longest
            given: dict[str, Any] = {
                name: np.pad(array[:, first:stop], ((0, 0), (0, more), (0, 0)))
                for name, array in (("features", features), ("observed", observed))
            }  # fmt: skip
            given["number"] = np.arange(stop - first + more)
            tokens = self._backend.run("encoder_sequence", given)[0]
            parts.append(tokens[:, start - first : stop - first])
        return np.concatenate(parts, axis=1)

    def latents(self, listener: FloatArray) -> FloatArray:
        """Whitened latents (N, n - VAE_CONTEXT, L) of coefficients (N, n, 58), the first frames being context."""
        out: FloatArray = self._backend.run("vae_encoder", {"listener": listener})[0][:, VAE_CONTEXT:]
        return out

    def decode(self, latents: FloatArray) -> FloatArray:
        """Coefficients (N, n - VAE_CONTEXT, 58) of latents (N, n, L), the first frames being context."""
        out: FloatArray = self._backend.run("vae_decoder", {"latents": latents})[0][:, VAE_CONTEXT:]
        return out

    def attributes(self, latents: FloatArray) -> FloatArray:
        """REACT's 25 attributes (N, n - VAE_CONTEXT, 25) of latents (N, n, L), the first frames being context."""
        out: FloatArray = self._backend.run("attributes", {"latents": latents})[0][:, VAE_CONTEXT:]
        return out

    def head_mean(self, speaker: FloatArray, missing: FloatArray) -> FloatArray:
        """Pitch, yaw and roll (N, 3) in rad from which `sample` draws the difference, see `diffusion.head_mean`."""
        return head_mean(self._head_mean, self.ages, speaker, missing)

    def sample(
        self,
        speaker: FloatArray,
        missing: FloatArray,
        past: FloatArray,
        conditions: FloatArray,
        noise: FloatArray,
        *,
        memory: FloatArray | None = None,
        steps: int,
        guidance: float,
        recall: int,
    ) -> FloatArray:
        """Latents (N, K, H, L) of the next H frames: K candidates for each of N listeners, from their own noise.

        Args:
            speaker: (N, S, D) tokens, oldest first.
            missing: (N, S) 1 where there is no token.
            past: (N, past, L) latents of the listener's own past, oldest first.
            conditions: (N, condition_count), see `conditions.condition_vector`.
            noise: (N, K, H, L), H at most the shape's horizon.
            memory: (N, ROWS, L) a state of `diffusion.memory`; None: of a face at rest. Not all networks read it.
            steps: of the solver.
            guidance: 1 = the speaker as trained, 0 = no speaker at all, above 1 = more than trained.
            recall: how many of the newest frames of the past are shown to the network; with 0, nor is the memory.
        """
        count, candidates = noise.shape[:2]
        strength = None if guidance == 1.0 else np.full((count, 1, 1, 1), guidance, dtype=np.float32)
        own = past
        if self.remembers:
            state = own_memory.at_rest(self.neutral, count) if memory is None else memory
            own = np.concatenate([own_memory.tokens(state), past], axis=1)
        hidden = np.arange(own.shape[1] - past.shape[1], own.shape[1] - recall) if recall else np.arange(own.shape[1])
        drawn = self._backend.stretch(
            Stretch(
                speaker, own, conditions, _masks(missing, own.shape[1], hidden, candidates, guided=guidance != 1.0),
                noise, tuple(angles(steps)), strength,
            )
        )  # fmt: skip
        return self.accumulate(drawn, past)

    def accumulate(self, drawn: FloatArray, past: FloatArray) -> FloatArray:
        """Latents (N, K, H, L) of what the denoiser drew (N, K, H, L) after `past` (N, past, L), oldest first."""
        frames = drawn.shape[2]  # a shorter stretch responds as the beginning of a longer one
        weights = self._responses[:frames, : ORDER + frames]
        return np.asarray(self._emphasis.latents(drawn, past[:, None, -ORDER:], weights), dtype=np.float32)


def _masks(missing: FloatArray, own: int, hidden: NDArray[np.int64], candidates: int, *, guided: bool) -> FloatArray:
    """Masks (N, K or 2 K, C) of the context tokens: first the candidates, then, if guided, without the speaker.

    Of the `own` tokens of the listener's past, which come last, some are `hidden`.
    """
    count, speech = missing.shape
    mask = np.zeros((count, 1, 1 + speech + own), dtype=np.float32)
    mask[:, 0, 1 : 1 + speech] = missing * MASKED
    mask[:, 0, 1 + speech + hidden] = MASKED
    seeing = np.repeat(mask, candidates, axis=1)
    if not guided:
        return seeing
    blind = seeing.copy()
    blind[:, :, 1 : 1 + speech] = MASKED
    return np.concatenate([seeing, blind], axis=1)
