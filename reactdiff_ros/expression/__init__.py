"""The face for now, 50 times a second: the listener's plan, gaze, blinks, breathing, gestures and style in one."""

from reactdiff_ros.expression.config import ExpressionConfig
from reactdiff_ros.expression.engine import ExpressionEngine

__all__ = ["ExpressionConfig", "ExpressionEngine"]
