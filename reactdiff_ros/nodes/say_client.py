"""A text for a running listener's action `say`, from a program that is no node."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Any, Final

from rclpy.action import ActionClient
from rclpy.executors import SingleThreadedExecutor

from reactdiff_ros.action import Say
from reactdiff_ros.errors import DeviceError
from reactdiff_ros.nodes.small_node import small_node
from reactdiff_ros.speech.engines import Manner

FIND_S: Final = 4.0
"""Longest search for a listener."""
ANSWER_S: Final = 10.0
"""Longest wait for its answer to a goal, and without a word while it speaks more than these plus the text's length."""
CHARACTER_S: Final = 0.4
"""Longest time for one character."""


def speak_through_listener(text: str, manner: Manner, namespace: str, heard: Callable[[str], object]) -> dict[str, Any]:
    """Let a running listener speak, and wait for the end. Ctrl-C stops it.

    Returns:
        "spoken_text", "aborted", "message".

    Raises:
        DeviceError: no listener that speaks was found, or it ended meanwhile.
    """
    with small_node("reactdiff_say", namespace) as node:
        executor = SingleThreadedExecutor(context=node.context)
        executor.add_node(node)
        client = ActionClient(node, Say, "say")
        try:
            return _spoken(executor, client, text, manner, heard)
        finally:
            executor.shutdown(timeout_sec=0.5)
            client.destroy()


def _spoken(executor: Any, client: Any, text: str, manner: Manner, heard: Callable[[str], object]) -> dict[str, Any]:
    stop = [False]
    before = signal.signal(signal.SIGINT, lambda *_: stop.__setitem__(0, True))
    try:
        _until(executor, client.server_is_ready, FIND_S, stop)
        if stop[0]:
            raise KeyboardInterrupt
        if not client.server_is_ready():
            todo = "start one with 'reactdiff listen' (speech:=none speaks not), or write a file with --wav"
            raise DeviceError("no listener that speaks was found", todo=todo)
        goal = Say.Goal(text=text, voice=manner.voice, emotion=manner.emotion, intensity=manner.intensity)
        sent = client.send_goal_async(goal, feedback_callback=lambda m: heard(m.feedback.word))
        _until(executor, sent.done, ANSWER_S, [False])
        if not sent.done() or not sent.result().accepted:
            raise DeviceError("the listener does not answer", where="say", todo="look at its diagnostics")
        result = sent.result().get_result_async()
        limit_s = ANSWER_S + CHARACTER_S * len(text)
        _until(executor, result.done, limit_s, stop)
        if not result.done():
            cancelled = sent.result().cancel_goal_async()
            _until(executor, lambda: cancelled.done() and result.done(), ANSWER_S, [False])
        if not result.done():
            raise DeviceError("the listener ended while it spoke", todo="start it again with 'reactdiff listen'")
        ended = result.result().result
    finally:
        signal.signal(signal.SIGINT, before)
    return {"spoken_text": ended.spoken_text, "aborted": ended.aborted, "message": ended.message}


def _until(executor: Any, done: Callable[[], bool], limit_s: float, stop: list[bool]) -> None:
    end = time.monotonic() + limit_s
    while not done() and not stop[0] and time.monotonic() < end:
        executor.spin_once(timeout_sec=0.05)
