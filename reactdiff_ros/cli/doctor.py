"""`reactdiff doctor`: one line for each requirement of the listener, and how to fix what is missing."""

from __future__ import annotations

from functools import partial

import click

from reactdiff_ros.cli.options import JSON
from reactdiff_ros.cli.output import echo, json_on_stdout


@click.command()
@click.option("--peer", "peers", multiple=True, metavar="HOST", help="Compare the clock of HOST too (NTP); repeatable.")
@JSON
def doctor(peers: tuple[str, ...], as_json: bool) -> int:
    """Check the setup and print how to fix each problem.

    Checks ROS, packages, DDS, shared memory, clock, settings, devices and their permissions, the robot, weights, GPU,
    the page's port and disks. Exits with 1 if a check fails.
    """
    from dataclasses import asdict

    from reactdiff_ros.launching import doctor as setup

    signs = {setup.OK: "ok   ", setup.NOTE: "note ", setup.ERROR: "ERROR"}
    failed = False
    with json_on_stdout(as_json) as result:
        result["findings"] = []
        checks: list[setup.Check] = [*setup.CHECKS, *(partial(setup.check_peer, host) for host in peers)]
        for check in checks:
            for finding in setup.findings(check):
                result["findings"].append(asdict(finding))
                failed |= finding.level == setup.ERROR
                todo = f" -> {finding.todo}" if finding.todo else ""
                echo(f"{signs[finding.level]} {finding.check:<11} {finding.sentence}{todo}", err=as_json)
        result["ok"] = not failed
    return int(failed)
