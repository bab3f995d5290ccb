"""The shipped weights: where they lie, and that they are the ones their manifest names."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from reactdiff_ros.errors import ReactdiffError, WeightsError
from reactdiff_ros.model.conditions import CONTROL_NAMES, STYLE_NAMES
from reactdiff_ros.model.emphasis import PARTS, Emphasis, emphasis_of, no_emphasis
from reactdiff_ros.model.groups import as_manifest
from reactdiff_ros.resources import resource_path

PRESET: Final = "live"
MANIFEST: Final = "manifest.json"
FORMAT: Final = 2
GRAPHS: Final = ("encoder", "vae_encoder", "vae_decoder", "attributes", "context", "denoiser")
_REMEDY: Final = (
    "run 'make weights', install the package again, or set model_dir to a folder that 'reactdiff export' wrote"
)


@dataclass(frozen=True, slots=True)
class Weights:
    """A checked folder of weights."""

    folder: Path
    shape: dict[str, int]
    """Sizes of the networks, see `training.nets.Shape`."""
    name: str
    simulator: str
    """Hash of the simulator that they were trained on."""
    parameters: dict[str, int]
    """Numbers of parameters of encoder, autoencoder and denoiser; empty where the manifest does not tell."""
    emphasis: Emphasis
    """What stands between latents and what is drawn."""
    digest: str
    """First 12 hex digits of the SHA-256 of the manifest: which weights these are."""

    def graph(self, name: str) -> Path:
        """The ONNX file of one network."""
        return self.folder / f"{name}.onnx"


def find_weights(folder: str | Path = "") -> Weights:
    """The weights in `folder`, or the shipped ones, with every hash checked.

    Raises:
        WeightsError: missing, unreadable, of another format, or not the files that the manifest names.
    """
    try:
        where = Path(folder) if folder else resource_path(Path("models") / PRESET)
        raw = (where / MANIFEST).read_bytes()
    except (ReactdiffError, OSError) as error:
        place = str(folder) or f"resource/models/{PRESET}"
        raise WeightsError("the model's weights are missing", where=place, todo=_REMEDY) from error
    manifest = _parse(raw, where)
    for name, wanted in manifest["files"].items():
        _check(where / name, str(wanted))
    digest = hashlib.sha256(raw).hexdigest()[:12]
    shape = {k: int(v) for k, v in manifest["shape"].items()}
    counts = {str(k): int(v) for k, v in manifest.get("parameters", {}).items()}
    return Weights(
        where, shape, str(manifest["name"]), str(manifest["simulator"]), counts, _emphasis(manifest, shape), digest
    )


def _emphasis(manifest: dict[str, Any], shape: dict[str, int]) -> Emphasis:
    """Of the manifest; where it leaves something out, nothing is done."""
    parts = no_emphasis(shape.get("latent", 0))
    told = manifest.get("emphasis") or {}
    return emphasis_of(parts | {name: np.array(told[name], dtype=np.float32) for name in PARTS if name in told})


def interface() -> dict[str, Any]:
    """What a manifest says of the meaning of the networks' inputs and outputs; weights of another one do not fit."""
    return {"groups": as_manifest(), "conditions": [*CONTROL_NAMES, *STYLE_NAMES]}


def sha256(path: Path) -> str:
    """Hex SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _parse(raw: bytes, where: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(raw)
        if manifest["format"] != FORMAT:
            raise WeightsError("the model's weights are of another format", where=str(where), todo=_REMEDY)
        complete = all(f"{g}.onnx" in manifest["files"] for g in GRAPHS)
        shape, name, simulator = manifest["shape"], manifest["name"], manifest["simulator"]
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(
            "the manifest of the model's weights is unreadable", where=str(where), todo=_REMEDY
        ) from error
    texts = isinstance(name, str) and isinstance(simulator, str)
    counts = (shape, manifest.get("parameters", {}))
    sizes = all(isinstance(c, dict) and all(type(n) is int and n > 0 for n in c.values()) for c in counts)
    if not complete or not texts or not sizes:
        raise WeightsError("the model's weights are of another format", where=str(where), todo=_REMEDY)
    if any(manifest.get(key) != value for key, value in interface().items()):
        raise WeightsError("the model's weights are for another version", where=str(where), todo=_REMEDY)
    return dict(manifest)


def _check(path: Path, wanted: str) -> None:
    try:
        found = sha256(path)
    except OSError as error:
        raise WeightsError("a file of the model's weights is missing", where=str(path), todo=_REMEDY) from error
    if found != wanted:
        raise WeightsError(
            "a file of the model's weights is not the one in its manifest", where=str(path), todo=_REMEDY
        )
