"""Commands of `reactdiff` that only a checkout has: faults and long runs, figures and pages of the documentation, the
demo speaker. `reactdiff_ros.cli.main` adds them; an installation says where to run them.

As in `reactdiff_ros.cli`, what is not light is imported where it is used.
"""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import click

from reactdiff_ros.cli import common
from reactdiff_ros.cli.bench import (
    CLIP,
    POLICY,
    bench,
    looped_graph,
    measure_live,
    measure_model,
    played_clip,
    runs_option,
    seconds_option,
)
from reactdiff_ros.cli.common import EXIT_DONE, EXIT_ERROR, Number, Output, StopFlag, dumps, log, progress_bar
from reactdiff_ros.cli.docs import OUTPUT, docs, write_page
from reactdiff_ros.cli.simulate import demo
from reactdiff_ros.errors import MediaError, explained
from reactdiff_ros.resources import require
from reactdiff_ros.settings import POLICIES


@bench.command()
@CLIP
@click.option("--only", metavar="NAME", multiple=True, help="Inject this fault only, repeatable (all).")
@click.option("--short", is_flag=True, help="The few faults that check a change.")
@click.option("--list", "as_list", is_flag=True, help="List the faults and exit.")
@click.option(
    "--robot", default="", metavar="NAME",
    help="Profile whose servos are emulated and watched too; bus_head: a head for faults of servos on a bus.",
)  # fmt: skip
@POLICY
@click.option(
    "--output", type=common.FILE,
    help="File for the figures (JSON), written after every fault; its figures of other faults are kept.",
)  # fmt: skip
@click.option("--resume", is_flag=True, help="Skip the faults that are already in --output.")
@common.JSON
def faults(
    clip: Path | None, only: tuple[str, ...], short: bool, as_list: bool, robot: str, policy: str | None,
    output: Path | None, resume: bool, as_json: bool,
) -> int:  # fmt: skip
    """Inject faults into the real graph one by one and measure how the face responds.

    Runs on a clip from a checkout of the repository, in a free ROS domain, or in ROS_DOMAIN_ID if it is set. Exit code
    1 when a bound is not held. All faults take about twenty minutes; nothing else should run on the machine meanwhile.
    Faults that need root are skipped without it, with the reason.
    """
    from tools.faults import catalogue

    with common.usage_errors():
        wanted = catalogue.chosen(only, short=short, robot="bus_head" if as_list else robot)
    if as_list:
        for fault in wanted:
            common.echo(f"{fault.name:22} {fault.what}")
        return EXIT_DONE
    if resume and output is None:
        raise click.UsageError("--resume needs --output: the file whose faults are skipped")
    before = catalogue.kept(output)
    if resume:
        known = {row["fault"] for row in before}
        wanted = tuple(fault for fault in wanted if fault.name not in known)
    played = played_clip(clip)
    graph = looped_graph(played, {"policy": policy}, own_domain=False)
    from tools.faults import run  # not before: the list of faults needs no ROS

    stop, rows = StopFlag(), list[dict[str, Any]]()

    def save(row: dict[str, Any]) -> None:
        rows.append(row)
        if output is not None:
            figures = catalogue.summary(before, rows, clip=played.name)
            common.write_text("the figures", output, dumps(figures, indent=2) + "\n")
        show(len(rows) / len(wanted))

    if output is not None:
        common.check_writable("the figures", output)
    with common.json_on_stdout(as_json, as_table=True) as result:
        with progress_bar("faults") as show:
            done = run.run_faults(graph, robot, wanted, log, save, lambda: stop.set)
        result.update(catalogue.summary(before, rows, clip=played.name), left_out=done["left_out"])
    return EXIT_DONE if done["within_bounds"] else EXIT_ERROR


@bench.command()
@click.argument("clips", nargs=-1, type=common.PATH)
@click.option("--part", type=common.Choice(["stream", "graph"]), multiple=True, help="Only this run (both, in turn).")
@click.option("--stream-hours", type=Number(0.01, 10000.0), default=8.0, help="Stream through the session.")
@click.option("--graph-hours", type=Number(0.01, 10000.0), default=1.0, help="Real time through the graph.")
@click.option("--short", is_flag=True, help="Half a minute each, recorded every two seconds, to check a change.")
@click.option("--robot", default="", metavar="NAME", help="Profile whose servos are emulated and follow, in the graph.")
@POLICY
@click.option("--seed", type=click.IntRange(0), default=0, help="Seed of all noise, and of the visits.")
@click.option("--folder", type=common.FOLDER, default=Path("runs/soak"),
              help="Journal folder. An existing journal is resumed.")  # fmt: skip
@click.option("--output", type=common.FILE, help="File for the figures (JSON).")
@click.option("--judge", "judge_only", is_flag=True, help="Run nothing: figures of the existing journals.")
@common.reporting
def soak(
    result: Output, clips: tuple[Path, ...], part: tuple[str, ...], stream_hours: float, graph_hours: float,
    short: bool, robot: str, policy: str | None, seed: int, folder: Path, output: Path | None, judge_only: bool,
) -> int:  # fmt: skip
    """Let the listener run for hours and look for leaks, drifts and slowing.

    Runs from a checkout of the repository. First hours of stream through the session in one process, as fast as
    possible: the people of CLIPS (the demo speaker) come one after another in shuffled order, with absences. Then real
    time through the graph, on the first clip in a loop. Every minute is recorded at once: a run that was killed is
    resumed when it is started again, in a new leg. Exit code 1 when a bound is not held or a run is not complete.
    """
    from tools.soak.figures import soak_figures
    from tools.soak.journal import LongRun
    from tools.soak.stream import open_clips, run_stream

    if output is not None:
        common.check_writable("the figures", output)
    seconds = {"stream": 30.0, "graph": 30.0} if short else {"stream": 3600 * stream_hours, "graph": 3600 * graph_hours}
    opened = [] if judge_only else open_clips(clips or (played_clip(None),))
    stop = StopFlag()
    for name in () if judge_only else part or tuple(seconds):
        if stop.set:
            break
        with progress_bar(name) as show:
            run = LongRun(
                folder / f"{name}.jsonl", seconds[name], 2.0 if short else 60.0, progress=show, log=log,
                stopped=lambda: stop.set,
            )  # fmt: skip
            if name == "stream":
                run_stream(opened, {"seed": seed, **({"policy": policy} if policy else {})}, run)
            else:
                from tools.soak.graph import run_graph

                graph = looped_graph(opened[0].path, {"policy": policy}, {"seed": seed}, own_domain=False)
                run_graph(graph, robot, run)
    result.update(soak_figures(folder, seconds, seed))
    if not result["parts"]:
        raise MediaError("there is no journal of a long run", where=str(folder), todo="run it without --judge")
    if output is not None:
        common.write_text("the figures", output, dumps(result, indent=1) + "\n")
    for row in result["bounds"]:
        held = {True: "held", False: "NOT HELD", None: "not measured"}[row["holds"]]
        value = "" if row["value"] is None else f"{row['value']:.4g}"
        result.say(f"{row['part']:7} {row['name']:58} {row['bound']:16} {value:>10} {held} {row['of']}")
    return EXIT_ERROR if any(row["holds"] is False for row in result["bounds"]) else EXIT_DONE


@bench.command()
@click.option("--speakers", type=click.IntRange(1, 64), default=2, help="Speakers of the set.")
@click.option("--targets", type=click.IntRange(1, 256), default=10, help="Targets of a speaker.")
@click.option("--frames", type=click.IntRange(60, 10_000), default=750, help="Frames of a clip.")
@click.option("--repeats", type=click.IntRange(1, 100), default=3, help="Timed runs of ours.")
@common.SEED
@common.figures
def metrics(speakers: int, targets: int, frames: int, repeats: int, seed: int) -> dict[str, Any]:
    """Time FRD, FRC and FRSyn against the challenge's algorithm (tslearn).

    Times are CPU seconds of this run, on one core. Runs from a checkout of the repository.
    """
    require("tslearn")
    from tools.speed.metrics import bench_metrics

    sizes: Any = {"speakers": speakers, "targets": targets, "frames": frames, "repeats": repeats}
    with progress_bar("timing") as show:
        return bench_metrics(process_time, seed=seed, progress=show, **sizes)


@bench.command()
@CLIP
@seconds_option(3.0, 600.0, 20.0, "Seconds of the clip to use.")
@click.option("--output", type=common.FILE, metavar="FILE",
              help="Page to write, with its picture in images/ next to it.")  # fmt: skip
@click.option(
    "--cpu", is_flag=True,
    help="Measure processor time of all threads, including the decoding of the clip: while other programs run.",
)  # fmt: skip
@common.reporting
def profile(result: Output, clip: Path | None, seconds: float, output: Path | None, cpu: bool) -> None:
    """Profile perception, encoder and plans on a clip.

    Times are reported by stage, and by function of the listener. Samples come from pyinstrument
    (requirements/test.txt). Nothing else should run on the machine meanwhile. Runs from a checkout of the repository.
    """
    from reactdiff_ros.recordings.replay.parameters import settings_as_live
    from tools.pages import render as render_page
    from tools.speed.profile import plot_profile, profile_clip

    if output is not None:
        common.check_writable("the page", output)
    settings, _ = settings_as_live({})
    with progress_bar("profiling") as show:
        timer = process_time if cpu else perf_counter
        figures = profile_clip(played_clip(clip), settings, timer, seconds=seconds, progress=show)
    figures["time"] = "processor" if cpu else "wall"
    if output is not None:
        plot_profile(figures, output.parent / "images" / "performance_profile.png")
        common.write_text("the page", output, render_page("performance", figures=figures))
    result.update(figures)
    if output is None:
        result.say(common.table({name: value for name, value in figures.items() if name != "slots"}))


@bench.command()
@common.MODEL
@click.option("--steps", type=click.IntRange(2, 1000), default=20, help="Steps of both.")
@click.option("--samples", type=click.IntRange(1, 64), default=10, help="Samples of the clip.")
@click.option("--repeats", type=click.IntRange(1, 99), default=3, help="Timed rounds; the median.")
@click.option("--threads", type=click.IntRange(1, 256), help="Of both; default: the cores of this process.")
@click.option("--minutes", type=Number(0.5, 60.0), default=10.0,
              help="Rounds that would exceed this time are left out.")  # fmt: skip
@click.option("--short", is_flag=True, help="Only eager_same_steps, 2 steps, one round, CPU seconds of one thread.")
@common.figures
def reference(
    model: Path | None, steps: int, samples: int, repeats: int, threads: int | None, minutes: float, short: bool
) -> dict[str, Any]:
    """Time the paper preset at its published shapes (542 M parameters) and ours.

    Both run in turn, on the same threads. ratios: the paper's seconds for a generated second over ours.
    eager_same_steps: both in torch eager; best_cpu_same_steps: each in its fastest of torch eager, torch.compile and
    ONNX Runtime; eager_default_steps: the paper's in torch eager over ours at our default steps as it ships;
    ten_samples_30s: the paper's in its fastest over ours at our default steps. Takes 9 GB of memory (--short: 3);
    nothing else should run on the machine meanwhile. Runs from a checkout of the repository.
    """
    from tools.speed.reference import EAGER, Plan

    plan = Plan(steps=steps, samples=samples, repeats=repeats, budget_s=60 * minutes)
    if short:
        plan = replace(plan, steps=2, repeats=1, runtimes=(EAGER,), ratios=("eager_same_steps",))
    return {**_measure_reference(plan, model or "", threads, short=short), "short": short}


def _measure_reference(plan: Any, folder: Path | str, threads: int | None, *, short: bool = False) -> dict[str, Any]:
    """`short`: in CPU seconds of one thread, which other processes hardly change."""
    from reactdiff_ros.model.backends.weights import find_weights
    from tools.speed.reference import bench_reference

    count = 1 if short else threads or len(os.sched_getaffinity(0))
    timer = process_time if short else perf_counter
    with progress_bar("reference") as show:
        return bench_reference(find_weights(folder), plan, timer, threads=count, progress=show, log=log)


@bench.command()
@CLIP
@seconds_option(1.0, 3600.0, 60.0, "Seconds of the clip to use.")
@runs_option(3)
@click.option("--policy", type=common.Choice(POLICIES), default="model", help="Who listens.")
@click.option("--processes", type=click.IntRange(1, 2), default=2, help="As for 'bag replay'.")
@common.figures
def replay(clip: Path | None, seconds: float, runs: int, policy: str, processes: int) -> dict[str, Any]:
    """Make a bag of a clip and time `reactdiff bag replay` on it.

    The demo speaker has 640x480 pixels and 25 pictures a second. Nothing else should run on the machine meanwhile. Runs
    from a checkout of the repository.
    """
    from tools.speed.replay import bench_replay

    how: Any = {"seconds": seconds, "runs": runs, "policy": policy, "processes": processes}
    with progress_bar("replaying") as show:
        return bench_replay(played_clip(clip), perf_counter, progress=show, **how)


_RECORDED = ("live", "model", "reference")


@bench.command()
@click.argument("clips", nargs=-1, type=common.PATH)
@click.option("--what", type=common.Choice(_RECORDED), multiple=True, default=_RECORDED,
              help="Which benches, repeatable.")  # fmt: skip
@seconds_option(1.0, 86400.0, 60.0, "Length of each live run.")
@runs_option(3, "Runs of each clip (live).")
@click.option("--repeats", type=click.IntRange(1, 100_000), default=200, help="Repetitions of 'bench model'.")
@click.option("--minutes", type=Number(0.5, 60.0), default=10.0, help="For the reference.")
@click.option("--output", type=common.FILE, required=True, help="File for the figures (JSON).")
def record(
    clips: tuple[Path, ...], what: tuple[str, ...], seconds: float, runs: int, repeats: int, minutes: float,
    output: Path,
) -> int:  # fmt: skip
    """Run the benches and write their figures to a file.

    `bench live` runs on each of CLIPS, or on the demo speaker without any. Figures of other benches, other commands
    and, of model and reference, other machines in the file are kept. The reference needs torch and is left out without
    it.
    """
    from reactdiff_ros.model.diffusion.sampler import Sampling

    figures: dict[str, Any] = {**_where(), "live": [], "model": [], "reference": [], "other": []}
    if output.exists():
        figures |= _known(output)
    common.check_writable("the figures", output)
    if "live" in what:
        entries = []
        for clip in clips or (None,):
            # Relative: a folder of this machine's user means nothing to the reader.
            option = f"--clip {os.path.relpath(clip)} " if clip else ""
            command = f"reactdiff bench live {option}--seconds {seconds:g} --runs {runs} --json"
            found = measure_live(clip, seconds, runs, {}, None, compute=True)
            name = clip.name if clip else "demo speaker"
            entries.append({"clip": name, "command": command, "runs": runs, "result": found})
        figures |= {**_where(), "live": entries}
    if "model" in what:
        result = measure_model("", Sampling(), (1, 10), 1, repeats, (), rows=True)
        _keep(figures["model"], f"reactdiff bench model --repeats {repeats} --json", result)
    if "reference" in what:
        from tools.speed.reference import Plan

        try:
            result = _measure_reference(Plan(budget_s=60 * minutes), "", None)
            _keep(figures["reference"], f"reactdiff bench reference --minutes {minutes:g} --json", result)
        except ModuleNotFoundError as error:
            log(f"the reference is left out: {error.name} is not installed (requirements/train.txt)")
    common.write_text("the figures", output, dumps(figures, indent=1) + "\n")
    return EXIT_DONE


def _known(output: Path) -> dict[str, Any]:
    """The figures in an existing file. Raises ReactdiffError if the file holds something else."""
    todo = "move it away, or give another --output"
    with explained((OSError, ValueError, TypeError), "the existing file holds no figures", where=output, todo=todo):
        known: dict[str, Any] = json.loads(output.read_text(encoding="utf-8"))
        if not {"live", "date", "commit", "hardware"} <= set(known):
            raise ValueError
    return known


def _where() -> dict[str, Any]:
    import datetime

    from reactdiff_ros.evaluation.bench.machine import commit, hardware

    today = datetime.datetime.now(datetime.timezone.utc).date()
    return {"date": today.isoformat(), "commit": commit(Path.cwd()), "hardware": hardware()}


def _keep(entries: list[dict[str, Any]], command: str, result: dict[str, Any]) -> None:
    """Add an entry, or replace the one of the same machine."""

    def machine(entry: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(entry["hardware"].get(name) for name in ("cpu", "cores", "gpu"))

    entry = {"command": command, **_where(), "result": result}
    at = next((i for i, known in enumerate(entries) if machine(known) == machine(entry)), len(entries))
    entries[at : at + 1] = [entry]


# Pages of the documentation

PAGES = ("nodes", "commands", "benchmarks", "reliability", "soak", "ablations", "evidence")
"""Pages that the site shows in place of the short ones in docs/, see `site_page`."""
_FIGURES = {
    "benchmarks": "Write the page of latency, rates and load from FIGURES of 'make bench'.",
    "reliability": "Write the page of injected faults from FIGURES of 'bench faults --output'.",
    "soak": "Write the page of long runs from FIGURES of 'bench soak --output'.",
}
_WIDTH = 110


def _figures(name: str) -> Callable[[Callable[..., int]], Callable[..., int]]:
    return click.argument("figures", type=common.FILE, default=Path("docs", f"{name}.json"))


def site_page(name: str, folder: Path, root: click.Group, *, pictures: bool = True) -> str:
    """One of PAGES from the figures in `folder` (docs/), for the site; pictures are drawn into its images/."""
    from tools import pages

    if name == "nodes":
        from reactdiff_ros.launching.table import load_table

        return pages.render("nodes", table=load_table())
    if name == "commands":
        context = click.Context(root, info_name="reactdiff", show_default=True, max_content_width=_WIDTH)
        context.terminal_width = _WIDTH
        texts = []
        for command in _leaves(root, context):
            summary = inspect.cleandoc(command.command.help or "").split("\n\n")[0]
            texts.append({"path": command.command_path, "help": command.get_help(), "summary": summary})
        return pages.render("commands", commands=texts)
    return pages.page(name, folder / f"{name}.json", folder if pictures else None)


def _leaves(command: click.Command, context: click.Context) -> Iterator[click.Context]:
    """A context for each command that is not a group, in alphabetical order."""
    if not isinstance(command, click.Group):
        yield context
        return
    for name, part in sorted(command.commands.items()):
        if not part.hidden:
            yield from _leaves(part, click.Context(part, parent=context, info_name=name))


def _write_figures(name: str, figures: Path, output: Path | None, sweeps: tuple[Path, ...] = ()) -> int:
    from tools.pages import page

    return write_page(page(name, figures, None if output is None else output.parent, sweeps), output)


for _name, _text in {
    "nodes": "Write the reference of nodes, parameters, topics and services.",
    "commands": "Write the reference of all commands.",
}.items():

    @docs.command(_name, help=_text)
    @OUTPUT
    def _write_reference(output: Path | None, name: str = _name) -> int:
        root = click.get_current_context().find_root().command
        assert isinstance(root, click.Group)
        return write_page(site_page(name, Path(), root), output)


for _name, _text in _FIGURES.items():

    @docs.command(_name, help=_text)
    @_figures(_name)
    @OUTPUT
    def _write_page(figures: Path, output: Path | None, name: str = _name) -> int:
        return _write_figures(name, figures, output)


@docs.command()
@_figures("ablations")
@click.option(
    "--sweep", "sweeps", type=common.FILE, multiple=True,
    help="Output of 'evaluate ablations --sweep --json', repeatable; sweep*.json next to FIGURES if omitted.",
)  # fmt: skip
@OUTPUT
def ablations(figures: Path, sweeps: tuple[Path, ...], output: Path | None) -> int:
    """Write the page of ablations from FIGURES of 'evaluate ablations --json'."""
    return _write_figures("ablations", figures, output, sweeps)


@docs.command()
@_figures("evidence")
@OUTPUT
@click.option("--card", type=common.FILE, help="Model card (README.md of the weights) to write as well.")
@click.option("--model", type=common.FOLDER, help="Folder of the weights. Default: that of --card.")
@click.option("--trained-on", default="", show_default=False, metavar="TEXT",
              help="Hardware, time and versions of the training.")  # fmt: skip
def evidence(figures: Path, output: Path | None, card: Path | None, model: Path | None, trained_on: str) -> int:
    """Write the page of all measured figures of a set of weights.

    FIGURES are of 'evaluate evidence'. The page also shows evidence_others.json next to FIGURES (measured with another
    --seed), and the pictures images/evidence_*.png next to the page.
    """
    from tools.pages import model_card

    if output is not None or card is None:
        _write_figures("evidence", figures, output)
    if card is not None:
        write_page(model_card(figures, model or card.parent, trained_on), card)
    return EXIT_DONE


@demo.command()
@click.option("--output", type=common.FILE, required=True, help="Video file to write (.mp4).")
def render(output: Path) -> int:
    """Render the demo speaker's performance with its voice.

    Runs from a checkout, with espeak-ng; takes two or three minutes.
    """
    from tools.demo.render_clip import main

    main(str(output))
    log(f"wrote {output}")
    return EXIT_DONE
