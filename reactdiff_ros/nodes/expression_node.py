"""The face for now, 50 times a second, whatever the model does. Nothing else lives in this process."""

from __future__ import annotations

from typing import Any

from reactdiff_ros import msg
from reactdiff_ros.clock import NS, Grid
from reactdiff_ros.expression import ExpressionConfig, ExpressionEngine
from reactdiff_ros.launching.condition import blind_condition, blind_settings, impose
from reactdiff_ros.launching.process import FACE, prioritise
from reactdiff_ros.messages import (
    fill,
    gaze_value,
    gesture_value,
    head_pose_value,
    mouth_value,
    people_value,
    reaction_value,
    speech_state_value,
    turn_signals_value,
)
from reactdiff_ros.nodes.base import ReactdiffNode
from reactdiff_ros.nodes.controls import CONTROL, LATEST, LOOK_S, ControlInbox, Controls, Sent
from reactdiff_ros.nodes.health import Level, newest
from reactdiff_ros.nodes.runner import run
from reactdiff_ros.types import EXPRESSION_RATE_HZ

SIM_POLL_S = 0.005
"""Simulated time is looked at this often: it may run faster or slower than the steady clock."""
TICKS = Grid(int(NS / EXPRESSION_RATE_HZ))
LATE_S = 0.04
"""A longer gap between two frames is a missed deadline."""
SILENT_NS = 5 * NS
"""Speaker frames but no plan for this long: reaction_node is missing, or on a machine that cannot be reached."""


class ExpressionNode(ReactdiffNode):
    """Reaction, gaze target, the head's pose, whether the other speaks, gestures, style in; `listener/expression` out.

    Its own speech, who is in view and who has the floor come in where something publishes them.

    Where the camera sits, and whether it moves with the head, are parameters that the launch argument `robot` gives;
    how the head's motion is taken out is drawn in `expression.gaze`.
    """

    NAME = "expression_node"

    def setup(self) -> None:
        """Build the engine; checks style and ranges."""
        self._blind = blind_condition()
        if self._blind is not None:
            impose(self._blind, self.NAME, self.values)
        self._engine = ExpressionEngine(self.configured(ExpressionConfig), int(self.values["seed"]))
        self._expressions = self.advertise("listener/expression")
        self._latest = self.advertise(LATEST)
        self._controls = Controls()
        self._last_ns = self._sent_ns = self._newest_ns = 0
        self.deadline_misses = 0
        self.backend = "numpy"

    def start(self) -> None:
        """Subscribe, and tick at 50 Hz of the steady clock, or on the grid of 50 Hz of simulated time."""
        self._sent_ns = 0
        self._reaction_ns, self._speaker_ns = self.running_ns(), self.running_ns() - SILENT_NS
        self.subscribe("listener/reaction", self._on_reaction)
        self.subscribe("gaze_target", lambda m: self._engine.on_gaze_target(gaze_value(m), self.now_ns()))
        self.subscribe("actuator/head_pose", self._on_head_pose)
        self.subscribe("speaker/frame", self._on_speaker)
        self.subscribe("robot_speaking", lambda m: self._engine.on_robot_speaking(bool(m.data), self.now_ns()))
        self.subscribe("speech/mouth", lambda m: self._engine.on_mouth(mouth_value(m), self.now_ns()))
        self.subscribe("speech/state", lambda m: self._engine.on_speech(speech_state_value(m), self.now_ns()))
        self.subscribe("people", lambda m: self._engine.on_people(people_value(m), self.now_ns()))
        self.subscribe("turn/signals", lambda m: self._engine.on_turn(turn_signals_value(m), self.now_ns()))
        self.subscribe("listener/gesture", self._on_gesture)
        self.every(LOOK_S, ControlInbox(self, self._on_control).look)
        self.every(SIM_POLL_S if self.simulated() else 1.0 / EXPRESSION_RATE_HZ, self._tick)

    def settings(self) -> dict[str, Any]:
        """Style in force and the deadline count."""
        if not hasattr(self, "_engine"):
            return {}
        counts = {"deadline_misses": self.deadline_misses, "late_plans": self._engine.late_plans}
        if self._blind is not None:
            return {**blind_settings(self._blind), **counts}
        style = {n: v if isinstance(v, str) else f"{v:g}" for n, v in self._engine.settings().items()}
        return {**style, **counts}

    def observe_health(self) -> None:
        """Warn if a person is followed and no plan arrives."""
        now = self.running_ns()
        unanswered = now - self._reaction_ns > SILENT_NS and now - self._speaker_ns < NS
        sentence = "nothing comes on listener/reaction: the face only looks, blinks, breathes; see reaction_node"
        self.set_problem("input", sentence if unanswered else "", Level.WARN)

    def _on_reaction(self, message: Any) -> None:
        self._reaction_ns = self.running_ns()
        reaction = reaction_value(message)
        self.check_clock("listener/reaction", reaction.start_ns)
        self._engine.on_reaction(reaction, self.now_ns())

    def _on_head_pose(self, message: Any) -> None:
        head = head_pose_value(message)
        self.check_clock("actuator/head_pose", head.stamp_ns)
        self._engine.on_head_pose(head, self.now_ns())

    def _on_speaker(self, message: Any) -> None:
        self._speaker_ns = self.running_ns()
        if message.voice.observed:
            self._engine.on_speaking(bool(message.voice.speaking), self.now_ns())

    def _on_control(self, sent: Sent) -> None:
        if self._controls.take(sent, self._engine.control):
            self.publish(self._latest, self._controls.message())
            self.solved(CONTROL)

    def _on_gesture(self, message: Any) -> None:
        name, strength = gesture_value(message)
        self._engine.on_gesture(name, self.now_ns(), strength)
        self.solved("listener/gesture")

    def _tick(self) -> None:
        now = self.now_ns()
        if self.simulated():
            now = TICKS.time_ns(TICKS.slot(now))  # the very times of a session, whatever the speed
        if now == 0 or 0 <= self._last_ns - now < NS // 2:
            return  # simulated time has not begun or is frozen, or this tick already has its face
        frame = self._engine.tick(now)
        self.publish(self._expressions, fill(msg.ExpressionFrame(), frame))
        self._last_ns = now
        steady = self.steady_ns()
        if not self.simulated() and self._sent_ns and steady - self._sent_ns > LATE_S * NS:
            self.deadline_misses += 1
        self._sent_ns = steady
        newest_ns = newest(frame.picture_stamp_ns, frame.sound_stamp_ns) or 0
        self.meter.output(steady, (now - newest_ns) / 1e6 if newest_ns > self._newest_ns else None)
        self._newest_ns = newest_ns


def main() -> int:
    """Run the node."""
    prioritise(FACE)
    return run(ExpressionNode)
