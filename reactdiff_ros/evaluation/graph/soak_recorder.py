"""The ear of a long run: what the live bench hears, and what face and speaker did; it forgets what is counted."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np

from reactdiff_ros.coefficients import INDEX
from reactdiff_ros.evaluation.bench.live import Recording
from reactdiff_ros.evaluation.graph.graph_recorder import GraphRecorder
from reactdiff_ros.nodes.graph_watch import GraphWatch
from reactdiff_ros.types import FloatArray

_JAW = INDEX["jawOpen"]


@dataclass(frozen=True, slots=True)
class Heard:
    """What is noted of a SpeakerFrame that has a picture and sound."""

    published_ns: int
    picture_ns: int
    sound_ns: int
    loudness_dbfs: float
    jaw: float


class SoakRecorder(GraphRecorder):
    """Records into `recording`, `heard` and `faces` while `watch` spins."""

    def __init__(self, watch: GraphWatch) -> None:
        super().__init__(watch)
        self.heard: deque[Heard] = deque()
        self.faces: deque[tuple[int, FloatArray]] = deque()
        """(publication, coefficients), 50 a second."""

    def forget(self, before_ns: int) -> None:
        """Forget what was published before."""
        old = self.recording
        self.recording = Recording(
            published={topic: [t for t in times if t >= before_ns] for topic, times in old.published.items()},
            pictures=[p for p in old.pictures if p[0] >= before_ns],
            speaker=[s for s in old.speaker if s[0] >= before_ns],
            reactions=[r for r in old.reactions if r[0] >= before_ns],
            expressions=[e for e in old.expressions if e[0] >= before_ns],
        )
        while self.heard and self.heard[0].published_ns < before_ns:
            self.heard.popleft()
        while self.faces and self.faces[0][0] < before_ns:
            self.faces.popleft()

    def _speaker(self, message: Any, info: dict[str, Any]) -> None:
        super()._speaker(message, info)
        published_ns, picture_ns = self.recording.speaker[-1]
        sound_ns = message.sound_stamp.sec * 1_000_000_000 + message.sound_stamp.nanosec
        if picture_ns > 0 and sound_ns > 0:
            jaw = float(message.coefficients[_JAW])
            self.heard.append(Heard(published_ns, picture_ns, sound_ns, float(message.voice.loudness_dbfs), jaw))

    def _expression(self, message: Any, info: dict[str, Any]) -> None:
        super()._expression(message, info)
        self.faces.append((self.recording.expressions[-1][0], np.array(message.coefficients, dtype=np.float32)))
