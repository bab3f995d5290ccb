"""The faces that a page offers: styles, gestures and policies to choose, and one of them live next to the first."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from reactdiff_ros.coefficients import NAMES
from reactdiff_ros.expression.gestures import GESTURES, Gesture
from reactdiff_ros.launching.condition import blind_condition
from reactdiff_ros.settings import POLICIES
from reactdiff_ros.styles import DEFAULT_STYLE, Style, style_book
from reactdiff_ros.types import ExpressionFrame, SpeakerFrame
from reactdiff_ros.worker import Worker

if TYPE_CHECKING:
    from reactdiff_ros.launching.listening_face import ListeningFace
    from reactdiff_ros.model.listener import Listener

KEPT_S: Final = 4.0
"""A compared face that no page shows for this long ends."""
NOTHING: Final = "nothing"
_CHOICE = "choice"
Choices = Mapping[str, Mapping[str, Mapping[str, float]]]
"""By kind (style, gesture, compare) and name: the coefficients of the face, what is not named being 0."""


def page_choices() -> Choices:
    """What pages offer to choose; nothing in a blind session, whose condition no one may change."""
    if blind_condition() is not None:
        return {}
    styles = {name: portrait(style) for name, style in style_book("").items()}
    policies: dict[str, dict[str, float]] = {name: {} for name in POLICIES if name != "model"}
    return {
        "style": styles,
        "gesture": {name: peak(GESTURES[name]) for name in sorted(GESTURES)},
        "compare": {NOTHING: {}, **styles, **policies},
    }


def portrait(style: Style) -> dict[str, float]:
    """A caricature of a style: its resting face, made clearer, with its leaning to smile or to be serious."""
    friendly = 0.4 * style.attitude + 0.4 * style.smiling
    face = {name: 2.0 * value for name, value in style.resting}
    for side in ("Left", "Right"):
        face[f"mouthSmile{side}"] = face.get(f"mouthSmile{side}", 0.0) + max(0.0, friendly)
        face[f"mouthPress{side}"] = face.get(f"mouthPress{side}", 0.0) + max(0.0, -friendly)
    face["browInnerUp"] = face.get("browInnerUp", 0.0) + 0.5 * max(0.0, style.liveliness)
    return _short(face)


def peak(gesture: Gesture) -> dict[str, float]:
    """A gesture at its strongest."""
    swing = {} if gesture.swing is None else {NAMES[gesture.swing]: 2.0 * gesture.swing_rad}
    return _short({**gesture.face, **swing})


def _short(face: Mapping[str, float]) -> dict[str, float]:
    return {name: round(min(value, 1.0), 2) for name, value in face.items() if value}


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
