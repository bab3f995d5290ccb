"""`reactdiff dev simulate`: simulated dyads, their statistics and plots; `reactdiff dev demo`: the demo speaker."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reactdiff_ros.cli.options import FILE, FOLDER, JSON, SEEDS, VOICES
from reactdiff_ros.cli.output import Number, json_on_stdout, tell, writing

if TYPE_CHECKING:
    from reactdiff_ros.cli.simulated import Listeners
    from reactdiff_ros.simulator.dyads import Dyads


@click.command()
@click.option("--seed", type=SEEDS, default=0, show_default=True, help="Seed of all random numbers.")
@click.option("--dyads", type=click.IntRange(1, 10000), default=16, show_default=True, help="Number of dyads.")
@click.option(
    "--listeners",
    type=click.IntRange(1, 100),
    default=1,
    show_default=True,
    help="Listeners per speaker.",
)
@click.option("--seconds", type=Number(1.0, 3600.0), default=60.0, show_default=True, help="Length of each dyad, s.")
@click.option(
    "--prior",
    type=click.Choice(["natural", "wide"]),
    default="natural",
    show_default=True,
    help="natural: listeners that respond as people do; wide: half of them with controls over the whole range.",
)
@click.option("--no-precursors", is_flag=True, help="Omit the signals before speakers' smiles, turns and cues.")
@VOICES
@click.option("--output", type=FILE, help="File of the arrays (.npz).")
@click.option("--plots", type=FOLDER, help="Folder of the plots: a dyad, distributions.")
@JSON
def simulate(
    seed: int, dyads: int, listeners: int, seconds: float, prior: str, no_precursors: bool, voices: Path | None,
    output: Path | None, plots: Path | None, as_json: bool,
) -> int:  # fmt: skip
    """Simulate speakers and listeners; print statistics next to people's.

    Arrays in the file: `speaker_NAME` (dyads, frames, ...) as perception would see the speaker, `stimulus_NAME`
    (dyads, frames) the true state of the speaker, `listener` (dyads, frames, 58), `activity` (dyads, frames),
    `controls` (dyads, 6), `traits` (dyads, 24), `style` and `style_given` (dyads, 8), and the names of the columns:
    `control_names`, `trait_names`, `style_names`. With several listeners, the arrays of listeners have a second
    axis: `listener` (dyads, listeners, frames, 58); the first listener does not depend on their number.
    """
    from reactdiff_ros.cli.simulated import (
        HUMAN,
        enough_memory,
        listeners_of,
        plot_distributions,
        plot_dyad,
        statistics,
    )
    from reactdiff_ros.cli.voices import voice_bank
    from reactdiff_ros.evaluation.listeners import voices_facts
    from reactdiff_ros.resources import require
    from reactdiff_ros.simulator.dyads import simulate as run
    from reactdiff_ros.simulator.dyads import simulator_hash
    from reactdiff_ros.types import REACTION_RATE_HZ

    if plots is not None:
        require("matplotlib")
    with json_on_stdout(as_json) as result:
        frames = round(seconds * REACTION_RATE_HZ)
        enough_memory(dyads, listeners, frames)
        bank = voice_bank(voices)
        made = run(seed, dyads, frames, bank, prior=prior, precursors=not no_precursors)  # type: ignore[arg-type]
        group = listeners_of(made, seed, listeners, prior)  # type: ignore[arg-type]
        people = statistics(made.stimulus, group.coefficients)
        result.update(dyads=dyads, listeners=listeners, frames=frames, seed=seed, prior=prior)
        result.update(simulator=simulator_hash(), voices=voices_facts(bank))
        result["statistics"] = {name: values.mean() for name, values in people.items()}
        result["human"] = {name: human.text for name, human in HUMAN.items()}
        for name, values in people.items():
            tell(f"{name}: {values.mean():.3g} (people: {HUMAN[name].text})")
        if output is not None:
            _write(made, group, output)
            result["output"] = str(output)
            of_each = f", {listeners} listeners of each," if listeners > 1 else ""
            tell(f"{dyads} dyads{of_each} of {frames} frames in {output}")
        if plots is not None:
            result["plots"] = [
                str(plot_dyad(made.stimulus, group, plots / "dyad.png")),
                str(plot_distributions(people, plots)),
            ]
            tell(f"pictures in {plots}")
    return 0


def _write(made: Dyads, group: Listeners, output: Path) -> None:
    from reactdiff_ros.model.conditions import CONTROL_NAMES, STYLE_NAMES
    from reactdiff_ros.simulator.temperament import TRAIT_NAMES
    from reactdiff_ros.whole_file import write_arrays

    arrays: dict[str, Any] = {f"speaker_{f.name}": getattr(made.speaker, f.name) for f in fields(made.speaker)}
    arrays |= {f"stimulus_{f.name}": getattr(made.stimulus, f.name) for f in fields(made.stimulus)}
    of_listeners = {f.name: getattr(group, f.name) for f in fields(group)}
    of_listeners["listener"] = of_listeners.pop("coefficients")
    # One listener of each speaker is written without an axis of listeners.
    arrays |= {name: array[:, 0] if group.each == 1 else array for name, array in of_listeners.items()}
    arrays |= {"control_names": CONTROL_NAMES, "trait_names": TRAIT_NAMES, "style_names": STYLE_NAMES}
    with writing("the dyads", output):
        write_arrays(output, arrays)


@click.group()
def demo() -> None:
    """Render the bundled demo speaker."""


@demo.command()
@click.option("--output", type=FILE, required=True, help="Video file to write (.mp4).")
def render(output: Path) -> int:
    """Render the demo speaker's performance with its voice (from a checkout, with espeak-ng; two or three minutes)."""
    from reactdiff_ros.resources import require_tools

    require_tools()
    from tools.demo.render_clip import main

    main(str(output))
    tell(f"wrote {output}")
    return 0
