"""Simulated dyads: speakers, what perception delivers of them, and a listener for each, with its controls and style.

Worlds come in pairs that share a listener: world i and world i + worlds / 2 have one temperament and two speakers.
The style of a world is measured on the other world's stream, so that a network which is given a style learns what the
style says about the person, and cannot read the answer off it.
"""

from __future__ import annotations

import ast
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from reactdiff_ros.model.style import style_of
from reactdiff_ros.model.tokens import SpeakerBatch
from reactdiff_ros.types import FloatArray

from .listener import listen
from .observation import observe
from .speaker import Speakers, make_speakers, stimulus_of
from .stimulus import Stimulus
from .temperament import Prior, Temperament, draw_temperaments
from .voices import VoiceBank

_FOLDER: Final = Path(__file__).parent
_BESIDE: Final = ("tokens.py", "conditions.py", "style.py")
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
    temperament: Temperament
    controls: FloatArray
    """(B, 6), see `conditions.CONTROL_NAMES`."""
    style: FloatArray
    """(B, 8) of the same listener with another speaker, see `conditions.STYLE_NAMES`."""
    style_given: FloatArray
    """(B, 8) 0 or 1."""
    activity: FloatArray
    """(B, T) 0..1: how much happens in the listener's face."""


def simulator_hash() -> str:
    """The first 16 hex digits of the SHA-256 over the simulator's sources, layout and comments left out.

    The policy is left out as well: it reads simulated speakers and makes none. The same in every version of Python.
    """
    digest = hashlib.sha256()
    beside = [_FOLDER.parent / "model" / name for name in _BESIDE]
    sources = [path for path in sorted(_FOLDER.glob("*.py")) if path.name != "policy.py"]
    for path in sources + beside:
        digest.update(_outline(ast.parse(path.read_text(encoding="utf-8"))).encode())
    return digest.hexdigest()[:16]


def _outline(node: object) -> str:
    """A syntax tree as text without its empty fields, of which every version of Python has others."""
    if isinstance(node, ast.AST):
        named = ((name, getattr(node, name, None)) for name in node._fields)
        inner = ", ".join(f"{name}={_outline(value)}" for name, value in named if value is not None and value != [])
        return f"{type(node).__name__}({inner})"
    return f"[{', '.join(map(_outline, node))}]" if isinstance(node, list) else repr(node)


def simulate(
    seed: int,
    worlds: int,
    frames: int,
    bank: VoiceBank | None = None,
    *,
    controls: FloatArray | None = None,
    prior: Prior = "wide",
    precursors: bool = True,
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
    """
    truth = make_speakers((seed, _SPEAKER), worlds, frames, precursors=precursors)
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
    made = listen(stimulus, who, np.random.SeedSequence([seed, _LISTENER]))
    style, style_given = _style_of_others(made.coefficients, who, pairs)
    return Dyads(
        speaker, truth, stimulus, made.coefficients, who, who.controls.copy(), style, style_given, made.activity
    )  # fmt: skip


def _style_of_others(coefficients: FloatArray, who: Temperament, pairs: int) -> tuple[FloatArray, FloatArray]:
    values, given = style_of(coefficients)
    other = np.arange(len(values))
    other[:pairs], other[pairs : 2 * pairs] = np.arange(pairs) + pairs, np.arange(pairs)
    alike = (other != np.arange(len(values))) & (who.controls == who.controls[other]).all(1)
    given = given[other] * alike[:, None]
    return (values[other] * given).astype(np.float32), given.astype(np.float32)
