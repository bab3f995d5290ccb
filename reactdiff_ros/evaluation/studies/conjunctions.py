"""What a speaker encoder's tokens hold that neither face nor voice shows alone.

A linear classifier reads each conjunction out of the tokens of speakers that it was not fitted to. The same speakers
without their voice, and without their face, show what one modality is worth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.evaluation.metrics.spectra import grouped_auc
from reactdiff_ros.model.diffusion.tokens import SpeakerBatch, withhold
from reactdiff_ros.simulator.dyads import Dyads, simulate
from reactdiff_ros.simulator.seeds import purpose_seed
from reactdiff_ros.simulator.voices import VoiceBank
from reactdiff_ros.types import FloatArray

Masks = tuple[NDArray[np.bool_], NDArray[np.bool_]]

CONJUNCTIONS: Final[Mapping[str, Callable[[Dyads], Masks]]] = {
    "flat smile": lambda d: (d.stimulus.speech > 0.5, (d.stimulus.smile > 0.2) & (d.stimulus.sincerity < 0.5)),
    "laugh": lambda d: (d.truth.burst | d.truth.hush, d.truth.laughing),
    "held pause": lambda d: (d.stimulus.phrase_end > 0.2, d.stimulus.held > 0.5),
    "ambivalent smile": lambda d: (d.stimulus.speech > 0.5, (d.stimulus.smile > 0.2) & (d.stimulus.ambivalence > 0.3)),
}
"""(B, T) where each is asked for, and where it is so: a smile with a flat voice among all speech, a laugh among coughs
and silent amusement, a gaze away and a level pitch at the end of a phrase, and a smile of someone who falters.
"""
MODALITIES: Final[Mapping[str, tuple[str, ...]]] = {"both": (), "face alone": ("voice",), "voice alone": ("face",)}
"""What is withheld from the listener in each."""
FIGURES: Final = tuple(f"{name}, {how}" for name in CONJUNCTIONS for how in MODALITIES)
_MOST: Final = 4000
"""Frames of each conjunction that the classifier gets, half of them where it is so."""
_WARM: Final = 50


def speakers(seed: int, items: int, seconds: float, bank: VoiceBank | None) -> Dyads:
    """Held-out speakers, of whom half have moments of ambivalence."""
    frames = round(seconds * 25)
    return simulate(purpose_seed("evaluate", seed, 15), items, frames, bank, prior="natural", ambivalence=0.5)


def read_out(tokens_of: Callable[[SpeakerBatch], FloatArray], dyads: Dyads, seed: int) -> dict[str, float]:
    """FIGURES: areas under the curve (.5 = nothing) of the tokens (B, T, D) that `tokens_of` gives; NaN if too rare."""
    observed = (dyads.stimulus.seen > 0) & (dyads.stimulus.heard > 0)
    observed[:, :_WARM] = False
    found: dict[str, Any] = {}
    for how, withheld in MODALITIES.items():
        speaker = dyads.speaker.take(np.arange(len(observed)))
        withhold(speaker, withheld)
        tokens = tokens_of(speaker)
        for i, (name, masks) in enumerate(CONJUNCTIONS.items()):
            where, positive = masks(dyads)
            rng, parts = np.random.default_rng([seed, i]), (positive, ~positive)
            row, frame = np.concatenate(
                [rng.permutation(np.argwhere(where & observed & part))[: _MOST // 2] for part in parts]
            ).T
            x, y = tokens[row, frame].astype(np.float64), positive[row, frame].astype(np.float64)
            found[f"{name}, {how}"] = grouped_auc(x, y, row, seed)["auc"] if len(row) else float("nan")
    return {name: float(found[name]) for name in FIGURES}
