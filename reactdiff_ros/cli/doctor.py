"""`reactdiff doctor`: one line for everything that the listener needs, and what to do where it is missing."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import Final

import click

from reactdiff_ros.cli.output import echo
from reactdiff_ros.launching.doctor import clock as doctor_clock
from reactdiff_ros.launching.doctor import dds as doctor_dds
from reactdiff_ros.launching.doctor import devices as doctor_devices
from reactdiff_ros.launching.doctor import files as doctor_files
from reactdiff_ros.launching.doctor import software as doctor_software
from reactdiff_ros.launching.doctor.finding import ERROR, NOTE, OK, Check, Finding, findings

_SIGN: Final = {OK: "ok   ", NOTE: "note ", ERROR: "ERROR"}
CHECKS: tuple[Check, ...] = (
    doctor_software.check_python,
    doctor_software.check_packages,
    doctor_software.check_ros,
    doctor_dds.check_dds,
    doctor_dds.check_multicast,
    doctor_dds.check_shared_memory,
    doctor_clock.check_clock,
    doctor_files.check_settings,
    doctor_files.check_styles,
    doctor_devices.check_groups,
    doctor_devices.check_camera,
    doctor_devices.check_microphone,
    doctor_devices.check_serial,
    doctor_devices.check_robot,
    doctor_files.check_calibrations,
    doctor_software.check_weights,
    doctor_software.check_gpu,
    doctor_files.check_port,
    doctor_files.check_listener,
    doctor_files.check_disk,
)


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
        told = result["findings"] = []
        for check in (*CHECKS, *(_peer(host) for host in peers)):
            for finding in findings(check):
                told.append(asdict(finding))
                worst |= finding.level == ERROR
                echo(_line(finding), err=as_json)
        result["ok"] = not worst
    return int(worst)


def _peer(host: str) -> Check:
    check = partial(doctor_clock.check_peer, host)
    check.__name__ = "check_clock"  # type: ignore[attr-defined]
    return check


def _line(finding: Finding) -> str:
    todo = f" -> {finding.todo}" if finding.todo else ""
    return f"{_SIGN[finding.level]} {finding.check:<11} {finding.sentence}{todo}"
