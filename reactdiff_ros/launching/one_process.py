"""The live listener in one process, without ROS: its page is the face, and camera and microphone of a visitor.

The rooms are those of the nodes. Perception, listener and face have a thread each, so that none waits for another:

    page -> Visits -> perception -> listener -> expression (50 Hz) -> page
    clip ---------------^ while no visitor is there
"""

from __future__ import annotations

import secrets
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from reactdiff_ros.avatar import AvatarConfig, AvatarServer
from reactdiff_ros.avatar.arming import RobotConsole, new_token
from reactdiff_ros.avatar.event_loop import EventLoop
from reactdiff_ros.avatar.wire import speaker_status
from reactdiff_ros.capture.browser import Picture as Jpeg
from reactdiff_ros.capture.decode import decode_compressed
from reactdiff_ros.capture.media import ClipPicture, MediaClip
from reactdiff_ros.capture.player import ClipPlayer
from reactdiff_ros.capture.visits import Host, Visits
from reactdiff_ros.clock import NS, StampGuard
from reactdiff_ros.errors import DeviceError, MessageError, ReactdiffError
from reactdiff_ros.expression import ExpressionEngine
from reactdiff_ros.launching.choices import page_choices
from reactdiff_ros.model.batch import ListenerBatch, QualityChoice, warm
from reactdiff_ros.model.diffusion_listener import DiffusionListener
from reactdiff_ros.model.explain import Explainer
from reactdiff_ros.model.listener import Listener, ListenerConfig
from reactdiff_ros.model.plan.sampler import Sampling
from reactdiff_ros.perception import SpeakerPerception, gaze_target
from reactdiff_ros.types import EXPRESSION_RATE_HZ, REACTION_RATE_HZ, ListenerControl, Picture, Sound, SpeakerFrame
from reactdiff_ros.worker import Worker

STATUS_S: Final = 0.5
SILENT_NS: Final = 2 * NS
SLOW: Final = "plans come late even with the fewest steps: this machine is too slow, or has other work"
_PICTURE, _SOUND, _FRAME, _STYLE = "picture", "sound", "frame", "style"


class OneProcess:
    """Serves the page and listens to its visitor, or to a clip while no visitor is there.

    Args:
        perception, listener, expression: as set up, used by nothing else.
        config: settings of the listener.
        avatar: where the page is served and how it looks.
        clip: media file that is played in a loop; None: the face idles until a visitor comes.
        say: takes sentences for the user.
    """

    def __init__(
        self, perception: SpeakerPerception, listener: Listener, expression: ExpressionEngine,
        config: ListenerConfig, avatar: AvatarConfig, clip: Path | None, say: Callable[[str], None], *,
        loop: bool = True,
    ) -> None:  # fmt: skip
        self._perception, self._listener, self._expression = perception, listener, expression
        self._say, self._said = say, ""
        self._face = threading.Lock()
        """Held for each use of the expression room."""
        self._guards = {_PICTURE: StampGuard(), _SOUND: StampGuard()}
        self._speaker: SpeakerFrame | None = None
        self._speaker_ns = 0
        self._visited = False
        self._stopping = threading.Event()
        self.clip_ended = False
        self._sampling = Sampling(steps=config.steps, candidates=config.candidates)
        model = isinstance(listener, DiffusionListener)
        self._rounds = ListenerBatch(QualityChoice(config.steps, config.candidates) if model else None)
        self._rounds.join("", listener)
        self._visits = Visits(
            Host(
                take=self._from_visitor, there=self._visitor, changed=lambda: None, bad=self._tell, failed=self._failed,
                now_ns=time.time_ns, steady_ns=time.monotonic_ns,
            )
        )  # fmt: skip
        self.page_token = new_token()
        self._server = AvatarServer(
            avatar, RobotConsole(_no_robot, self.page_token), link_token=secrets.token_urlsafe(16), capture=self._line,
            pass_on=self._pass_on, choices=page_choices(), choose=self._choose,
        )  # fmt: skip
        self._explainer = Explainer(lambda _, why: self._server.explain(why), time.perf_counter, self._failed)
        self._workers = [
            Worker("perception", self._perceive, {_PICTURE: 1, _SOUND: 50}, self._failed),
            Worker(
                "listener",
                self._listen,
                {_FRAME: 4, _STYLE: 4},
                self._failed,
                tick=self._plan,
                tick_s=1 / REACTION_RATE_HZ,
            ),
            self._explainer.worker,
            Worker("face", _nothing, {}, self._failed, tick=self._show, tick_s=1 / EXPRESSION_RATE_HZ),
            Worker("status", _nothing, {}, self._failed, tick=self._report, tick_s=STATUS_S),
        ]
        self._player: threading.Thread | None = None
        if clip is not None:
            media = MediaClip(clip)
            self._player = threading.Thread(target=self._play, args=(media, loop), name="clip", daemon=True)

    @property
    def url(self) -> str:
        """Of the page, as this machine opens it."""
        return self._server.url

    @property
    def link_token(self) -> str:
        """What the page's link holds; empty: it is served to this machine alone."""
        return self._server.link_token

    @property
    def trust(self) -> tuple[str, str]:
        """Address of the page of the certificate and its fingerprint; empty without."""
        return self._server.trust

    def __enter__(self) -> OneProcess:
        """Serve and listen. Raises DeviceError if no port could be bound."""
        sys.setswitchinterval(0.001)  # the face's 20 ms must not wait for perception's Python
        self._perception.warm_up()
        if isinstance(self._listener, DiffusionListener):
            warm(self._listener.networks, self._sampling, 1)
        self._loop = EventLoop()
        try:
            self._loop.call(self._server.start())
        except BaseException:
            self._loop.close()
            raise
        for worker in self._workers:
            worker.start()
        if self._player is not None:
            self._player.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Say goodbye to the pages and end all threads."""
        self._stopping.set()
        self._visits.close()
        for worker in self._workers:
            worker.stop()
        if self._player is not None:
            self._player.join(2.0)
        try:
            self._loop.call(self._server.stop())
        finally:
            self._loop.close()

    # ---- what comes in: threads of visitors and of the clip

    def _line(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        self._visits.enter(ours)
        return theirs

    async def _pass_on(self) -> tuple[bool, str]:
        return self._visits.seat.pass_on()

    def _choose(self, kind: str, name: str) -> None:
        if kind == "style":
            self._workers[1].put(_STYLE, ListenerControl(style=name))
        else:
            with self._face:
                self._expression.on_gesture(name, time.time_ns(), 1.0)

    def _visitor(self, there: bool) -> None:
        self._visited = there

    def _from_visitor(self, found: Jpeg | Sound) -> None:
        self._workers[0].put(_SOUND if isinstance(found, Sound) else _PICTURE, found)

    def _play(self, media: MediaClip, loop: bool) -> None:
        try:
            player = ClipPlayer(
                media, loop, time.monotonic_ns, time.time_ns, lambda ns: self._stopping.wait(min(max(ns, 0) / NS, 1.0))
            )
            for item, stamp_ns in player.items():
                if self._visited:
                    continue
                if isinstance(item, ClipPicture):
                    self._workers[0].put(_PICTURE, Picture(stamp_ns, item.bgr))
                else:
                    self._workers[0].put(_SOUND, Sound(stamp_ns, item.rate_hz, item.samples))
            self.clip_ended = player.ended
        except ReactdiffError as error:
            self._tell(str(error))

    # ---- one thread each

    def _perceive(self, kind: str, item: Jpeg | Picture | Sound) -> None:
        verdict = self._guards[kind].check(item.stamp_ns)
        if verdict == "late":
            return
        if verdict == "jump":
            self._guards = {_PICTURE: StampGuard(), _SOUND: StampGuard()}
            self._perception.reset()
        if isinstance(item, Sound):
            frames = self._perception.observe_sound(item)
        else:
            picture = Picture(item.stamp_ns, decode_compressed("jpeg", item.jpeg)) if isinstance(item, Jpeg) else item
            frames = [self._perception.observe_picture(picture)]
        for frame in frames:
            self._speaker, self._speaker_ns = frame, time.monotonic_ns()
            self._workers[1].put(_FRAME, frame)
            self._server.seen(frame)
            target, now_ns = gaze_target(frame), time.time_ns()
            with self._face:
                if target is not None:
                    self._expression.on_gaze_target(target, now_ns)
                if frame.voice is not None:
                    self._expression.on_speaking(frame.voice.speaking, now_ns)

    def _listen(self, _kind: str, item: SpeakerFrame | ListenerControl) -> None:
        if isinstance(item, ListenerControl):
            self._listener.control(item)
            with self._face:
                self._expression.control(item)
            return
        self._listener.observe(item)
        self._plan()

    def _plan(self) -> None:
        due = self._rounds.due({"": time.time_ns()}, time.perf_counter())
        if due is None:
            return
        for error in due.failed.values():
            self._failed(error, "the plan")
        begin = time.perf_counter()
        try:
            drawn = due.draw() if due.draws else {}
        except Exception as error:  # the round must end, or no plan would ever be drawn again
            self._failed(error, "the plan")
            drawn = {}
        now_s = time.perf_counter()
        reactions = self._rounds.finished(drawn, now_s - begin, now_s)
        if reactions and isinstance(self._listener, DiffusionListener) and self._server.wanted("explanation"):
            self._explainer.ask("", self._listener)
        for reaction in reactions.values():
            with self._face:
                self._expression.on_reaction(reaction, time.time_ns())
        if self._rounds.choice is not None and self._rounds.choice.exhausted:
            self._tell(SLOW)
        elif self._said == SLOW:
            self._said = ""

    def _show(self) -> None:
        with self._face:
            frame = self._expression.tick(time.time_ns())
        self._server.show(frame)

    def _report(self) -> None:
        state, style = self._listener.state(), self._expression.settings()["style"]
        known = self._speaker if time.monotonic_ns() - self._speaker_ns < SILENT_NS else None
        self._server.status(
            {
                "speaker": speaker_status(known),
                "listener": {"policy": state.policy, "backend": state.backend, "style": style},
                "demo": self._player is not None and not self._visited,
                "visitor": self._visits.seat.state, "visitors_waiting": self._visits.seat.waiting,
                "last_error": self._said or state.error,
            }
        )  # fmt: skip

    def _failed(self, error: Exception, where: str) -> None:
        if not isinstance(error, MessageError):  # a damaged picture or chunk: the next one is whole
            self._tell(f"{where}: {error}" if str(error) else f"{where}: {type(error).__name__}")

    def _tell(self, sentence: str) -> None:
        if sentence != self._said:
            self._said = sentence
            self._say(sentence)


async def _no_robot(_what: str) -> tuple[bool, str]:
    raise DeviceError("a robot needs ROS 2", todo="install ROS 2, or 'make listen' from the source folder")


def _nothing(_kind: str, _item: Any) -> None:
    pass
