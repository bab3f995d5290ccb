"""The status of a tick as ActuatorState."""

from __future__ import annotations

import math

from std_msgs.msg import Header

from reactdiff_ros import msg
from reactdiff_ros.actuation.hardware import Hardware
from reactdiff_ros.actuation.profile import Profile
from reactdiff_ros.actuation.status import Status
from reactdiff_ros.messages import fill_header


def state_message(
    profile: Profile,
    hardware: Hardware,
    status: Status,
    stamp_ns: int,
    *,
    rate_hz: float,
    jitter_ms: float,
    latency_ms: float,
) -> msg.ActuatorState:
    """Everything that is known of the robot now; the arrays have the profile's order."""
    commands = status.commands
    readings = [hardware.reading(name) for name in profile.joints]
    faults = commands.joint_faults if status.armed else status.faults
    return msg.ActuatorState(
        header=fill_header(Header(), stamp_ns),
        robot=profile.name,
        state=status.state,
        armed=status.armed,
        software_stop=status.software_stop,
        fault=commands.fault,
        message=status.message,
        obstacles=list(status.obstacles),
        joints=list(profile.joints),
        units=[str(joint.unit) for joint in profile.joints.values()],
        target=list(commands.target),
        command=list(commands.position),
        measured=status.measured,
        limited=commands.limited,
        torque=[on is not False for on in status.torque.values()],
        load=[_number(None if r is None else r.load) for r in readings],
        temperature=[_number(None if r is None else r.temperature_c) for r in readings],
        joint_fault=[faults.get(name, "") for name in profile.joints],
        rate=rate_hz,
        jitter_p99=jitter_ms,
        input_age=status.input_age_s if math.isfinite(status.input_age_s) else math.nan,
        latency_p99=latency_ms,
        return_began=commands.return_began_s,
        return_took=commands.return_took_s,
        stalls=status.stalls,
    )


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
