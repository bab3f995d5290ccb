#!/usr/bin/env python3
"""A running listener as a processor of a Pipecat pipeline: its turn events become frames, answers are spoken by `say`.

    from pipecat_listener import make_processor
    pipeline = Pipeline([..., user_aggregator, llm, make_processor(), assistant_aggregator])

It is behind the model, whose answers it speaks; its frames go both ways, as those of Pipecat's own output do.

Run alone, it prints the frames that each event becomes. Pipecat (`pip install pipecat-ai`, tried with 1.14.0) is
imported when it is used.
"""

import asyncio
import threading

FRAMES = {
    "user_started": "UserStartedSpeakingFrame",
    "eot": "UserStoppedSpeakingFrame",
    "eot_cancelled": "EagerEndOfTurnCancelFrame",
    "barge_in": "InterruptionFrame",
    "robot_started": "BotStartedSpeakingFrame",
    "robot_stopped": "BotStoppedSpeakingFrame",
}
"""Pipecat's frames for eot_eager and user_backchannel hold words, which the listener does not know: who wants them
subscribes to turn/event."""


class Listener:
    """The ROS side, in a thread of its own: events to a callback, texts to the robot's voice."""

    def __init__(self, on_event):
        import rclpy
        from rclpy.action import ActionClient
        from reactdiff_ros.action import Say
        from reactdiff_ros.msg import TurnEvent

        rclpy.init(args=[])
        self._node = rclpy.create_node("pipecat_listener")
        self._goal, self._client = Say.Goal, ActionClient(self._node, Say, "say")
        self._node.create_subscription(TurnEvent, "turn/event", lambda event: on_event(event.kind), 10)
        self._spin = rclpy.spin
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        self._spin(self._node)

    def say(self, text):
        """Let the robot speak, in place of what it says now."""
        self._client.send_goal_async(self._goal(text=text[:10_000]))


def frame_of(kind, frames):
    """The class of an event's frame in Pipecat's module `frames`; None where it has none of that name."""
    return getattr(frames, FRAMES.get(kind, ""), None)


def make_processor():
    """A processor that passes all frames on, adds those of the listener's events, and speaks a model's answers."""
    from pipecat.frames import frames
    from pipecat.processors.frame_processor import FrameProcessor

    class ListenerProcessor(FrameProcessor):
        def __init__(self):
            super().__init__()
            self._listener = None
            self._text = ""

        def _on_event(self, kind, loop):
            frame = frame_of(kind, frames)
            if frame is frames.InterruptionFrame:
                asyncio.run_coroutine_threadsafe(self.broadcast_interruption(), loop)
            elif frame is not None:
                asyncio.run_coroutine_threadsafe(self.broadcast_frame(frame), loop)

        async def process_frame(self, frame, direction):
            await super().process_frame(frame, direction)
            if self._listener is None:
                loop = asyncio.get_running_loop()
                self._listener = Listener(lambda kind: self._on_event(kind, loop))
            if isinstance(frame, frames.LLMFullResponseStartFrame | frames.InterruptionFrame):
                self._text = ""
            elif isinstance(frame, frames.LLMTextFrame):
                self._text += frame.text  # a model gives its answer in pieces
            elif isinstance(frame, frames.LLMFullResponseEndFrame) and self._text.strip():
                self._listener.say(self._text)
            await self.push_frame(frame, direction)

    return ListenerProcessor()


def main():
    """Print the frame of each event until Ctrl-C."""
    Listener(lambda kind: print(f"{kind}: {FRAMES.get(kind, 'no frame')}", flush=True))
    threading.Event().wait()


if __name__ == "__main__":
    main()
