"""`reactdiff bench actuator`: how evenly a robot is commanded, and how soon after its face."""

from __future__ import annotations

from pathlib import Path

import click

from reactdiff_ros.cli.output import Number, echo


@click.command("actuator")
@click.option("--robot", default="generic_12servo", show_default=True, metavar="NAME", help="Profile, with servos.")
@click.option("--clip", type=click.Path(path_type=Path), help="Media file to play as if live (the demo speaker).")
@click.option("--seconds", type=Number(1.0, 86400.0), default=30.0, show_default=True, help="Counted time.")
@click.option("--policy", metavar="NAME", help="Who decides the reactions: model, rules, mime, random or idle.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def actuator_times(robot: str, clip: Path | None, seconds: float, policy: str | None, as_json: bool) -> int:
    """Run the real graph, page and model included, on a clip, with ROBOT's servos emulated in a process of their own.

    Told are 99th percentiles: of commands after they were due (jitter), and from the expression's stamp to the end of
    the command that follows it first (latency). 5 ms and 15 ms are asked for at 50 Hz.
    """
    import tempfile

    import yaml

    from reactdiff_ros.actuation.calibration import save_calibration
    from reactdiff_ros.actuation.profile import load_profile
    from reactdiff_ros.cli.listen import StopFlag
    from reactdiff_ros.cli.output import EXIT_DONE, EXIT_ERROR, dumps, json_on_stdout, tell
    from reactdiff_ros.errors import MediaError
    from reactdiff_ros.evaluation.bench.actuator import ActuatorRun, bench_actuator
    from reactdiff_ros.evaluation.bench.emulated import EmulatedRobot
    from reactdiff_ros.launching.live_graph import LiveOptions
    from reactdiff_ros.simulator.rendered import demo_clip_path

    with json_on_stdout(as_json) as result:
        played = clip or demo_clip_path()
        if not played.is_file():
            raise MediaError("there is no such clip", where=str(played), todo="name a media file")
        stop = StopFlag()
        with tempfile.TemporaryDirectory(prefix="reactdiff-bench-") as made:
            folder = Path(made)
            with EmulatedRobot(load_profile(robot), folder) as emulated:
                path = folder / "robot.yaml"
                path.write_text(yaml.safe_dump(emulated.profile.model_dump(mode="json"), sort_keys=False))
                save_calibration(folder / "calibration.json", emulated.calibrations)
                arguments = {"clip": str(played.absolute()), "robot": str(path)}
                arguments |= {} if policy is None else {"policy": policy}
                parameters: dict[str, bool | int | float | str] = {
                    "loop": True,
                    "calibration": str(folder / "calibration.json"),
                    "state_dir": made,
                    "lock_dir": made,
                }
                run = ActuatorRun(LiveOptions(arguments=arguments, parameters=parameters), emulated, seconds)
                result.update(bench_actuator(run, folder / "graph", tell, lambda: stop.set))
    if not as_json:
        echo(dumps(result, indent=2))
    return EXIT_DONE if result["held"] else EXIT_ERROR
