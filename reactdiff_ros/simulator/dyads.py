"""Simulated dyads: speakers, what perception delivers of them, and a listener for each, with its controls and style."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Final

import numpy as np

from reactdiff_ros.model.diffusion.tokens import SpeakerBatch
from reactdiff_ros.model.style import style_of
from reactdiff_ros.types import REACTION_RATE_HZ, FloatArray

from .listener import Listening, listen
from .observation import observe
from .resampled import Recorded
from .speaker import Speakers, make_speakers, stimulus_of
from .stimulus import Stimulus
from .temperament import Prior, Temperament, draw_temperaments
from .voices import VoiceBank

IDENTITY: Final = "85e57a4fc13c7b93"
"""What weights and results name as their simulator. It gets another value (`openssl rand -hex 8`) whenever a seed gives
other dyads; a test compares the dyads of a seed with recorded figures. The first value was a hash of the sources."""
_SPEAKER, _OBSERVE, _PERSON, _LISTENER, _STYLE = range(20, 25)
STYLE_S: Final = 180.0
"""For how long a person is seen with others, so that their style says something."""
_TOGETHER: Final = 200
"""Listeners at a time, so that memory stays small."""


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
        worlds: B.
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
    who = draw_temperaments(np.random.SeedSequence([seed, _PERSON]), worlds, prior=prior, controls=controls)
    listeners = listen(stimulus, who, np.random.SeedSequence([seed, _LISTENER]))
    return Dyads(
        speaker=speaker, truth=truth, stimulus=stimulus, listener=listeners.coefficients, dips=listeners.dips,
        temperament=who, controls=who.controls.copy(),
    )  # fmt: skip


def unmoved(seed: int, dyads: Dyads) -> Listening:
    """What the listeners of `simulate(seed, ...)` would do if they did not see the speakers' ambivalence."""
    blind = replace(dyads.stimulus, ambivalence=np.zeros_like(dyads.stimulus.ambivalence))
    return listen(blind, dyads.temperament, np.random.SeedSequence([seed, _LISTENER]))


def styles(stimulus: Stimulus, who: Temperament, seed: int, seconds: float = STYLE_S) -> tuple[FloatArray, FloatArray]:
    """What is known of the listeners' styles after they were seen with other speakers: with their own one, the style
    would give away the answer.

    Args:
        stimulus: (B, T) of all speakers; listener i meets i + 1, i + 2, ... one after another.
        who: B listeners.
        seed: of the listeners' noise.
        seconds: for how long they were seen.

    Returns:
        values and given (B, 8), as `style_of`; nothing is given where there is no other speaker.
    """
    worlds, frames = stimulus.seen.shape
    met = 1 + np.arange(math.ceil(seconds * REACTION_RATE_HZ / frames)) % max(worlds - 1, 1)
    root = np.random.SeedSequence([seed, _STYLE])
    parts = []
    for rows in np.split(np.arange(worlds), range(_TOGETHER, worlds, _TOGETHER)):
        others = [stimulus.take((rows + step) % worlds) for step in met]
        row = {f.name: np.concatenate([getattr(o, f.name) for o in others], axis=1) for f in fields(stimulus)}
        parts.append(style_of(listen(Stimulus(**row), who.take(rows), root).coefficients))
    values, given = (np.concatenate(part) for part in zip(*parts, strict=True))
    return values, given * np.float32(worlds > 1)
