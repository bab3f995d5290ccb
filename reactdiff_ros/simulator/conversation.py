"""When a simulated speaker talks, pauses and yields, where the gaze is then, and the cues in it.

Two signs tell together whether a pause is held or yielded: a falling pitch at the phrase's end, and the gaze that
returns to the listener. Only both yield; one alone, or none, holds. A backchannel cue is low pitch and a returned gaze
in the midst of a phrase; either alone is a false alarm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypedDict

import numpy as np

from .motion import WARM_S, BoolArray, FloatArray, Seed, capacity, cover, generator, log_normal, uniform

PART: Final = 1
CUE_S: Final = 0.24
"""How long a backchannel cue is an occasion to answer (chosen)."""
LOW_S: Final = 0.16
"""Low pitch that makes a cue: at least 110 ms (Ward and Tsukahara 2000, recalled)."""
LEAD_S: Final = (0.3, 0.9)
"""How long before the cue its precursor begins (the simulator's definition)."""

# (falling pitch, gaze returns) of held pauses, and their shares (chosen: each sign alone says little).
_HELD_SIGNS: Final = np.array([[True, False], [False, True], [False, False]])
_HELD_SHARES: Final = (0.4, 0.3, 0.3)


@dataclass(slots=True)
class Talk:
    """Up to N phrases a world in order of time; every field is (B, N), times in seconds."""

    on: BoolArray
    start: FloatArray
    end: FloatArray
    resume: FloatArray
    """When the pause after it is over."""
    opens: BoolArray
    """It begins a turn."""
    yields: BoolArray
    falling: BoolArray
    """Pitch falls at its end; else it stays level."""
    returns: BoolArray
    """The gaze returns to the listener at its end."""
    lively: BoolArray
    """Spoken in a bright voice."""
    lead: FloatArray
    """How long before its end gaze returns, 0 = with it."""
    cue: FloatArray
    """A moment of low pitch or returned gaze within it; NaN: none."""
    cue_low: BoolArray
    cue_gaze: BoolArray
    cue_lead: FloatArray

    @property
    def cues(self) -> BoolArray:
        """Where `cue` is a real backchannel cue."""
        return np.asarray(self.on & self.cue_low & self.cue_gaze & np.isfinite(self.cue))


def make_talk(seed: Seed, talks: BoolArray, slow: BoolArray, frames: int, *, precursors: bool) -> Talk:
    """The phrases of B speakers, of whom some talk at all and some talk slowly, (B,) each."""
    rng = generator(seed, PART)
    worlds = len(talks)
    shape = (worlds, capacity(40.0, frames))
    # Phrase and pause medians: chosen so that turns last 2 / 4 / 9 s (quartiles; EgoCom, human_reference.md).
    phrase = log_normal(rng, np.where(slow, 1.3, 1.8)[:, None], 0.25, (worlds, 1))
    pause = log_normal(rng, np.where(slow, 1.6, 0.5)[:, None], 0.3, (worlds, 1))
    silence = log_normal(rng, 2.2, 0.4, (worlds, 1))
    yielding = uniform(rng, 0.12, 0.5, (worlds, 1))
    length = np.clip(log_normal(rng, phrase, 0.55, shape), 0.35, 9.0)
    yields = rng.random(shape, dtype=np.float32) < yielding
    held = np.clip(log_normal(rng, pause, 0.5, shape), 0.2, 6.0)
    other = np.clip(log_normal(rng, silence, 0.6, shape), 0.5, 12.0)
    gap = np.where(yields, other, held)
    resume = np.cumsum(length + gap, axis=1) - WARM_S - rng.random((worlds, 1), dtype=np.float32) * 4.0
    end = resume - gap
    signs = _HELD_SIGNS[rng.choice(3, shape, p=_HELD_SHARES)] | yields[..., None]
    lively = rng.random(shape, dtype=np.float32) < uniform(rng, 0.05, 0.5, (worlds, 1))
    early = rng.random(shape, dtype=np.float32) < 0.85
    lead = uniform(rng, *LEAD_S, shape) * early * precursors
    return Talk(
        on=np.broadcast_to(talks[:, None], shape).copy(), start=(end - length).astype(np.float32),
        end=end.astype(np.float32), resume=resume.astype(np.float32),
        opens=np.concatenate([np.zeros((worlds, 1), bool), yields[:, :-1]], axis=1),
        yields=yields, falling=signs[..., 0], returns=signs[..., 1], lively=lively, lead=lead,
        **_cues(rng, end - length, end, precursors),
    )  # fmt: skip


class _Cues(TypedDict):
    cue: FloatArray
    cue_low: BoolArray
    cue_gaze: BoolArray
    cue_lead: FloatArray


def _cues(rng: np.random.Generator, start: FloatArray, end: FloatArray, precursors: bool) -> _Cues:
    """Moments within phrases, after 0.9 s of speech at the soonest (Ward and Tsukahara: 0.7 s)."""
    cue = start + uniform(rng, 0.9, 3.0, start.shape)
    cue = np.where((cue < end - 0.5) & (rng.random(start.shape, dtype=np.float32) < 0.9), cue, np.nan)
    kind = rng.random(start.shape, dtype=np.float32)
    early = rng.random(start.shape, dtype=np.float32) < 0.85
    lead = uniform(rng, *LEAD_S, start.shape) * early * precursors
    return _Cues(
        cue=cue.astype(np.float32), cue_low=kind < 0.75, cue_gaze=(kind < 0.5) | (kind >= 0.75),
        cue_lead=lead,
    )  # fmt: skip


def spoken(talk: Talk, frames: int) -> BoolArray:
    """(B, T) whether the speaker is in a phrase."""
    return cover(talk.start, talk.end, talk.on, frames)


def gaze_contact(seed: Seed, talk: Talk, wander: FloatArray, speech: BoolArray, extra: BoolArray) -> BoolArray:
    """(B, T) whether the speaker looks at the listener.

    At the listener 40 to 50 % of the time while speaking and about 80 % in silence, very different between people;
    most turns begin looking away and end looking at the listener (human_reference.md).

    Args:
        seed: of the world.
        talk: phrases.
        wander: (B, T) unit-variance noise whose level makes glances.
        speech: (B, T).
        extra: (B, T) where the gaze is on the listener in any case.
    """
    rng = generator(seed, PART + 100)
    worlds, frames = speech.shape
    speaking = 0.35 + 0.35 * rng.standard_normal((worlds, 1), dtype=np.float32)
    silent = -1.15 + 0.35 * rng.standard_normal((worlds, 1), dtype=np.float32)
    looks = wander > np.where(speech, speaking, silent)
    shy = rng.random(talk.start.shape, dtype=np.float32) < 0.75
    avert = uniform(rng, 0.5, 1.5, talk.start.shape)
    moment = np.nan_to_num(talk.cue, nan=-1e6)
    away = (
        cover(talk.end - 0.1, talk.resume + 0.1, talk.on & ~talk.returns, frames)
        | cover(talk.start - 0.25, talk.start + avert, talk.on & talk.opens & shy, frames)
        | cover(moment - 0.2, moment + 0.3, talk.on & talk.cue_low & ~talk.cue_gaze, frames)
    )
    until = np.minimum(talk.resume - 0.3, talk.end + np.where(talk.yields, 1.2, 0.8))
    back = (
        cover(talk.end - talk.lead, until, talk.on & talk.returns, frames)
        | cover(moment - talk.cue_lead, moment + 0.5, talk.on & talk.cue_gaze & np.isfinite(talk.cue), frames)
        | extra
    )
    return np.asarray((looks & ~away) | back)
