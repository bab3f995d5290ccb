"""People who come one after another before the camera: clips in shuffled order on one time line, with absences.

A visit is a clip in a loop, for half a minute or more; then nobody is there for a while: the camera shows an empty
wall, the microphone hears nothing. Every round has each clip once, in an order of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from reactdiff_ros.capture.media import ClipItem, ClipPicture, ClipSound, MediaClip
from reactdiff_ros.clock import NS
from reactdiff_ros.errors import MediaError

VISIT_S: Final = (30.0, 120.0)
"""A visit is whole passes of the clip until it is so long, and ends at the latest."""
ABSENT_S: Final = (3.0, 20.0)
PICTURE_NS: Final = NS // 25
SOUND_NS: Final = NS // 50
RATE_HZ: Final = 16000
_WALL: Final = np.full((480, 640, 3), 96, dtype=np.uint8)
_SILENCE: Final = np.zeros((RATE_HZ // 50, 1), dtype=np.int16)


@dataclass(frozen=True)
class Visit:
    """One person's visit and the absence after it."""

    number: int
    clip: MediaClip
    begin_ns: int
    absent_ns: int


class Visits:
    """Visits without end.

    A clip that becomes unreadable on the way is told and left out.

    Args:
        clips: readable ones.
        seed: of the order and of the absences.
        first: number of the first visit; an earlier run did those before it.
        begin_ns: when it begins.
        say: is told what a user should know.
        scale: of the lengths of visits and absences, for short runs.
    """

    def __init__(
        self,
        clips: Sequence[MediaClip],
        seed: int,
        first: int,
        begin_ns: int,
        say: Callable[[str], None],
        scale: float = 1.0,
    ) -> None:
        self._clips, self._seed, self._say, self._scale = list(clips), seed, say, scale
        self._broken: set[MediaClip] = set()
        self.now = self._visit(first, begin_ns)
        """The visit that the items come from."""
        self.absent = False
        """Its person has gone, and no file is open."""

    def items(self) -> Iterator[ClipItem]:
        """Pictures and sound in the order of their offsets.

        Raises:
            MediaError: none of the clips can be read any more.
        """
        while True:
            end_ns = self.now.begin_ns
            self.absent = False
            try:
                for item in self._present():
                    end_ns = max(end_ns, _end_ns(item))
                    yield item
            except MediaError as error:
                self._broken.add(self.now.clip)
                self._say(f"{error}: it is left out")
                if len(self._broken) == len(self._clips):
                    raise
            self.absent = True
            for item in _nobody(end_ns, self.now.absent_ns):
                end_ns = max(end_ns, _end_ns(item))
                yield item
            self.now = self._visit(self.now.number + 1, end_ns)

    def _present(self) -> Iterator[ClipItem]:
        if self.now.clip in self._broken:
            return iter(())
        shortest_ns, longest_ns = (int(self._scale * s * NS) for s in VISIT_S)
        return _looped(self.now.clip, self.now.begin_ns, shortest_ns, longest_ns)

    def _visit(self, number: int, begin_ns: int) -> Visit:
        round_, place = divmod(number, len(self._clips))
        order = np.random.default_rng([self._seed, 83, round_]).permutation(len(self._clips))
        absent_s = np.random.default_rng([self._seed, 84, number]).uniform(*ABSENT_S)
        return Visit(number, self._clips[order[place]], begin_ns, int(self._scale * absent_s * NS))


def _looped(clip: MediaClip, begin_ns: int, shortest_ns: int, longest_ns: int) -> Iterator[ClipItem]:
    pass_ns = begin_ns
    while pass_ns < begin_ns + shortest_ns:
        end_ns = pass_ns
        for item in clip.pictures_and_sound():
            moved = item._replace(offset_ns=pass_ns + item.offset_ns)
            if moved.offset_ns > begin_ns + longest_ns:
                return
            end_ns = max(end_ns, _end_ns(moved))
            yield moved
        pass_ns = end_ns


def _nobody(begin_ns: int, length_ns: int) -> Iterator[ClipItem]:
    for i in range(length_ns // SOUND_NS):
        at_ns = begin_ns + i * SOUND_NS
        if i % (PICTURE_NS // SOUND_NS) == 0:
            yield ClipPicture("picture", at_ns, _WALL)
        yield ClipSound("sound", at_ns, RATE_HZ, _SILENCE)


def _end_ns(item: ClipItem) -> int:
    return item.end_ns if isinstance(item, ClipSound) else item.offset_ns + PICTURE_NS
