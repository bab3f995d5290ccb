"""Whether other machines can reach the robot's commands through DDS: from the environment alone. No ROS here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

RANGE, ONLY, PEERS = "ROS_AUTOMATIC_DISCOVERY_RANGE", "ROS_LOCALHOST_ONLY", "ROS_STATIC_PEERS"
CLOSED: Final = ("LOCALHOST", "OFF")
UNTIL_RANGES: Final = "humble"
"""The last distribution that knows ROS_LOCALHOST_ONLY alone."""


def wider_than_this_machine(environment: Mapping[str, str]) -> str:
    """One sentence where others than this machine's programs can command the robot; empty where they cannot.

    ROS_LOCALHOST_ONLY=1 goes before the range and the peers, which are ignored then (rcl). With SROS 2 enforced only
    those who hold a key are heard.
    """
    enforced = environment.get("ROS_SECURITY_STRATEGY") == "Enforce"
    if environment.get(ONLY) == "1" or (environment.get("ROS_SECURITY_ENABLE") == "true" and enforced):
        return ""
    if environment.get("ROS_DISTRO") == UNTIL_RANGES:
        return _said(f"{ONLY} is not 1", f"{ONLY}=1")
    reach, peers = environment.get(RANGE) or "not set", environment.get(PEERS, "")
    if reach not in CLOSED:
        return _said(f"{RANGE} is {reach}", f"{RANGE}=LOCALHOST")
    return _said(f"{PEERS} names {peers}", f"{PEERS} empty") if peers and reach != "OFF" else ""


def _said(why: str, todo: str) -> str:
    return f"other machines can move this robot ({why}): set {todo}, or use SROS 2 (docs/security.md)"
