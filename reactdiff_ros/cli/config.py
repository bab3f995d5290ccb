"""`reactdiff config`: the lab's own settings, and what is in force with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from reactdiff_ros.cli.output import echo

if TYPE_CHECKING:
    from reactdiff_ros.launching.configuration import Effective, LabSettings, Setting


@click.group()
def config() -> None:
    """Show the settings in force and where each comes from."""


@config.command()
@click.argument("assignments", nargs=-1, metavar="[NAME:=VALUE]...")
@click.option("--robot", metavar="NAME", help="Robot: an overlay or a shipped profile by its name, or a path.")
@click.option("--all", "everything", is_flag=True, help="Also the parameters that are as shipped.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout, with all parameters.")
def show(assignments: tuple[str, ...], robot: str | None, everything: bool, as_json: bool) -> int:
    """Print what a listener would run with, and where each value comes from.

    Arguments of the launch file may be given, as there and as to 'reactdiff listen'.
    """
    from reactdiff_ros.cli.output import EXIT_ERROR, EXIT_USAGE, json_on_stdout, tell
    from reactdiff_ros.errors import ConfigError
    from reactdiff_ros.launching.configuration import SettingsError, effective, lab_settings

    given = dict(_assignment(word) for word in assignments) | ({"robot": robot} if robot is not None else {})
    try:
        lab = lab_settings(given)
    except SettingsError as error:
        with json_on_stdout(as_json) as result:
            result["problems"] = [f"{error.path}, {problem}" for problem in error.problems]
            for problem in result["problems"]:
                tell(problem)
        return EXIT_ERROR
    try:
        found = effective(given, lab)
    except ConfigError as error:
        # In what was typed. Launch files show this sentence as theirs, so click's usage of this command stays out.
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
        raise click.UsageError(f"{word!r} is no NAME:=VALUE, such as robot:=ohbot")
    return name, value


def _plain(settings: dict[str, Setting]) -> dict[str, Any]:
    return {name: {"value": setting.value, "from": setting.origin} for name, setting in settings.items()}


def _print(lab: LabSettings, found: Effective, everything: bool) -> None:
    from reactdiff_ros.launching.configuration import SHIPPED, settings_path

    if lab.files:
        echo(f"read, the weakest first: {', '.join(map(str, lab.files))}")
    else:
        path = settings_path()
        echo("no settings are read: REACTDIFF_CONFIG is none" if path is None else f"there is no {path} yet")
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
        echo(f"\n{hidden} more parameters are as shipped (--all)")
