"""The read-out: from features to calibrated probabilities, by sums of log odds.

Each head adds what its groups of features say: log odds = timing + voice + face + network. A group that was not
observed adds nothing, and the others are then calibrated by themselves: groups were fitted one after another, each to
what those before left open (`tools/small_networks/turns`). So the read-out works with timing alone, and the face's
share is what it adds.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from reactdiff_ros.errors import ReactdiffError, WeightsError
from reactdiff_ros.resources import resource_path
from reactdiff_ros.turns.cues import FACE, PROSODY
from reactdiff_ros.turns.features import PAUSE, SITUATION, Features
from reactdiff_ros.types import Array

FORMAT: Final = 1
HEADS: Final = ("eot", "now", "future", "backchannel", "user_starts", "barge_in")
GROUPS: Final = {"pause": PAUSE, "situation": SITUATION, "voice": PROSODY, "face": FACE, "network": ("log_odds",)}
"""Names of the columns of each group."""
TIMING: Final = {"eot": "pause"}
"""Each head's group of timing, by default situation; without it a head says nothing."""
FILE: Final = Path("models") / "turns" / "readout.json"


@dataclass(frozen=True, slots=True)
class Weights:
    """What one group adds to the log odds of a head: bias + weights . (columns - mean) / scale, within +-bound."""

    weights: Array
    mean: Array
    scale: Array
    bias: float
    bound: float

    def logit(self, columns: Array) -> Array:
        """(...) of columns (..., n)."""
        values = self.bias + (columns - self.mean) / self.scale @ self.weights
        return np.asarray(np.clip(values, -self.bound, self.bound))


@dataclass(frozen=True)
class ReadOut:
    """The heads and their groups."""

    heads: Mapping[str, Mapping[str, Weights]]
    digest: str
    about: Mapping[str, Any]

    def logit(self, head: str, features: Features, without: Collection[str] = ()) -> float:
        """Log odds of a head, NaN where its timing is not known; `without`: groups that are left out."""
        timing = TIMING.get(head, "situation")
        if getattr(features, timing) is None:
            return math.nan
        total = 0.0
        for group, weights in self.heads[head].items():
            columns = getattr(features, group)
            if columns is not None and group not in without:
                total += float(weights.logit(columns))
        return total

    def probability(self, head: str, features: Features, without: Collection[str] = ()) -> float:
        """0..1 or NaN."""
        value = self.logit(head, features, without)
        return math.nan if math.isnan(value) else sigmoid(value)


def sigmoid(value: float) -> float:
    """Of log odds."""
    return 1.0 / (1.0 + math.exp(-min(max(value, -60.0), 60.0)))


def read_readout(path: Path | None = None) -> ReadOut:
    """The weights of a file, by default the shipped ones.

    Raises:
        WeightsError: the file is missing, damaged or of other columns.
    """
    try:
        where = resource_path(FILE) if path is None else path
        data = where.read_bytes()
        content = json.loads(data)
        if content["format"] != FORMAT:
            raise ValueError(f"format {content['format']!r:.20}")
        heads = {head: {g: _weights(g, w) for g, w in content["heads"][head].items()} for head in HEADS}
        for head in HEADS:
            if TIMING.get(head, "situation") not in heads[head]:
                raise ValueError(f"the head {head} has no timing")
    except (OSError, ReactdiffError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(
            f"the read-out of turns cannot be used: {error}", where=str(path or FILE),
            todo="run 'make setup' in the source folder, or train it with 'reactdiff dev train-turns'",
        ) from error  # fmt: skip
    return ReadOut(heads, hashlib.sha256(data).hexdigest()[:12], content.get("about", {}))


def _weights(group: str, values: Mapping[str, Any]) -> Weights:
    if tuple(values["columns"]) != GROUPS[group]:
        raise ValueError(f"other columns of {group}")
    arrays = {name: np.array(values[name], dtype=np.float64) for name in ("weights", "mean", "scale")}
    bias, bound = float(values["bias"]), float(values["bound"])
    fine = all(a.shape == (len(GROUPS[group]),) and np.isfinite(a).all() for a in arrays.values())
    if not fine or not math.isfinite(bias) or not bound > 0.0 or not (arrays["scale"] > 0.0).all():
        raise ValueError(f"weights of {group} that are not numbers")
    return Weights(bias=bias, bound=bound, **arrays)


def written(heads: Mapping[str, Mapping[str, Weights]], about: Mapping[str, Any]) -> str:
    """The text of a file of weights."""

    def rounded(values: Array) -> list[float]:
        return [float(f"{v:.6g}") for v in values]

    content = {
        "format": FORMAT, "about": dict(about),
        "heads": {
            head: {
                group: {
                    "columns": GROUPS[group], "weights": rounded(w.weights), "mean": rounded(w.mean),
                    "scale": rounded(w.scale), "bias": float(f"{w.bias:.6g}"), "bound": w.bound,
                }
                for group, w in groups.items()
            }
            for head, groups in heads.items()
        },
    }  # fmt: skip
    return json.dumps(content, indent=1) + "\n"
