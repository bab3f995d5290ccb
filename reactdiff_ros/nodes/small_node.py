"""A small ROS node for programs that are not nodes of the listener: the supervisor, the bag player, commands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import rclpy
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from reactdiff_ros.launching.process import use_profile


@contextmanager
def small_node(name: str, namespace: str, *, domain: int | None = None, pictures: bool = False) -> Iterator[Node]:
    """A node without parameters, in a context of its own, until the end of the block.

    Args:
        name: its name.
        namespace: "" or "/name".
        domain: ROS domain, None = from the environment.
        pictures: it publishes some.
    """
    use_profile(pictures=pictures)
    context = rclpy.Context()
    rclpy.init(args=[], context=context, domain_id=domain, signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node(
        name, namespace=namespace or "/", context=context, use_global_arguments=False, start_parameter_services=False,
        enable_rosout=False,
    )  # fmt: skip
    try:
        yield node
    finally:
        node.destroy_node()
        context.try_shutdown()
