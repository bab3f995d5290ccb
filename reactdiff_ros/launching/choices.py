"""What pages offer to choose: styles, gestures, and what to compare with, each with its face."""

from __future__ import annotations

from collections.abc import Mapping

from reactdiff_ros.coefficients import NAMES
from reactdiff_ros.expression.gestures import GESTURES, Gesture
from reactdiff_ros.launching.compared_face import NOTHING
from reactdiff_ros.launching.condition import blind_condition
from reactdiff_ros.settings import POLICIES
from reactdiff_ros.styles import Style, style_book

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
