"""Export of a trained model: ONNX graphs, safetensors and the manifest with their hashes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from reactdiff_ros.coefficients import COEFFICIENT_COUNT
from reactdiff_ros.model.tokens import FEATURE_COUNT, STREAM_COUNT
from reactdiff_ros.model.weights import FORMAT, MANIFEST, sha256
from reactdiff_ros.types import FloatArray

from .nets import EncoderStep, Model, Shape
from .train import read_checkpoint

OPSET = 17


class _Call(nn.Module):  # type: ignore[misc]
    """A method of a module as a module of its own."""

    def __init__(self, module: nn.Module, method: str) -> None:
        super().__init__()
        self.module, self.method = module, method

    def forward(self, *inputs: Tensor) -> Any:
        return getattr(self.module, self.method)(*inputs)


class _Velocity(nn.Module):  # type: ignore[misc]
    def __init__(self, denoiser: nn.Module) -> None:
        super().__init__()
        self.denoiser = denoiser

    def forward(self, z: Tensor, angle: Tensor, keys: Tensor, values: Tensor, style: Tensor, mask: Tensor) -> Any:
        return self.denoiser.velocity(z, angle, (keys, values, style), mask)


def load_model(checkpoint: Path) -> tuple[Model, dict[str, Any]]:
    """The averaged model of a checkpoint, and the checkpoint.

    Raises:
        ReactdiffError: the checkpoint cannot be read.
    """
    state = read_checkpoint(checkpoint)
    model = Model(Shape(**state["config"]["shape"]))
    model.load_state_dict(state["average"])
    return model.eval(), state


def export(checkpoint: Path, folder: Path, name: str = "live") -> list[Path]:
    """Write graphs, safetensors and manifest of `checkpoint` into `folder`; returns the files.

    Raises:
        ReactdiffError: the checkpoint cannot be read.
    """
    from safetensors.torch import save_file

    model, state = load_model(checkpoint)
    folder.mkdir(parents=True, exist_ok=True)
    files = export_graphs(model, folder)
    tensors = {k: v.half().contiguous() for k, v in model.state_dict().items() if not k.startswith("aux.")}
    files.append(folder / "model.safetensors")
    save_file(tensors, files[-1], metadata={"format": "pt", "preset": name})
    files[-1].chmod(0o644)  # safetensors makes it private
    files.append(write_check(model, folder))
    manifest = {
        "format": FORMAT, "name": name, "shape": model.shape.as_dict(), "simulator": state["simulator"],
        "steps": state["step"], "seed": state["config"]["seed"], "files": {f.name: sha256(f) for f in files},
    }  # fmt: skip
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    return [*files, folder / MANIFEST]


CHECK = "check.json"
"""Outputs of the torch networks on `check_features`, that the exported graphs must reproduce."""


def check_features(frames: int) -> tuple[FloatArray, FloatArray]:
    """Features (T, F) and flags (T, S) that need no generator: cosines, with streams that come and go."""
    t = np.arange(frames)[:, None]
    features = np.cos(0.37 * t + 1.7 * np.arange(FEATURE_COUNT)).astype(np.float32)
    observed = ((t // 7 + np.arange(STREAM_COUNT)) % 4 > 0).astype(np.float32)
    return features, observed


def write_check(model: Model, folder: Path, frames: int = 60) -> Path:
    """Record a few outputs of the torch networks: whole sequences, nothing streamed."""
    features, observed = (torch.from_numpy(a)[None] for a in check_features(frames))
    listener = 0.2 * torch.cos(0.1 * torch.arange(40)[:, None] + torch.arange(COEFFICIENT_COUNT)).float()[None]
    with torch.no_grad():
        tokens = model.encoder(features, observed)[0]
        latents = model.vae.encode(listener)
        faces = model.vae.decode(latents)[0]
    record = {
        "frames": frames,
        "tokens": {str(i): [round(float(v), 5) for v in tokens[i, :16]] for i in (0, 5, 30, frames - 1)},
        "latents": [round(float(v), 5) for v in latents[0, -1]],
        "faces": [round(float(v), 5) for v in faces[-1]],
    }
    path = folder / CHECK
    path.write_text(json.dumps(record) + "\n", encoding="utf-8")
    return path


def export_graphs(model: Model, folder: Path) -> list[Path]:
    """Write the five ONNX graphs that the runtime uses."""
    s = model.shape
    head = s.width // s.heads
    cache = torch.zeros(s.encoder_layers, 2, s.heads, s.window - 1, head)
    context = 1 + s.speech + s.past
    keys = torch.zeros(1, s.denoiser_layers, s.heads, context, head)
    controls = torch.zeros(1, 2 * s.controls + s.max_lead)
    style = torch.zeros(1, 6 * s.width)
    batch, frames = {0: "batch"}, {1: "frames"}
    graphs: list[tuple[str, nn.Module, tuple[Tensor, ...], list[str], list[str], dict[str, dict[int, str]]]] = [
        (
            "encoder", EncoderStep(model.encoder),
            (torch.randn(1, FEATURE_COUNT), torch.ones(1, STREAM_COUNT), cache, torch.zeros(s.window - 1)),
            ["features", "observed", "cache", "mask"], ["token", "new_cache"], {},
        ),
        (
            "vae_encoder", _Call(model.vae, "encode"), (torch.randn(1, 22, COEFFICIENT_COUNT),),
            ["listener"], ["latents"], {"listener": frames, "latents": frames},
        ),
        (
            "vae_decoder", _Call(model.vae, "decode"), (torch.randn(2, 22, s.latent),),
            ["latents"], ["listener"], {"latents": batch | frames, "listener": batch | frames},
        ),
        (
            "context", _Call(model.denoiser, "context"),
            (torch.randn(1, s.speech, s.width), torch.randn(1, s.past, s.latent), controls),
            ["speaker", "past", "controls"], ["keys", "values", "style"], {},
        ),
        (
            "denoiser", _Velocity(model.denoiser),
            (torch.randn(2, s.horizon, s.latent), torch.full((2,), 0.7), keys, keys, style, torch.zeros(2, context)),
            ["z", "angle", "keys", "values", "style", "mask"], ["velocity"],
            {"z": batch, "angle": batch, "mask": batch, "velocity": batch},
        ),
    ]  # fmt: skip
    files = []
    for name, module, inputs, names, outputs, axes in graphs:
        path = folder / f"{name}.onnx"
        with torch.no_grad():
            torch.onnx.export(
                module.eval(), inputs, str(path), input_names=names, output_names=outputs, dynamic_axes=axes,
                opset_version=OPSET, dynamo=False,
            )  # fmt: skip
        files.append(path)
    return files
