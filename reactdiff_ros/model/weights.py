"""The shipped weights: where they lie, and that they are the ones their manifest names."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from reactdiff_ros.errors import ReactdiffError, WeightsError
from reactdiff_ros.resources import resource_path

PRESET: Final = "live"
MANIFEST: Final = "manifest.json"
FORMAT: Final = 1
GRAPHS: Final = ("encoder", "vae_encoder", "vae_decoder", "context", "denoiser")
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
    return Weights(where, {k: int(v) for k, v in manifest["shape"].items()}, str(manifest["name"]), digest)


def sha256(path: Path) -> str:
    """Hex SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _parse(raw: bytes, where: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(raw)
        complete = manifest["format"] == FORMAT and all(f"{g}.onnx" in manifest["files"] for g in GRAPHS)
        shape, name = manifest["shape"], manifest["name"]
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(
            "the manifest of the model's weights is unreadable", where=str(where), todo=_REMEDY
        ) from error
    if not complete or not isinstance(shape, dict) or not isinstance(name, str):
        raise WeightsError("the model's weights are of another format", where=str(where), todo=_REMEDY)
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
