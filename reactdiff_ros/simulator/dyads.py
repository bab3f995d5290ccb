"""Simulated dyads: speakers, what perception delivers of them, and a listener for each, with its controls and style.

Worlds come in pairs that share a listener: world i and world i + worlds / 2 have one temperament and two speakers.
The style of a world is measured on the other world's stream, so that a network which is given a style learns what the
style says about the person, and cannot read the answer off it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from reactdiff_ros.model.diffusion.tokens import SpeakerBatch
from reactdiff_ros.model.style import style_of
from reactdiff_ros.types import FloatArray

from .listener import Listening, listen
from .observation import observe
from .resampled import Recorded
from .speaker import Speakers, make_speakers, stimulus_of
from .stimulus import Stimulus
from .temperament import Prior, Temperament, draw_temperaments
from .voices import VoiceBank

IDENTITY: Final = "2058182ce2a116eb"
"""What weights and results name as their simulator. It gets another value (`openssl rand -hex 8`) whenever a seed gives
other dyads; a test compares the dyads of a seed with recorded figures. The first value was a hash of the sources."""
_SPEAKER, _OBSERVE, _PERSON, _LISTENER = range(20, 24)


@dataclass(slots=True)
class Dyads:
    """B simulated dyads of T frames at 25 Hz."""

    speaker: SpeakerBatch
    """What perception delivers, (B, T)."""
    truth: Speakers
    stimulus: Stimulus
    """What the listeners know of the speakers: the truth where a camera and a microphone are."""
    listener: FloatArray
    """(B, T, 58)"""
    dips: FloatArray
    """(B, T) what of the listener's pitch is nods, rad."""
    temperament: Temperament
    controls: FloatArray
    """(B, 6), see `conditions.CONTROL_NAMES`."""
    style: FloatArray
    """(B, 8) of the same listener with another speaker, see `conditions.STYLE_NAMES`."""
    style_given: FloatArray
    """(B, 8) 0 or 1."""


def simulator_hash() -> str:
    """The identity of the simulator's behaviour, 16 hex digits, that weights and results carry."""
    return IDENTITY


def simulate(
    seed: int,
    worlds: int,
    frames: int,
    bank: VoiceBank | None = None,
    *,
    controls: FloatArray | None = None,
    prior: Prior = "wide",
    precursors: bool = True,
    emotions: float = 0.0,
    ambivalence: float = 0.0,
    recorded: Recorded | None = None,
) -> Dyads:
    """Dyads from a seed.

    Speakers, what is observed of them, temperaments and listeners draw from four streams of random numbers: the same
    seed with other controls gives the same speakers and the same traits.

    Args:
        seed: the same seed, the same dyads.
        worlds: B; with an odd number the last listener has no second speaker and no style.
        frames: T.
        bank: voices; None: without MFCC of synthesised speech.
        controls: (B, 6) or (6,) sets the listeners' controls, NaN leaves one to the prior.
        prior: see `draw_temperaments`.
        precursors: False leaves out what announces the speakers' events.
        emotions: share of the worlds whose speakers have emotional episodes; the others are the same without.
        ambivalence: share of these others whose speakers have episodes of ambivalence.
        recorded: people whose smiles and glances a share of the speakers gets.
    """
    truth = make_speakers(
        (seed, _SPEAKER), worlds, frames, precursors=precursors, emotions=emotions, ambivalence=ambivalence,
        recorded=recorded,
    )  # fmt: skip
    speaker = observe((seed, _OBSERVE), truth, bank)
    stimulus = stimulus_of(truth, speaker.camera, speaker.microphone)
    pairs = worlds // 2
    people = np.arange(worlds)
    people[pairs : 2 * pairs] -= pairs
    # A pair's controls are those of its first world; controls that are given may differ within a pair.
    who = draw_temperaments(np.random.SeedSequence([seed, _PERSON]), worlds, prior=prior, controls=controls)
    own = who.controls
    who = who.take(people)
    if controls is not None:
        given = np.isfinite(np.broadcast_to(np.asarray(controls, dtype=np.float32), own.shape))
        who.controls = np.where(given, own, who.controls)
    listeners = listen(stimulus, who, np.random.SeedSequence([seed, _LISTENER]))
    style, style_given = _style_of_others(listeners.coefficients, who, pairs)
    return Dyads(
        speaker=speaker, truth=truth, stimulus=stimulus, listener=listeners.coefficients, dips=listeners.dips,
        temperament=who, controls=who.controls.copy(), style=style, style_given=style_given,
    )  # fmt: skip


def unmoved(seed: int, dyads: Dyads) -> Listening:
    """What the listeners of `simulate(seed, ...)` would do if they did not see the speakers' ambivalence."""
    blind = replace(dyads.stimulus, ambivalence=np.zeros_like(dyads.stimulus.ambivalence))
    return listen(blind, dyads.temperament, np.random.SeedSequence([seed, _LISTENER]))


def _style_of_others(coefficients: FloatArray, who: Temperament, pairs: int) -> tuple[FloatArray, FloatArray]:
    values, given = style_of(coefficients)
    other = np.arange(len(values))
    other[:pairs], other[pairs : 2 * pairs] = np.arange(pairs) + pairs, np.arange(pairs)
    alike = (other != np.arange(len(values))) & (who.controls == who.controls[other]).all(1)
    given = given[other] * alike[:, None]
    return (values[other] * given).astype(np.float32), given.astype(np.float32)
