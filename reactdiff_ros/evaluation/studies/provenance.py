"""What results rest on: weights, and what their folder says about their training; the voices of simulated speakers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.model.weights import MANIFEST, Weights
from reactdiff_ros.simulator.voices import VoiceBank


@dataclass(frozen=True, slots=True)
class Provenance:
    """Facts of a manifest beside the networks' own."""

    name: str
    real: bool
    """Recorded people were among the training data."""
    fold: str
    """"2/4": the pairs of the second of four folds were held out; "": none."""
    ablate: tuple[str, ...]
    """What was left out of the training."""
    seed: int
    steps: int
    simulator: str
    runs: tuple[Mapping[str, Any], ...]
    """Every run of training that led to it, the first one first: "settings" that were not the defaults, "steps"."""

    @property
    def calls(self) -> bool:
        """Recorded calls (`dev train --dyads`) were among the training data; older manifests know no others."""
        told = [run for run in self.runs if "data" in run]
        met = ("dyads" in r["data"] and "real" not in r.get("settings", {}).get("ablate", ()) for r in told)
        return self.real and (not told or any(met))

    @property
    def held_out(self) -> tuple[int, int] | None:
        """(fold from 0, count), None where no fold was held out."""
        if not self.fold:
            return None
        first, _, count = self.fold.partition("/")
        return int(first) - 1, int(count)


def provenance(weights: Weights) -> Provenance:
    """What the manifest of `weights` tells.

    Raises:
        ReactdiffError: it does not tell, or in no form that is known.
    """
    path = Path(weights.folder) / MANIFEST
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        found = Provenance(
            name=weights.name, real=bool(told["real"]), fold=str(told["fold"]), ablate=tuple(map(str, told["ablate"])),
            seed=int(told["seed"]), steps=int(told["steps"]), simulator=weights.simulator,
            runs=tuple(map(dict, told.get("training", ()))),
        )  # fmt: skip
        _ = found.held_out
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ReactdiffError(
            "the manifest does not say what the weights were trained on", where=str(path),
            todo="write it again with 'reactdiff dev export'",
        ) from error  # fmt: skip
    return found


def weights_told(weights: Weights) -> dict[str, Any]:
    """Which weights a result was made with, and the hash of the simulator that they were trained on."""
    nods = None if weights.nods is None else weights.nods.digest
    return {"name": weights.name, "digest": weights.digest, "trained_on": weights.simulator, "nods": nods}


def voices_told(bank: VoiceBank) -> dict[str, Any]:
    """Which voices simulated speakers had: parametric ones, or those of a bank, with its digest."""
    if bank.empty:
        return {"kind": "parametric"}
    digest = hashlib.sha256(bank.frames.tobytes()).hexdigest()[:12]
    return {"kind": "synthesised", "voices": len(bank.phrases), "digest": digest}
