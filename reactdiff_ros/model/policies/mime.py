"""The mime: the speaker's own face in the mirror, a little later. The copying baseline of evaluations."""

from __future__ import annotations

from collections import deque
from typing import ClassVar, Final

import numpy as np

from reactdiff_ros.clock import NS, to_ns
from reactdiff_ros.coefficients import BLINK, COEFFICIENT_COUNT, EYE_LOOK, INDEX, ROTATION, bounded, mirrored_order
from reactdiff_ros.model.policies.base import Frames, PolicyListener
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
_KEPT[[*EYE_LOOK, *BLINK, INDEX["headX"], INDEX["headY"], INDEX["headZ"]]] = 0.0


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
