"""`reactdiff doctor`: one line for everything that the listener needs, and what to do where it is missing."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import Final

import click

from reactdiff_ros.cli.output import echo
from reactdiff_ros.launching.doctor import CHECKS, machine
from reactdiff_ros.launching.doctor.software import ERROR, NOTE, OK, Finding, findings

_SIGN: Final = {OK: "ok   ", NOTE: "note ", ERROR: "ERROR"}


@click.command()
@click.option("--peer", "peers", multiple=True, metavar="HOST", help="Another machine: how far its clock is off (NTP).")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def doctor(peers: tuple[str, ...], as_json: bool) -> int:
    """Check the setup and print how to fix each problem.

    Checks ROS, packages, DDS, shared memory, clock, settings, devices and their permissions, the robot, weights, GPU,
    the page's port and disks. Exits with 1 if a check fails.
    """
    from reactdiff_ros.cli.output import json_on_stdout

    worst = False
    with json_on_stdout(as_json) as result:
        found = result["findings"] = []
        for check in (*CHECKS, *(partial(machine.check_clock_of, host) for host in peers)):
            for finding in findings(check):
                found.append(asdict(finding))
                worst |= finding.level == ERROR
                echo(_line(finding), err=as_json)
        result["ok"] = not worst
    return int(worst)


def _line(finding: Finding) -> str:
    todo = f" -> {finding.todo}" if finding.todo else ""
    return f"{_SIGN[finding.level]} {finding.check:<11} {finding.sentence}{todo}"
