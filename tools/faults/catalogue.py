"""The faults: what each one does, for how long, what is required of the graph; and the file of their figures."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from reactdiff_ros.actuation.robot.profile import Profile, load_profile
from reactdiff_ros.errors import ConfigError, MediaError, explained
from reactdiff_ros.evaluation.bench.machine import hardware
from reactdiff_ros.resources import resource_path
from tools.faults import inputs
from tools.faults.account import Bounds
from tools.faults.inputs import PictureFault, SoundFault

if TYPE_CHECKING:
    from tools.faults.lab import GraphLab

SENSES_S: Final = 6.0
"""Perception and reaction are back within this time: they load networks."""
FACE_S: Final = 2.0
"""Expression, avatar, and the graph after every other cause."""
START_S: Final = 0.8
"""A killed process is not back before."""
BUS_HEAD: Final = "bus_head"
"""A head whose servos answer one by one, made for this harness."""
Begin = Callable[["GraphLab"], Callable[[], object]]


@dataclass(frozen=True)
class Fault:
    """One fault.

    Args:
        name: for `--only` and the table.
        what: description.
        seconds: how long its cause lasts; 0: it is an event.
        begin: injects it and returns what ends it.
        bounds: the requirements.
        stage: topic that must be published again, "" for none but the face.
        page: whether the page must answer again.
        robot: what it needs: "" nothing, "any" servos, or servos that answer on a "bus".
        place: of `places.PLACES`; "" an ordinary graph.
        host_lost_s: how long at least the servos receive nothing; None: they are commanded all the time.
    """

    name: str
    what: str
    seconds: float
    begin: Begin
    bounds: Bounds
    stage: str = ""
    page: bool = False
    robot: Literal["", "any", "bus"] = ""
    place: str = ""
    host_lost_s: float | None = None


REPORTED, SILENT = Bounds(FACE_S), Bounds(FACE_S, reported=False)
_STAGES: Final = {
    "perception_node": "speaker/frame", "reaction_node": "listener/reaction", "actuator_node": "actuator/state",
}  # fmt: skip
_SLOW_STAGES: Final = ("perception_node", "reaction_node")
_PROCESSES: Final = ("perception_node", "expression_node", "reaction_node", "avatar_node")


def _of_process(node: str, seconds: float) -> Fault:
    name = node.removesuffix("_node")
    bounds = Bounds(
        SENSES_S if node in _SLOW_STAGES else FACE_S,
        face_dies=node == "expression_node",
        reported=not 0.0 < seconds < 2.0,  # no one misses a process that is frozen for a second
    )
    named, what = f"{name}-killed", f"{node} killed"
    if seconds:
        named, what = f"{name}-stopped-{seconds:g}", f"{node} stopped for {seconds:g} s"
    robot = node == "actuator_node"
    return Fault(
        named, what, seconds, lambda lab: lab.stop(node) if seconds else lab.kill(node), bounds, _STAGES.get(node, ""),
        page=node == "avatar_node", robot="any" if robot else "", host_lost_s=(seconds or START_S) if robot else None,
    )  # fmt: skip


def _of_pictures(name: str, what: str, seconds: float, begin: Callable[[], PictureFault], bounds: Bounds) -> Fault:
    return Fault(name, what, seconds, lambda lab: lab.pictures(begin()), bounds, "speaker/frame")


def _of_sound(name: str, what: str, seconds: float, fault: SoundFault, bounds: Bounds) -> Fault:
    return Fault(name, what, seconds, lambda lab: lab.sound(fault), bounds, "speaker/frame")


def _of_numbers(name: str, what: str, value: float) -> Fault:
    what = f"{what} in every number of every topic for 3 s"
    return Fault(name, what, 3.0, lambda lab: lab.shout(value), REPORTED, "listener/reaction")


def _of_servos(name: str, what: str, begin: Begin, robot: Literal["any", "bus"] = "bus") -> Fault:
    return Fault(name, f"{what} for 3 s", 3.0, begin, REPORTED, "actuator/state", robot=robot)


def _of_network(seconds: float) -> Fault:
    what = f"the network cut between the robot and reaction_node's machine for {seconds:g} s"
    bounds = Bounds(FACE_S, no_replay=True)
    return Fault(
        f"network-cut-{seconds:g}", what, seconds, lambda lab: lab.cut_network(), bounds, "listener/reaction",
        place="network",
    )  # fmt: skip


def catalogue() -> tuple[Fault, ...]:
    """All faults, in the order in which they are injected: no node is hit twice in a row."""
    return (
        *(_of_process(node, 0.0) for node in _PROCESSES),
        _of_pictures("camera-gone", "no pictures for 5 s", 5.0, lambda: inputs.nothing, REPORTED),
        _of_sound("microphone-gone", "no sound for 5 s", 5.0, inputs.mute, REPORTED),
        *(_of_process(node, 1.0) for node in _PROCESSES),
        _of_pictures("picture-frozen", "the same picture for 5 s", 5.0, inputs.frozen, REPORTED),
        _of_pictures("picture-black", "black pictures for 3 s", 3.0, lambda: inputs.black, REPORTED),
        _of_pictures("picture-size", "pictures of another size for 3 s", 3.0, lambda: inputs.smaller, SILENT),
        _of_pictures("picture-grey", "grey pictures of one channel for 3 s", 3.0, lambda: inputs.grey, SILENT),
        _of_pictures("picture-cut", "cut pictures for 3 s", 3.0, lambda: inputs.cut, REPORTED),
        _of_pictures("picture-giant", "8 MB that are no picture, for 2 s", 2.0, lambda: inputs.giant, REPORTED),
        *(_of_process(node, 5.0) for node in _PROCESSES),
        _of_sound("sound-silent", "digital silence for 5 s", 5.0, inputs.silent, REPORTED),
        _of_sound("sound-clipped", "sound that is a square wave for 3 s", 3.0, inputs.clipped, REPORTED),
        _of_sound("sound-rate", "sound at 44.1 kHz for 3 s", 3.0, inputs.other_rate, SILENT),
        _of_numbers("numbers-nan", "NaN", math.nan),
        _of_pictures("stamps-late", "pictures stamped 60 s late for 2 s", 2.0, lambda: inputs.shifted(60.0), SILENT),
        _of_pictures("stamps-early", "pictures stamped 60 s early for 2 s", 2.0, lambda: inputs.shifted(-60.0), SILENT),
        _of_pictures("stamps-jump", "stamps jumping by 10 s for 3 s", 3.0, lambda: inputs.jumping(10.0), SILENT),
        Fault("cpu", "four processes that compute for 5 s", 5.0, lambda lab: lab.busy(4), SILENT),
        Fault("pages", "60 half-open websockets for 3 s", 3.0, lambda lab: lab.half_open(60), SILENT, page=True),
        Fault("pages-50", "50 open pages for 5 s", 5.0, lambda lab: lab.pages(50), SILENT, page=True),
        Fault(
            "page-reloaded", "a page reloaded again and again for 5 s", 5.0, lambda lab: lab.pages(1, reload=True),
            SILENT, page=True,
        ),
        _of_numbers("numbers-infinite", "infinity", math.inf),
        Fault(
            "slow", "reaction_node with a twentieth of its time for 5 s", 5.0, lambda lab: lab.slow("reaction_node"),
            SILENT, "listener/reaction",
        ),
        Fault(
            "memory", "perception_node without more memory for 3 s", 3.0, lambda lab: lab.starve("perception_node"),
            Bounds(SENSES_S, reported=False), "speaker/frame",
        ),
        Fault(
            "controls", "all controls at the ends of their ranges for 3 s", 3.0, lambda lab: lab.control_edges(),
            SILENT, "listener/reaction",
        ),
        Fault(
            "weights", "a network of the model cut in half for 8 s, reaction_node killed", 8.0,
            lambda lab: lab.cut_weights(), REPORTED, "listener/reaction",
        ),
        *(_of_process(node, 30.0) for node in _PROCESSES),
        *(_of_process("actuator_node", seconds) for seconds in (0.0, 1.0, 5.0, 30.0)),
        _of_servos("servo-cable", "the servos' cable pulled", lambda lab: lab.cable(), "any"),
        _of_servos("servo-board", "servos that neither hear nor answer", lambda lab: lab.board(), "any"),
        _of_servos("servo-mute", "a servo that does not answer", lambda lab: lab.servo("mute")),
        _of_servos("servo-checksum", "a servo with wrong checksums", lambda lab: lab.servo("bad_checksum")),
        _of_servos("servo-overload", "an overloaded servo", lambda lab: lab.servo("overload")),
        _of_servos("servo-hot", "a servo that is too hot", lambda lab: lab.servo("hot")),
        _of_servos("servo-held", "a servo pushed aside and held", lambda lab: lab.hand()),
        Fault("second", "a second expression_node", 5.0, lambda lab: lab.second("expression_node"), REPORTED),
        Fault(
            "clock-stopped", "/clock stopped for 5 s", 5.0, lambda lab: lab.stop_clock(),
            Bounds(FACE_S, face_dies=True), "listener/reaction", place="clock",
        ),
        Fault(
            "bag-loops", "a bag that loops: stamps and /clock jump back by 8 s", 0.0, lambda lab: lab.loop_bag(8.0),
            SILENT, "listener/reaction", place="clock",
        ),
        Fault(
            "disk-full", "a full disk for 5 s, while recording", 5.0, lambda lab: lab.fill_disk(), REPORTED,
            place="disk",
        ),
        *(_of_network(seconds) for seconds in (5.0, 30.0)),
    )  # fmt: skip


SHORT: Final = ("expression-killed", "perception-killed", "avatar-killed", "camera-gone", "numbers-nan")
"""What a check of a change runs."""


def chosen(names: Iterable[str], *, short: bool = False, robot: str = "") -> tuple[Fault, ...]:
    """The faults of these names (without names: all, or SHORT); those of servos only with a robot that has them.

    Args:
        names: of faults.
        short: SHORT instead of all.
        robot: profile whose servos are emulated; "" for none.

    Raises:
        ConfigError: there is no such fault or robot, or the fault needs a robot.
    """
    profile = robot_profile(robot) if robot else None
    has = {"": True, "any": profile is not None, "bus": profile is not None and on_a_bus(profile)}
    faults = {fault.name: fault for fault in catalogue()}
    names = list(names)
    wanted = names or (list(SHORT) if short else list(faults))
    unknown = [name for name in wanted if name not in faults]
    if unknown:
        raise ConfigError("there is no such fault", where=", ".join(unknown), todo="choose one of " + ", ".join(faults))
    for kind, todo in (("any", "generic_12servo"), ("bus", "bus_head")):
        needing = [name for name in names if faults[name].robot == kind and not has[kind]]
        if needing:
            what = "this fault needs a robot" + (" with servos on a bus" if kind == "bus" else "")
            raise ConfigError(what, where=", ".join(needing), todo=f"give --robot {todo}")
    return tuple(faults[name] for name in dict.fromkeys(wanted) if has[faults[name].robot])


def robot_profile(name: str) -> Profile:
    """The profile of a robot: a shipped one, a file, or BUS_HEAD. Raises ReactdiffError as `load_profile`."""
    return load_profile(resource_path(f"faults/{BUS_HEAD}.yaml") if name == BUS_HEAD else name)


def on_a_bus(profile: Profile) -> bool:
    """Whether it has servos that answer one by one."""
    return any(driver.type in ("feetech", "dynamixel") for driver in profile.drivers.values())


_ROW: Final = {
    "fault": str, "what": str, "clip": str, "asked": dict, "said": list, "violations": list, "finite": bool,
    "load": float, "longest_gap_s": float, "largest_step": float,
}  # fmt: skip
"""What a row must have, except what may be null."""


def kept(path: Path | None) -> list[dict[str, Any]]:
    """The rows of an existing file that `summary` was written to; none without one.

    Raises:
        MediaError: the file holds something else.
    """
    if path is None or not path.exists():
        return []
    wrong, what = (OSError, ValueError, KeyError, TypeError, RecursionError), "this file holds no figures of faults"
    with explained(wrong, what, where=path, todo="give another --output", error=MediaError):
        figures = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(figures["hardware"], dict) or not all(_is_row(row) for row in figures["faults"]):
            raise ValueError
    cpu = str(figures["hardware"].get("cpu", ""))
    return [{"cpu": cpu, **row} for row in figures["faults"]]


def _is_row(row: Any) -> bool:
    return isinstance(row, dict) and all(isinstance(row[name], kind) for name, kind in _ROW.items())


def summary(before: list[dict[str, Any]], new: list[dict[str, Any]], *, clip: str) -> dict[str, Any]:
    """The rows of `before`, replaced by those of `new`, in the order of the catalogue.

    Returns:
        {"hardware", "faults", "within_bounds"}.
    """
    here = hardware()
    rows = {row["fault"]: row for row in (*before, *({**row, "clip": clip, "cpu": here["cpu"]} for row in new))}
    order = [fault.name for fault in catalogue()]
    ordered = [rows[name] for name in order if name in rows]
    return {"hardware": here, "faults": ordered, "within_bounds": not any(row["violations"] for row in ordered)}
