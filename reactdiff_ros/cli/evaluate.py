"""`reactdiff evaluate`: how well a listener listens, measured on streams that it made from its own past alone."""

from __future__ import annotations

import click

from reactdiff_ros.cli.evaluate_ablations import ablations
from reactdiff_ros.cli.evaluate_arrays import arrays
from reactdiff_ros.cli.evaluate_behaviour import behaviour
from reactdiff_ros.cli.evaluate_controls import controls
from reactdiff_ros.cli.evaluate_dyads import dyads
from reactdiff_ros.cli.evaluate_evidence import evidence
from reactdiff_ros.cli.evaluate_online import online
from reactdiff_ros.cli.evaluate_react import react
from reactdiff_ros.cli.evaluate_recordings import recordings
from reactdiff_ros.cli.evaluate_sessions import sessions
from reactdiff_ros.cli.evaluate_simulator import simulator
from reactdiff_ros.cli.evaluate_streams import streams
from reactdiff_ros.resources import needing


@click.group()
def evaluate() -> None:
    """Measure the behaviour of a listener."""


for _command in (
    controls,
    dyads,
    simulator,
    streams,
    behaviour,
    sessions,
    ablations,
    evidence,
    react,
    online,
    recordings,
    arrays,
):
    # Before the command begins, because what it lacks may be needed only after hours of work.
    _command.callback = needing("numba", _command.callback)
    evaluate.add_command(_command)
