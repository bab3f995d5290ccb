"""Options and arguments that commands share."""

from __future__ import annotations

from pathlib import Path

import click

FILE = click.Path(path_type=Path, dir_okay=False)
FOLDER = click.Path(path_type=Path, file_okay=False)
PATH = click.Path(path_type=Path)
SEEDS = click.IntRange(0, 2**31 - 1)

JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
NAMESPACE = click.option("--namespace", default="", metavar="NAME", help="ROS namespace of the listener.")
LAN = click.option("--lan", is_flag=True, help="Also discover nodes on other machines, started with --lan.")
VOICES = click.option(
    "--voices", type=FILE, help="Voice bank of synthesised speech; created if missing (parametric voices)."
)
