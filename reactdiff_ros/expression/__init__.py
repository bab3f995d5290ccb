"""The face for now, 50 times a second: the listener's plan, gaze, blinks, breathing, gestures and style in one.

Enters: `Reaction`s, gaze targets, controls, gestures, turns, the pose of a robot's head; the time of the tick.
Leaves: one `ExpressionFrame` a tick, finite, within limits of value and speed, neutral when nothing comes.
Imports: the shared values alone.
"""

from reactdiff_ros.expression.config import ExpressionConfig
from reactdiff_ros.expression.engine import ExpressionEngine

__all__ = ["ExpressionConfig", "ExpressionEngine"]
