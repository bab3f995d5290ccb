"""The three actions by which the robot is asked to speak, as requests of the voice: ours, PAL's TTS, ROS4HRI's Say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reactdiff_ros.action import Say
from reactdiff_ros.messages import fill_stamp
from reactdiff_ros.speech.engines import Manner
from reactdiff_ros.speech.utterance import Heard
from reactdiff_ros.speech.voice import Request, Result


def asked(goal: Any) -> tuple[str, Manner]:
    """(text, manner) of a goal of any of the three. Raises ConfigError for an emotion or intensity that cannot be."""
    if isinstance(goal, Say.Goal):
        return goal.text, Manner(goal.voice, goal.emotion or "neutral", float(goal.intensity) or 1.0)
    return str(goal.input), Manner(str(getattr(goal, "voice", "") or getattr(goal, "locale", "")))


def feedback(kind: Any, heard: Heard) -> Any:
    """A word as feedback of the action `kind`."""
    message = kind.Feedback()
    if hasattr(message, "word"):
        message.word = heard.word
    if isinstance(message, Say.Feedback):
        fill_stamp(message.stamp, heard.stamp_ns)
    return message


def outcome(kind: Any, result: Result) -> Any:
    """The end as result of the action `kind`."""
    message = kind.Result()
    for name, value in (
        ("spoken_text", result.text), ("aborted", result.aborted), ("message", result.message),
        ("text", result.text), ("error_msg", result.message),
    ):  # fmt: skip
        if hasattr(message, name):
            setattr(message, name, value)
    return message


class Goals:
    """Goals of clients as requests of the voice, and back.

    Args:
        say: takes the request.
        stop: takes the name of a request that is to stop.
        name: gives an id for an utterance.
    """

    def __init__(self, say: Callable[[Request], None], stop: Callable[[str], None], name: Callable[[], str]) -> None:
        self._say, self._stop, self._name = say, stop, name
        self._names: dict[bytes, str] = {}

    def accepted(self, handle: Any, kind: Any) -> None:
        """A client's goal: said, or ended at once with the sentence that says why not."""
        name = self._name()
        key = bytes(handle.goal_id.uuid)

        def done(result: Result) -> None:
            self._names.pop(key, None)
            handle.execute(lambda goal: _finish(goal, kind, result))

        try:
            text, manner = asked(handle.request)
            request = Request(name, text, manner, lambda heard: handle.publish_feedback(feedback(kind, heard)), done)
        except Exception as error:
            done(Result("", True, str(error)))
            return
        self._names[key] = name
        self._say(request)

    def cancelled(self, handle: Any) -> None:
        """A client cancels its goal."""
        name = self._names.get(bytes(handle.goal_id.uuid))
        if name is not None:
            self._stop(name)


def _finish(handle: Any, kind: Any, result: Result) -> Any:
    if handle.is_cancel_requested:
        handle.canceled()
    elif result.aborted:
        handle.abort()
    else:
        handle.succeed()
    return outcome(kind, result)
