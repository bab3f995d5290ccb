"""One event of a study, told to whoever records."""

from __future__ import annotations

import time

import rclpy
from rclpy.duration import Duration
from rclpy.qos import QoSProfile
from rclpy.signals import SignalHandlerOptions
from std_msgs.msg import String

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.launching.process import use_profile


def send_mark(text: str, *, namespace: str, wait_s: float) -> None:
    """Publish `text` on study/marker and wait until it has arrived.

    Raises:
        ReactdiffError: nobody records.
    """
    use_profile()
    context = rclpy.Context()
    rclpy.init(args=[], context=context, signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node(
        "reactdiff_mark", namespace=namespace or "/", context=context, use_global_arguments=False,
        start_parameter_services=False, enable_rosout=False,
    )  # fmt: skip
    try:
        publisher = node.create_publisher(String, "study/marker", QoSProfile(depth=10))
        end = time.monotonic() + wait_s
        while not publisher.get_subscription_count():
            if time.monotonic() > end:
                raise ReactdiffError(
                    "nobody records", where=f"namespace {namespace or '/'}",
                    todo="start with record:=true, or run 'reactdiff bag record'",
                )  # fmt: skip
            time.sleep(0.02)
        publisher.publish(String(data=text))
        if not publisher.wait_for_all_acked(Duration(seconds=wait_s)):
            raise ReactdiffError("the recorder did not take the mark", todo="is it overloaded? Mark it again")
    finally:
        node.destroy_node()
        context.try_shutdown()
