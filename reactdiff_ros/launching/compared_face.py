"""A second face next to the first on a page: the same person and the same noise, another style or policy."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from reactdiff_ros.settings import POLICIES
from reactdiff_ros.styles import DEFAULT_STYLE
from reactdiff_ros.types import ExpressionFrame, SpeakerFrame
from reactdiff_ros.worker import Worker

if TYPE_CHECKING:
    from reactdiff_ros.launching.listening_face import ListeningFace
    from reactdiff_ros.model.listener import Listener

KEPT_S: Final = 4.0
"""A compared face that no page shows for this long ends."""
NOTHING: Final = "nothing"
_CHOICE = "choice"


class ComparedFace:
    """A second face for the same person, in another style or by another policy, while a page shows it.

    It draws from the same noise as the first: what differs is the choice. Calls come from any thread; it is set up in
    one of its own.

    Args:
        show: takes each face.
        failed: called with what went wrong, and where.
        like: gives the first listener, whose networks it shares; None: it loads its own.
        seed: gives the first listener's.
    """

    def __init__(
        self, show: Callable[[ExpressionFrame], None], failed: Callable[[Exception, str], None],
        seed: Callable[[], int], like: Callable[[], Listener | None] = lambda: None,
    ) -> None:  # fmt: skip
        self._show, self._failed, self._seed, self._like = show, failed, seed, like
        self.name = ""
        """The style or the policy; empty: nothing is compared."""
        self._face: ListeningFace | None = None
        self._wanted_s = 0.0
        self._worker = Worker("compared", self._handle, {_CHOICE: 1}, failed)
        self._worker.start()

    def choose(self, name: str) -> None:
        """Compare with this style or policy from now on, or with NOTHING."""
        name = "" if name == NOTHING else name
        self.name, self._wanted_s = name, time.monotonic()
        self._worker.put(_CHOICE, name)

    def keep(self, wanted: bool) -> None:
        """To be called twice a second or so: whether a page shows it."""
        if wanted:
            self._wanted_s = time.monotonic()
        elif self.name and time.monotonic() - self._wanted_s > KEPT_S:
            self.choose(NOTHING)

    def observe(self, frame: SpeakerFrame) -> None:
        """What perception says of the speaker now."""
        if (face := self._face) is not None:
            face.observe(frame)

    def stop(self) -> None:
        """End its threads."""
        self._worker.stop()
        self._end()

    def _end(self) -> None:
        face, self._face = self._face, None
        if face is not None:
            face.stop()

    def _handle(self, _kind: str, name: str) -> None:
        self._end()
        if not name or name != self.name:
            return
        # Loaded only for this: the page's process starts first, and is small.
        from reactdiff_ros.expression import ExpressionConfig, ExpressionEngine
        from reactdiff_ros.launching.listening_face import ListeningFace
        from reactdiff_ros.model.listener import ListenerConfig
        from reactdiff_ros.model.policies import make_listener

        policy, style = (name, DEFAULT_STYLE) if name in POLICIES else ("model", name)
        seed, config = self._seed(), ListenerConfig(style=style)
        try:
            listener = make_listener(policy, seed=seed, config=config, like=self._like())
            expression = ExpressionEngine(ExpressionConfig(flat_face=True, style=style), seed)
        except BaseException:
            self.name = ""
            raise
        face = ListeningFace(listener, expression, config, self._show, self._failed)
        face.warm()
        face.start()
        self._face = face
