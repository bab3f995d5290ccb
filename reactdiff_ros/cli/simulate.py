"""`reactdiff simulate`: dyads from the simulator as a file, their statistics beside people's, and pictures of them."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reactdiff_ros.cli.output import Number

if TYPE_CHECKING:
    from reactdiff_ros.simulator.dyads import Dyads


@click.command()
@click.option(
    "--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True, help="The same seed, the same dyads."
)
@click.option("--dyads", type=click.IntRange(1, 10000), default=16, show_default=True, help="How many.")
@click.option("--seconds", type=Number(1.0, 3600.0), default=60.0, show_default=True, help="Length of each.")
@click.option(
    "--prior",
    type=click.Choice(["natural", "wide"]),
    default="natural",
    show_default=True,
    help="Listeners that couple as people do, or half of them with controls over their whole range (training).",
)
@click.option("--no-precursors", is_flag=True, help="Leave out what announces the speakers' smiles, turns and cues.")
@click.option(
    "--voices", type=click.Path(path_type=Path, dir_okay=False), help="Voice bank; made if missing (parametric voices)."
)
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="File for the arrays (.npz).")
@click.option(
    "--plots", type=click.Path(path_type=Path, file_okay=False), help="Folder for pictures: a dyad, distributions."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def simulate(
    seed: int, dyads: int, seconds: float, prior: str, no_precursors: bool, voices: Path | None,
    output: Path | None, plots: Path | None, as_json: bool,
) -> int:  # fmt: skip
    """Simulate speakers and their listeners at 25 Hz; print the listeners' statistics beside people's.

    Arrays in the file: `speaker_NAME` (dyads, frames, ...) as perception would see the speaker, `stimulus_NAME`
    (dyads, frames) what can truly be known of the speaker, `listener` (dyads, frames, 58), `activity` (dyads, frames),
    `controls` (dyads, 6), `style` and `style_given` (dyads, 8).
    """
    from reactdiff_ros.cli.output import json_on_stdout, tell
    from reactdiff_ros.cli.simulate_plots import plot_distributions, plot_dyad
    from reactdiff_ros.cli.simulate_statistics import HUMAN, statistics
    from reactdiff_ros.cli.voices import voice_bank
    from reactdiff_ros.evaluation.studies.provenance import voices_told
    from reactdiff_ros.simulator.dyads import simulate as run
    from reactdiff_ros.simulator.dyads import simulator_hash
    from reactdiff_ros.types import REACTION_RATE_HZ

    with json_on_stdout(as_json) as result:
        frames = round(seconds * REACTION_RATE_HZ)
        bank = voice_bank(voices)
        made = run(seed, dyads, frames, bank, prior=prior, precursors=not no_precursors)  # type: ignore[arg-type]
        people = statistics(made)
        result.update(dyads=dyads, frames=frames, seed=seed, prior=prior)
        result.update(simulator=simulator_hash(), voices=voices_told(bank))
        result["statistics"] = {name: values.mean() for name, values in people.items()}
        result["human"] = {name: human.text for name, human in HUMAN.items()}
        for name, values in people.items():
            tell(f"{name}: {values.mean():.3g} (people: {HUMAN[name].text})")
        if output is not None:
            _write(made, output)
            result["output"] = str(output)
            tell(f"{dyads} dyads of {frames} frames in {output}")
        if plots is not None:
            result["plots"] = [str(plot_dyad(made, plots / "dyad.png")), str(plot_distributions(people, plots))]
            tell(f"pictures in {plots}")
    return 0


def _write(made: Dyads, output: Path) -> None:
    from reactdiff_ros.cli.output import writing
    from reactdiff_ros.whole_file import write_arrays

    arrays: dict[str, Any] = {f"speaker_{f.name}": getattr(made.speaker, f.name) for f in fields(made.speaker)}
    arrays |= {f"stimulus_{f.name}": getattr(made.stimulus, f.name) for f in fields(made.stimulus)}
    arrays |= {name: getattr(made, name) for name in ("listener", "activity", "controls", "style", "style_given")}
    with writing("the dyads", output):
        write_arrays(output, arrays)
