"""The held-out set of an evaluation: simulated speakers that no training has seen, and appropriate listeners of each.

Every draw has its own number under the purpose "evaluate", so training cannot have met one (`simulator.seeds`), and
fresh listeners (the oracle) share nothing with the targets but the speaker.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.attributes import attributes_of
from reactdiff_ros.coefficients import ROTATION
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.model.tokens import SpeakerBatch
from reactdiff_ros.simulator.listener import listen
from reactdiff_ros.simulator.observation import appearance, observe
from reactdiff_ros.simulator.seeds import purpose_seed
from reactdiff_ros.simulator.speaker import SLOW, Speakers, make_speakers, stimulus_of
from reactdiff_ros.simulator.stimulus import Stimulus
from reactdiff_ros.simulator.temperament import Temperament, draw_temperaments
from reactdiff_ros.simulator.voices import VoiceBank
from reactdiff_ros.types import FloatArray

# Numbers of the draws under the purpose "evaluate".
SPEAKERS, DEVICES, TARGETS, ORACLE, MEAN, MODEL, RANDOM, RULES, BOOTSTRAP, STYLE = range(10)
WORKING: Final = 0.95
"""Share of the time that camera, microphone and the speaker's face must be there."""
_DRAWN_AT_ONCE: Final = 4
_TRIES: Final = 8


@dataclass(frozen=True, slots=True)
class Streams:
    """K streams of a listener for each of N speakers, as far as they are scored."""

    attributes: FloatArray
    """(N, K, T, 25)"""
    pose: FloatArray
    """(N, K, T, 3): pitch, yaw, roll in rad."""
    faces: FloatArray | None = None
    """(N, T, 58) coefficients of the first stream of each, to be looked at; None: a system without a face."""

    def __len__(self) -> int:
        return len(self.attributes)


def streams_of(coefficients: FloatArray, speakers: int) -> Streams:
    """Streams of coefficients (N * K, T, 58), the K of a speaker after each other."""
    shape = (speakers, len(coefficients) // speakers, coefficients.shape[1])
    pose = np.ascontiguousarray(coefficients[..., ROTATION])
    first = coefficients[:: shape[1]]
    return Streams(attributes_of(coefficients).reshape(*shape, -1), pose.reshape(*shape, 3), first.copy())


def copies(one: Streams, count: int) -> Streams:
    """One stream a speaker, (N, 1, T, ...), counted `count` times."""
    attributes, pose = (np.broadcast_to(a, (len(a), count, *a.shape[2:])) for a in (one.attributes, one.pose))
    return Streams(attributes, pose, one.faces)


@dataclass(frozen=True, slots=True)
class Material:
    """N speakers over T frames and M appropriate listeners of each."""

    seed: int
    speakers: Speakers
    perceived: SpeakerBatch
    """What perception delivers of them, (N, T)."""
    shown: FloatArray
    """What their faces truly show, (N, T, 58): as the labels of a data set."""
    stimulus: Stimulus
    """What simulated listeners know of them: the truth."""
    targets: Streams
    """Of M listeners each."""

    @property
    def items(self) -> int:
        """N."""
        return len(self.targets)

    @property
    def frames(self) -> int:
        """T."""
        return self.targets.pose.shape[2]

    def number(self, draw: int) -> int:
        """The simulator's seed of one of the numbered draws."""
        return purpose_seed("evaluate", self.seed, draw)

    def temperaments(self, draw: int, each: int) -> Temperament:
        """`each` people for every speaker, from the natural prior, independent of those of other draws."""
        return draw_temperaments(self.number(draw), self.items * each, prior="natural")

    def listeners(
        self,
        draw: int,
        each: int,
        stimulus: Stimulus | None = None,
        speaker_of: NDArray[np.intp] | None = None,
        noise: int | None = None,
    ) -> FloatArray:
        """Coefficients (N * each, T, 58) of simulated people, the `each` of a speaker after each other.

        Args:
            draw: which people with which noise: the same draw, the same ones.
            each: people a speaker.
            stimulus: what they are told of the speakers; None: the truth.
            speaker_of: (N * each,) whom they listen to; None: their own speaker.
            noise: the draw of their noise; None: of `draw`.
        """
        rows = np.repeat(np.arange(self.items), each) if speaker_of is None else speaker_of
        told = (stimulus or self.stimulus).take(rows)
        return listen(told, self.temperaments(draw, each), self.number(draw if noise is None else noise)).coefficients


def make_material(
    seed: int, items: int, frames: int, bank: VoiceBank | None = None, *, listeners: int = 10
) -> Material:
    """The held-out set of a seed.

    Only worlds in which somebody talks, with camera and microphone at work: elsewhere there is nothing to couple to.

    Args:
        seed: the user's; another one, another set.
        items: N speakers.
        frames: T of 25 Hz.
        bank: voices; None: parametric ones.
        listeners: M appropriate listeners of each speaker.

    Raises:
        ReactdiffError: the simulator does not give that many such worlds.
    """
    speakers, perceived, shown = _conversations(purpose_seed("evaluate", seed, SPEAKERS), items, frames, bank)
    stimulus = stimulus_of(speakers, perceived.camera, perceived.microphone)
    number = purpose_seed("evaluate", seed, TARGETS)
    people = draw_temperaments(number, items * listeners, prior="natural")
    told = stimulus.take(np.repeat(np.arange(items), listeners))
    targets = streams_of(listen(told, people, number).coefficients, items)
    return Material(seed, speakers, perceived, shown, stimulus, targets)


def _conversations(
    seed: int, items: int, frames: int, bank: VoiceBank | None
) -> tuple[Speakers, SpeakerBatch, FloatArray]:
    drawn = _DRAWN_AT_ONCE * items
    for _ in range(_TRIES):
        everybody = make_speakers((seed, SPEAKERS), drawn, frames)
        batch = observe((seed, DEVICES), everybody, bank)
        working = [share.mean(1) >= WORKING for share in (batch.camera, batch.microphone, everybody.present)]
        rows = np.flatnonzero((everybody.kind <= SLOW) & np.logical_and.reduce(working))[:items]
        if len(rows) == items:
            shown, _ = appearance((seed, DEVICES), everybody)  # the same as `observe` has read
            return everybody.take(rows), batch.take(rows), shown[rows]
        drawn *= 2
    raise ReactdiffError("the simulator gives too few conversations", where=f"{items} items of {frames} frames")
