"""`reactdiff bench profile`: where the time of every 40 ms goes, as a page and a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from reactdiff_ros.cli.output import Number, echo

PICTURE = "images/performance_profile.png"


@click.command("profile")
@click.option("--clip", type=click.Path(path_type=Path), help="Media file (the demo speaker).")
@click.option("--seconds", type=Number(3.0, 600.0), default=20.0, show_default=True, help="Of the clip.")
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Page to write, with its picture in images/ beside it.",
)  # fmt: skip
@click.option(
    "--cpu", is_flag=True,
    help="Count processor time of all threads, decoding of the clip with it: while other programs run.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def profile_times(clip: Path | None, seconds: float, output: Path | None, cpu: bool, as_json: bool) -> int:
    """Profile perception, encoder and plans on a clip: by stage, and by function of the listener.

    Samples come from pyinstrument (requirements/test.txt). Nothing else should run on the machine meanwhile.
    """
    from time import perf_counter, process_time

    from reactdiff_ros.cli.output import dumps, json_on_stdout, tell, writing
    from reactdiff_ros.cli.progress import progress_bar
    from reactdiff_ros.evaluation.bench.profile import plot_profile, profile_clip
    from reactdiff_ros.recordings.replay.parameters import settings_as_live
    from reactdiff_ros.simulator.rendered import demo_clip_path
    from reactdiff_ros.whole_file import write_whole

    with json_on_stdout(as_json) as result:
        settings, _ = settings_as_live({})
        with progress_bar("profiling") as show:
            timer = process_time if cpu else perf_counter
            figures = profile_clip(clip or demo_clip_path(), settings, timer, seconds=seconds, told=show)
        figures["time"] = "processor" if cpu else "wall"
        if output is not None:
            plot_profile(figures, output.parent / PICTURE)
            with writing("the page", output):
                write_whole(output, profile_page(figures))
            tell(f"wrote {output}")
        result.update(figures)
    if not as_json and output is None:
        echo(dumps({k: v for k, v in figures.items() if k != "slots"}, indent=2))
    return 0


def profile_page(figures: dict[str, Any]) -> str:
    """The page of these figures."""
    summary, machine = figures["summary"], figures["hardware"]

    processor = figures["time"] == "processor"
    option = " --cpu" if processor else ""
    kind = "processor time of all threads, with decoding of the clip" if processor else "time by the clock"

    def row(name: str, what: str) -> str:
        pair = summary[name]
        return f"| {what} | {pair['p50']:g} | {pair['p99']:g} |" if pair else f"| {what} | | |"

    lines = [
        "# Where the time goes",
        "",
        f"Made by `reactdiff bench profile{option} --output docs/performance.md`.",
        "How plans are kept in time is told in [many_listeners.md](many_listeners.md).",
        "",
        f"Measured on {machine['cpu']}, {machine['cores']} cores, with {figures['backend']}, on {figures['clip']}"
        f" ({figures['seconds']:g} s),",
        f"in one process as fast as it goes: {kind}.",
        "",
        "![Milliseconds of each stage in every 40 ms](images/performance_profile.png)",
        "",
        "| In every 40 ms of live time | p50, ms | p99, ms |",
        "| --- | ---: | ---: |",
        row("perception_ms", "perception: the picture and the sound"),
        row("encoder_ms", "encoder: the listener takes in a frame"),
        row("plan_ms", "a whole plan, about every fourth slot"),
        row("compute_ms", "all, plans spread over the slots until the next one"),
        row("burst_ms", "all, each plan in its own slot"),
        "",
        f"Of {summary['slots']} slots {summary['over_40_ms']} took more than 40 ms in all."
        " Live, perception is a process and plans are a thread of their own.",
        "",
        "## The listener, by function",
        "",
        "Share of the listener's time (frames and plans, without perception) spent in a function itself, or in a",
        "library that it called, from samples of the stack.",
        "",
        "| Function | Where | In | Share |",
        "| --- | --- | --- | ---: |",
        *(
            f"| `{f['function']}` | `{f['where']}` | {f['in']} | {100 * f['share']:.1f} % |"
            for f in figures["functions"]
        ),
    ]
    return "\n".join(lines) + "\n"
