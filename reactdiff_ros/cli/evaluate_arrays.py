"""`reactdiff evaluate arrays`: REACT's metrics of arrays in an .npz file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reactdiff_ros.cli.output import Number, echo

if TYPE_CHECKING:
    from reactdiff_ros.evaluation.metrics.react import ReactMetrics

COMPAT = ("default", "react2024", "mars")


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--compat",
    type=click.Choice(COMPAT),
    default="default",
    show_default=True,
    help="react2024: the challenge's own code; mars: that of 2025 and 2026; default: its faults mended.",
)
@click.option("--rate-hz", type=Number(1.0, 1000.0), help="Frames a second (25; mars: 30).")
@click.option(
    "--seed", type=click.IntRange(0, 2**31 - 1), default=1234, show_default=True, help="mars: of the lists of targets."
)
@click.option("--workers", type=click.IntRange(1, 256), default=1, show_default=True, help="Threads.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def arrays(file: Path, compat: str, rate_hz: float | None, seed: int, workers: int, as_json: bool) -> int:
    """FRC, FRD, FRDiv, FRDvs, FRVar and FRSyn of the arrays in FILE (.npz).

    It holds prediction (N, K, T, 25), listener (M, T, 25), speaker (N, T, 25) and neighbour (N, M), which is 1 where a
    reaction of `listener` is appropriate for a speaker. FRC and FRD are sums over the K predictions. For mars, clips
    may be padded: frames (N,) and listener_frames (M,) say how long each is.
    """
    from time import perf_counter

    from reactdiff_ros.cli.output import dumps, json_on_stdout
    from reactdiff_ros.cli.progress import progress_bar
    from reactdiff_ros.errors import ReactdiffError
    from reactdiff_ros.evaluation.metrics.mars import load_arrays

    with json_on_stdout(as_json) as result:
        data = load_arrays(file)
        with progress_bar("metrics") as show:
            common: dict[str, Any] = {"workers": workers, "timer": perf_counter, "told": show}
            try:
                made = _mars(data, rate_hz, seed, common) if compat == "mars" else _react(data, compat, rate_hz, common)
            except ReactdiffError as error:
                raise ReactdiffError(error.what, where=f"{file}: {error.where}", todo=error.todo) from error
        result.update(made.as_dict())
    if not as_json:
        echo(dumps(result, indent=2))
    return 0


def _react(data: dict[str, Any], compat: Any, rate_hz: float | None, common: dict[str, Any]) -> ReactMetrics:
    from reactdiff_ros.evaluation.metrics.mars import NAMES
    from reactdiff_ros.evaluation.metrics.react import REFERENCE_RATE_HZ, evaluate_reactions

    four = [data[name] for name in NAMES]
    return evaluate_reactions(*four, compat=compat, rate_hz=rate_hz or REFERENCE_RATE_HZ, **common)


def _mars(data: dict[str, Any], rate_hz: float | None, seed: int, common: dict[str, Any]) -> ReactMetrics:
    from dataclasses import replace

    from reactdiff_ros.evaluation.metrics.mars import RATE_HZ, evaluate_mars, lists_of_matrix, unpadded
    from reactdiff_ros.evaluation.metrics.react import check_axes, check_neighbours

    check_axes(data["prediction"], data["listener"], data["speaker"])
    check_neighbours(data["neighbour"], len(data["prediction"]), len(data["listener"]))
    frames, of_listeners = data.get("frames"), data.get("listener_frames")
    predictions = unpadded(data["prediction"], frames, "frames", 1)
    speakers = unpadded(data["speaker"], frames, "frames", 0)
    listeners = unpadded(data["listener"], of_listeners, "listener_frames", 0)
    lists = lists_of_matrix(data["neighbour"], count=data["prediction"].shape[1], seed=seed)
    targets = [[listeners[j] for j in chosen] for chosen in lists]
    made = evaluate_mars(predictions, targets, speakers, rate_hz=rate_hz or RATE_HZ, **common)
    return replace(made, settings={**made.settings, "seed": seed})
