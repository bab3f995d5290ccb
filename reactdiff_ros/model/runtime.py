"""The networks in ONNX Runtime on the CPU: one thread, no spinning, same bits for same input.

Shapes: B speakers, N contexts (listeners), K candidates of one context, H frames, D token width, L latents.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import numpy as np

from reactdiff_ros.coefficients import COEFFICIENT_COUNT
from reactdiff_ros.errors import WeightsError
from reactdiff_ros.model.emphasis import ORDER, responses
from reactdiff_ros.model.groups import LATENT_COUNT
from reactdiff_ros.model.solvers import angles, fitted_multistep
from reactdiff_ros.model.tokens import FEATURE_COUNT, STREAM_COUNT
from reactdiff_ros.model.weights import GRAPHS, Weights
from reactdiff_ros.types import FloatArray

MASKED: Final = np.float32(-1e4)
SMALL: Final = 16
"""Up to so many stretches, what a graph does about shapes takes as long as its arithmetic."""
VAE_CONTEXT: Final = 6
"""Frames of left context that encoder and decoder of the autoencoder each use."""
_SIZES: Final = frozenset(
    {"horizon", "past", "speech", "latent", "width", "window", "dilation", "encoder_layers", "heads", "max_lead"}
)


class KeyCache:
    """Keys and values of the past frames of B speakers, in a ring for each temporal layer of the encoder.

    Layer i looks at every dilation**i-th frame, `window` - 1 of them.
    """

    def __init__(self, shape: dict[str, int], batch: int) -> None:
        self._looks = shape["window"] - 1
        self._strides = [shape["dilation"] ** i for i in range(shape["encoder_layers"])]
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

    Raises:
        WeightsError: a graph cannot be loaded, or its inputs are not this version's.
    """

    def __init__(self, weights: Weights, threads: int = 1) -> None:
        import onnxruntime as ort

        self._options: Callable[[], Any] = partial(_options, threads)
        self.shape, self.name = weights.shape, f"{weights.name}@{weights.digest}"
        self._emphasis = weights.emphasis
        self._sessions: dict[str, Any] = {}
        self._denoiser = str(weights.graph("denoiser"))
        self._fixed: dict[tuple[int, ...], Any] = {}
        for graph in GRAPHS:
            try:
                self._sessions[graph] = ort.InferenceSession(
                    str(weights.graph(graph)), self._options(), providers=["CPUExecutionProvider"]
                )
            except Exception as error:
                raise WeightsError(
                    "ONNX Runtime cannot load a network",
                    where=str(weights.graph(graph)),
                    todo=str(error).split("\n")[0],
                ) from error
        features = self._sessions["encoder"].get_inputs()[0].shape[-1]
        if not self.shape.keys() >= _SIZES or features != FEATURE_COUNT or self.shape["latent"] != LATENT_COUNT:
            raise WeightsError("the model's weights are for another version", where=str(weights.folder))
        self._responses = responses(self._emphasis.feedback, self.shape["horizon"])
        self.neutral = self.latents(np.zeros((1, 4 * VAE_CONTEXT, COEFFICIENT_COUNT), dtype=np.float32))[0, -1]
        """(L,) latent of a face that is and was neutral."""

    def new_cache(self, batch: int = 1) -> KeyCache:
        """The cache of speakers of whom nothing was seen yet."""
        return KeyCache(self.shape, batch)

    def encode(self, features: FloatArray, observed: FloatArray, cache: KeyCache) -> tuple[FloatArray, FloatArray]:
        """Tokens (B, D) of one new frame of B speakers, and what `cache.push` takes once the frame is over.

        Args:
            features: (B, FEATURE_COUNT).
            observed: (B, STREAM_COUNT) flags.
            cache: of the frames before; not changed.
        """
        past, mask = cache.past()
        inputs = {
            "features": features.reshape(-1, FEATURE_COUNT), "observed": observed.reshape(-1, STREAM_COUNT),
            "cache": past, "mask": mask,
        }  # fmt: skip
        token, new = self._sessions["encoder"].run(None, inputs)
        return token, new

    def latents(self, listener: FloatArray) -> FloatArray:
        """Whitened latents (N, n - VAE_CONTEXT, L) of coefficients (N, n, 58), the first frames being context."""
        out: FloatArray = self._sessions["vae_encoder"].run(None, {"listener": listener})[0][:, VAE_CONTEXT:]
        return out

    def decode(self, latents: FloatArray) -> FloatArray:
        """Coefficients (N, n - VAE_CONTEXT, 58) of latents (N, n, L), the first frames being context."""
        out: FloatArray = self._sessions["vae_decoder"].run(None, {"latents": latents})[0][:, VAE_CONTEXT:]
        return out

    def attributes(self, latents: FloatArray) -> FloatArray:
        """REACT's 25 attributes (N, n - VAE_CONTEXT, 25) of latents (N, n, L), the first frames being context."""
        out: FloatArray = self._sessions["attributes"].run(None, {"latents": latents})[0][:, VAE_CONTEXT:]
        return out

    def sample(
        self,
        speaker: FloatArray,
        missing: FloatArray,
        past: FloatArray,
        conditions: FloatArray,
        noise: FloatArray,
        *,
        steps: int,
        guidance: float | FloatArray,
        recall: int,
        schedule: Sequence[float] | None = None,
    ) -> FloatArray:
        """Latents (N, K, H, L) of the next H frames: K candidates for each of N listeners, from their own noise.

        Args:
            speaker: (N, speech, D) tokens, oldest first.
            missing: (N, speech) 1 where there is no token.
            past: (N, past, L) latents of the listener's own past, oldest first.
            conditions: (N, condition_count), see `conditions.condition_vector`.
            noise: (N, K, H, L), H at most the shape's horizon.
            steps: of the solver.
            guidance: of all or (N,). 1 = the speaker as trained, 0 = no speaker at all, above 1 = more than trained.
            recall: how many of the newest frames of the past are shown to the network.
            schedule: noise angles instead of those of `steps`; `noise` is then noisy data (of `drawable`) at the first.
        """
        count, candidates = noise.shape[:2]
        keys, values, told = self._sessions["context"].run(
            None, {"speaker": speaker, "past": past, "conditions": conditions}
        )
        strength = np.broadcast_to(np.asarray(guidance, dtype=np.float32), count)[:, None, None, None]
        masks = _masks(missing, past.shape[1], recall, candidates, guided=bool((strength != 1.0).any()))
        stretches = masks.shape[1]
        context = {"keys": keys, "values": values, "told": told, "mask": masks}
        run = self._denoiser_for(count, stretches, noise.shape[2]).run

        def velocity(z: FloatArray, angle: float) -> FloatArray:
            batch = z if stretches == candidates else np.concatenate([z, z], axis=1)
            level = np.full((count, stretches), angle, dtype=np.float32)
            v: FloatArray = run(None, {**context, "z": batch, "angle": level})[0]
            if stretches == candidates:
                return v
            seeing, blind = v[:, :candidates], v[:, candidates:]
            return np.where(strength == 1.0, seeing, blind + strength * (seeing - blind))

        drawn: FloatArray = fitted_multistep(velocity, noise, schedule or angles(steps)).astype(np.float32)
        frames = noise.shape[2]  # a shorter stretch responds as the beginning of a longer one
        weights = self._responses[:frames, : ORDER + frames]
        return np.asarray(self._emphasis.latents(drawn, past[:, None, -ORDER:], weights), dtype=np.float32)

    def _denoiser_for(self, listeners: int, stretches: int, frames: int) -> Any:
        """The denoiser for such a batch: a small one has a session without free axes, in two thirds of the time."""
        if listeners * stretches > SMALL:
            return self._sessions["denoiser"]
        sizes = (listeners, stretches, frames)
        if sizes not in self._fixed:
            import onnxruntime as ort

            options = self._options()
            for axis, size in zip(("listeners", "stretches", "frames"), sizes, strict=True):
                options.add_free_dimension_override_by_name(axis, size)
            self._fixed[sizes] = ort.InferenceSession(self._denoiser, options, providers=["CPUExecutionProvider"])
        return self._fixed[sizes]

    def drawable(self, latents: FloatArray, before: FloatArray) -> FloatArray:
        """What the denoiser would draw for latents (..., H, L) that follow `before` (..., n, L), see `emphasis`."""
        return self._emphasis.drawn(np.concatenate([before[..., -ORDER:, :], latents], axis=-2))


def _options(threads: int) -> Any:
    """Sessions that leave the other cores alone."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    return options


def _masks(missing: FloatArray, past: int, recall: int, candidates: int, *, guided: bool) -> FloatArray:
    """Masks (N, K or 2 K, C) of the context tokens: first the candidates, then, if guided, without the speaker."""
    count, speech = missing.shape
    mask = np.zeros((count, 1, 1 + speech + past), dtype=np.float32)
    mask[:, 0, 1 : 1 + speech] = missing * MASKED
    mask[:, 0, 1 + speech : 1 + speech + past - recall] = MASKED
    seeing = np.repeat(mask, candidates, axis=1)
    if not guided:
        return seeing
    blind = seeing.copy()
    blind[:, :, 1 : 1 + speech] = MASKED
    return np.concatenate([seeing, blind], axis=1)
