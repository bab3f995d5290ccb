"""`reactdiff style`: named styles of listening, shipped or learnt from a clip of a person."""

from __future__ import annotations

from pathlib import Path

import click

from reactdiff_ros.cli.options import FILE, JSON, PATH
from reactdiff_ros.cli.output import echo

_FILE = click.option(
    "--file", "path", type=FILE, help="File of your own styles. Default: ~/.config/reactdiff_ros/styles.yaml."
)


@click.group()
def style() -> None:
    """List styles of listening, or learn one from a clip."""


@style.command("list")
@_FILE
@JSON
def list_styles(path: Path | None, as_json: bool) -> int:
    """List all styles with their settings."""
    from reactdiff_ros.cli.output import json_on_stdout
    from reactdiff_ros.styles import style_book

    with json_on_stdout(as_json) as result:
        for name, entry in style_book(str(path or "")).items():
            values = {key: value for key, value in entry.settings().items() if key != "style"}
            result[name] = {**values, "reference": list(entry.reference) or None}
            if not as_json:
                text = ", ".join(f"{k} {v:g}" for k, v in values.items() if v != (1.0 if k in _GAINS else 0.0))
                echo(f"{name}: {text or 'default settings'}{', with a reference' if entry.reference else ''}")
    return 0


_GAINS = ("intensity", "upper_face", "lower_face", "head")


@style.command()
@click.argument("clip", type=PATH)
@click.option("--name", required=True, help="Name of the style.")
@click.option("--about", default="", help="Description of the style, one sentence.")
@_FILE
@click.option("--force", is_flag=True, help="Overwrite a style of the same name.")
@JSON
def learn(clip: Path, name: str, about: str, path: Path | None, force: bool, as_json: bool) -> int:
    """Measure how the person in CLIP listens, and save it as a style.

    The clip must show one face; a minute of listening works best. Only eight statistics are saved (amount, strength
    and speed of smiles, frequency and size of nods, movement of head and brows), no pictures and no sound.
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
            raise ConfigError("a style of this name already exists", where=name, todo="choose another name, or --force")
        duration_s = max(MediaClip(clip).duration_s, 1e-3)
        with progress_bar(clip.name) as show:
            reference = learn_reference(clip, progress=lambda seconds: show(seconds / duration_s))
        sentence = about or f"Learnt from {reference.clip}, {reference.seconds:.0f} s."
        save_style(target, name, {"about": sentence, "reference": list(reference.values)}, replace=force)
        result.update(name=name, file=str(target), seconds=reference.seconds, reference=reference.as_dict())
        missing = [key for key, value in reference.as_dict().items() if value is None]
        tell(f"saved {name} in {target}" + (f"; the clip does not show: {', '.join(missing)}" if missing else ""))
    return 0
