"""The networks in ONNX Runtime on the CPU: one thread, no spinning, same bits for same input."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from reactdiff_ros.errors import WeightsError
from reactdiff_ros.model.sampler import angles, multistep
from reactdiff_ros.model.tokens import FEATURE_COUNT, STREAM_COUNT
from reactdiff_ros.model.weights import GRAPHS, Weights
from reactdiff_ros.types import FloatArray

MASKED: Final = np.float32(-1e4)
VAE_CONTEXT: Final = 6
"""Frames of left context that encoder and decoder of the autoencoder each use."""


class Networks:
    """The five graphs of one set of weights.

    Raises:
        WeightsError: a graph cannot be loaded, or its inputs are not this version's.
    """

    def __init__(self, weights: Weights, threads: int = 1) -> None:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.inter_op.allow_spinning", "0")
        self.shape, self.name = weights.shape, f"{weights.name}@{weights.digest}"
        self._sessions: dict[str, Any] = {}
        for graph in GRAPHS:
            try:
                self._sessions[graph] = ort.InferenceSession(
                    str(weights.graph(graph)), options, providers=["CPUExecutionProvider"]
                )
            except Exception as error:
                raise WeightsError(
                    "ONNX Runtime cannot load a network",
                    where=str(weights.graph(graph)),
                    todo=str(error).split("\n")[0],
                ) from error
        needed = {"horizon", "past", "speech", "latent", "width", "window", "encoder_layers", "heads", "controls"}
        features = self._sessions["encoder"].get_inputs()[0].shape[-1]
        if not needed <= self.shape.keys() or features != FEATURE_COUNT:
            raise WeightsError("the model's weights are for another version", where=str(weights.folder))

    def empty_cache(self) -> FloatArray:
        """Keys and values of no frame at all."""
        s = self.shape
        size = (s["encoder_layers"], 2, s["heads"], s["window"] - 1, s["width"] // s["heads"])
        return np.zeros(size, dtype=np.float32)

    def encode(
        self, features: FloatArray, observed: FloatArray, cache: FloatArray, filled: int
    ) -> tuple[FloatArray, FloatArray]:
        """The speaker token (D,) of one new frame, and the cache with it. `filled`: frames already in the cache."""
        length = self.shape["window"] - 1
        mask = np.where(np.arange(length) >= length - filled, np.float32(0), MASKED)
        token, cache = self._sessions["encoder"].run(
            None,
            {
                "features": features.reshape(1, FEATURE_COUNT), "observed": observed.reshape(1, STREAM_COUNT),
                "cache": cache, "mask": mask,
            },
        )  # fmt: skip
        return token[0], cache

    def latents(self, listener: FloatArray) -> FloatArray:
        """Latents (n - VAE_CONTEXT, L) of the listener's coefficients (n, 58), the first frames being context."""
        out: FloatArray = self._sessions["vae_encoder"].run(None, {"listener": listener[None]})[0][0, VAE_CONTEXT:]
        return out

    def decode(self, latents: FloatArray) -> FloatArray:
        """Coefficients (K, n - VAE_CONTEXT, 58) of latents (K, n, L), the first frames being context."""
        out: FloatArray = self._sessions["vae_decoder"].run(None, {"latents": latents})[0][:, VAE_CONTEXT:]
        return out

    def sample(
        self,
        speaker: FloatArray,
        missing: FloatArray,
        past: FloatArray,
        controls: FloatArray,
        noise: FloatArray,
        *,
        steps: int,
        guidance: float,
        recall: int,
    ) -> FloatArray:
        """Latents (K, horizon, L) of K candidates that share speaker and past.

        Args:
            speaker: (speech, D) tokens, oldest first.
            missing: (speech,) 1 where there is no token.
            past: (past, L) latents of the listener's own past.
            controls: (2 * controls + max_lead,) values, flags, lead as one-hot.
            noise: (K, horizon, L).
            steps: of the solver.
            guidance: 1 = the condition as trained, 0 = no speaker at all.
            recall: how many of the newest frames of the past are shown to the network.
        """
        count = len(noise)
        keys, values, style = self._sessions["context"].run(
            None, {"speaker": speaker[None], "past": past[None], "controls": controls[None]}
        )
        mask = np.zeros((1, 1 + len(speaker) + len(past)), dtype=np.float32)
        mask[0, 1 : 1 + len(speaker)] = missing * MASKED
        mask[0, 1 + len(speaker) : mask.shape[1] - recall] = MASKED
        blind = mask.copy()
        blind[0, 1 : 1 + len(speaker)] = MASKED
        guided = guidance != 1.0
        masks = np.repeat(np.concatenate([mask, blind]) if guided else mask, count, axis=0)
        context = {"keys": keys, "values": values, "style": style}
        run = self._sessions["denoiser"].run

        def velocity(z: FloatArray, angle: float) -> FloatArray:
            batch = np.concatenate([z, z]) if guided else z
            level = np.full(len(batch), angle, dtype=np.float32)
            v = run(None, {**context, "z": batch, "angle": level, "mask": masks})[0]
            if not guided:
                return np.asarray(v)
            return np.asarray(v[count:] + np.float32(guidance) * (v[:count] - v[count:]))

        return np.asarray(multistep(velocity, noise, angles(steps)), dtype=np.float32)

    def coefficients(self, past: FloatArray, latents: FloatArray) -> FloatArray:
        """Coefficients (K, horizon, 58) of sampled latents that continue `past` (past, L)."""
        context = np.broadcast_to(past[-VAE_CONTEXT:], (len(latents), VAE_CONTEXT, past.shape[-1]))
        return self.decode(np.concatenate([context, latents], axis=1).astype(np.float32))
