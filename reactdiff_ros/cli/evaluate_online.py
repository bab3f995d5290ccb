"""`reactdiff evaluate online`: does a listener look further into the future than it declares?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from reactdiff_ros.cli import evaluation_options as options
from reactdiff_ros.cli.output import EXIT_DONE, EXIT_ERROR, Number, dumps, echo, json_on_stdout, tell

_CLIP = click.Path(path_type=Path, dir_okay=True)


@click.command()
@click.option(
    "--listener", default="model", show_default=True, metavar="NAME",
    help="model, rules, mime, random, idle, or a class of your own as module:Class or file.py:Class.",
)  # fmt: skip
@options.MODEL
@click.option("--cuts", type=click.IntRange(1, 10_000), default=50, show_default=True, help="Random moments t.")
@click.option("--seconds", type=Number(1.0, 600.0), default=3.0, show_default=True, help="Length of the recording.")
@click.option(
    "--clips", type=(_CLIP, _CLIP), metavar="CLIP OTHER",
    help="Two recordings with sound, read by the real perception: slow. Without, painted pictures and noise.",
)  # fmt: skip
@options.SEED
@options.JSON
def online(
    listener: str,
    model: Path | None,
    cuts: int,
    seconds: float,
    clips: tuple[Path, Path] | None,
    seed: int,
    as_json: bool,
) -> int:
    """Verify that a listener is strictly online, or looks ahead no further than it declares.

    A whole session runs, and runs again with every picture and sound after a random t replaced: every face up to
    t - look-ahead must have the same bits. A listener that looks further fails with the frame furthest before its t
    that differed; the exit code is then 1.
    """
    from reactdiff_ros.cli.progress import progress_bar
    from reactdiff_ros.evaluation.listeners import Spec, blamed
    from reactdiff_ros.evaluation.online import verify

    with json_on_stdout(as_json) as result:
        spec = Spec(listener, str(model or ""))
        given: dict[str, Any] = {} if clips is None else _material(clips, seconds)
        listener_ = spec.make(seed)
        with progress_bar("cuts") as told, blamed(spec):
            verdict = verify(listener_, seconds=seconds, cuts=cuts, seed=seed, told=told, **given)
        result.update(listener=listener, seconds=seconds, seed=seed, **verdict.as_dict())
        tell(verdict.sentence(spec.name))
        if verdict.deterministic and verdict.acted < 0.2:
            tell(f"what changed was seen in the face after {verdict.acted:.0%} of the cuts only: this shows little")
    if not as_json:
        echo(dumps(result, indent=2))
    return EXIT_DONE if verdict.holds else EXIT_ERROR


def _material(clips: tuple[Path, Path], seconds: float) -> dict[str, Any]:
    from reactdiff_ros.evaluation.online import items_of
    from reactdiff_ros.perception import SpeakerPerception

    mine, other = (items_of(clip, seconds) for clip in clips)
    return {"mine": mine, "other": other, "perception": SpeakerPerception()}
