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


@click.group()
def evaluate() -> None:
    """Measure the behaviour of a listener."""


evaluate.add_command(controls)
evaluate.add_command(dyads)
evaluate.add_command(simulator)
evaluate.add_command(streams)
evaluate.add_command(behaviour)
evaluate.add_command(sessions)
evaluate.add_command(ablations)
evaluate.add_command(evidence)
evaluate.add_command(react)
evaluate.add_command(online)
evaluate.add_command(recordings)
evaluate.add_command(arrays)
