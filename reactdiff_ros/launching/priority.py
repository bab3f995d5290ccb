"""Realtime priorities (SCHED_FIFO) of what moves a face or a robot, where the account may have one. No ROS.

The actuator's thread is before the actuator's other threads, because one of them may hold Python's lock when it is to
tick; these are before the node that makes the faces, and everything else comes after.
"""

from __future__ import annotations

import os
from typing import Final

BUS: Final = 20
ACTUATOR: Final = 10
FACE: Final = 5


def prioritise(priority: int) -> bool:
    """Give this thread, and those that it starts, a realtime priority; False where the account may not have one."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
    except (OSError, AttributeError):
        return False
    return True
