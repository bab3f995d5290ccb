"""The robot's voice: one utterance at a time, synthesized ahead, paced, stopped at once; the next one waits.

Two threads: one synthesizes, one paces what leaves. Both sleep while nothing is said.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.speech.engines import Engine, Manner, pieces, prepared
from reactdiff_ros.speech.utterance import Heard, Placed, Utterance
from reactdiff_ros.types import Sound, SpeechPhase, SpeechState
from reactdiff_ros.worker import Worker

PACE_S: Final = 0.02
STATE_NS: Final = 100_000_000
_PIECE, _START = "piece", "start"
REPLACED: Final = "another text took its place"


@dataclass(frozen=True, slots=True)
class Result:
    """How a text ended."""

    text: str
    """The words that were heard."""
    aborted: bool
    message: str
    """One sentence; "" after the last word."""


@dataclass(frozen=True, slots=True)
class Listening:
    """Who takes what a voice gives. All are called from its pacing thread, but for `ready`, `failed` and `solved`."""

    sound: Callable[[str, list[Sound]], object]
    """(utterance, chunks), `utterance.LEAD_NS` before they are heard; a chunk with an earlier stamp replaces others."""
    ready: Callable[[int], object]
    """(rate, Hz) before a piece gets its place in time, from the synthesizing thread: to open what must be open."""
    placed: Callable[[str, Placed], object]
    """(utterance, a piece with its place in time), before its sound."""
    stopped: Callable[[str, int], object]
    """(utterance, when it is silent)."""
    state: Callable[[SpeechState], object]
    """At every change, and ten times a second while something is said."""
    failed: Callable[[Exception], object]
    """The engine failed."""
    solved: Callable[[], object]
    """It works."""


class Request:
    """A text to be said.

    Args:
        name: its id.
        text: as it came.
        manner: how it is spoken.
        word: called with every word that is heard.
        done: called once, with the result.

    Raises:
        MessageError: there is nothing to say, or too much.
    """

    def __init__(
        self, name: str, text: str, manner: Manner, word: Callable[[Heard], object] = lambda _: None,
        done: Callable[[Result], object] = lambda _: None,
    ) -> None:  # fmt: skip
        self.name, self.manner = name, manner
        self.texts = list(pieces(prepared(text)))
        self.word, self.done = word, done


class Voice:
    """Says what it is asked to.

    Args:
        engine: makes the sound; closed by `close`.
        clock: stamp of now, ns.
        delay_ns: from the moment at which sound is known until it is heard.
        listening: who takes what it gives.
    """

    def __init__(self, engine: Engine, clock: Callable[[], int], delay_ns: int, listening: Listening) -> None:
        self._engine, self._clock, self._delay_ns, self._out = engine, clock, delay_ns, listening
        self._condition = threading.Condition()
        self._now: tuple[Request, Utterance] | None = None
        self._waiting: Request | None = None
        self._busy = self._closing = False
        self._placed: list[Placed] = []
        self._fades: list[Sound] = []
        self._stopped: list[tuple[str, int]] = []
        self._reported: SpeechState | None = None
        self.worker = Worker("synthesis", self._synthesize, {_PIECE: 1, _START: 1}, self._broken)
        self._thread = threading.Thread(target=self._run, name="voice", daemon=True)

    def start(self) -> None:
        """Start the threads and the engine's process. The caller starts `worker`, and stops it before `close`."""
        self._thread.start()
        self.worker.put(_START, None)

    def close(self) -> None:
        """Stop at once and end the threads and the engine."""
        with self._condition:
            self._closing = True
            self._condition.notify_all()
        self._engine.close()
        if self._thread.is_alive():
            self._thread.join(2.0)
        for request, utterance in [self._now] if self._now else []:
            request.done(Result(utterance.text, True, "the speech node ends"))
        if self._waiting:
            self._waiting.done(Result("", True, "the speech node ends"))
        self._now = self._waiting = None

    @property
    def speaks(self) -> bool:
        """Whether something is said or prepared now."""
        return self._now is not None

    def say(self, request: Request, queue: bool = False) -> None:
        """Say a text, in place of the present one, or with `queue` after it. One waits at a time: the newest."""
        with self._condition:
            earlier, self._waiting = self._waiting, request
            if not queue:
                self._stop(REPLACED)
            self._begin()  # not in the thread alone: a text that came before it woke would be one that waits
            self._condition.notify_all()
        if earlier is not None:
            earlier.done(Result("", True, REPLACED))

    def stop(self, why: str, name: str = "") -> None:
        """Fade out what is said (`name`: only if it is this utterance, said or waiting); nothing to say: nothing."""
        dropped = None
        with self._condition:
            if self._waiting is not None and name in ("", self._waiting.name):
                dropped, self._waiting = self._waiting, None
            if self._now is not None and name in ("", self._now[1].name):
                self._stop(why)
            self._condition.notify_all()
        if dropped is not None:
            dropped.done(Result("", True, why))

    def _begin(self) -> None:
        if self._now is None and self._waiting is not None:
            request, self._waiting = self._waiting, None
            self._now = (request, Utterance(request.name, request.texts, request.manner, self._delay_ns))

    def _stop(self, why: str) -> None:
        if self._now is None:
            return
        utterance = self._now[1]
        if utterance.stopped_ns is None:
            self._fades += utterance.stop(self._clock(), why)
            self._stopped.append((utterance.name, utterance.stopped_ns or 0))

    def _run(self) -> None:
        while True:
            with self._condition:
                while self._now is None and self._waiting is None and not self._closing:
                    self._condition.wait()
                if self._closing:
                    return
                done = self._step()
            for call in done:
                try:
                    call()
                except Exception as error:
                    self._out.failed(error)
            with self._condition:
                if self._now is not None:
                    self._condition.wait(PACE_S)

    def _step(self) -> list[Callable[[], object]]:
        """What is to be called outside the lock."""
        out, calls = self._out, list[Callable[[], object]]()
        self._begin()
        if self._now is None:
            return calls
        request, utterance = self._now
        now_ns = self._clock()
        piece = utterance.wanted(now_ns)
        if piece is not None and not self._busy:
            self._busy = True
            self.worker.put(_PIECE, (utterance, piece))
        placed, self._placed = self._placed, []
        stopped, self._stopped = self._stopped, []
        chunks, self._fades = [*self._fades, *utterance.due(now_ns)], []
        calls += [lambda p=p: out.placed(utterance.name, p) for p in placed]  # type: ignore[misc]
        if chunks:
            calls.append(lambda: out.sound(utterance.name, chunks))
        calls += [lambda s=s: out.stopped(*s) for s in stopped]  # type: ignore[misc]
        calls += [lambda w=w: request.word(w) for w in utterance.heard(now_ns)]  # type: ignore[misc]
        ended = utterance.ended(now_ns)
        state = self._state(now_ns, ended)
        if state is not None:
            calls.append(lambda: out.state(state))
        if ended:
            result = Result(utterance.text, utterance.stopped_ns is not None, utterance.why)
            calls.append(lambda: request.done(result))
            self._now = None
        return calls

    def _state(self, now_ns: int, ended: bool) -> SpeechState | None:
        """The state, where it is due; None: it was reported."""
        assert self._now is not None
        utterance = self._now[1]
        phase: SpeechPhase = "speaking"
        if ended:
            phase = "idle"
        elif utterance.stopped_ns is not None:
            phase = "stopping"
        elif utterance.start_ns is None or now_ns < utterance.start_ns:
            phase = "preparing"
        reported = self._reported
        key = (phase, utterance.name, utterance.start_ns, utterance.end_ns, utterance.text)
        known = reported and (reported.phase, reported.utterance, reported.start_ns, reported.end_ns, reported.text)
        if reported is not None and key == known and now_ns - reported.stamp_ns < STATE_NS:
            return None
        manner = utterance.manner
        self._reported = SpeechState(
            now_ns, phase, "" if ended else utterance.name, utterance.text, utterance.start_ns, utterance.end_ns,
            manner.emotion, manner.intensity,
        )  # fmt: skip
        return self._reported

    def _synthesize(self, kind: str, item: tuple[Utterance, str] | None) -> None:
        if item is None:
            self._engine.start()
            self._out.solved()
            return
        utterance, piece = item
        try:
            synthesis = self._engine.speak(piece, utterance.manner)
        except Exception as error:
            with self._condition:
                self._busy = False
                if not self._closing:
                    self._fades += utterance.stop(self._clock(), str(error))
                    self._condition.notify_all()
            if not (isinstance(error, ReactdiffError) and self._closing):
                raise
            return
        self._out.solved()
        self._out.ready(synthesis.rate_hz)
        with self._condition:
            self._busy = False
            placed = utterance.add(synthesis, self._clock())
            if placed is not None and self._now is not None and self._now[1] is utterance:
                self._placed.append(placed)
            self._condition.notify_all()

    def _broken(self, error: Exception, _kind: str) -> None:
        if not self._closing:
            self._out.failed(error)
