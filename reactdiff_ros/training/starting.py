"""What a run may start with: another run's checkpoint, or exported weights, the shipped ones among them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.model.weights import MANIFEST, PRESET, find_weights

from .checkpoints import CHECKPOINT, read_checkpoint
from .config import config_of
from .export import TENSORS
from .history import runs_of
from .nets import Model
from .shape import Shape


@dataclass(frozen=True, slots=True)
class Start:
    """Networks that a run starts with."""

    shape: Shape
    networks: dict[str, Tensor]
    """As `Model.state_dict`; exported weights lack the auxiliary head, which then starts anew."""
    facts: dict[str, Any]
    """What is known of the autoencoder, which stays as it is."""
    runs: list[dict[str, Any]]
    """The runs that made them, oldest first, see `history.runs_of`; empty: not told."""


def read_start(path: Path) -> Start:
    """Networks of a checkpoint, of a run's folder, of a folder of exported weights, or, for "live", the shipped ones.

    Raises:
        ReactdiffError: there are none, or they cannot be read.
    """
    if str(path) == PRESET and not path.exists():
        return _of_weights("")
    if path.is_dir() and not (path / CHECKPOINT).is_file():
        return _of_weights(path)
    where = path / CHECKPOINT if path.is_dir() else path
    state = read_checkpoint(where)
    return Start(config_of(state, where).shape, state["average"], dict(state.get("facts", {})), runs_of(state))


def _of_weights(folder: str | Path) -> Start:
    from safetensors.torch import load_file

    weights = find_weights(folder)
    try:
        manifest = json.loads((weights.folder / MANIFEST).read_text(encoding="utf-8"))
        tensors = {name: value.float() for name, value in load_file(str(weights.folder / TENSORS)).items()}
        shape = Shape(**weights.shape)
    except Exception as error:  # safetensors raises errors of its own
        raise ReactdiffError(
            "these weights hold no networks to train on", where=str(weights.folder),
            todo="give a folder that 'reactdiff dev export' wrote, or a checkpoint",
        ) from error  # fmt: skip
    facts = {"autoencoder": manifest["autoencoder"]} if manifest.get("autoencoder") else {}
    return Start(shape, tensors, facts, list(manifest.get("training", ())))


def load_networks(model: Model, shape: Shape, networks: dict[str, Tensor], where: str) -> None:
    """Give `model` these networks; an auxiliary head that is not among them stays as it is.

    Raises:
        ReactdiffError: they have other shapes.
    """
    head = {name: value for name, value in model.state_dict().items() if name.startswith("aux.")}
    try:
        if shape != model.shape:
            raise ValueError("shape")
        model.load_state_dict({**head, **networks})
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise _misfit(where) from error


def _misfit(where: str) -> ReactdiffError:
    return ReactdiffError(
        "the checkpoint's networks are of another shape", where=where, todo="train anew, or give another checkpoint"
    )
