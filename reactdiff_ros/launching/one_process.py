"""The live listener in one process, without ROS: its page is the face, and camera and microphone of a visitor.

The rooms are those of the nodes. Perception, listener and face have a thread each, so that none waits for another:

    page -> Visits -> perception -> listener -> expression (50 Hz) -> page
    clip ---------------^ while no visitor is there
"""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from reactdiff_ros.avatar import AvatarConfig, AvatarServer
from reactdiff_ros.avatar.arming import RobotConsole, new_token
from reactdiff_ros.avatar.web import EventLoop
from reactdiff_ros.avatar.wire import speaker_status
from reactdiff_ros.capture.browser import Picture as Jpeg
from reactdiff_ros.capture.compressed import decode_compressed
from reactdiff_ros.capture.media import ClipPicture, ClipPlayer, MediaClip
from reactdiff_ros.capture.visits import Host, Visits
from reactdiff_ros.clock import NS, StampGuard
from reactdiff_ros.errors import DeviceError, MessageError, ReactdiffError
from reactdiff_ros.expression import ExpressionEngine
from reactdiff_ros.launching.compared_face import ComparedFace, page_choices
from reactdiff_ros.launching.listening_face import ListeningFace
from reactdiff_ros.model.diffusion_listener import DiffusionListener
from reactdiff_ros.model.explain import Explainer
from reactdiff_ros.model.listener import Listener, ListenerConfig
from reactdiff_ros.perception import SpeakerPerception
from reactdiff_ros.types import ListenerControl, Picture, Sound, SpeakerFrame
from reactdiff_ros.worker import Worker, nothing

STATUS_S: Final = 0.5
SILENT_NS: Final = 2 * NS
SLOW: Final = "plans come late even with the fewest steps: this machine is too slow, or has other work"
_PICTURE, _SOUND = "picture", "sound"


class OneProcess:
    """Serves the page and listens to its visitor, or to a clip while no visitor is there.

    Args:
        perception, listener, expression: as set up, used by nothing else.
        config: settings of the listener; `seed` is its seed.
        avatar: where the page is served and how it looks.
        clip: media file that is played in a loop; None: the face idles until a visitor comes.
        say: takes sentences for the user.
    """

    def __init__(
        self, perception: SpeakerPerception, listener: Listener, expression: ExpressionEngine,
        config: ListenerConfig, avatar: AvatarConfig, clip: Path | None, say: Callable[[str], None], *,
        seed: int = 0, loop: bool = True,
    ) -> None:  # fmt: skip
        self._perception = perception
        self._say, self._said = say, ""
        self._guards = {_PICTURE: StampGuard(), _SOUND: StampGuard()}
        self._speaker: SpeakerFrame | None = None
        self._speaker_ns = 0
        self._visited = False
        self._stopping = threading.Event()
        self.clip_ended = False
        self._visits = Visits(
            Host(
                take=self._from_visitor, there=self._visitor, changed=lambda: None, bad=self._tell, failed=self._failed,
                now_ns=time.time_ns, steady_ns=time.monotonic_ns,
            )
        )  # fmt: skip
        self.page_token = new_token()
        self._server = AvatarServer(
            avatar, RobotConsole(_no_robot, self.page_token), capture=self._line, pass_on=self._pass_on,
            choices=page_choices(), choose=self._choose,
        )  # fmt: skip
        self.link_token = self._server.link_token
        """What the page's link holds; empty: it is served to this machine alone."""
        self._explainer = Explainer(lambda _, why: self._server.explain(why), time.perf_counter, self._failed)
        self._face = ListeningFace(listener, expression, config, self._server.show, self._failed, self._planned)
        self._compared = ComparedFace(self._server.compare, self._failed, lambda: seed, lambda: listener)
        self._workers = [
            Worker("perception", self._perceive, {_PICTURE: 1, _SOUND: 50}, self._failed),
            self._explainer.worker,
            Worker("status", nothing, {}, self._failed, tick=self._report, tick_s=STATUS_S),
        ]
        self._player: threading.Thread | None = None
        if clip is not None:
            media = MediaClip(clip)
            self._player = threading.Thread(target=self._play, args=(media, loop), name="clip", daemon=True)

    def __enter__(self) -> OneProcess:
        """Serve and listen. Raises DeviceError if no port could be bound."""
        sys.setswitchinterval(0.001)  # the face's 20 ms must not wait for perception's Python
        self._perception.warm_up()
        self._face.warm()
        self._loop = EventLoop()
        try:
            self.url = self._loop.call(self._server.start())
            """Of the page, as this machine opens it."""
        except BaseException:
            self._loop.close()
            raise
        self.trust = self._server.trust
        """Address of the page of the certificate and its fingerprint; empty without."""
        self._face.start()
        for worker in self._workers:
            worker.start()
        if self._player is not None:
            self._player.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Say goodbye to the pages and end all threads."""
        self._stopping.set()
        self._visits.close()
        self._face.stop()
        self._compared.stop()
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
        return self._visits.queue.pass_on()

    def _choose(self, kind: str, name: str) -> None:
        if kind == "style":
            self._face.control(ListenerControl(style=name))
        elif kind == "compare":
            self._compared.choose(name)
        else:
            self._face.gesture(name)

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
                    self._workers[0].put(_SOUND, Sound(stamp_ns, item.rate_hz, item.samples, item.clean))
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
            self._face.observe(frame)
            self._compared.observe(frame)
            self._server.seen(frame)

    def _planned(self) -> None:
        if isinstance(self._face.listener, DiffusionListener) and self._server.wanted("explanation"):
            self._explainer.ask("", self._face.listener)

    def _report(self) -> None:
        state = self._face.listener.state()
        self._compared.keep(self._server.wanted("compared"))
        if self._face.slow:
            self._tell(SLOW)
        elif self._said == SLOW:
            self._said = ""
        known = self._speaker if time.monotonic_ns() - self._speaker_ns < SILENT_NS else None
        self._server.status(
            {
                "speaker": speaker_status(known),
                "listener": {"policy": state.policy, "backend": state.backend, "style": self._face.style},
                "compared": self._compared.name,
                "demo": self._player is not None and not self._visited,
                "visitor": self._visits.queue.state, "visitors_waiting": self._visits.queue.waiting,
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
