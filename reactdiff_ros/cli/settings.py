"""`reactdiff config`, `style` and `doctor`: settings in force, named styles of listening, checks of the setup."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reactdiff_ros.cli import common
from reactdiff_ros.cli.common import EXIT_DONE, EXIT_ERROR, EXIT_USAGE, Output, echo, log, progress_bar
from reactdiff_ros.errors import ConfigError

if TYPE_CHECKING:
    from reactdiff_ros.launching.configuration import Effective, LabSettings, Setting

_STYLES = click.option(
    "--file", "path", type=common.FILE, help="File of your own styles. Default: ~/.config/reactdiff_ros/styles.yaml."
)


@click.group(cls=common.Group)
def config() -> None:
    """Show the settings in force and where each comes from."""


@config.command()
@click.argument("assignments", nargs=-1, metavar="[NAME:=VALUE]...")
@click.option("--robot", metavar="NAME", help="Robot: an overlay or a shipped profile by its name, or a path.")
@click.option("--all", "everything", is_flag=True, help="Show default parameters too.")
@common.reporting
def show(result: Output, assignments: tuple[str, ...], robot: str | None, everything: bool) -> int:
    """Print the settings of a listener and where each value comes from.

    NAME:=VALUE are launch arguments, as for 'reactdiff listen'.
    """
    from reactdiff_ros.launching.configuration import effective, lab_settings
    from reactdiff_ros.plain_yaml import ProblemsError

    given = dict(map(common.assignment, assignments)) | ({"robot": robot} if robot is not None else {})
    try:
        lab = lab_settings(given)
    except ProblemsError as error:
        result["problems"] = [f"{error.path}, {problem}" for problem in error.problems]
        for problem in result["problems"]:
            log(problem)
        return EXIT_ERROR
    try:
        found = effective(given, lab)
    except ConfigError as error:
        log(str(error))  # without click's usage line: launch files show this sentence as their own
        click.get_current_context().exit(EXIT_USAGE)
    result.update(
        files=[str(path) for path in lab.files], arguments=_plain(found.arguments),
        parameters={node: _plain(values) for node, values in found.parameters.items()},
        ros_parameters=found.ros_parameters,
    )  # fmt: skip
    _print(result.say, lab, found, everything)
    return EXIT_DONE


def _plain(settings: dict[str, Setting]) -> dict[str, Any]:
    return {name: {"value": setting.value, "from": setting.origin} for name, setting in settings.items()}


def _print(say: Callable[[str], None], lab: LabSettings, found: Effective, everything: bool) -> None:
    from reactdiff_ros.launching.configuration import SHIPPED, settings_path

    path = settings_path()
    no_file = "settings files are off (REACTDIFF_CONFIG=none)" if path is None else f"no settings file: {path}"
    say(f"settings files, the last one wins: {', '.join(map(str, lab.files))}" if lab.files else no_file)
    hidden = 0
    for title, settings in {"arguments": found.arguments, **found.parameters}.items():
        shown = settings if everything or title == "arguments" else {}
        shown = shown or {name: s for name, s in settings.items() if s.origin != SHIPPED}
        hidden += len(settings) - len(shown)
        if shown:
            say(f"\n{title}")
        for name, setting in shown.items():
            text = str(setting.value).lower() if isinstance(setting.value, bool) else str(setting.value)
            say(f"  {name:<24} {text or '-':<24} {setting.origin}")
    if hidden:
        say(f"\n{hidden} more parameters have their default (show them with --all)")


@click.group(cls=common.Group)
def style() -> None:
    """List styles, describe one in words, or learn one from a clip."""


@style.command("list")
@_STYLES
@common.reporting
def list_styles(result: Output, path: Path | None) -> None:
    """List all styles with their settings."""
    from reactdiff_ros.style_words import NEUTRAL
    from reactdiff_ros.styles import DEFAULT_STYLE, style_book

    for name, entry in style_book(str(path or "")).items():
        values = {key: value for key, value in entry.settings().items() if key != "style"}
        result[name] = {**values, "reference": list(entry.reference) or None}
        text = ", ".join(f"{k} {v:g}" for k, v in values.items() if v != NEUTRAL[k])
        text = text or ("the default" if name == DEFAULT_STYLE else f"same as {DEFAULT_STYLE}")
        result.say(f"{name}: {text}{', with a reference' if entry.reference else ''}")


@style.command()
@click.argument("text")
@click.option("--save", "name", metavar="NAME", help="Save it as a style of this name.")
@click.option(
    "--endpoint", metavar="URL", help="Ask a language model there (OpenAI-compatible); the text is sent to it."
)
@click.option("--model", metavar="NAME", help="Name of that model.")
@_STYLES
@click.option("--force", is_flag=True, help="Overwrite a style of the same name.")
@common.reporting
def describe(
    result: Output, text: str, name: str | None, endpoint: str | None, model: str | None, path: Path | None, force: bool
) -> None:
    """Explain a style description word by word.

    A description is a text such as "a shy, warm listener who rarely nods". The same text is understood wherever a style
    is named: reactdiff listen --style "warm, but rarely nods". With --endpoint, a language model reads it instead
    (OPENAI_API_KEY, if set, is its key).
    """
    from reactdiff_ros.style_words import asked, described
    from reactdiff_ros.styles import save_style, user_styles_path

    if (endpoint is None) != (model is None):
        raise click.UsageError("--endpoint and --model go together")
    if endpoint is not None and model is not None:
        controls = asked(text, endpoint, model, os.environ.get("OPENAI_API_KEY", ""))
    else:
        found = described(text)
        controls = found.controls
        result.update(words=dict(found.words), unknown=list(found.unknown))
        for word, moves in found.words:
            log(f"{word}: " + (", ".join(f"{n} {v:+g}" for n, v in moves.items()) or "nothing"))
        if found.unknown:
            log(f"not understood: {', '.join(found.unknown)}")
    result.update(controls=controls)
    result.say(", ".join(f"{n} {v:g}" for n, v in controls.items()) or "default settings")
    if name is not None:
        target = path or user_styles_path()
        save_style(target, name, {"about": text, **controls}, replace=force)
        log(f"saved {name} in {target}")


@style.command()
@click.argument("clip", type=common.PATH)
@click.option("--name", required=True, help="Name of the style.")
@click.option("--about", help="Description of the style, one sentence.")
@_STYLES
@click.option("--force", is_flag=True, help="Overwrite a style of the same name.")
@common.reporting
def learn(result: Output, clip: Path, name: str, about: str | None, path: Path | None, force: bool) -> None:
    """Measure how the person in CLIP listens, and save it as a style.

    The clip must show one face, best for three minutes; a shorter one has less effect. Only eight statistics are saved
    (amount, strength and speed of smiles, frequency and size of nods, movement of head and brows), no pictures and no
    sound.
    """
    from reactdiff_ros.capture.media import MediaClip
    from reactdiff_ros.recordings.extraction import learn_reference
    from reactdiff_ros.styles import load_styles, save_style, style_book, user_styles_path

    target = path or user_styles_path()
    known = style_book(str(target)) if target.exists() else load_styles()
    if name in known and not force:
        raise ConfigError("a style of this name already exists", where=name, todo="choose another name, or --force")
    media = MediaClip(clip)
    with progress_bar(clip.name) as show:
        reference = learn_reference(media, show)
    sentence = about or f"Learnt from {reference.clip}, {reference.seconds:.0f} s."
    save_style(target, name, {"about": sentence, "reference": list(reference.values)}, replace=force)
    result.update(name=name, file=str(target), seconds=reference.seconds, reference=reference.as_dict())
    missing = [key for key, value in reference.as_dict().items() if value is None]
    log(f"saved {name} in {target}" + (f"; the clip does not show: {', '.join(missing)}" if missing else ""))


@click.command()
@click.option("--peer", "peers", multiple=True, metavar="HOST", help="Compare the clock of HOST too (NTP); repeatable.")
@common.reporting
def doctor(result: Output, peers: tuple[str, ...]) -> int:
    """Check the setup and print how to fix each problem.

    Checks ROS, packages, DDS, shared memory, clock, settings, devices and their permissions, the robot, weights, GPU,
    the page's port and disks. Exits with 1 if a check fails.
    """
    from dataclasses import asdict

    from reactdiff_ros.launching import doctor as setup

    signs = {setup.OK: "ok   ", setup.NOTE: "note ", setup.ERROR: "ERROR"}
    result.update(findings=[], ok=True)
    checks: list[setup.Check] = [*setup.CHECKS, *(partial(setup.check_peer, host) for host in peers)]
    for check in checks:
        for finding in setup.findings(check):
            result["findings"].append(asdict(finding))
            result["ok"] &= finding.level != setup.ERROR
            todo = f" -> {finding.todo}" if finding.todo else ""
            echo(f"{signs[finding.level]} {finding.check:<11} {finding.sentence}{todo}", err=result.as_json)
    return EXIT_DONE if result["ok"] else EXIT_ERROR
