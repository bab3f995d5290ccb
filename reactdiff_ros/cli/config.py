"""`reactdiff config`: the lab's own settings, and the resulting ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from reactdiff_ros.cli.options import JSON
from reactdiff_ros.cli.output import echo

if TYPE_CHECKING:
    from reactdiff_ros.launching.configuration import Effective, LabSettings, Setting


@click.group()
def config() -> None:
    """Show the settings in force and where each comes from."""


@config.command()
@click.argument("assignments", nargs=-1, metavar="[NAME:=VALUE]...")
@click.option("--robot", metavar="NAME", help="Robot: an overlay or a shipped profile by its name, or a path.")
@click.option("--all", "everything", is_flag=True, help="Show default parameters too.")
@JSON
def show(assignments: tuple[str, ...], robot: str | None, everything: bool, as_json: bool) -> int:
    """Print the settings of a listener and where each value comes from.

    NAME:=VALUE are launch arguments, as for 'reactdiff listen'.
    """
    from reactdiff_ros.cli.output import EXIT_ERROR, EXIT_USAGE, json_on_stdout, tell
    from reactdiff_ros.errors import ConfigError
    from reactdiff_ros.launching.configuration import effective, lab_settings
    from reactdiff_ros.plain_yaml import ProblemsError

    given = dict(_assignment(word) for word in assignments) | ({"robot": robot} if robot is not None else {})
    try:
        lab = lab_settings(given)
    except ProblemsError as error:
        with json_on_stdout(as_json) as result:
            result["problems"] = [f"{error.path}, {problem}" for problem in error.problems]
            for problem in result["problems"]:
                tell(problem)
        return EXIT_ERROR
    try:
        found = effective(given, lab)
    except ConfigError as error:
        # Launch files show this sentence as their own, so it comes without click's usage line.
        tell(str(error))
        return EXIT_USAGE
    with json_on_stdout(as_json) as result:
        result.update(
            files=[str(path) for path in lab.files],
            arguments=_plain(found.arguments),
            parameters={node: _plain(values) for node, values in found.parameters.items()},
            ros_parameters=found.ros_parameters,
        )
        if not as_json:
            _print(lab, found, everything)
    return 0


def _assignment(word: str) -> tuple[str, str]:
    name, separator, value = word.partition(":=")
    if not separator or not name:
        raise click.UsageError(f"{word!r} is not NAME:=VALUE, such as robot:=ohbot")
    return name, value


def _plain(settings: dict[str, Setting]) -> dict[str, Any]:
    return {name: {"value": setting.value, "from": setting.origin} for name, setting in settings.items()}


def _print(lab: LabSettings, found: Effective, everything: bool) -> None:
    from reactdiff_ros.launching.configuration import SHIPPED, settings_path

    if lab.files:
        echo(f"settings files, the last one wins: {', '.join(map(str, lab.files))}")
    else:
        path = settings_path()
        echo(
            "settings files are off (REACTDIFF_CONFIG=none)"
            if path is None
            else f"no settings file: {path} does not exist"
        )
    hidden = 0
    for title, settings in {"arguments": found.arguments, **found.parameters}.items():
        shown = settings if everything or title == "arguments" else {}
        shown = shown or {name: s for name, s in settings.items() if s.origin != SHIPPED}
        hidden += len(settings) - len(shown)
        if shown:
            echo(f"\n{title}")
        for name, setting in shown.items():
            text = str(setting.value).lower() if isinstance(setting.value, bool) else str(setting.value)
            echo(f"  {name:<24} {text or '-':<24} {setting.origin}")
    if hidden:
        echo(f"\n{hidden} more parameters have their default (show them with --all)")
