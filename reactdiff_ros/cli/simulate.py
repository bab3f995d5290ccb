"""`reactdiff dev simulate`: simulated dyads, their statistics and plots; `reactdiff dev demo`: the demo speaker.

People's figures are those of config/report/human_bands.yaml.
"""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from reactdiff_ros.cli import common
from reactdiff_ros.cli.common import Number, Output, log
from reactdiff_ros.errors import ReactdiffError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from reactdiff_ros.evaluation.metrics.bands import Band
    from reactdiff_ros.simulator.dyads import Dyads
    from reactdiff_ros.simulator.stimulus import Stimulus
    from reactdiff_ros.simulator.temperament import Prior
    from reactdiff_ros.types import FloatArray

_PERSON, _NOISE = 30, 31
SPEAKER_BYTES: Final = 2400
"""Peak memory of a frame of a speaker with its first listener (measured)."""
LISTENER_BYTES: Final = 260
"""Memory of a frame of each further listener."""
SHOWN_S, SHOWN_LISTENERS = 60.0, 4
AWAY_DEG: Final = 6.5
"""Eyes turned by more than this look away; fixations on a face spread by 2.9 x 2.0 degrees."""


@click.command()
@common.SEED
@click.option("--dyads", type=click.IntRange(1, 10000), default=16, help="Number of dyads.")
@click.option("--listeners", type=click.IntRange(1, 100), default=1, help="Listeners per speaker.")
@click.option("--seconds", type=Number(1.0, 3600.0), default=60.0, help="Length of each dyad, s.")
@click.option(
    "--prior", type=common.Choice(["natural", "wide"]), default="natural",
    help="natural: listeners that respond as people do; wide: half of them with controls over the whole range.",
)  # fmt: skip
@click.option("--no-precursors", is_flag=True, help="Omit the signals before speakers' smiles, turns and cues.")
@common.EMOTIONS
@common.VOICES
@click.option("--output", type=common.FILE, help="File of the arrays (.npz).")
@click.option("--plots", type=common.FOLDER, help="Folder of the plots: a dyad, distributions.")
@common.reporting
def simulate(
    result: Output, seed: int, dyads: int, listeners: int, seconds: float, prior: Prior, no_precursors: bool,
    emotions: float, voices: Path | None, output: Path | None, plots: Path | None,
) -> None:  # fmt: skip
    """Simulate speakers and listeners; print statistics next to people's.

    Arrays in the file: `speaker_NAME` (dyads, frames, ...) as perception would see the speaker, `stimulus_NAME`
    (dyads, frames) the true state of the speaker, `listener` (dyads, frames, 58), `controls` (dyads, 6), `traits`
    (dyads, 24), `style` and `style_given` (dyads, 8), and the names of the columns: `control_names`, `trait_names`,
    `style_names`. With several listeners, the arrays of listeners have a second axis: `listener` (dyads, listeners,
    frames, 58); the first listener does not depend on their number.
    """
    from reactdiff_ros.evaluation.listeners import voices_facts
    from reactdiff_ros.evaluation.metrics.bands import load_bands
    from reactdiff_ros.resources import require
    from reactdiff_ros.simulator.dyads import simulate as run
    from reactdiff_ros.simulator.dyads import simulator_hash
    from reactdiff_ros.types import REACTION_RATE_HZ

    if plots is not None:
        require("matplotlib")
    if output is not None:
        common.check_writable("the dyads", output)
    frames = round(seconds * REACTION_RATE_HZ)
    enough_memory(dyads, listeners, frames)
    bank = common.voice_bank(voices)
    simulated = run(seed, dyads, frames, bank, prior=prior, precursors=not no_precursors, emotions=emotions)
    group = listeners_of(simulated, seed, listeners, prior)
    people = statistics(simulated.stimulus, group["listener"])
    result.update(dyads=dyads, listeners=listeners, frames=frames, seed=seed, prior=prior, emotions=emotions)
    result.update(simulator=simulator_hash(), voices=voices_facts(bank))
    result["statistics"] = {name: values.mean() for name, values in people.items()}
    bands = load_bands()
    result["human"] = {name: asdict(bands[name]) for name in people}
    for name, values in people.items():
        log(f"{name}: {values.mean():.3g} (people: {bands[name].low:g} to {bands[name].high:g}, {bands[name].band})")
    if output is not None:
        _write(simulated, group, output)
        result["output"] = str(output)
        of_each = f", {listeners} listeners of each," if listeners > 1 else ""
        log(f"{dyads} dyads{of_each} of {frames} frames in {output}")
    if plots is not None:
        dyad = plot_dyad(simulated.stimulus, group, plots / "dyad.png")
        result["plots"] = [str(dyad), str(plot_distributions(people, bands, plots))]
        log(f"pictures in {plots}")


def _write(simulated: Dyads, group: dict[str, FloatArray], output: Path) -> None:
    from reactdiff_ros.model.diffusion.conditions import CONTROL_NAMES, STYLE_NAMES
    from reactdiff_ros.simulator.temperament import TRAIT_NAMES
    from reactdiff_ros.whole_file import write_arrays

    arrays: dict[str, Any] = {
        f"speaker_{f.name}": getattr(simulated.speaker, f.name) for f in fields(simulated.speaker)
    }
    arrays |= {f"stimulus_{f.name}": getattr(simulated.stimulus, f.name) for f in fields(simulated.stimulus)}
    # One listener of each speaker is written without an axis of listeners.
    arrays |= {name: array[:, 0] if array.shape[1] == 1 else array for name, array in group.items()}
    arrays |= {"control_names": CONTROL_NAMES, "trait_names": TRAIT_NAMES, "style_names": STYLE_NAMES}
    with common.writing("the dyads", output):
        write_arrays(output, arrays)


def enough_memory(dyads: int, listeners: int, frames: int) -> None:
    """Raise ReactdiffError if the dyads do not fit into free memory."""
    import psutil

    needed = dyads * frames * (SPEAKER_BYTES + LISTENER_BYTES * (listeners - 1))
    free = psutil.virtual_memory().available
    if needed > free:
        what = f"these dyads need {needed / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are free"
        where, todo = f"{dyads} dyads, {listeners} listeners of each, {frames} frames", "simulate fewer or shorter ones"
        raise ReactdiffError(what, where=where, todo=f"{todo}, and the rest with another --seed")


def listeners_of(dyads: Dyads, seed: int, each: int, prior: Prior) -> dict[str, FloatArray]:
    """`each` listeners of every speaker: the first is its own, the others are drawn from the same prior. How many there
    are changes none of them.

    Returns:
        Arrays of B speakers with M listeners over T frames: listener (B, M, T, 58), controls (B, M, 6), traits
        (B, M, 24), style and style_given (B, M, 8).
    """
    import numpy as np

    from reactdiff_ros.simulator.dyads import styles
    from reactdiff_ros.simulator.listener import listen
    from reactdiff_ros.simulator.temperament import draw_temperaments

    names = ("listener", "controls", "traits", "style", "style_given")
    found = []
    for number in range(each):
        who, shown = dyads.temperament, dyads.listener
        if number:
            who = draw_temperaments(np.random.SeedSequence([seed, _PERSON, number]), len(shown), prior=prior)
            shown = listen(dyads.stimulus, who, np.random.SeedSequence([seed, _NOISE, number])).coefficients
        found.append((shown, who.controls, who.traits, *styles(dyads.stimulus, who, seed + number)))
    return {name: np.stack(arrays, axis=1) for name, arrays in zip(names, zip(*found, strict=True), strict=True)}


def statistics(stimulus: Stimulus, faces: FloatArray) -> dict[str, NDArray[Any]]:
    """Statistics of the listeners (B, M, T, 58) of B speakers, M of each, one value a listener. Named as the bands.

    Of the worlds in which the speaker is seen most of the time, or of all if there is none; sizes of nods of those who
    nod.
    """
    import numpy as np

    rows = np.flatnonzero(stimulus.seen.mean(1) > 0.5)
    rows = rows if len(rows) else np.arange(len(faces))
    smile = stimulus.smile[rows]
    each = [_statistics(smile, faces[rows, number]) for number in range(faces.shape[1])]
    return {name: np.concatenate([values[name] for values in each]) for name in each[0]}


def _statistics(speakers: FloatArray, face: NDArray[Any]) -> dict[str, NDArray[Any]]:
    import numpy as np

    from reactdiff_ros.coefficients import HEAD_PITCH, INDEX
    from reactdiff_ros.evaluation.metrics.coupling import cross_coupling, marginals
    from reactdiff_ros.evaluation.metrics.events import blinks, brow_raises, laughs, nods, smile_curve, smiles
    from reactdiff_ros.simulator.movements import FULL_DEG

    smile = smile_curve(face)
    nodded = nods(face[..., HEAD_PITCH])
    sideways = np.maximum(face[..., INDEX["eyeLookOutLeft"]], face[..., INDEX["eyeLookInLeft"]])
    upright = np.maximum(face[..., INDEX["eyeLookDownLeft"]], face[..., INDEX["eyeLookUpLeft"]])
    away = (sideways * FULL_DEG > AWAY_DEG) | (upright * FULL_DEG > AWAY_DEG)
    size = np.bincount(nodded.row, nodded.size, len(face)) / np.maximum(np.bincount(nodded.row, None, len(face)), 1)
    nodders = size[size > 0] if (size > 0).any() else size
    return {
        "smiles_per_minute": smiles(smile).per_minute(),
        "smile_share": smiles(smile).share(),
        "smile_length_s": np.exp(marginals(3.5 * smile)[:, 1]),
        "smile_coupling": np.diag(cross_coupling(speakers, smile)).copy(),
        "nods_per_minute": nodded.per_minute(),
        "nod_size_deg": np.degrees(nodders),
        "brow_raises_per_minute": brow_raises(face).per_minute(),
        "laughs_per_minute": laughs(face).per_minute(),
        "blinks_per_minute": blinks(face).per_minute(),
        "gaze_share": 1.0 - away.mean(1),
    }


def plot_dyad(stimulus: Stimulus, listeners: dict[str, FloatArray], path: Path) -> Path:
    """The dyad in which most is spoken and smiled, its first minute: the speaker above, its listeners (four at most)
    below, with their controls.
    """
    import numpy as np

    from reactdiff_ros.evaluation.plots import new_figure, save_figure
    from reactdiff_ros.model.diffusion.conditions import CONTROL_NAMES
    from reactdiff_ros.model.diffusion.tokens import FRAME_S

    best = int(np.argmax(stimulus.speech.mean(1) + 2 * stimulus.smile.std(1)))
    frames = min(round(SHOWN_S / FRAME_S), stimulus.speech.shape[1])
    time = np.arange(frames) * FRAME_S
    known = ("speech", "phrase_end", "cue", "smile", "brighten", "laugh", "brow_up", "doubt", "sad", "contact")
    panels = [("true state of the speaker", {name: getattr(stimulus, name)[best, :frames] for name in known})]
    each = listeners["listener"].shape[1]
    for number in range(min(each, SHOWN_LISTENERS)):
        controls = zip(CONTROL_NAMES, listeners["controls"][best, number], strict=True)
        who = ", ".join(f"{name} {value:+.2f}" for name, value in controls if name != "delay")
        title = f"listener {number + 1} of {each}: {who}" if each > 1 else "listener"
        panels.append((title, _curves(listeners["listener"][best, number, :frames])))
    figure = new_figure(12, 4.25 * len(panels))
    axes = figure.subplots(len(panels), 1, sharex=True)
    for axis, (title, rows) in zip(axes, panels, strict=True):
        for place, values in enumerate(rows.values()):
            axis.plot(time, -place + 0.85 * values, linewidth=1)
            axis.axhline(-place, color="grey", linewidth=0.3)
        axis.set_yticks(-np.arange(len(rows)), list(rows))
        axis.set_title(title)
    axes[-1].set_xlabel("time, s")
    return save_figure(figure, path)


def _curves(face: FloatArray) -> dict[str, FloatArray]:
    from reactdiff_ros.coefficients import HEAD_PITCH, INDEX

    left = ("mouthSmileLeft", "cheekSquintLeft", "jawOpen", "browInnerUp", "browDownLeft", "eyeBlinkLeft")
    return {name.removesuffix("Left"): face[:, INDEX[name]] for name in left} | {
        "eyes aside": face[:, INDEX["eyeLookOutLeft"]] + face[:, INDEX["eyeLookInLeft"]],
        "head pitch / 0.3 rad": face[:, HEAD_PITCH] / 0.3, "head yaw / 0.3 rad": face[:, HEAD_PITCH + 1] / 0.3,
    }  # fmt: skip


def plot_distributions(people: dict[str, NDArray[Any]], bands: dict[str, Band], folder: Path) -> Path:
    """A histogram over listeners for each statistic, with the human range shaded."""
    from reactdiff_ros.evaluation.plots import new_figure, save_figure

    figure = new_figure(13, 7.5)
    axes = figure.subplots(-(-len(people) // 4), 4).reshape(-1)
    for axis, (name, values) in zip(axes, people.items(), strict=False):
        axis.axvspan(bands[name].low, bands[name].high, alpha=0.2, label="people")
        axis.hist(values, bins=15, alpha=0.8, label="simulated")
        axis.axvline(float(values.mean()), color="black", linewidth=1)
        axis.set(xlabel=name, ylabel="listeners")
    for axis in axes[len(people) :]:
        axis.axis("off")
    axes[0].legend()
    return save_figure(figure, folder / "distributions.png")


@click.group(cls=common.Group, checkout=("render",))
def demo() -> None:
    """Render the bundled demo speaker."""
