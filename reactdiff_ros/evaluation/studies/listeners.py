"""Listeners under test as functions: speakers in, free-running streams out, each from its own past only."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation.studies.frame_policies import policy_streams
from reactdiff_ros.model.conditions import CONTROL_COUNT, STYLE_COUNT
from reactdiff_ros.model.plan.corrections import conditioning
from reactdiff_ros.model.plan.sampler import Conditions, Sampling
from reactdiff_ros.model.runtime import Networks
from reactdiff_ros.model.streams import free_run, speaker_tokens
from reactdiff_ros.model.tokens import SpeakerBatch
from reactdiff_ros.model.weights import Weights, find_weights
from reactdiff_ros.simulator.listener import listen
from reactdiff_ros.simulator.policy import perceive
from reactdiff_ros.simulator.stimulus import Stimulus
from reactdiff_ros.simulator.temperament import Temperament, draw_temperaments
from reactdiff_ros.styles import DEFAULT_STYLE, load_styles
from reactdiff_ros.types import FloatArray

Seeds = NDArray[np.integer[Any]]
LISTENERS: Final = ("model", "simulator", "policy", "rules", "mime", "random", "idle")


class Listens(Protocol):
    """A listener as a function. `name` tells it apart in tables."""

    name: str

    def run(
        self, speaker: SpeakerBatch, conditions: Conditions, seeds: Seeds, truth: Stimulus | None = None
    ) -> FloatArray:
        """The streams (N, T, 58) shown to N speakers.

        Args:
            speaker: (N, T) as perception delivers them.
            conditions: what the N listeners are told about themselves.
            seeds: (N,) of their noise.
            truth: what can be known of the speakers, (N, T); only the simulator needs it.
        """
        ...


class ModelListens:
    """The trained model on its exported graphs."""

    def __init__(self, weights: Weights, how: Sampling | None = None, *, workers: int = 1) -> None:
        self.name, self.weights = "model", weights
        self.networks, self.how, self.workers = Networks(weights), how or Sampling(), workers

    def run(
        self, speaker: SpeakerBatch, conditions: Conditions, seeds: Seeds, truth: Stimulus | None = None
    ) -> FloatArray:
        """See `Listens.run`."""
        return self.of_tokens(speaker_tokens(self.networks, speaker), conditions, seeds)

    def sampled(self, how: Sampling) -> ModelListens:
        """The same networks, sampled otherwise."""
        other = copy(self)
        other.how = how
        return other

    def of_tokens(self, tokens: FloatArray, conditions: Conditions, seeds: Seeds) -> FloatArray:
        """As `run`, from the speakers' tokens (N, T, D)."""
        rows = np.arange(len(seeds))
        return free_run(
            self.networks, tokens, conditions, speaker_of=rows, seeds=seeds, how=self.how, workers=self.workers
        )


class SimulatorListens:
    """The simulator's listener, who knows the truth about the speaker, or as much of it as perception tells."""

    def __init__(self, *, perceiving: bool) -> None:
        self.name, self._perceiving = "policy" if perceiving else "simulator", perceiving

    def run(
        self, speaker: SpeakerBatch, conditions: Conditions, seeds: Seeds, truth: Stimulus | None = None
    ) -> FloatArray:
        """See `Listens.run`. The first seed is that of all rows.

        Raises:
            ReactdiffError: the simulator's listener was not told the truth.
        """
        if self._perceiving:
            truth = perceive(speaker)
        if truth is None:
            raise ReactdiffError(
                "the simulator's listener needs simulated speakers", todo="take 'policy' for recorded ones"
            )
        seed = int(seeds[0])
        return listen(truth, temperaments(conditions, seed), seed).coefficients


class PolicyListens:
    """A listener without a network: rules, mime, random or idle. It takes no conditions."""

    def __init__(self, policy: str, progress: Callable[[int], None] | None = None) -> None:
        self.name, self._progress = policy, progress

    def run(
        self, speaker: SpeakerBatch, conditions: Conditions, seeds: Seeds, truth: Stimulus | None = None
    ) -> FloatArray:
        """See `Listens.run`."""
        return policy_streams(self.name, speaker, seeds, progress=self._progress)


def temperaments(conditions: Conditions, seed: int) -> Temperament:
    """Simulated listeners with the controls that are given; the natural prior draws the others, and the traits."""
    controls = np.where(conditions.controls_given > 0, conditions.controls, np.nan).astype(np.float32)
    return draw_temperaments(seed, len(conditions), prior="natural", controls=controls)


def make_listener(name: str, *, model: Path | None = None, how: Sampling | None = None, workers: int = 1) -> Listens:
    """The listener of that name, one of LISTENERS.

    Raises:
        WeightsError: the model's weights are missing or do not fit.
    """
    if name == "model":
        return ModelListens(find_weights(model or ""), how, workers=workers)
    if name in ("simulator", "policy"):
        return SimulatorListens(perceiving=name == "policy")
    return PolicyListens(name)


def style_conditions(style: str, count: int, **settings: Any) -> Conditions:
    """What `count` listeners are told when the named style is in force, with `settings` of it changed."""
    told = conditioning(replace(load_styles()[style], **settings))
    return repeated(told.controls, told.controls_given, told.style, told.style_given, count)


def natural_conditions(count: int) -> Conditions:
    """What `count` listeners are told under the default style."""
    return style_conditions(DEFAULT_STYLE, count)


def untold(count: int) -> Conditions:
    """Conditions of `count` listeners who are told nothing about themselves."""
    controls = np.zeros((1, CONTROL_COUNT), dtype=np.float32)
    style = np.zeros((1, STYLE_COUNT), dtype=np.float32)
    return repeated(controls, controls, style, style, count)


def repeated(
    controls: FloatArray,
    controls_given: FloatArray,
    style: FloatArray,
    style_given: FloatArray,
    count: int,
    *,
    real: bool = False,
) -> Conditions:
    """Conditions of `count` listeners from one row (1, n) or from as many rows of each."""

    def rows(part: FloatArray) -> FloatArray:
        return np.broadcast_to(part, (count, part.shape[-1])).astype(np.float32)

    source = np.full(count, float(real), dtype=np.float32)
    return Conditions(rows(controls), rows(controls_given), rows(style), rows(style_given), source)
