"""What a listener can know of a speaker at each frame, and what of it reaches a simulated listener: late, and gated.

The simulator's truth fills a `Stimulus` exactly; `policy.perceive` fills it from noisy perception. Frame t holds what
can be known at t: nothing in it looks ahead. `Senses` delays it, gates it by camera and microphone, and finds onsets.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.types import FloatArray

from .motion import STEP, BoolArray, Onsets, rate_of
from .temperament import Temperament


@dataclass(slots=True)
class Stimulus:
    """B speakers over T frames of 25 Hz; every field is float32 (B, T) in 0..1."""

    seen: FloatArray
    """The face can be seen: there is a camera, and a person in its picture."""
    heard: FloatArray
    """The voice can be heard: there is a microphone."""
    speech: FloatArray
    """The speaker speaks."""
    smile: FloatArray
    brighten: FloatArray
    """Cheeks rise and the voice brightens: 0.3 to 0.9 s before most smiles, now and then without one."""
    sincerity: FloatArray
    """Does the voice go along with the face? Low: a smile over a flat voice. 1 while silent."""
    laugh: FloatArray
    """Laughing: bursts of voice with a smiling face. A cough, bursts without one, is not in it."""
    brow_up: FloatArray
    frown: FloatArray
    sad: FloatArray
    doubt: FloatArray
    nod: FloatArray
    """The speaker's own nods."""
    contact: FloatArray
    """The speaker looks at the listener."""
    cue: FloatArray
    """A backchannel cue: low pitch after a stretch of speech, with the gaze returning."""
    phrase_end: FloatArray
    """A phrase ended a moment ago: 1 falling to 0 within 1 s."""
    held: FloatArray
    """The pause is held (gaze away, level pitch: the speaker will go on), not yielded."""
    anger: FloatArray
    """An episode of anger or disgust."""
    distress: FloatArray
    """Of fear or sadness."""
    surprise: FloatArray
    unsure: FloatArray
    """Of doubt or contempt."""
    ambivalence: FloatArray
    """Of hesitation: the voice halts and falls, the gaze is averted, and a smile follows."""

    def take(self, rows: NDArray[np.integer[Any]]) -> Stimulus:
        """The given speakers, (len(rows), T): to repeat, select or shuffle them."""
        return Stimulus(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})


EMOTIONS: Final = ("anger", "distress", "surprise", "unsure", "ambivalence")
VISIBLE: Final = ("smile", "brighten", "brow_up", "frown", "sad", "doubt", "nod", "contact", *EMOTIONS)
ELSE: Final = ("speech", "laugh", "cue", "phrase_end", "held")
THRESHOLDS: Final = {
    "brighten": 0.4, "laugh": 0.4, "brow_up": 0.25, "frown": 0.25, "sad": 0.25, "doubt": 0.3, "nod": 0.4, "cue": 0.4,
    "phrase_end": 0.6,
}  # fmt: skip
_ATTEND: Final = rate_of(0.35)
_AFFECT: Final = rate_of(3.0)
TALK_S: Final = 1.5
"""For how long a person who spoke is still in conversation, also where no camera shows them."""


@dataclass(slots=True)
class Sensed:
    """One frame of N listeners; (N,) each."""

    attend: FloatArray
    """0..1: there is a person to listen to."""
    sight: FloatArray
    talk: FloatArray
    """0..1: the other speaks, or did a moment ago."""
    smile: FloatArray
    sincerity: FloatArray
    phrase_end: FloatArray
    held: FloatArray
    contact: FloatArray
    sad: FloatArray
    affect: FloatArray
    """The other's positive less negative expression over the last seconds."""
    speech: FloatArray
    emotions: FloatArray
    """(emotions, N) in the order of EMOTIONS."""
    onsets: dict[str, BoolArray]


class Senses:
    """Steps through a Stimulus as N listeners get it."""

    def __init__(self, stimulus: Stimulus, who: Temperament) -> None:
        frames = stimulus.seen.shape[1]
        late = np.rint(who.control("delay") / STEP).astype(np.int64)
        shifted = np.maximum(np.arange(frames)[:, None] - late, 0), np.arange(len(who))
        delayed = bool(late.any())
        self._of: dict[str, FloatArray] = {}
        for field in fields(stimulus):
            values = np.nan_to_num(getattr(stimulus, field.name)).T
            self._of[field.name] = np.ascontiguousarray(values[shifted[0], shifted[1]] if delayed else values)
        anything = np.maximum(self._of["seen"], self._of["heard"])
        for names, open_ in ((VISIBLE, self._of["seen"]), (ELSE, anything)):
            for name in names:
                self._of[name] = self._of[name] * open_
        first = np.stack([self._of[name][0] for name in THRESHOLDS])
        self._onsets = Onsets(np.array(list(THRESHOLDS.values()), dtype=np.float32), first)
        count = len(who)
        self._sight = self._of["seen"][0].copy()
        self._talk = self._of["speech"][0].copy()
        self._attend = np.maximum(self._sight, self._talk)
        self._affect = np.zeros(count, dtype=np.float32)
        self._quiet = np.where(self._talk > 0.5, np.float32(0.0), np.float32(60.0))

    def step(self, t: int) -> Sensed:
        """Frame t; to be called in order."""
        now = {name: values[t] for name, values in self._of.items()}
        self._quiet = np.where(now["speech"] > 0.5, np.float32(0.0), self._quiet + STEP)
        there = np.maximum(now["seen"], self._quiet < 2 * TALK_S)
        self._sight = self._sight + _ATTEND * (now["seen"] - self._sight)
        self._attend = self._attend + _ATTEND * (there - self._attend)
        self._talk = self._talk + _ATTEND * ((self._quiet < TALK_S) - self._talk)
        hurt = np.maximum(np.maximum(now["anger"], now["distress"]), now["sad"])
        mood = now["smile"] + 0.5 * now["laugh"] - hurt - 0.5 * now["frown"]
        self._affect = self._affect + _AFFECT * (mood - self._affect)
        begins = self._onsets.step(np.stack([now[name] for name in THRESHOLDS]))
        passed_on = ("smile", "sincerity", "phrase_end", "held", "contact", "sad", "speech")
        return Sensed(
            attend=self._attend, sight=self._sight, talk=self._talk, affect=self._affect,
            emotions=np.stack([now[name] for name in EMOTIONS]), onsets=dict(zip(THRESHOLDS, begins, strict=True)),
            **{name: now[name] for name in passed_on},
        )  # fmt: skip
