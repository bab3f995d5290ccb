"""How long a listener computes."""

from __future__ import annotations

from collections.abc import Callable

from reactdiff_ros.model.listener import Listener, ShowsCandidates
from reactdiff_ros.types import ListenerControl, ListenerState, Reaction, SpeakerFrame


class Timed:
    """A listener whose time is taken.

    Args:
        listener: whose.
        timer: seconds of a monotonic clock.
    """

    def __init__(self, listener: Listener, timer: Callable[[], float]) -> None:
        self._listener, self._timer = listener, timer
        self.seconds = 0.0
        """Since somebody set this to 0."""

    @property
    def name(self) -> str:
        """The policy."""
        return self._listener.name

    def reset(self, seed: int | None = None) -> None:
        """See `Listener.reset`."""
        self._listener.reset(seed)

    def control(self, control: ListenerControl) -> None:
        """See `Listener.control`."""
        self._listener.control(control)

    def robot_speaking(self, speaking: bool, now_ns: int | None = None) -> None:
        """See `Listener.robot_speaking`."""
        self._listener.robot_speaking(speaking, now_ns)

    def show_candidates(self, wanted: bool) -> None:
        """See `ShowsCandidates`; without effect on a listener that draws one plan."""
        if isinstance(self._listener, ShowsCandidates):
            self._listener.show_candidates(wanted)

    def observe(self, frame: SpeakerFrame) -> None:
        """See `Listener.observe`."""
        begin = self._timer()
        try:
            self._listener.observe(frame)
        finally:
            self.seconds += self._timer() - begin

    def plan(self, now_ns: int) -> Reaction | None:
        """See `Listener.plan`."""
        begin = self._timer()
        try:
            return self._listener.plan(now_ns)
        finally:
            self.seconds += self._timer() - begin

    def state(self) -> ListenerState:
        """See `Listener.state`."""
        return self._listener.state()
