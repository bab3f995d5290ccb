"""A listener and the face that shows its plans, live: alone, or next to another one on a page."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from reactdiff_ros.expression import ExpressionEngine
from reactdiff_ros.model.batch import ListenerBatch, QualityChoice, warm
from reactdiff_ros.model.diffusion.sampler import Sampling
from reactdiff_ros.model.diffusion_listener import DiffusionListener
from reactdiff_ros.model.listener import Listener, ListenerConfig
from reactdiff_ros.perception import gaze_target
from reactdiff_ros.types import EXPRESSION_RATE_HZ, REACTION_RATE_HZ, ExpressionFrame, ListenerControl, SpeakerFrame
from reactdiff_ros.worker import Worker, nothing

_FRAME, _STYLE = "frame", "style"
Failed = Callable[[Exception, str], None]


class ListeningFace:
    """Frames of the speaker in, a face 50 times a second out. Listener and face have a thread each.

    Args:
        listener, expression: as set up, used by nothing else.
        config: settings of the listener.
        show: takes each face.
        failed: called with what went wrong, and where.
        planned: called in the listener's thread after a plan.
    """

    def __init__(
        self, listener: Listener, expression: ExpressionEngine, config: ListenerConfig,
        show: Callable[[ExpressionFrame], None], failed: Failed, planned: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        self.listener = listener
        self._expression, self._show, self._failed, self._planned = expression, show, failed, planned
        self._face = threading.Lock()
        """Held for each use of the expression room."""
        self._sampling = Sampling(steps=config.steps, candidates=config.candidates)
        model = isinstance(listener, DiffusionListener)
        self._rounds = ListenerBatch(QualityChoice(config.steps, config.candidates) if model else None)
        self._rounds.join("", listener)
        depths, period_s = {_FRAME: 4, _STYLE: 4}, 1 / REACTION_RATE_HZ
        self._workers = [
            Worker("listener", self._listen, depths, failed, tick=self._plan, tick_s=period_s),
            Worker("face", nothing, {}, failed, tick=self._tick, tick_s=1 / EXPRESSION_RATE_HZ),
        ]

    def warm(self) -> None:
        """Let no plan wait for a graph that is used for the first time. Before `start`."""
        if isinstance(self.listener, DiffusionListener):
            warm(self.listener.networks, self._sampling, 1)

    def start(self) -> None:
        """Listen."""
        for worker in self._workers:
            worker.start()

    def stop(self) -> None:
        """End the threads."""
        for worker in self._workers:
            worker.stop()

    @property
    def style(self) -> str:
        """The style in force."""
        return str(self._expression.settings()["style"])

    @property
    def slow(self) -> bool:
        """Plans come late even at the lowest quality."""
        return self._rounds.choice is not None and self._rounds.choice.exhausted

    def observe(self, frame: SpeakerFrame) -> None:
        """What perception says of the speaker now."""
        self._workers[0].put(_FRAME, frame)
        target, now_ns = gaze_target(frame), time.time_ns()
        with self._face:
            if target is not None:
                self._expression.on_gaze_target(target, now_ns)
            if frame.voice is not None:
                self._expression.on_speaking(frame.voice.speaking, now_ns)

    def control(self, control: ListenerControl) -> None:
        """Another style from now on."""
        self._workers[0].put(_STYLE, control)

    def gesture(self, name: str) -> None:
        """Make this gesture now."""
        with self._face:
            self._expression.on_gesture(name, time.time_ns(), 1.0)

    def _listen(self, _kind: str, item: SpeakerFrame | ListenerControl) -> None:
        if isinstance(item, ListenerControl):
            self.listener.control(item)
            with self._face:
                self._expression.control(item)
            return
        self.listener.observe(item)
        self._plan()

    def _plan(self) -> None:
        due = self._rounds.due({"": time.time_ns()}, time.perf_counter())
        if due is None:
            return
        for error in due.failed.values():
            self._failed(error, "the plan")
        begin = time.perf_counter()
        try:
            drawn = due.draw()
        except Exception as error:  # the round must end, or no plan would ever be drawn again
            self._failed(error, "the plan")
            drawn = {}
        now_s = time.perf_counter()
        reactions = self._rounds.finished(drawn, now_s - begin, now_s)
        for reaction in reactions.values():
            with self._face:
                self._expression.on_reaction(reaction, time.time_ns())
        if reactions:
            self._planned()

    def _tick(self) -> None:
        with self._face:
            frame = self._expression.tick(time.time_ns())
        self._show(frame)
