"""Plays a bag's pictures and sound into the running graph, with /clock: for nodes that run under use_sim_time.

Pictures go out as the bytes that were recorded, when they were received; chunks of sound when their last sample was
heard. Their stamps are those of the bag as `bags.read` corrects them, so that a live graph is given what an offline
replay is given.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from builtin_interfaces.msg import Time
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock

from reactdiff_ros import msg
from reactdiff_ros.capture.media import ClipSound
from reactdiff_ros.clock import NS
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.launching.table import load_table
from reactdiff_ros.messages import fill_audio, fill_stamp
from reactdiff_ros.nodes.base import interface, qos_profile
from reactdiff_ros.nodes.small_node import small_node
from reactdiff_ros.recordings.bags.interfaces import COMPRESSED
from reactdiff_ros.recordings.bags.read import SPEAKING, BagSource, restamped
from reactdiff_ros.types import Sound

CLOCK_HZ: Final = 200.0
BEFORE_S: Final = 0.5
"""How long /clock holds the bag's beginning, so that every node receives it."""
AFTER_S: Final = 0.6
"""How long /clock goes on after the last message, until it has acted."""
WAIT_S: Final = 20.0
"""How long to wait for a subscriber."""


@dataclass
class Played:
    """How it went."""

    pictures: int = 0
    sounds: int = 0
    seconds: float = 0.0
    """Of the bag's time, all rounds together."""
    late_ms: float = 0.0
    """The longest that a message went out after it was due, ms of the steady clock."""
    notes: list[str] = field(default_factory=list)


class Due(NamedTuple):
    """Something to be published."""

    at_ns: int
    number: int
    """Order of what is due at once."""
    topic: str
    message: Any
    """A message, or its serialized bytes."""


class Script:
    """What of a bag is published when, on the clock of its stamps.

    Args:
        path: the bag.
        picture: the camera's topic in it; "" = found by type, "none" = without.
        sound: the microphone's topic, likewise.

    Raises:
        MediaError: see `BagSource`.
    """

    def __init__(self, path: Path, picture: str = "", sound: str = "") -> None:
        self._path = path
        self._source = BagSource(path, picture, sound)
        self._offset_ns = self._source.clock_off_ns
        """Stamps of another clock than the recorder's: /clock then publishes theirs."""
        self.start_ns = self._source.start_ns
        self.end_ns = self._source.survey.end_ns
        kind = self._source.files.topics[self._source.picture_topic].kind if self._source.picture_topic else ""
        self.picture = {"": "", COMPRESSED: "camera/image_raw/compressed"}.get(kind, "camera/image_raw")
        """The graph's topic for the bag's pictures; empty without."""
        self.sound = "audio" if self._source.has_sound else ""
        self._speaking = self._source.speaking_topics
        self.topics = [t for t in (self.picture, self.sound, SPEAKING if self._speaking else "") if t]

    @property
    def notes(self) -> list[str]:
        """What is odd about the bag."""
        return self._source.notes

    def __iter__(self) -> Iterator[Due]:
        """Everything in the order in which it is due; read as it is asked for."""
        return heapq.merge(self._pictures_and_speech(), self._sounds(), key=lambda due: due[:2])

    def _pictures_and_speech(self) -> Iterator[Due]:
        picture = self._source.picture_topic
        stamps = self._source.survey.lines[picture].stamps if picture else ()
        count = newest = 0
        for record in self._source.files.records({*self._speaking, *([picture] if picture else [])}):
            newest = max(newest, record.received_ns - self._offset_ns)
            if record.topic != picture:
                yield Due(newest, 0, SPEAKING, record.raw)
            elif count < len(stamps):
                yield Due(newest, 1, self.picture, restamped(record.raw, int(stamps[count])))
                count += 1

    def _sounds(self) -> Iterator[Due]:
        topic = self._source.sound_topic
        if topic is None:
            return
        alone = BagSource(self._path, "none", topic)
        # On the clock that pictures and sound have together.
        shift = int(self._source.survey.lines[topic].stamps.min()) - alone.start_ns
        newest = 0
        for item in alone.pictures_and_sound():
            if isinstance(item, ClipSound):
                sound = Sound(item.offset_ns + shift, item.rate_hz, item.samples, item.clean)
                newest = max(newest, sound.end_ns)
                yield Due(newest, 2, "audio", fill_audio(msg.AudioChunk(), sound, "microphone"))


class Player:
    """Publishes a script to the nodes of a namespace ("" or "/name"). A context manager: at its end it has left the
    graph.
    """

    def __init__(self, script: Script, namespace: str = "") -> None:
        self._script = script
        self.played = Played()
        self._stack = ExitStack()
        self._node = self._stack.enter_context(small_node("bag_player", namespace, pictures=True))
        self._clock = self._node.create_publisher(Clock, "/clock", QoSProfile(depth=10))
        table = load_table()
        specs = {t.name: t for node in table.nodes for t in node.subscribers}
        self._publishers = {}
        for topic in script.topics:
            profile = qos_profile(table.qos[specs[topic].qos])
            if topic == script.picture:  # who listens may ask for either
                profile.reliability = ReliabilityPolicy.RELIABLE
            kind = interface(specs[topic].type, "msg")
            self._publishers[topic] = self._node.create_publisher(kind, topic, profile)

    def __enter__(self) -> Player:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def wait_for_listener(self, stop: Callable[[], bool], wait_s: float = WAIT_S) -> None:
        """Wait up to `wait_s` for subscribers of the pictures (without them, of the sound) and of /clock.

        Raises:
            ReactdiffError: there are none, or another node publishes pictures or /clock too.
        """
        topic = self._script.picture or self._script.sound
        end = time.monotonic() + wait_s
        while not stop():
            heard = self._publishers[topic].get_subscription_count()
            timed = self._clock.get_subscription_count()
            if heard and timed:
                break
            if time.monotonic() > end:
                raise self._nobody(topic, heard)
            time.sleep(0.1)
        time.sleep(0.5)  # who else is there is known a little later
        for name in ("/clock", topic):
            if self._node.count_publishers(name) > 1:
                what = f"another node publishes {self._node.resolve_topic_name(name)} too"
                raise ReactdiffError(what, todo="stop the other player, camera or clip first")

    def _nobody(self, topic: str, heard: int) -> ReactdiffError:
        start = "'reactdiff listen use_sim_time:=true'"
        if heard:
            return ReactdiffError("the nodes do not listen to /clock", todo=f"start them with {start}")
        raw = " with perception_node's image_transport at raw" if topic == "camera/image_raw" else ""
        what = f"no node subscribes to {self._node.resolve_topic_name(topic)}"
        return ReactdiffError(what, todo=f"start the listener first: {start}{raw}")

    def play(self, rate: float, loop: bool, progress: Callable[[float], None], stop: Callable[[], bool]) -> None:
        """Play, once or over and over, until the end or until `stop()`; arguments as of the function `play`."""
        while not stop():
            self._hold(BEFORE_S, stop)
            self._round(rate, progress, stop)
            if not loop:
                break

    def _hold(self, seconds: float, stop: Callable[[], bool]) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and not stop():
            self._tell(self._script.start_ns)
            time.sleep(1.0 / CLOCK_HZ)

    def _round(self, rate: float, progress: Callable[[float], None], stop: Callable[[], bool]) -> None:
        script = self._script
        items = iter(script)
        item = next(items, None)
        start_ns = script.start_ns if item is None else min(script.start_ns, item.at_ns)
        length_ns = max(script.end_ns - start_ns, 1)
        begin_ns, tick = time.monotonic_ns(), 0
        end_ns: int | None = None
        while not stop():
            elapsed = time.monotonic_ns() - begin_ns
            now = start_ns + round(rate * elapsed)
            while item is not None and item.at_ns <= now:
                self._tell(item.at_ns if item.at_ns > start_ns else start_ns)
                self._publishers[item.topic].publish(item.message)
                self.played.pictures += item.topic == script.picture
                self.played.sounds += item.topic == script.sound
                self.played.late_ms = max(self.played.late_ms, (now - item.at_ns) / rate / 1e6)
                end_ns = item.at_ns + round(AFTER_S * NS)
                item = next(items, None)
            if item is None and (end_ns is None or now >= end_ns):
                break
            if elapsed >= tick * NS / CLOCK_HZ:
                self._tell(now)
                progress(min((now - start_ns) / length_ns, 1.0))
                tick = int(elapsed * CLOCK_HZ / NS) + 1
            wake_ns = round(tick * NS / CLOCK_HZ)
            if item is not None:
                wake_ns = min(wake_ns, round((item.at_ns - start_ns) / rate))
            time.sleep(max(wake_ns - (time.monotonic_ns() - begin_ns), 0) / NS)
        self.played.seconds += min(rate * (time.monotonic_ns() - begin_ns), length_ns) / NS

    def _tell(self, now_ns: int) -> None:
        self._clock.publish(Clock(clock=fill_stamp(Time(), now_ns)))


def play(
    path: Path,
    *,
    rate: float,
    loop: bool,
    picture: str,
    sound: str,
    namespace: str,
    log: Callable[[str], None],
    progress: Callable[[float], None],
    stop: Callable[[], bool],
) -> Played:
    """Play the bag `path` into the running graph; returns how it went.

    Args:
        path: rosbag2 folder or a file of one.
        rate: speed, 0.05 to 20; 1 = as recorded.
        loop: begin again at the end, /clock included.
        picture: the camera's topic in the bag; "" = found by type, "none" = without.
        sound: the microphone's topic, likewise.
        namespace: of the nodes, "" or "/name".
        log: receives every sentence about the bag that a user should know.
        progress: takes the share done, 0 to 1.
        stop: asked several times a second whether to end.

    Raises:
        MediaError: the bag cannot be played.
        ReactdiffError: there is no subscriber, or another player runs.
    """
    script = Script(path, picture, sound)
    with Player(script, namespace) as player:
        player.wait_for_listener(stop)
        player.play(rate, loop, progress, stop)
        player.played.notes = script.notes
    for note in player.played.notes:
        log(note)
    return player.played
