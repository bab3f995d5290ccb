"""`reactdiff style`: named styles of listening; one can be learnt from a clip of a person."""

from __future__ import annotations

from pathlib import Path

import click

from reactdiff_ros.cli.output import echo

_FILE = click.option(
    "--file",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The user's file of styles; default ~/.config/reactdiff_ros/styles.yaml.",
)


@click.group()
def style() -> None:
    """List styles of listening, or learn one from a clip."""


@style.command("list")
@_FILE
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def list_styles(path: Path | None, as_json: bool) -> int:
    """All styles that a listener knows, with their settings."""
    from reactdiff_ros.cli.output import json_on_stdout
    from reactdiff_ros.styles import style_book

    with json_on_stdout(as_json) as result:
        for name, entry in style_book(str(path or "")).items():
            values = {key: value for key, value in entry.settings().items() if key != "style"}
            result[name] = {**values, "reference": list(entry.reference) or None}
            if not as_json:
                told = ", ".join(f"{k} {v:g}" for k, v in values.items() if v != (1.0 if k in _GAINS else 0.0))
                echo(f"{name}: {told or 'as it is'}{', with a reference' if entry.reference else ''}")
    return 0


_GAINS = ("intensity", "upper_face", "lower_face", "head")


@style.command()
@click.argument("clip", type=click.Path(path_type=Path))
@click.option("--name", required=True, help="Name of the style.")
@click.option("--about", default="", help="One sentence on it.")
@_FILE
@click.option("--force", is_flag=True, help="Overwrite a style of that name.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def learn(clip: Path, name: str, about: str, path: Path | None, force: bool, as_json: bool) -> int:
    """Measure how the person in CLIP listens, and save it as a style.

    The clip shows one person's face, best for a minute of listening. Eight statistics are kept (how much, how strong
    and how fast it smiles, how often and how far it nods, how much head and brows move), no picture and no sound.
    """
    from reactdiff_ros.capture.media import MediaClip
    from reactdiff_ros.cli.output import json_on_stdout, tell
    from reactdiff_ros.cli.progress import progress_bar
    from reactdiff_ros.errors import ConfigError
    from reactdiff_ros.evaluation.extraction import learn_reference
    from reactdiff_ros.styles import load_styles, save_style, style_book, user_styles_path

    target = path or user_styles_path()
    with json_on_stdout(as_json) as result:
        known = style_book(str(target)) if target.exists() else load_styles()
        if name in known and not force:
            raise ConfigError("there is a style of this name", where=name, todo="give another name, or --force")
        duration_s = max(MediaClip(clip).duration_s, 1e-3)
        with progress_bar(clip.name) as show:
            reference = learn_reference(clip, progress=lambda seconds: show(seconds / duration_s))
        sentence = about or f"Learnt from {reference.clip}, {reference.seconds:.0f} s."
        save_style(target, name, {"about": sentence, "reference": list(reference.values)}, replace=force)
        result.update(name=name, file=str(target), seconds=reference.seconds, reference=reference.as_dict())
        missing = [key for key, value in reference.as_dict().items() if value is None]
        tell(f"saved {name} in {target}" + (f"; not told by the clip: {', '.join(missing)}" if missing else ""))
    return 0
