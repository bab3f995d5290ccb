"""The faults: what each one does, for how long, and what is asked of the graph."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Literal, Protocol

from reactdiff_ros.errors import ConfigError
from reactdiff_ros.evaluation.faults import inputs
from reactdiff_ros.evaluation.faults.account import Bounds
from reactdiff_ros.evaluation.faults.hardware import Failure
from reactdiff_ros.evaluation.faults.inputs import PictureFault, SoundFault

SENSES_S: Final = 6.0
"""Perception and reaction are back within this time: they load networks."""
FACE_S: Final = 2.0
"""Expression, avatar, and the graph after every other cause."""
START_S: Final = 0.8
"""A killed process is not back before."""
Undo = Callable[[], None]


class Lab(Protocol):
    """What can be done to a running graph. Everything returns what ends it."""

    def kill(self, node: str) -> Undo:
        """SIGKILL."""

    def stop(self, node: str) -> Undo:
        """SIGSTOP until undone; then SIGCONT, if it is still the same process."""

    def pictures(self, fault: PictureFault) -> Undo:
        """What perception sees."""

    def sound(self, fault: SoundFault) -> Undo:
        """What perception hears."""

    def shout(self, value: float) -> Undo:
        """Messages with this value in every floating-point field, on every topic of numbers, 25 times a second."""

    def busy(self, processes: int) -> Undo:
        """So many processes that compute for nothing."""

    def half_open(self, sockets: int) -> Undo:
        """So many websockets of the page that never read."""

    def second(self, node: str) -> Undo:
        """A second instance of a node."""

    def pages(self, count: int, *, reload: bool = False) -> Undo:
        """So many open pages; with `reload` each is opened anew again and again."""

    def cut_network(self) -> Undo:
        """No way between the machine of the robot and that of reaction_node."""

    def fill_disk(self) -> Undo:
        """Not a byte is left where a session is recorded and logs are written."""

    def stop_clock(self) -> Undo:
        """/clock stands still, as when a bag is paused."""

    def loop_bag(self, seconds: float) -> Undo:
        """/clock and all stamps jump back by so much."""

    def servo(self, failure: Failure) -> Undo:
        """One servo of the bus fails."""

    def board(self) -> Undo:
        """The servos' board, or all servos of the bus, neither hear nor answer."""

    def cable(self) -> Undo:
        """The servos' cable is pulled."""

    def slow(self, node: str) -> Undo:
        """A twentieth of the processor's time, for a process."""

    def starve(self, node: str) -> Undo:
        """No more memory for a process than it has."""

    def control_edges(self) -> Undo:
        """Every control at the ends of its range in turn, 25 times a second."""

    def cut_weights(self) -> Undo:
        """A network of the model cut in half, and the node that loads it killed; undone: whole again."""


@dataclass(frozen=True)
class Fault:
    """One fault.

    Args:
        name: for `--only` and the table.
        what: in words.
        seconds: how long its cause lasts; 0: it is an event.
        begin: does it to a lab.
        bounds: what is asked.
        stage: topic that must come again, "" for none but the face.
        page: whether the page must answer again.
        robot: what must be there for it: "" nothing, "any" servos, or servos that answer on a "bus".
        setting: of `setting.SETTINGS`; "" an ordinary graph.
        host_lost_s: so long at least the servos hear nothing; None: they are commanded all the time.
    """

    name: str
    what: str
    seconds: float
    begin: Callable[[Lab], Undo]
    bounds: Bounds
    stage: str = ""
    page: bool = False
    robot: Literal["", "any", "bus"] = ""
    setting: str = ""
    host_lost_s: float | None = None


_STAGES: Final = {
    "perception_node": "speaker/frame",
    "reaction_node": "listener/reaction",
    "actuator_node": "actuator/state",
}
_SLOW_STAGES: Final = ("perception_node", "reaction_node")
_PROCESSES: Final = ("perception_node", "expression_node", "reaction_node", "avatar_node")


def _of_process(node: str, seconds: float) -> Fault:
    name = node.removesuffix("_node")
    bounds = Bounds(
        SENSES_S if node in _SLOW_STAGES else FACE_S,
        face_dies=node == "expression_node",
        told=not 0.0 < seconds < 2.0,  # who stands for a second is missed by nobody
    )
    stage, page = _STAGES.get(node, ""), node == "avatar_node"
    robot: Literal["", "any"] = "any" if node == "actuator_node" else ""
    lost_s = (seconds or START_S) if robot else None
    if not seconds:
        fault = Fault(f"{name}-killed", f"{node} killed", 0.0, lambda lab: lab.kill(node), bounds, stage, page, robot)
    else:
        what = f"{node} stopped for {seconds:g} s"
        named = f"{name}-stopped-{seconds:g}"
        fault = Fault(named, what, seconds, lambda lab: lab.stop(node), bounds, stage, page, robot)
    return replace(fault, host_lost_s=lost_s)


def _of_pictures(
    name: str, what: str, seconds: float, make: Callable[[], PictureFault], *, told: bool = False
) -> Fault:
    bounds = Bounds(FACE_S, told=told)
    return Fault(name, what, seconds, lambda lab: lab.pictures(make()), bounds, "speaker/frame")


def _of_sound(name: str, what: str, seconds: float, fault: SoundFault, *, told: bool = False) -> Fault:
    return Fault(name, what, seconds, lambda lab: lab.sound(fault), Bounds(FACE_S, told=told), "speaker/frame")


def _numbers(name: str, what: str, value: float) -> Fault:
    return Fault(name, what, 3.0, lambda lab: lab.shout(value), Bounds(FACE_S), "listener/reaction")


def _of_servos(
    name: str, what: str, begin: Callable[[Lab], Undo], seconds: float = 3.0, robot: Literal["any", "bus"] = "bus"
) -> Fault:
    return Fault(name, f"{what} for {seconds:g} s", seconds, begin, Bounds(FACE_S), "actuator/state", robot=robot)


def _of_network(seconds: float) -> Fault:
    what = f"the network cut between the robot and reaction_node's machine for {seconds:g} s"
    bounds = Bounds(FACE_S, no_replay=True)
    return Fault(
        f"network-cut-{seconds:g}", what, seconds, lambda lab: lab.cut_network(), bounds, "listener/reaction",
        setting="network",
    )  # fmt: skip


def catalogue() -> tuple[Fault, ...]:
    """All faults, in the order in which they are injected: one node is not hit twice in a row."""
    picture: Callable[[PictureFault], Callable[[], PictureFault]] = lambda fault: lambda: fault  # noqa: E731
    return (
        *(_of_process(node, 0.0) for node in _PROCESSES),
        _of_pictures("camera-gone", "no pictures for 5 s", 5.0, picture(inputs.nothing), told=True),
        _of_sound("microphone-gone", "no sound for 5 s", 5.0, inputs.mute, told=True),
        *(_of_process(node, 1.0) for node in _PROCESSES),
        _of_pictures("picture-frozen", "the same picture for 5 s", 5.0, inputs.frozen, told=True),
        _of_pictures("picture-black", "black pictures for 3 s", 3.0, picture(inputs.black), told=True),
        _of_pictures("picture-size", "pictures of another size for 3 s", 3.0, picture(inputs.smaller)),
        _of_pictures("picture-grey", "grey pictures of one channel for 3 s", 3.0, picture(inputs.grey)),
        _of_pictures("picture-cut", "cut pictures for 3 s", 3.0, picture(inputs.cut), told=True),
        _of_pictures("picture-giant", "8 MB that are no picture, for 2 s", 2.0, picture(inputs.giant), told=True),
        *(_of_process(node, 5.0) for node in _PROCESSES),
        _of_sound("sound-silent", "digital silence for 5 s", 5.0, inputs.silent, told=True),
        _of_sound("sound-clipped", "sound that is a square wave for 3 s", 3.0, inputs.clipped, told=True),
        _of_sound("sound-rate", "sound at 44.1 kHz for 3 s", 3.0, inputs.other_rate),
        _numbers("numbers-nan", "NaN in every number of every topic for 3 s", math.nan),
        _of_pictures("stamps-late", "pictures stamped 60 s late for 2 s", 2.0, partial(inputs.shifted, 60.0)),
        _of_pictures("stamps-early", "pictures stamped 60 s early for 2 s", 2.0, partial(inputs.shifted, -60.0)),
        _of_pictures("stamps-jump", "stamps jumping by 10 s for 3 s", 3.0, partial(inputs.jumping, 10.0)),
        Fault("cpu", "four processes that compute for 5 s", 5.0, lambda lab: lab.busy(4), Bounds(FACE_S, told=False)),
        Fault(
            "pages", "60 half-open websockets for 3 s", 3.0, lambda lab: lab.half_open(60), Bounds(FACE_S, told=False),
            page=True,
        ),
        Fault(
            "pages-50", "50 open pages for 5 s", 5.0, lambda lab: lab.pages(50), Bounds(FACE_S, told=False), page=True,
        ),
        Fault(
            "page-reloaded", "a page reloaded again and again for 5 s", 5.0, lambda lab: lab.pages(1, reload=True),
            Bounds(FACE_S, told=False), page=True,
        ),
        _numbers("numbers-infinite", "infinity in every number of every topic for 3 s", math.inf),
        Fault(
            "slow", "reaction_node with a twentieth of its time for 5 s", 5.0, lambda lab: lab.slow("reaction_node"),
            Bounds(FACE_S, told=False), "listener/reaction",
        ),
        Fault(
            "memory", "perception_node without more memory for 3 s", 3.0, lambda lab: lab.starve("perception_node"),
            Bounds(SENSES_S, told=False), "speaker/frame",
        ),
        Fault(
            "controls", "all controls at the ends of their ranges for 3 s", 3.0, lambda lab: lab.control_edges(),
            Bounds(FACE_S, told=False), "listener/reaction",
        ),
        Fault(
            "weights", "a network of the model cut in half for 8 s, reaction_node killed", 8.0,
            lambda lab: lab.cut_weights(), Bounds(FACE_S), "listener/reaction",
        ),
        *(_of_process(node, 30.0) for node in _PROCESSES),
        *(_of_process("actuator_node", seconds) for seconds in (0.0, 1.0, 5.0, 30.0)),
        _of_servos("servo-cable", "the servos' cable pulled", lambda lab: lab.cable(), robot="any"),
        _of_servos("servo-board", "servos that neither hear nor answer", lambda lab: lab.board(), robot="any"),
        _of_servos("servo-mute", "a servo that does not answer", lambda lab: lab.servo("mute")),
        _of_servos("servo-checksum", "a servo with wrong checksums", lambda lab: lab.servo("bad_checksum")),
        _of_servos("servo-overload", "an overloaded servo", lambda lab: lab.servo("overload")),
        _of_servos("servo-hot", "a servo that is too hot", lambda lab: lab.servo("hot")),
        Fault("second", "a second expression_node", 5.0, lambda lab: lab.second("expression_node"), Bounds(FACE_S)),
        Fault(
            "clock-stopped", "/clock stopped for 5 s", 5.0, lambda lab: lab.stop_clock(),
            Bounds(FACE_S, face_dies=True), "listener/reaction", setting="clock",
        ),
        Fault(
            "bag-loops", "a bag that loops: stamps and /clock jump back by 8 s", 0.0, lambda lab: lab.loop_bag(8.0),
            Bounds(FACE_S, told=False), "listener/reaction", setting="clock",
        ),
        Fault("disk-full", "a full disk for 5 s, while recording", 5.0, lambda lab: lab.fill_disk(), Bounds(FACE_S),
              setting="disk"),
        *(_of_network(seconds) for seconds in (5.0, 30.0)),
    )  # fmt: skip


SHORT: Final = ("expression-killed", "perception-killed", "avatar-killed", "camera-gone", "numbers-nan")
"""What CI runs."""


def chosen(names: Iterable[str], *, short: bool = False, robot: bool = False, bus: bool = False) -> tuple[Fault, ...]:
    """The faults of these names (of all, or of SHORT, without any; those of a robot only where there is one).

    `robot`: there are servos; `bus`: they are on a bus.

    Raises:
        ConfigError: there is none of a name, or it needs a robot.
    """
    faults = {fault.name: fault for fault in catalogue()}
    names = list(names)
    wanted = names or (list(SHORT) if short else list(faults))
    unknown = [name for name in wanted if name not in faults]
    if unknown:
        raise ConfigError("there is no such fault", where=", ".join(unknown), todo="choose of " + ", ".join(faults))
    there = {"": True, "any": robot, "bus": bus}
    for kind, todo in (("any", "generic_12servo"), ("bus", "bus_head")):
        needing = [name for name in names if faults[name].robot == kind and not there[kind]]
        if needing:
            what = "this fault needs a robot" + (" with servos on a bus" if kind == "bus" else "")
            raise ConfigError(what, where=", ".join(needing), todo=f"give --robot {todo}")
    return tuple(faults[name] for name in dict.fromkeys(wanted) if there[faults[name].robot])
