"""What is told of one of many listeners in its own namespace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import msg
from ..types import ListenerState
from .convert import header
from .health import Level
from .reaction_node_seat import Seat


def seat_settings(state: ListenerState) -> dict[str, Any]:
    """A listener's settings in force, as texts."""
    numbers = {n: v if isinstance(v, str) else f"{v:g}" for n, v in state.settings.items()}
    return {"policy": state.policy, "compute_ms": f"{state.compute_ms:.1f}", "turn": state.turn, **numbers}


def seat_status(seat: Seat, now_ns: int, steady_ns: int, silent: bool, shared: Mapping[str, str]) -> msg.ListenerStatus:
    """Its status, as a node of its own would tell it.

    Args:
        seat: the listener.
        now_ns: of the node's clock.
        steady_ns: of the clock that its meter was told.
        silent: no frames come.
        shared: settings of the whole batch.
    """
    state = seat.listener.state()
    p50, p99 = seat.meter.latency_ms(steady_ns)
    fine = f"{state.policy} on {state.backend}" + ("" if state.engaged else ", nobody to listen to")
    silence = f"nothing comes on {seat.topic('speaker/frame')}: perception_node is missing or inactive"
    return msg.ListenerStatus(
        header=header(now_ns),
        stage="reaction_node",
        level=int(Level.WARN if silent or state.error else Level.OK),
        message=silence if silent else state.error or fine,
        rate=seat.meter.rate_hz(steady_ns),
        latency_p50=p50,
        latency_p99=p99,
        dropped=state.dropped,
        settings=[f"{n}={v}" for n, v in ({"seed": seat.seed} | seat_settings(state) | dict(shared)).items()],
        backend=state.backend,
        last_error=state.error,
    )
