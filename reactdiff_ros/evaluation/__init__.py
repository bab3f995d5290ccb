"""Measuring: what the listener does and what it costs.

Enters: weights, recordings, streams, results of earlier runs, the running graph.
Leaves: figures with their intervals, verdicts on bounds, pages to read.
Imports: everything but the command line. Its metrics know arrays alone.

The parts that need neither ROS nor the model are named here, and are loaded when they are used:

    from reactdiff_ros.evaluation import evaluate_reactions
    figures = evaluate_reactions(prediction, listener, speaker, neighbour, compat="react2024").figures
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reactdiff_ros.evaluation.metrics.react import ReactMetrics as ReactMetrics
    from reactdiff_ros.evaluation.metrics.react import evaluate_mars as evaluate_mars
    from reactdiff_ros.evaluation.metrics.react import evaluate_reactions as evaluate_reactions
    from reactdiff_ros.evaluation.metrics.react import export_mars as export_mars
    from reactdiff_ros.evaluation.metrics.react import load_arrays as load_arrays
    from reactdiff_ros.evaluation.metrics.react import target_lists as target_lists
    from reactdiff_ros.evaluation.metrics.robot import RobotMetrics as RobotMetrics
    from reactdiff_ros.evaluation.metrics.robot import robot_metrics as robot_metrics

_OF_REACT = ("ReactMetrics", "evaluate_mars", "evaluate_reactions", "export_mars", "load_arrays", "target_lists")
_HOMES = {**dict.fromkeys(_OF_REACT, "react"), "RobotMetrics": "robot", "robot_metrics": "robot"}
"""The module of `metrics` that each name comes from."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.metrics.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
