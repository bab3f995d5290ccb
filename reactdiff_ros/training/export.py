"""Export of a trained model: ONNX graphs, safetensors and the manifest with their hashes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from reactdiff_ros.coefficients import COEFFICIENT_COUNT
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.model.nod_head import CARD, NODS
from reactdiff_ros.model.tokens import FEATURE_COUNT, STREAM_COUNT
from reactdiff_ros.model.weights import FORMAT, MANIFEST, interface, sha256
from reactdiff_ros.types import FloatArray

from .checkpoints import read_checkpoint
from .config import config_from
from .history import people_seen, runs_of
from .nets import EncoderStep, Model

OPSET = 20
"""The first with Gelu as one operator."""
HALVES = ("encoder", "denoiser", "vae_decoder")
"""Graphs that are written in float16 as well."""
TENSORS = "model.safetensors"
"""The networks themselves, to train on; in half precision, without the auxiliary head."""
CHECK = "check.json"
"""Outputs of the torch networks on `check_features`, that the exported graphs must reproduce."""


def export_model(model: Model, folder: Path, *, name: str, facts: dict[str, Any]) -> list[Path]:
    """Write graphs, safetensors and manifest of `model` into `folder`; returns the files.

    Args:
        model: the networks as they shall run.
        folder: made if it is not there.
        name: of the preset.
        facts: what else the manifest tells; "simulator", the hash of the simulator, must be among it.
    """
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    for stale in (CARD, NODS):  # of the weights that were there
        (folder / stale).unlink(missing_ok=True)
    model = model.eval()
    files = export_graphs(model, folder)
    files += export_halves(folder)
    tensors = {k: v.half().contiguous() for k, v in model.state_dict().items() if not k.startswith("aux.")}
    files.append(folder / TENSORS)
    save_file(tensors, files[-1], metadata={"format": "pt", "preset": name})
    files[-1].chmod(0o644)  # safetensors makes it private
    files.append(write_check(model, folder))
    _describe(files, model, name, sha256(folder / TENSORS))
    manifest = {
        "format": FORMAT, "name": name, "shape": model.shape.as_dict(), "parameters": model.count(), **interface(),
        "emphasis": model.vae.emphasis.as_manifest(), **facts,
        "files": {f.name: sha256(f) for f in files},
    }  # fmt: skip
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    return [*files, folder / MANIFEST]


def export_halves(folder: Path) -> list[Path]:
    """Write encoder, denoiser and decoder in float16, inputs and outputs in float32, for the runtimes of others."""
    import onnx

    from reactdiff_ros.model.backends.half import folded, in_half_precision

    files = []
    for name in HALVES:
        files.append(folder / f"{name}.fp16.onnx")
        onnx.save(in_half_precision(folded(onnx.load(str(folder / f"{name}.onnx")))), str(files[-1]))
    return files


def _describe(files: list[Path], model: Model, name: str, digest: str) -> None:
    """Write into every graph what it is of, what its numbers mean, and which weights it holds."""
    import onnx

    from reactdiff_ros import __version__

    told = {
        "version": __version__, "format": str(FORMAT), "preset": name, "shape": json.dumps(model.shape.as_dict()),
        "interface": json.dumps(interface()), "weights_sha256": digest,
        "normalisation": json.dumps(
            {
                "coefficients": "58 as in the package's table: 52 in 0..1, rotation in rad, translation in m",
                "latents": "whitened within the autoencoder: mean 0, deviation 1",
                "emphasis": model.vae.emphasis.as_manifest(),
            }
        ),
    }  # fmt: skip
    for path in (file for file in files if file.suffix == ".onnx"):
        graph = onnx.load(str(path))
        onnx.helper.set_model_props(graph, told | {"graph": path.stem})
        onnx.save(graph, str(path))


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
        faces, attributes = model.vae.decode(latents)[0], model.vae.attributes(latents)[0]
    record = {
        "frames": frames,
        "tokens": {str(i): _rounded(tokens[i, :16]) for i in (0, 5, 30, frames - 1)},
        "latents": _rounded(latents[0, -1]),
        "faces": _rounded(faces[-1]),
        "attributes": _rounded(attributes[-1]),
    }
    path = folder / CHECK
    path.write_text(json.dumps(record) + "\n", encoding="utf-8")
    return path


def _rounded(values: Tensor) -> list[float]:
    return [round(float(v), 5) for v in values]


class _Call(nn.Module):  # type: ignore[misc]
    """A method of a module as a module of its own."""

    def __init__(self, module: nn.Module, method: str) -> None:
        super().__init__()
        self.module, self.method = module, method

    def forward(self, *inputs: Tensor) -> Any:
        return getattr(self.module, self.method)(*inputs)


class Context(nn.Module):  # type: ignore[misc]
    """What all evaluations of a stretch share, and what is each evaluation's own but follows from its angle."""

    def __init__(self, denoiser: nn.Module) -> None:
        super().__init__()
        self.denoiser = denoiser

    def forward(self, speaker: Tensor, past: Tensor, conditions: Tensor, angles: Tensor) -> Any:
        """As `Denoiser.context`, with modulations (S, N, 1, 6 layers, D) at noise angles (S,) in place of `told`."""
        keys, values, told = self.denoiser.context(speaker, past, conditions)
        modulations = self.denoiser.modulations(angles[None], told)
        return keys, values, modulations.transpose(0, 1)[:, :, None]


@dataclass(frozen=True, slots=True)
class _Graph:
    """One network as it is exported: inputs by name, each with the names of its free axes."""

    name: str
    module: nn.Module
    inputs: dict[str, Tensor]
    outputs: tuple[str, ...]
    axes: dict[str, dict[int, str]]


def export_graphs(model: Model, folder: Path) -> list[Path]:
    """Write the ONNX graphs that the runtime uses, all with a free batch."""
    files = []
    for graph in _graphs(model):
        files.append(folder / f"{graph.name}.onnx")
        with torch.no_grad():
            torch.onnx.export(
                graph.module.eval(), tuple(graph.inputs.values()), str(files[-1]), input_names=list(graph.inputs),
                output_names=list(graph.outputs), dynamic_axes=graph.axes, opset_version=OPSET, dynamo=False,
            )  # fmt: skip
    return files


def _graphs(model: Model) -> list[_Graph]:
    s, vae, denoiser = model.shape, model.vae, model.denoiser
    head, context = s.width // s.heads, 1 + s.speech + s.past
    cache = torch.zeros(2, s.encoder_layers, 2, s.heads, s.window - 1, head)
    keys = torch.zeros(2, s.denoiser_layers, s.heads, context, head)
    modulations = denoiser.modulations(torch.full((2, 1), 0.7), torch.zeros(2, 6 * s.width))
    speakers, listeners = {0: "speakers"}, {0: "listeners"}
    frames, stretches = listeners | {1: "frames"}, listeners | {1: "stretches"}
    sequence = speakers | {1: "frames"}
    latents = {"latents": torch.randn(2, 22, s.latent)}
    return [
        _Graph(
            "encoder", EncoderStep(model.encoder),
            {
                "features": torch.randn(2, FEATURE_COUNT), "observed": torch.ones(2, STREAM_COUNT), "cache": cache,
                "mask": torch.zeros(s.encoder_layers, s.window - 1),
            },
            ("token", "new"),
            {"features": speakers, "observed": speakers, "cache": speakers, "token": speakers, "new": speakers},
        ),
        _Graph(
            "encoder_sequence", _Call(model.encoder, "tokens"),
            {
                "features": torch.randn(2, 4 * s.longest_stride, FEATURE_COUNT),
                "observed": torch.ones(2, 4 * s.longest_stride, STREAM_COUNT),
                "number": torch.arange(4 * s.longest_stride),
            },
            ("tokens",),
            {"features": sequence, "observed": sequence, "number": {0: "frames"}, "tokens": sequence},
        ),
        _Graph(
            "vae_encoder", _Call(vae, "encode"), {"listener": torch.randn(2, 22, COEFFICIENT_COUNT)}, ("latents",),
            {"listener": frames, "latents": frames},
        ),
        _Graph("vae_decoder", _Call(vae, "decode"), latents, ("listener",), {"latents": frames, "listener": frames}),
        _Graph(
            "attributes", _Call(vae, "attributes"), latents, ("attributes",), {"latents": frames, "attributes": frames}
        ),
        _Graph(
            "context", Context(denoiser),
            {
                "speaker": torch.randn(2, s.speech, s.width), "past": torch.randn(2, s.past, s.latent),
                "conditions": torch.zeros(2, s.conditions), "angles": torch.tensor([1.5, 0.7, 0.1]),
            },
            ("keys", "values", "modulations"),
            {
                **{name: listeners for name in ("speaker", "past", "conditions", "keys", "values")},
                "angles": {0: "steps"}, "modulations": {0: "steps", 1: "listeners"},
            },
        ),
        _Graph(
            "denoiser", _Call(denoiser, "modulated"),
            {
                "z": torch.randn(2, 3, s.horizon // 2, s.latent), "modulations": modulations,
                "keys": keys, "values": keys, "mask": torch.zeros(2, 3, context),
            },
            ("velocity",),
            {
                "z": stretches | {2: "frames"}, "modulations": listeners, "keys": listeners, "values": listeners,
                "mask": stretches, "velocity": stretches | {2: "frames"},
            },
        ),
    ]  # fmt: skip


def load_model(checkpoint: Path) -> tuple[Model, dict[str, Any]]:
    """The averaged model of a checkpoint, and the checkpoint.

    Raises:
        ReactdiffError: the checkpoint cannot be read, or its networks are of another shape than this version's.
    """
    state = read_checkpoint(checkpoint)
    try:
        model = Model(config_from(state["config"]).shape)
        model.load_state_dict(state["average"])
    except (KeyError, TypeError, RuntimeError) as error:
        raise ReactdiffError(
            "the networks of the checkpoint are not this version's", where=str(checkpoint), todo="train anew"
        ) from error
    return model.eval(), state


def export(checkpoint: Path, folder: Path, name: str = "live") -> list[Path]:
    """Write graphs, safetensors and manifest of `checkpoint` into `folder`; returns the files.

    Raises:
        ReactdiffError: the checkpoint cannot be read, or the folder cannot be written.
    """
    model, state = load_model(checkpoint)
    config, runs = state["config"], runs_of(state)
    real, fold = people_seen(runs)
    facts = {
        "simulator": state["simulator"], "steps": state["step"], "seed": config["seed"],
        "real": real, "fold": fold if real else config.get("fold", ""),
        "ablate": list(config.get("ablate", ())), "autoencoder": state.get("facts", {}).get("autoencoder"),
        "training": runs,
    }  # fmt: skip
    try:
        return export_model(model, folder, name=name, facts=facts)
    except OSError as error:
        raise ReactdiffError(
            "the weights cannot be written", where=str(folder), todo=str(error.strerror or error)
        ) from error
