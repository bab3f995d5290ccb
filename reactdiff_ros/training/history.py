"""Which runs made a checkpoint: what the manifest, and through it the model card, tells of the training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

from reactdiff_ros.errors import ReactdiffError

from .checkpoints import read_checkpoint
from .config import TrainConfig
from .public_sets import FACEVERSE, KINDS, data_of

_FILES: Final = {
    "bank": "voices", "dyads": "dyads", "recordings": "recordings", "expression_names": "expression_names",
}  # fmt: skip
_PEOPLE: Final = {"dyads", "recordings", *KINDS}
"""Data that are recordings of people."""
_APART: Final = {*_FILES, "data", "start_from", "losses", "shape", "threads", "workers", "checkpoint_steps"}
_LONGEST: Final = 10


def runs_of(state: dict[str, Any]) -> list[dict[str, Any]]:
    """The runs that led to the checkpoint `state`, oldest first; one that fine-tunes names the run that it began with.

    Each is {"settings": those off their defaults, "steps": optimiser steps done, "data": which of voices, dyads,
    recordings, expression_names and kinds of public sets it learnt from, "from": whether it began with another run's
    networks, "known": whether that run follows here and could still be read}. Paths are left out: they mean nothing
    elsewhere. A checkpoint keeps what was before it; those of earlier versions name the file, and say of data only
    what was asked for.
    """
    runs: list[dict[str, Any]] = []
    while len(runs) < _LONGEST:
        config = state["config"]
        start = str(config.get("start_from", ""))
        runs.insert(0, _run(config, int(state["step"]), state.get("people")))
        before = state.get("before")
        if before or not start:
            return [*(before or ()), *runs]
        try:
            state = read_checkpoint(Path(start))
        except ReactdiffError:
            runs[0]["known"] = False
            break
    return runs


def people_seen(runs: list[dict[str, Any]]) -> tuple[bool, str]:
    """Whether any of these runs learnt from recorded people, and the fold that all of those left out ("": none)."""
    learnt = [r["settings"] for r in runs if _PEOPLE & set(r["data"]) and "real" not in r["settings"].get("ablate", ())]
    folds = {settings.get("fold", "") for settings in learnt}
    return bool(learnt), folds.pop() if len(folds) == 1 else ""


def _run(config: dict[str, Any], steps: int, people: Sequence[str] | None) -> dict[str, Any]:
    plain = TrainConfig()
    settings = {}
    for f in fields(TrainConfig):
        value = config.get(f.name, getattr(plain, f.name))
        value = list(value) if isinstance(value, tuple) else value
        default = getattr(plain, f.name)
        if f.name not in _APART and value != (list(default) if isinstance(default, tuple) else default):
            settings[f.name] = value
    return {
        "settings": settings, "steps": steps, "data": _used(config, people),
        "from": bool(config.get("start_from")), "known": True,
    }  # fmt: skip


def _used(config: dict[str, Any], people: Sequence[str] | None) -> list[str]:
    """Names of the data of a run: those it was given, but of people only those whom it met; None: that is not known."""
    sets = dict.fromkeys(data_of(text)[0] for text in config.get("data", ()))
    given = [*(name for key, name in _FILES.items() if config.get(key)), *sets]
    if people is None:
        return given
    unmet = _PEOPLE - {*people}
    names = {"expression_names"} if unmet.issuperset(FACEVERSE) else set()  # they are of those sets' faces
    return [name for name in given if name not in unmet | names]
