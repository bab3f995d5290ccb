"""The networks in torch behind the interface of the run time. Every other backend is compared with `Torch`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reactdiff_ros.model.backends.base import Backend, Stretch
from reactdiff_ros.model.backends.weights import Weights, find_weights
from reactdiff_ros.model.diffusion.solvers import fitted_multistep
from reactdiff_ros.types import FloatArray

from .config import shape_of
from .export import Context, export_model
from .nets import EncoderStep, Model


class Torch:
    """See `model.backends.base.Backend`. Eager, float32.

    Args:
        model: in evaluation mode.
        device: of torch, "cpu" or "cuda".
    """

    def __init__(self, model: Model, device: str = "cpu") -> None:
        self._device = torch.device(device)
        self._model = model.to(self._device).eval()
        self._step = EncoderStep(self._model.encoder)

    @property
    def name(self) -> str:
        """See `Backend`."""
        return f"torch-{self._device.type}"

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def run(self, graph: str, inputs: Mapping[str, FloatArray]) -> list[FloatArray]:
        """See `Backend`."""
        vae, denoiser = self._model.vae, self._model.denoiser
        calls: dict[str, Any] = {
            "encoder": self._step, "vae_encoder": vae.encode, "vae_decoder": vae.decode, "attributes": vae.attributes,
            "context": Context(denoiser), "denoiser": denoiser.modulated,
            "encoder_sequence": self._model.encoder.tokens,
        }  # fmt: skip
        out = calls[graph](*(self._there(array) for array in inputs.values()))
        return [_back(part) for part in (out if isinstance(out, tuple) else (out,))]

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def stretch(self, job: Stretch) -> FloatArray:
        """See `Backend`."""
        context = self._model.denoiser.context(*(self._there(a) for a in (job.speaker, job.past, job.conditions)))
        mask, candidates = self._there(job.mask), job.noise.shape[1]
        strength = None if job.strength is None else self._there(job.strength)

        def velocity(z: Tensor, angle: float) -> Tensor:
            batch = z if strength is None else torch.cat([z, z], dim=1)
            level = torch.full((len(batch), 1), angle, device=self._device)
            v = self._model.denoiser.velocity(batch, level, context, mask)
            if strength is None:
                return v
            seeing, blind = v[:, :candidates], v[:, candidates:]
            return torch.where(strength == 1.0, seeing, blind + strength * (seeing - blind))

        return _back(fitted_multistep(velocity, self._there(job.noise), job.schedule))

    def _there(self, array: FloatArray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self._device)


def model_of(weights: Weights) -> Model:
    """The networks of a folder in torch, from its safetensors: rounded to half precision, as shipped to train on."""
    from safetensors.torch import load_file

    model = Model(shape_of(weights.shape))
    found = {name: tensor.float() for name, tensor in load_file(weights.tensors).items()}
    model.load_state_dict(found, strict=False)  # without the auxiliary head of training
    model.eval()
    return model


def comparable(weights: Weights, folder: Path) -> tuple[Model, Weights]:
    """The same rounded networks in torch and, written into `folder`, as the graphs that the run time uses."""
    model = model_of(weights)
    export_model(model, folder, name=weights.name, facts={"simulator": weights.simulator})
    return model, find_weights(folder)


def _back(tensor: Tensor) -> FloatArray:
    return np.asarray(tensor.float().cpu())


def torch_backend(weights: Weights, threads: int) -> Backend:
    """Ours in torch eager behind the interface of the run time, on the GPU where torch has one."""
    torch.set_num_threads(threads)
    return Torch(model_of(weights), "cuda" if torch.cuda.is_available() else "cpu")
