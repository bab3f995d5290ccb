"""Emotional episodes of simulated speakers.

A share of the worlds has episodes of anger, disgust, fear, sadness (a story), surprise, doubt and contempt, a share of
the others has episodes of ambivalence: face, voice and time course. They have separate random numbers, so all other
worlds are the same, bit for bit. Sizes and sources: docs/simulator.md. How listeners answer: `movements.Empathy`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.coefficients import BLENDSHAPE_COUNT, COEFFICIENT_COUNT, INDEX, sides
from reactdiff_ros.model.diffusion.tokens import FRAME_S
from reactdiff_ros.types import FloatArray

from .motion import (
    BoolArray,
    Events,
    IntArray,
    Range,
    Seed,
    capacity,
    cover,
    envelope,
    generator,
    newest,
    ornstein,
    renewal,
    single,
    steady,
    uniform,
)  # fmt: skip

# What each expression moves, and how far, 0..1, after EMFACS (Ekman and Friesen). "one:": one side alone.
EXPRESSIONS: Final[dict[str, tuple[dict[str, Range], ...]]] = {
    "angry": (
        {
            "browDown": (0.5, 1.0), "eyeSquint": (0.2, 0.7), "noseSneer": (0.0, 0.5), "mouthUpperUp": (0.2, 0.7),
            "mouthLowerDown": (0.2, 0.6), "mouthStretch": (0.0, 0.4), "jawOpen": (0.1, 0.5),
        },
        {"browDown": (0.5, 1.0), "eyeSquint": (0.2, 0.7), "mouthPress": (0.3, 0.8), "mouthFrown": (0.0, 0.3)},
    ),
    "disgust": (
        {
            "noseSneer": (0.5, 1.0), "mouthUpperUp": (0.5, 1.0), "browDown": (0.2, 0.7), "cheekSquint": (0.3, 0.7),
            "eyeSquint": (0.2, 0.6), "mouthFrown": (0.0, 0.4), "mouthShrugLower": (0.0, 0.4),
        },
    ),
    "fear": (
        {
            "browInnerUp": (0.5, 1.0), "browOuterUp": (0.1, 0.5), "eyeWide": (0.4, 1.0), "mouthStretch": (0.3, 0.8),
            "jawOpen": (0.1, 0.4),
        },
    ),
    "happy": (
        {
            "mouthSmile": (0.4, 1.0), "cheekSquint": (0.3, 0.9), "jawOpen": (0.0, 0.5), "eyeSquint": (0.0, 0.5),
            "mouthUpperUp": (0.0, 0.4),
        },
        {"mouthSmile": (0.35, 0.9), "cheekSquint": (0.0, 0.4), "mouthPress": (0.0, 0.2)},
    ),
    "sad": (
        {
            "browInnerUp": (0.3, 1.0), "browDown": (0.0, 0.4), "mouthFrown": (0.2, 0.9), "eyeSquint": (0.0, 0.4),
            "mouthShrugLower": (0.0, 0.4), "eyeBlink": (0.0, 0.3), "mouthStretch": (0.0, 0.3),
        },
        {
            "browDown": (0.3, 0.9), "browInnerUp": (0.0, 0.5), "eyeSquint": (0.2, 0.7), "eyeBlink": (0.1, 0.4),
            "mouthStretch": (0.1, 0.5), "mouthShrugLower": (0.2, 0.6), "mouthFrown": (0.1, 0.6),
        },
    ),
    "surprise": (
        {
            "browInnerUp": (0.5, 1.0), "browOuterUp": (0.5, 1.0), "eyeWide": (0.4, 1.0), "jawOpen": (0.2, 0.8),
            "mouthFunnel": (0.0, 0.3),
        },
    ),
    "contempt": (
        {
            "one:mouthSmile": (0.3, 0.7), "one:mouthDimple": (0.2, 0.6), "browOuterUp": (0.0, 0.6),
            "browInnerUp": (0.0, 0.4), "mouthUpperUp": (0.0, 0.3),
        },
    ),
    "ambivalent": (
        {"mouthSmile": (0.5, 1.0), "cheekSquint": (0.1, 0.6), "mouthUpperUp": (0.0, 0.3)},
        {"mouthSmile": (0.5, 0.9), "cheekSquint": (0.1, 0.5), "mouthPress": (0.1, 0.4), "browInnerUp": (0.0, 0.3)},
    ),
    "neutral": ({},),
}  # fmt: skip


def draw_look(rng: np.random.Generator, ways: Sequence[Mapping[str, Range]]) -> NDArray[np.float64]:
    """A face (58,) that shows an expression of EXPRESSIONS in one of its `ways`, .6 to 1 as strongly as given there."""
    face = np.zeros(COEFFICIENT_COUNT)
    strength = rng.uniform(0.6, 1.0)
    for name, (low, high) in ways[int(rng.integers(len(ways)))].items():
        move(face, rng, name, rng.uniform(low, high) * strength)
    return face


def move(face: NDArray[np.float64], rng: np.random.Generator, name: str, size: float) -> None:
    """Adds a movement to a face (58,), in place; the sides differ a little."""
    one_sided, name = name.startswith("one:"), name.removeprefix("one:")
    if name in INDEX:
        face[INDEX[name]] += size
        return
    sides = [size, 0.0 if one_sided else size * rng.uniform(0.75, 1.1)]
    if rng.random() < 0.5:
        sides.reverse()
    face[[INDEX[f"{name}Left"], INDEX[f"{name}Right"]]] += sides


@dataclass(frozen=True, slots=True)
class EpisodeKind:
    """Share of the episodes of who has it; seconds of rise, hold and fall; the voice at full strength, and how far the
    head bows.
    """

    share: float
    rise: Range
    hold: Range
    fall: Range
    pitch: float
    """Of the logarithm."""
    loud_db: float
    pace: float
    """Factor of syllables a second."""
    lively: bool
    """Wide range of pitch, not a narrow one."""
    bow_rad: float = 0.0
    hesitant: bool = False
    """The voice halts and the gaze is averted; the face follows HESITATION_S later."""


KINDS: Final = {
    "angry": EpisodeKind(0.18, (0.3, 0.8), (2.0, 12.0), (0.8, 2.0), 0.20, 6.0, 1.15, True, 0.03),
    "disgust": EpisodeKind(0.12, (0.3, 0.8), (1.5, 6.0), (0.6, 1.5), -0.05, 0.0, 0.90, False, -0.05),
    "fear": EpisodeKind(0.12, (0.2, 0.6), (2.0, 10.0), (0.8, 2.0), 0.25, 1.0, 1.20, True, -0.03),
    "sad": EpisodeKind(0.22, (1.0, 3.0), (8.0, 33.0), (1.5, 4.0), -0.12, -5.0, 0.80, False, 0.10),
    "surprise": EpisodeKind(0.14, (0.15, 0.4), (0.8, 3.0), (0.4, 1.0), 0.25, 3.0, 1.10, True, -0.03),
    "doubt": EpisodeKind(0.12, (0.3, 0.8), (1.5, 5.0), (0.5, 1.2), 0.0, -1.0, 0.85, False),
    "contempt": EpisodeKind(0.10, (0.3, 0.7), (1.5, 6.0), (0.5, 1.2), -0.05, -1.0, 0.90, False, -0.05),
    "ambivalent": EpisodeKind(1.0, (0.3, 0.8), (2.5, 7.0), (0.6, 1.5), -0.20, -3.0, 0.70, False, 0.03, hesitant=True),
}
"""Doubt has no entry in EXPRESSIONS: an episode of it is one long doubt of the simulated face."""
KIND_NAMES: Final = tuple(KINDS)
ANSWERED: Final = {
    "anger": ("angry", "disgust"), "distress": ("fear", "sad"), "surprise": ("surprise",),
    "unsure": ("doubt", "contempt"), "ambivalence": ("ambivalent",),
}  # fmt: skip
"""Which episodes each emotion of a Stimulus means."""
GAP_S: Final = 3.0
PER_MINUTE: Final = 8.0
"""Of the time between two episodes, GAP_S left out."""
HESITATION_S: Final = 1.0
HALT_S: Final = (0.25, 0.7)
"""Pauses of a halting voice, and how long it goes on between them."""
PHRASE_S: Final = (0.3, 1.0)
_HESITANT: Final = 0.2
_PART, _HALTS, _AMBIVALENCE = 13, 14, 15


@dataclass(slots=True)
class Episodes:
    """The episodes of B speakers over T frames."""

    kind: IntArray
    """(B, T) index into KIND_NAMES of the newest episode."""
    level: FloatArray
    """(B, T) 0..1: how far it shows; 0 between episodes."""
    looks: FloatArray
    """(B, kinds, 52): how this person shows each kind."""
    pauses: BoolArray
    """(B, T) where this person's voice halts when hesitating."""

    def of(self, *names: str) -> FloatArray:
        """(B, T) level of the episodes of these kinds, in voice or face."""
        these = np.isin(self.kind, [KIND_NAMES.index(name) for name in names])
        return np.asarray(np.maximum(self.level, self._on_face) * these)

    def along(self, name: str) -> FloatArray:
        """(B, T) a number of `EpisodeKind`, for the newest episode at full strength."""
        return np.array([getattr(kind, name) for kind in KINDS.values()], dtype=np.float32)[self.kind]

    @property
    def pace(self) -> FloatArray:
        """(B, T) factor of syllables a second."""
        return np.asarray(1 + self.level * (self.along("pace") - 1))

    @property
    def face(self) -> FloatArray:
        """(B, T, 52) what the episodes add to the blendshapes."""
        rows = np.arange(len(self.level))[:, None]
        return np.asarray(self.looks[rows, self.kind] * self._on_face[..., None])

    @property
    def smile(self) -> FloatArray:
        """(B, T) smiles of ambivalence."""
        return np.asarray(self.face[..., sides("mouthSmile")].mean(-1) * (self.kind == KIND_NAMES.index("ambivalent")))

    @property
    def averted(self) -> BoolArray:
        """(B, T) the gaze, of people who hesitate."""
        return np.asarray((self.along("hesitant") > 0) & (self.level > _HESITANT))

    @property
    def halts(self) -> BoolArray:
        """(B, T) the voice, of people who hesitate."""
        return self.averted & self.pauses

    @property
    def _on_face(self) -> FloatArray:
        """(B, T) how far it shows in the face."""
        late = round(HESITATION_S / FRAME_S)
        before = np.pad(self.level, ((0, 0), (late, 0)))[:, : self.level.shape[1]]
        return np.where(self.along("hesitant") > 0, before, self.level)

    @property
    def hurt(self) -> FloatArray:
        """(B, T) level of the episodes that are not smiled at."""
        return self.of(*ANSWERED["anger"], *ANSWERED["distress"])


def draw_episodes(seed: Seed, share: float, ambivalence: float, worlds: int, frames: int) -> Episodes:
    """Episodes in a `share` of the worlds, and of ambivalence in a share of the others."""
    rng, own = generator(seed, _PART), generator(seed, _AMBIVALENCE)
    emotional = rng.random(worlds) < share
    kind, level, looks = _drawn(rng, emotional, KIND_NAMES[:-1], frames)
    torn = (own.random(worlds) < ambivalence) & ~emotional
    if torn.any():
        _, torn_level, torn_looks = _drawn(own, torn, KIND_NAMES[-1:], frames)
        kind[torn], level[torn], looks[torn, -1] = len(KINDS) - 1, torn_level[torn], torn_looks[torn, 0]
    return Episodes(kind, level, looks, _pauses(seed, worlds, frames))


def _drawn(
    rng: np.random.Generator, some: BoolArray, names: Sequence[str], frames: int
) -> tuple[IntArray, FloatArray, FloatArray]:
    """Kind, level and looks of episodes of these kinds in `some` of the worlds."""
    worlds, kinds = len(some), [KINDS[name] for name in names]
    shape = (worlds, capacity(PER_MINUTE, frames))
    kind = rng.choice(len(kinds), shape, p=[k.share for k in kinds])
    amplitude = uniform(rng, 0.75, 1.0, shape)
    times = []
    for part in ("rise", "hold", "fall"):
        low, high = np.array([getattr(k, part) for k in kinds], dtype=np.float32)[kind].transpose(2, 0, 1)
        times.append(low * (high / low) ** rng.random(shape, dtype=np.float32))
    rise, hold, fall = times
    start = renewal(rng, steady(np.full(worlds, PER_MINUTE / 60.0, np.float32), frames), rise + hold + fall, GAP_S)
    events = Events(start, amplitude, rise, hold, fall, (start < 1e8) & some[:, None])
    last = np.maximum(newest(start, events.on, frames), 0)
    swell = 1 + 0.1 * ornstein(rng, worlds, frames, (1.5,))[..., 0]
    level = np.clip(swell * envelope(events, frames), 0, 1)
    looks = np.zeros((worlds, len(KINDS), BLENDSHAPE_COUNT), dtype=np.float32)
    for world in np.flatnonzero(some):
        looks[world, : len(names)] = [draw_look(rng, EXPRESSIONS.get(n, ({},)))[:BLENDSHAPE_COUNT] for n in names]
    return np.take_along_axis(kind, last, axis=1), level, looks


def _pauses(seed: Seed, worlds: int, frames: int) -> BoolArray:
    rng = generator(seed, _HALTS)
    shape = (worlds, int(frames * FRAME_S / (HALT_S[0] + PHRASE_S[0])) + 1)
    halt = uniform(rng, *HALT_S, shape)
    end = np.cumsum(uniform(rng, *PHRASE_S, shape) + halt, axis=1)
    return cover(end - halt, end, np.ones(shape, bool), frames)


def insert_ambivalence(episodes: Episodes, frame: int, smile: float) -> Episodes:
    """An episode of ambivalence from `frame` on, in worlds without one then; its smile looks as a sincere one does."""
    frames = episodes.level.shape[1]
    here = episodes.level[:, frame : frame + 1] < _HESITANT
    extra = envelope(single(here, frame, 1.0, 0.4, 2.2, 0.8), frames)
    looks = np.where(here[..., None], 0, episodes.looks)
    ambivalent = KIND_NAMES.index("ambivalent")
    looks[:, ambivalent, sides("mouthSmile")] = smile
    looks[:, ambivalent, sides("cheekSquint")] = 0.6 * smile
    after = here & (np.arange(frames) >= frame)
    return Episodes(
        np.where(after, ambivalent, episodes.kind), np.where(after, extra, episodes.level), looks, episodes.pauses
    )
