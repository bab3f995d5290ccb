"""A run's folder: checkpoint and log; what a run can start from; and which runs made a checkpoint."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from reactdiff_ros.errors import ReactdiffError, explained
from reactdiff_ros.model.backends.weights import MANIFEST, PRESET, find_weights
from reactdiff_ros.whole_file import whole_file

from .config import FACEVERSE, KINDS, Shape, TrainConfig, config_of, data_of, shape_of
from .nets import Model

CHECKPOINT: Final = "checkpoint.pt"
FORMAT: Final = 2
_NEEDED: Final = {"format", "config", "simulator", "step", "vae_step", "model", "average"}
LOG: Final = "log.jsonl"
TENSORBOARD: Final = "tensorboard"


# --- checkpoints -----------------------------------------------------------------------------------------------------


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write a state with `torch.save`, whole or not at all; it goes to the disk tensor by tensor.

    Raises:
        ReactdiffError: it cannot be written; what was there before stays.
    """
    what = "the checkpoint cannot be written" + (" and the last one stays" if path.exists() else "")
    # torch raises RuntimeError where its archive cannot be finished
    with explained((OSError, RuntimeError), what, where=path), whole_file(path) as file:
        torch.save(state, file)


def load_state(path: Path) -> Any:
    """What `save_state` wrote, on the CPU. Raises ReactdiffError: it is missing or unreadable."""
    if not path.is_file():
        raise ReactdiffError("there is no checkpoint", where=str(path), todo="train first, or give another folder")
    # A broken file makes the unpickler raise anything.
    with explained(Exception, "the checkpoint cannot be read", where=path, todo="train again"):
        return torch.load(path, map_location="cpu", weights_only=True)


def refuse_to_begin_over(folder: Path) -> None:
    """Before a new run. Raises ReactdiffError if the folder holds the checkpoint of another one."""
    if (folder / CHECKPOINT).exists():
        todo = "give --resume, or another folder"
        raise ReactdiffError("the folder holds a run already", where=str(folder), todo=todo)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The state of a run. Raises ReactdiffError: it is missing, unreadable, not a checkpoint, or of another version."""
    state = load_state(path)
    if not isinstance(state, dict) or not state.keys() >= _NEEDED:
        raise ReactdiffError("this is not a checkpoint of reactdiff dev train", where=str(path), todo="give one")
    if state["format"] != FORMAT:
        what = f"the checkpoint is of format {state['format']}, this version reads {FORMAT}"
        raise ReactdiffError(what, where=str(path), todo="train again")
    return state


# --- what a run starts from ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Start:
    """Networks that a run starts with."""

    shape: Shape
    networks: dict[str, Tensor]
    """As `Model.state_dict`; exported weights lack the auxiliary head, which keeps its random start."""
    facts: dict[str, Any]
    """What is known of the autoencoder, which stays as it is."""
    runs: list[dict[str, Any]]
    """The runs that made them, oldest first, see `runs_of`; empty: unknown."""


def read_start(path: Path) -> Start:
    """Networks of a checkpoint, of a run's folder, of a folder of exported weights, or, for "live", the shipped ones.

    Raises:
        ReactdiffError: there are none, or they cannot be read.
    """
    if str(path) == PRESET and not path.exists():
        return _start_of_weights("")
    if path.is_dir() and not (path / CHECKPOINT).is_file():
        return _start_of_weights(path)
    where = path / CHECKPOINT if path.is_dir() else path
    state = read_checkpoint(where)
    return Start(config_of(state, where).shape, state["average"], dict(state.get("facts", {})), runs_of(state))


def _start_of_weights(folder: str | Path) -> Start:
    from safetensors.torch import load_file

    weights = find_weights(folder)
    what, todo = "these weights hold no networks to train on", "give a folder of 'reactdiff dev export' or a checkpoint"
    with explained(Exception, what, where=weights.folder, todo=todo):  # safetensors raises errors of its own
        manifest = json.loads((weights.folder / MANIFEST).read_text(encoding="utf-8"))
        tensors = {name: value.float() for name, value in load_file(weights.tensors).items()}
        shape = shape_of(weights.shape)
    facts = {"autoencoder": manifest["autoencoder"]} if manifest.get("autoencoder") else {}
    return Start(shape, tensors, facts, list(manifest.get("training", ())))


def load_networks(model: Model, shape: Shape, networks: dict[str, Tensor], where: str) -> None:
    """Give `model` these networks; an auxiliary head or a head's mean that is not among them stays as it is.

    Raises:
        ReactdiffError: they have other shapes.
    """
    head = {name: value for name, value in model.state_dict().items() if name.startswith(("aux.", "head_mean"))}
    wrong, what = (KeyError, RuntimeError, TypeError, ValueError), "the checkpoint's networks are of another shape"
    with explained(wrong, what, where=where, todo="train again, or give another one"):
        if shape != model.shape:
            networks = _grown(networks, shape, model.shape)
        model.load_state_dict({**head, **networks})


def _grown(networks: dict[str, Tensor], shape: Shape, new: Shape) -> dict[str, Tensor]:
    """The networks of `shape` with tokens that only `new` has: a memory's mean begins as a frame of the past, a far
    token as the oldest near one, a deviation as nothing.

    Raises:
        ValueError: `new` has fewer, or differs in more.
    """
    other = replace(shape, far=new.far, memory=new.memory) != new
    if other or new.far < shape.far or (shape.memory and new.memory != shape.memory):
        raise ValueError("shape")
    grown = dict(networks)
    slot = networks["denoiser.context_slot"]
    given, far, near, memory, past = slot.split([1, shape.far, shape.speech, shape.memory, shape.past])
    more = near[:1].expand(new.far - shape.far, -1)
    if not shape.memory:
        memory = past[:1].expand(new.memory, -1)
        for row in range(new.memory):
            last = row == new.memory - 1
            for part in ("weight", "bias"):
                value = networks[f"denoiser.from_past.{part}"]
                grown[f"denoiser.from_memory.{row}.{part}"] = 0 * value if last else value.clone()
    grown["denoiser.context_slot"] = torch.cat([given, more, far, near, memory, past])
    return grown


# --- which runs made a checkpoint ------------------------------------------------------------------------------------

_FILES: Final = {
    "bank": "voices", "dyads": "dyads", "speakers": "speakers", "recordings": "recordings",
    "expression_names": "expression_names",
}  # fmt: skip
_PEOPLE: Final = {"dyads", "recordings", *KINDS}
"""Data that are recordings of people who listen."""
_LEFT_OUT: Final = {*_FILES, "data", "start_from", "shape", "threads", "workers", "checkpoint_steps"}
"""Settings that a run's description leaves out: paths, which mean nothing elsewhere, and what changes no result."""


def runs_of(state: dict[str, Any]) -> list[dict[str, Any]]:
    """The runs that led to the checkpoint `state`, oldest first: those before a fine-tuning, and the run itself.

    Each is {"settings": those off their defaults, and the learning rate where `--from` has another default, "steps":
    optimiser steps done, "data": which of voices, dyads, recordings, expression_names and kinds of public sets it
    learnt from, "from": whether it began with another run's networks, "known": whether that run is listed before it}.
    The manifest and the model card report them.
    """
    config, before = state["config"], list(state.get("before", ()))
    plain = asdict(TrainConfig())
    given = {name: config.get(name, plain[name]) for name in plain.keys() - _LEFT_OUT}
    tuned = bool(config.get("start_from"))
    settings = {
        f.name: list(given[f.name]) if isinstance(given[f.name], tuple) else given[f.name]
        for f in fields(TrainConfig)
        if f.name in given and (given[f.name] != plain[f.name] or (tuned and f.name == "learning_rate"))
    }
    run = {
        "settings": settings, "steps": int(state["step"]), "data": _data_used(config, state.get("people")),
        "from": tuned, "known": bool(before) or not tuned,
    }  # fmt: skip
    return [*before, run]


def people_seen(runs: list[dict[str, Any]]) -> tuple[bool, str]:
    """Whether any of these runs learnt from recorded people, and the fold that all of those left out ("": none)."""
    learnt = [r["settings"] for r in runs if _PEOPLE & set(r["data"]) and "real" not in r["settings"].get("ablate", ())]
    folds = {settings.get("fold", "") for settings in learnt}
    return bool(learnt), folds.pop() if len(folds) == 1 else ""


def _data_used(config: dict[str, Any], people: Sequence[str] | None) -> list[str]:
    """Names of a run's data; of people only those whose recordings it could use; None: that is unknown."""
    sets = dict.fromkeys(data_of(text)[0] for text in config.get("data", ()))
    given = [*(name for key, name in _FILES.items() if config.get(key)), *sets]
    if people is None:
        return given
    unused = _PEOPLE - {*people}
    if unused.issuperset(FACEVERSE):  # the expression names belong to the faces of those sets
        unused.add("expression_names")
    return [name for name in given if name not in unused]


# --- progress and log ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Progress:
    """How training goes."""

    phase: str
    step: int
    steps: int
    values: dict[str, float] = field(default_factory=dict)
    left_s: float = float("nan")
    """Estimated seconds to the end of the phase."""
    note: str = ""
    """A sentence for the user, now and then."""


class Logs:
    """Writes `log.jsonl` and, where tensorboard is installed, its event files.

    A full disk stops neither training nor the rest of the logs: `problem` says so once.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.problem = folder, ""
        self._writer: Any = None
        with explained(OSError, "the run's folder cannot be written", where=folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._file = (folder / LOG).open("a", encoding="utf-8")
            with suppress(ImportError):
                from torch.utils.tensorboard import SummaryWriter

                self._writer = SummaryWriter(str(folder / TENSORBOARD))

    def close(self) -> None:
        """Close the files."""
        for file in (self._file, self._writer):
            if file is not None:
                with suppress(OSError):
                    file.close()

    def write(self, progress: Progress) -> None:
        """One report."""
        record = {"phase": progress.phase, "step": progress.step, "steps": progress.steps, **progress.values}
        try:
            self._file.write(json.dumps(record) + "\n")
            self._file.flush()
            for name, value in progress.values.items() if self._writer is not None else ():
                self._writer.add_scalar(f"{progress.phase}/{name}", value, progress.step)
        except OSError as error:
            self.problem = self.problem or f"the logs cannot be written ({self.folder}): {error.strerror or error}"
