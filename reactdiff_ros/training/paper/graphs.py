"""The networks of the `paper` preset as ONNX graphs, one for each part: together they would pass protobuf's 2 GB."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from reactdiff_ros.training.paper.model import Features, PaperModel

OPSET: Final = 17
PARTS: Final = ("encode", "condition", "denoise", "decode")


class _Encode(nn.Module):  # type: ignore[misc]
    def __init__(self, model: PaperModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, video: Tensor, audio: Tensor) -> Any:
        return self.model.encode(Features(video, audio))


class _Decode(nn.Module):  # type: ignore[misc]
    def __init__(self, model: PaperModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, latents: Tensor) -> Any:
        return self.model.decode(latents)


def export_parts(model: PaperModel, folder: Path) -> dict[str, Path]:
    """Write encode (video, audio), condition (latents), denoise (x, known, steps, condition) and decode (latents).

    All take windows of the published length and any number of them. Returns the files by part.

    Raises:
        OSError: the folder cannot be written; the whole takes 2.2 GB at the published sizes.
    """
    c = model.config
    latents, known = torch.randn(2, c.window, c.latent), torch.zeros(2, c.window)
    inputs: dict[str, tuple[nn.Module, dict[str, Tensor], tuple[str, ...]]] = {
        "encode": (
            _Encode(model),
            {"video": torch.randn(2, c.window, sum(c.video)), "audio": torch.randn(2, c.window, sum(c.audio))},
            ("latents",),
        ),
        "condition": (model.condition, {"latents": latents}, ("condition",)),
        "denoise": (
            model.denoiser,
            {"x": latents, "known": known, "steps": torch.tensor([500, 20]), "condition": torch.randn(2, c.condition)},
            ("noise",),
        ),
        "decode": (_Decode(model), {"latents": latents}, ("coefficients", "attributes")),
    }
    files = {}
    for name, (module, values, outputs) in inputs.items():
        files[name] = folder / f"{name}.onnx"
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what the exporter leaves to the runtime's own folding
            torch.onnx.export(
                module.eval(), tuple(values.values()), str(files[name]), input_names=list(values),
                output_names=list(outputs), dynamic_axes={n: {0: "samples"} for n in (*values, *outputs)},
                opset_version=OPSET, dynamo=False,
            )  # fmt: skip
    return files
