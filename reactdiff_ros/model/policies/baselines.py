"""The baselines of studies: mime copies the speaker, random ignores the speaker, idle keeps a neutral face."""

from __future__ import annotations

import math
from collections import deque
from typing import ClassVar, Final

import numpy as np

from reactdiff_ros.clock import NS, to_ns
from reactdiff_ros.coefficients import COEFFICIENT_COUNT, INDEX, REFLEXES, ROTATION, bounded, mirrored_order
from reactdiff_ros.model.listener import PolicyListener
from reactdiff_ros.model.plan.level import Frames
from reactdiff_ros.model.policies.moves import Moves, draw_brow_raise, draw_nod, draw_smile, draw_tilt
from reactdiff_ros.types import SpeakerFrame

KEPT_NS: Final = 4 * NS
SURE: Final = 0.3
"""Confidence from which a coefficient is copied in full."""
SMOOTH: Final = 0.5
"""Share of a new picture in the smoothed copy: takes the noise of landmarks out at a cost of about one picture."""
_ORDER = mirrored_order()
_SIGNS = np.ones(COEFFICIENT_COUNT)
_SIGNS[[ROTATION.start + 1, ROTATION.start + 2, INDEX["headX"]]] = -1.0
# Gaze and lids are reflexes of the listener's own (expression room); distance is not an expression.
_KEPT = np.ones(COEFFICIENT_COUNT)
_KEPT[[*REFLEXES, INDEX["headX"], INDEX["headY"], INDEX["headZ"]]] = 0.0
# A minute, as measured in 44 video-chat dyads (smile onsets 3.2, lasting 0.8 / 1.8 / 3.9 s; brow raises 2).
SMILES_PER_MIN: Final = 3.2
BROWS_PER_MIN: Final = 2.0
TILTS_PER_MIN: Final = 2.5
SMILE_MEDIAN_S: Final = 1.8
SMILE_SIGMA: Final = 1.0
MOST: Final = 2.5
"""At 1 of smiling, nodding or liveliness, their movements are this many times as frequent; at -1 as rare."""


class MimeListener(PolicyListener):
    """Copies brows, cheeks, mouth and head as in a mirror, `mime_lag_s` later.

    What was not observed is neutral. Where the lag is shorter than the horizon, the last face known is held.
    """

    NAME: ClassVar[str] = "mime"

    def _start(self) -> None:
        super()._start()
        self._past: deque[tuple[int, Frames]] = deque()
        self._smooth = np.zeros(COEFFICIENT_COUNT)
        self._picture_ns: int | None = None

    def _observed(self, frame: SpeakerFrame) -> None:
        stamp = frame.picture_stamp_ns
        if stamp is None or stamp == self._picture_ns:
            return
        self._picture_ns = stamp
        seen = bounded(frame.coefficients).astype(np.float64) * np.clip(
            np.nan_to_num(frame.confidence) / SURE, 0.0, 1.0
        )
        copy = seen[_ORDER] * _SIGNS * _KEPT if frame.mesh_present else np.zeros(COEFFICIENT_COUNT)
        self._smooth = self._smooth + SMOOTH * (copy - self._smooth)
        self._past.append((stamp, self._smooth))
        while self._past[0][0] < stamp - KEPT_NS:
            self._past.popleft()

    def _frame(self, time_ns: int) -> Frames:
        wanted = time_ns - to_ns(self._config.mime_lag_s)
        later: tuple[int, Frames] | None = None
        for stamp, face in reversed(self._past):
            if stamp <= wanted:
                if later is None:
                    return face
                share = (wanted - stamp) / (later[0] - stamp)
                between: Frames = face + share * (later[1] - face)
                return between
            later = (stamp, face)
        return np.zeros(COEFFICIENT_COUNT)


class RandomListener(PolicyListener):
    """Smiles, nods, brow raises and tilts at random times with the statistics of people.

    Only whether someone is there (`engaged`, and the fade to neutral with it) depends on frames; when and how it
    moves does not, so its plans carry no stamps.
    """

    NAME: ClassVar[str] = "random"
    CONSUMES: ClassVar[bool] = False

    def _start(self) -> None:
        super()._start()
        self._moves = Moves()
        self._due_ns: dict[str, int] = {}

    def _before_plan(self, start_ns: int) -> None:
        self._moves.planned(start_ns)
        now_ns, style = start_ns, self._style
        rates = {
            "smile": SMILES_PER_MIN * MOST**style.smiling,
            "nod": self._config.nod_rate_per_min * MOST**style.nodding,
            "brows": BROWS_PER_MIN * MOST**style.liveliness,
            "tilt": TILTS_PER_MIN * MOST**style.liveliness,
        }
        for kind, rate in rates.items():
            if rate <= 0.0:
                continue
            if kind not in self._due_ns:
                self._due_ns[kind] = now_ns + self._wait(rate)
            if now_ns >= self._due_ns[kind]:
                self._due_ns[kind] = self._begin(kind, now_ns + to_ns(0.2)) + self._wait(rate)

    def _frame(self, time_ns: int) -> Frames:
        return self._moves.value(time_ns)

    def _wait(self, per_min: float) -> int:
        return to_ns(float(self._rng.exponential(60.0 / per_min)))

    def _begin(self, kind: str, start_ns: int) -> int:
        """Start a movement; returns the time from which the next one of its kind may be waited for."""
        if kind == "nod":
            nod = draw_nod(start_ns, self._rng)
            self._moves.add(nod)
            return start_ns
        if kind == "smile":
            smile = draw_smile(start_ns, float(self._rng.uniform(0.25, 0.75)), self._rng)
            apex = min(SMILE_MEDIAN_S * math.exp(SMILE_SIGMA * self._rng.standard_normal()), 8.0)
            smile.release_ns = start_ns + to_ns(max(apex, smile.rise_s))
            self._moves.add(smile)
            return start_ns
        if kind == "brows":
            self._moves.add(draw_brow_raise(start_ns, float(self._rng.uniform(0.25, 0.5)), self._rng))
            return start_ns
        self._moves.add(draw_tilt(start_ns, self._rng))
        return start_ns


class IdleListener(PolicyListener):
    """Plans a neutral face always; its plans carry no stamps.

    `engaged` still says whether someone is there, so that gaze and blinks stay those of a listening face.
    """

    NAME: ClassVar[str] = "idle"
    CONSUMES: ClassVar[bool] = False
