"""Several different listeners of each simulated speaker, all appropriate: other people with noise of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import psutil

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.model.style import style_of
from reactdiff_ros.simulator.listener import listen
from reactdiff_ros.simulator.temperament import Prior, draw_temperaments
from reactdiff_ros.types import FloatArray

if TYPE_CHECKING:
    from reactdiff_ros.simulator.dyads import Dyads

_PERSON, _NOISE = 30, 31
SPEAKER_BYTES: Final = 2400
"""That a frame of a speaker with its first listener takes at most while it is made (measured)."""
LISTENER_BYTES: Final = 260
"""That a frame of each further listener takes."""


@dataclass(frozen=True, slots=True)
class Listeners:
    """M listeners of each of B speakers over T frames; `controls` and `traits` say who they are."""

    coefficients: FloatArray
    """(B, M, T, 58)"""
    activity: FloatArray
    """(B, M, T) 0..1"""
    controls: FloatArray
    """(B, M, 6), see `conditions.CONTROL_NAMES`."""
    traits: FloatArray
    """(B, M, 24), see `temperament.TRAIT_NAMES`."""
    style: FloatArray
    """(B, M, 8) of the same person with the other speaker, see `conditions.STYLE_NAMES`."""
    style_given: FloatArray

    @property
    def each(self) -> int:
        """M."""
        return self.coefficients.shape[1]


def enough_memory(dyads: int, listeners: int, frames: int) -> None:
    """Raise a ReactdiffError where so much does not fit into the memory that is free now."""
    needed = dyads * frames * (SPEAKER_BYTES + LISTENER_BYTES * (listeners - 1))
    there = psutil.virtual_memory().available
    if needed > there:
        raise ReactdiffError(
            f"these dyads take {needed / 1e9:.1f} GB of memory, and {there / 1e9:.1f} GB are free",
            where=f"{dyads} dyads, {listeners} listeners of each, {frames} frames",
            todo="make fewer or shorter ones, and the rest with another --seed",
        )


def listeners_of(made: Dyads, seed: int, each: int, prior: Prior) -> Listeners:
    """`each` listeners of every speaker of `made`: the first is its own, the others are drawn from the same prior.

    As in `dyads.simulate`, world i and world i + B / 2 share their listeners, and a style is measured on the other
    world's stream. How many there are changes none of them.

    Args:
        made: dyads of `dyads.simulate(seed, ..., prior=prior)`.
        seed: the same seed, the same listeners.
        each: M, 1 or more.
        prior: see `draw_temperaments`.
    """
    who = made.temperament
    first = (made.listener, made.activity, who.controls, who.traits, made.style, made.style_given)
    out = Listeners(*(np.empty((len(a), each, *a.shape[1:]), dtype=np.float32) for a in first))
    _put(out, 0, *first)
    other = _other_worlds(len(made.listener))
    paired = (other != np.arange(len(other)))[:, None]
    for number in range(1, each):
        people = draw_temperaments(np.random.SeedSequence([seed, _PERSON, number]), len(other), prior=prior)
        people = people.take(np.minimum(np.arange(len(other)), other))
        shown = listen(made.stimulus, people, np.random.SeedSequence([seed, _NOISE, number]))
        style, given = (values[other] * paired for values in style_of(shown.coefficients))
        _put(out, number, shown.coefficients, shown.activity, people.controls, people.traits, style * given, given)
    return out


def _put(out: Listeners, number: int, *values: FloatArray) -> None:
    into = (out.coefficients, out.activity, out.controls, out.traits, out.style, out.style_given)
    for array, value in zip(into, values, strict=True):
        array[:, number] = value


def _other_worlds(worlds: int) -> np.ndarray[tuple[int, ...], np.dtype[np.intp]]:
    """The world that shares a listener with each; itself where there is none."""
    pairs = worlds // 2
    other = np.arange(worlds)
    other[:pairs], other[pairs : 2 * pairs] = np.arange(pairs) + pairs, np.arange(pairs)
    return other
