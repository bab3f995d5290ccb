"""Options that the commands of evaluation share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from reactdiff_ros.model.sampler import Sampling

LISTENER = click.option(
    "--listener",
    type=click.Choice(("model", "simulator", "policy", "rules", "mime", "random", "idle")),
    default="model",
    show_default=True,
    help="Who listens; simulator: knows the speaker exactly; policy: the same behind noisy perception.",
)
MODEL = click.option(
    "--model",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Folder that 'reactdiff export' wrote (the shipped weights).",
)
SEED = click.option(
    "--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True, help="Another seed, another set."
)
VOICES = click.option(
    "--voices",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Voice bank of synthesised speech, as for 'train' (parametric voices).",
)
OUTPUT = click.option("--output", type=click.Path(path_type=Path, file_okay=False), help="Folder for the plots.")
STEPS = click.option("--steps", type=click.IntRange(2, 64), help="Denoiser steps of a plan (as live).")
GUIDANCE = click.option("--guidance", type=click.FloatRange(0.0, 8.0), help="Guidance on the speaker (as live).")
HOP = click.option("--hop-s", type=click.FloatRange(0.04, 0.64), help="Time until the next plan (as live).")
WORKERS = click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Threads.")
JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")


def sampling(steps: int | None, guidance: float | None, hop_s: float | None) -> Sampling:
    """The sampler's settings; what is None is as live."""
    from reactdiff_ros.evaluation.studies.systems import live_sampling

    return live_sampling(steps=steps, guidance=guidance, hop_s=hop_s)
