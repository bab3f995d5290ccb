"""`reactdiff doctor`: each check yields findings, and each finding names the command that fixes it."""

from __future__ import annotations

from typing import Final

from reactdiff_ros.launching.doctor.machine import (
    check_camera,
    check_clock,
    check_dds,
    check_groups,
    check_microphone,
    check_multicast,
    check_robot,
    check_serial,
    check_shared_memory,
)  # fmt: skip
from reactdiff_ros.launching.doctor.software import (
    Check,
    check_calibrations,
    check_disk,
    check_gpu,
    check_listener,
    check_packages,
    check_port,
    check_python,
    check_ros,
    check_settings,
    check_styles,
    check_weights,
)  # fmt: skip

CHECKS: Final[tuple[Check, ...]] = (
    check_python, check_packages, check_ros, check_dds, check_multicast, check_shared_memory, check_clock,
    check_settings, check_styles, check_groups, check_camera, check_microphone, check_serial, check_robot,
    check_calibrations, check_weights, check_gpu, check_port, check_listener, check_disk,
)  # fmt: skip
"""All checks in the order of their lines. `machine.check_clock_of` is for each machine that is named."""
