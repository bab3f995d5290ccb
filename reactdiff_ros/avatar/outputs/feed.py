"""What is sent when nothing new comes: the last face fades to neutral, and neutral goes on."""

from __future__ import annotations

from dataclasses import replace

from reactdiff_ros.clock import StampGuard, to_ns
from reactdiff_ros.coefficients import bounded, neutral
from reactdiff_ros.types import ExpressionFrame

LONGEST_STEP_NS = to_ns(0.06)
"""A step between two looks counts as no more than this.

After a longer one the process itself stood still, and frames that came meanwhile wait to be taken.
"""


class Feed:
    """Watches how long no frame came, as often as it is asked. All times are of one steady clock, in ns.

    Args:
        stale_s: without a frame for so long the face begins to go to neutral.
        fade_s: it gets there in so long, in a straight line.
    """

    def __init__(self, stale_s: float, fade_s: float) -> None:
        self._stale_ns, self._fade_ns = to_ns(stale_s), to_ns(fade_s)
        self._guard = StampGuard()
        self._last: ExpressionFrame | None = None
        self._silent_ns = 0
        self._seen_ns = 0

    def take(self, frame: ExpressionFrame, now_ns: int) -> bool:
        """A frame that came at `now_ns`; False: it came out of order and is not to be sent."""
        if self._guard.check(frame.stamp_ns) == "late":
            return False
        self._last, self._silent_ns, self._seen_ns = frame, 0, now_ns
        return True

    @property
    def stale(self) -> bool:
        """Whether, at the last look, nothing had come for so long that neutral is to be sent."""
        return self._last is None or self._silent_ns > self._stale_ns

    def substitute(self, now_ns: int, stamp_ns: int) -> ExpressionFrame | None:
        """Look at `now_ns`: what to send in place of the frames that do not come; None: they do come.

        Args:
            now_ns: steady clock, 20 ms after the last look.
            stamp_ns: time of the frame, of the clock that frames are stamped with.
        """
        self._silent_ns += min(max(0, now_ns - self._seen_ns), LONGEST_STEP_NS)
        self._seen_ns = now_ns
        if not self.stale:
            return None
        last = self._last
        if last is None:
            return ExpressionFrame(stamp_ns, neutral(), "neutral", (), None, None, None, None)
        over = self._silent_ns - self._stale_ns
        weight = max(0.0, 1.0 - over / self._fade_ns) if self._fade_ns else 0.0
        faded = bounded(bounded(last.coefficients) * weight)
        stamp = last.stamp_ns + self._silent_ns if stamp_ns < last.stamp_ns else stamp_ns
        return replace(last, stamp_ns=stamp, coefficients=faded, mode="neutral", layers=())
