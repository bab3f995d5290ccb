"""Interface classes and quality-of-service profiles by the names that the table gives them."""

from __future__ import annotations

import importlib
from typing import Any

from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from reactdiff_ros.launching.table import Qos


def interface(name: str, kind: str) -> Any:
    """The class of an interface, `package/kind/Name` or `package/Name`. Raises ImportError where it is missing."""
    package, *_, interface_name = name.split("/")
    module = importlib.import_module(f"{package}.{kind}")
    try:
        return getattr(module, interface_name)
    except AttributeError as error:
        raise ImportError(f"{package} has no {interface_name}") from error


def qos_profile(spec: Qos) -> QoSProfile:
    """The profile of a named quality of service."""
    return QoSProfile(
        depth=spec.depth,
        reliability=ReliabilityPolicy[spec.reliability.upper()],
        durability=DurabilityPolicy[spec.durability.upper()],
    )
