"""`reactdiff robot preview`: a profile tried while it is being written, in the browser or as a picture of its mapping.

The page draws a simple robot made of *parts*, one number each: lids from 0 (open) to 1 (closed); brows, corners of the
mouth and antennas from -1 (down) to 1 (up); gaze from -1 to 1 (up; to the robot's own left); jaw and lips from 0 to 1;
the head's rotations in rad and its translations in m (ARKit's axes, see coefficients.py).
"""

from __future__ import annotations

import asyncio
import math
import signal
from collections import Counter
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.actuation.follow import STALE_S, Commands, Follower
from reactdiff_ros.actuation.mapping import Mapping as JointMapping
from reactdiff_ros.actuation.robot.profile import Joint, Profile, Signal, load_profile
from reactdiff_ros.actuation.simulate import SAME_S, Frames
from reactdiff_ros.avatar import AvatarConfig
from reactdiff_ros.avatar.server import PreviewServer
from reactdiff_ros.avatar.wire import encode_robot
from reactdiff_ros.cli.common import dumps, echo, log, writing
from reactdiff_ros.coefficients import (
    BLENDSHAPE_COUNT,
    COEFFICIENT_COUNT,
    INDEX,
    NAMES,
    POSE_NAMES,
    UPPER,
    bounded,
    sides,
)
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.whole_file import file_state, whole_file

SIDES: Final = ("Left", "Right")
RELOAD_S: Final = 0.5
"""Interval at which the file is checked for changes."""
LATE_S: Final = 0.25
"""A playback that is later than this skips ticks instead of catching up."""
PAUSE_S: Final = 1.0
"""Between two rounds of the clip no frame comes: the joints return to neutral."""
TRY_S: Final = 2.4
"""Period of a single coefficient that is tried, s."""
CLIP, PAUSED = "clip", "paused"

RATE_HZ: Final = 50.0
STEP_S: Final = 1.1
RISE_S: Final = 0.3
STEPS: Final[tuple[dict[str, float], ...]] = (
    # One after the other; a name without its side means both sides.
    {"headPitch": 0.3}, {"headPitch": -0.25}, {"headYaw": 0.45}, {"headYaw": -0.45}, {"headRoll": 0.25},
    {"headRoll": -0.25}, {"eyeLookOutLeft": 0.9, "eyeLookInRight": 0.9}, {"eyeLookInLeft": 0.9, "eyeLookOutRight": 0.9},
    {"eyeLookUp": 0.8}, {"eyeLookDown": 0.8}, {"eyeBlink": 1.0}, {"eyeBlinkLeft": 1.0}, {"eyeBlinkRight": 1.0},
    {"eyeWide": 0.9}, {"browInnerUp": 0.9, "browOuterUp": 0.9}, {"browDown": 0.9},
    {"browOuterUpLeft": 0.9, "browDownRight": 0.5}, {"jawOpen": 0.8}, {"mouthFunnel": 0.7, "jawOpen": 0.2},
    {"mouthPucker": 0.8}, {"mouthUpperUp": 0.8}, {"mouthLowerDown": 0.8},
    # Faces of a listener: a smile with a nod, doubt, regret, surprise.
    {"mouthSmile": 0.85, "cheekSquint": 0.5, "eyeSquint": 0.2, "headPitch": 0.14},
    {"browDownLeft": 0.7, "browOuterUpRight": 0.7, "headRoll": 0.16, "mouthPress": 0.4},
    {"browInnerUp": 0.8, "mouthFrown": 0.7, "headPitch": 0.14, "eyeLookDown": 0.3},
    {"jawOpen": 0.45, "eyeWide": 0.9, "browInnerUp": 0.8, "browOuterUp": 0.8, "headPitch": -0.1},
    {"headX": 0.1}, {"headY": 0.1}, {"headZ": 0.12},
)  # fmt: skip


def sequence() -> Frames:
    """The default clip: coefficients (T, 58) at 50 frames a second, from neutral to neutral."""
    times = np.arange(round((len(STEPS) + 1) * STEP_S * RATE_HZ)) / RATE_HZ
    values = np.zeros((len(times), COEFFICIENT_COUNT))
    for number, wanted in enumerate(STEPS):
        since = times - (number + 0.5) * STEP_S
        envelope = np.clip(np.minimum(since, STEP_S - since) / RISE_S, 0.0, 1.0)
        for name, value in wanted.items():
            values[:, sides(name)] += value * (1 - np.cos(np.pi * envelope[:, None])) / 2
    return Frames(values.astype(np.float32), times, 0)


PARTS: Final[dict[str, dict[str, dict[str, float]]]] = {
    # By group of joints, its parts: which coefficients, at 1, move a part by how much. {} is a side.
    "lids": {"lid{}": {"eyeBlink{}": 1.0, "eyeWide{}": -0.3}, "squint{}": {"eyeSquint{}": 1.0}},
    "brows": {
        "browInner{}": {"browInnerUp": 1.0, "browDown{}": -1.0},
        "browOuter{}": {"browOuterUp{}": 1.0, "browDown{}": -1.0},
    },
    "eyes": {
        "gazeXLeft": {"eyeLookOutLeft": 1.0, "eyeLookInLeft": -1.0},
        "gazeXRight": {"eyeLookInRight": 1.0, "eyeLookOutRight": -1.0},
        "gazeY{}": {"eyeLookUp{}": 1.0, "eyeLookDown{}": -1.0},
    },
    "mouth": {
        "jaw": {"jawOpen": 1.0, "mouthClose": -1.0},
        "corner{}": {"mouthSmile{}": 1.0, "mouthFrown{}": -1.0},
        "stretch{}": {"mouthStretch{}": 1.0},
        "upperLip": {"mouthUpperUpLeft": 1.0, "mouthUpperUpRight": 1.0},
        "lowerLip": {"mouthLowerDownLeft": 1.0, "mouthLowerDownRight": 1.0},
        "round": {"mouthFunnel": 1.0, "mouthPucker": 1.0},
        "mouthX": {"mouthLeft": 1.0, "mouthRight": -1.0},
    },
    "cheeks": {"cheek{}": {"cheekPuff": 1.0, "cheekSquint{}": 1.0}},
    "antennas": {"antenna{}": {"mouthSmile{}": 1.0, "mouthFrown{}": -1.0, "browOuterUp{}": 1.0, "browDown{}": -1.0}},
    "head": {part: {name: 1.0} for part, name in zip(("pitch", "yaw", "roll", "x", "y", "z"), POSE_NAMES, strict=True)},
}
SAME_GROUP: Final = {"jaw": "mouth", "neck": "head"}
METRIC: Final = {"rad": 1.0, "deg": math.pi / 180, "m": 1.0}


def effects(profile: Profile) -> dict[str, dict[str, float]]:
    """How far every coefficient at its most (1, 0.6 rad, 0.15 m) moves each joint, in its unit; zeros are left out."""
    mapping = JointMapping(profile)
    rest = mapping.wanted(np.zeros(COEFFICIENT_COUNT))
    moved = mapping.wanted(np.diag(UPPER.astype(np.float64))) - rest
    return {
        name: {c: float(moved[i, j]) for i, c in enumerate(NAMES) if abs(moved[i, j]) > 1e-12}
        for j, name in enumerate(profile.joints)
    }


def share(joint: Joint, displacement: float) -> float:
    """A displacement from neutral as a share of the way to the limit on that side; its sign is kept."""
    way = joint.upper - joint.neutral if displacement > 0.0 else joint.neutral - joint.lower
    way = way or joint.upper - joint.lower
    return displacement / way


def parts_of(profile: Profile) -> dict[str, list[tuple[str, float]]]:
    """(part, how much of it a unit of the joint is) for each joint; none where the picture has nothing for it.

    The joint's group names its parts; in another group, the coefficient that moves the joint most does. A part that
    several joints move by the same coefficient is the mean of them, but angles and ways of the head add up.
    """
    found = {n: _parts(profile.joints[n], moved) for n, moved in effects(profile).items()}
    shared = Counter((part, best) for parts in found.values() for part, best, _ in parts if best not in POSE_NAMES)
    return {n: [(p, gain / max(shared[p, best], 1)) for p, best, gain in parts] for n, parts in found.items()}


def _parts(joint: Joint, moved: dict[str, float]) -> list[tuple[str, str, float]]:
    """(part, the coefficient that moves it most, gain) for the parts that move half as much as the strongest one."""
    group = SAME_GROUP.get(joint.group, joint.group)
    if group not in PARTS:
        group = max(PARTS, key=lambda g: max(abs(moved.get(c, 0.0)) for m in _signs(g).values() for c in m))
    signs = _signs(group)
    named = {c for coefficients in signs.values() for c in coefficients if c in moved}
    still = tuple(side for side in SIDES if not any(c.endswith(side) for c in named))
    most = max((abs(moved[c]) for c in named), default=0.0)
    found = []
    for part, coefficients in signs.items():
        best = max(coefficients, key=lambda c: abs(moved.get(c, 0.0)))
        if best not in moved or abs(moved[best]) < most / 2 or (len(still) == 1 and part.endswith(still)):
            continue
        amount = coefficients[best] * float(UPPER[INDEX[best]])
        metric = METRIC.get(joint.unit) if group == "head" else None
        found.append((part, best, math.copysign(metric, moved[best]) if metric else amount / moved[best]))
    return found


def _signs(group: str) -> dict[str, dict[str, float]]:
    """The parts of a group with their sides."""
    return {p.format(s): {c.format(s): v for c, v in m.items()} for p, m in PARTS[group].items() for s in SIDES}


class Preview:
    """One robot without hardware, driven by a clip or by a single coefficient; `tick` advances its time.

    `generation` counts the profiles that were read: a page's description of the joints belongs to one of them.
    """

    def __init__(self, path: Path, frames: Frames, clip: str) -> None:
        """Read the profile of `path`; `clip` is what to call the frames. Raises ConfigError."""
        self.path, self.clip = path, clip
        self._frames, self._start = frames, float(frames.times[0])
        self.length_s = float(frames.times[-1]) - self._start
        self.playing = CLIP
        """CLIP, PAUSED, or the coefficient that is tried."""
        self.error = ""
        self.generation = 1
        self._mark = file_state(path)
        self.profile = load_profile(path)
        self.restart()

    def restart(self) -> None:
        """From the clip's beginning, the robot at neutral and at rest."""
        self._follower = Follower(self.profile)
        self._ticks = self._played = self._tried = 0

    def obey(self, report: dict[str, Any]) -> bool:
        """Do what a page asks for: play the clip, pause, restart, try one coefficient, or seek (0 to 1 of the clip).

        False: it is not understood.
        """
        what, place = report.get("play"), report.get("seek")
        if set(report) == {"fps", "play"} and what == "restart":
            self.restart()
        elif set(report) == {"fps", "play"} and isinstance(what, str) and (what in INDEX or what in (CLIP, PAUSED)):
            self.playing, self._tried = what, 0
        elif set(report) == {"fps", "seek"} and isinstance(place, (int, float)) and 0.0 <= place <= 1.0:
            self._played = round(place * self.length_s * self.profile.rate_hz)
        else:
            return False
        return True

    def reload(self) -> bool:
        """Read the file again if it changed. What was read before stays in use while the new content is wrong.

        Returns: whether the description changed.
        """
        mark = file_state(self.path)
        if mark == self._mark:
            return False
        self._mark = mark
        try:
            profile = load_profile(self.path)
        except ReactdiffError as error:
            self.error = str(error)
            return True
        # From neutral at rest; the clip goes on where it was.
        self._played = round(self._played * profile.rate_hz / self.profile.rate_hz)
        self.profile, self.error, self._ticks = profile, "", 0
        self.generation += 1
        self._follower = Follower(profile)
        return True

    @property
    def position(self) -> float:
        """How much of the clip was played, 0 to 1."""
        if not self.length_s:
            return 0.0
        return min(self._played / self.profile.rate_hz % (self.length_s + PAUSE_S) / self.length_s, 1.0)

    def tick(self) -> tuple[Commands, NDArray[np.floating[Any]]]:
        """The commands of the next tick, and the face (58,) that was asked for."""
        rate = self.profile.rate_hz
        now_s = self._ticks / rate
        frame, age_s = self._tried_frame() if self.playing in INDEX else self._clip_frame()
        self._ticks += 1
        self._played += self.playing == CLIP
        self._tried += self.playing in INDEX
        if self._ticks == 1:
            wanted = self._follower.mapping.wanted(frame).tolist()
            commands = self._follower.begin_at_neutral(now_s, wanted, age_s)
        else:
            commands = self._follower.tick(now_s, frame.copy(), age_s)
        return commands, bounded(frame)

    def _tried_frame(self) -> tuple[NDArray[np.floating[Any]], float]:
        i = INDEX[self.playing]
        phase = 2 * np.pi * self._tried / self.profile.rate_hz / TRY_S
        frame = np.zeros(COEFFICIENT_COUNT)
        # Rotations and translations have two sides: both are shown.
        frame[i] = UPPER[i] * (np.sin(phase) if i >= BLENDSHAPE_COUNT else (1 - np.cos(phase)) / 2)
        return frame, 0.0

    def _clip_frame(self) -> tuple[NDArray[np.floating[Any]], float]:
        time_s = self._played / self.profile.rate_hz % (self.length_s + PAUSE_S)
        times = self._frames.times - self._start
        newest = int(np.searchsorted(times, time_s + SAME_S, side="right")) - 1
        age_s = 0.0 if self.playing == PAUSED else max(time_s - float(times[newest]), 0.0)
        if age_s >= STALE_S:
            return np.zeros(COEFFICIENT_COUNT), age_s
        return self._frames.coefficients[newest], age_s

    def description(self) -> dict[str, Any]:
        """What a page needs to draw the robot and its mapping."""
        profile, moved, parts = self.profile, effects(self.profile), parts_of(self.profile)
        joints = []
        for name, joint in profile.joints.items():
            limits = joint.limits
            joints.append(
                {
                    "name": name, "group": joint.group, "unit": joint.unit, "neutral": joint.neutral,
                    "lower": joint.lower, "upper": joint.upper, "speed": limits.speed,
                    "acceleration": limits.acceleration, "jerk": limits.jerk, "on_fault": joint.on_fault,
                    "driver": joint.output.driver, "id": joint.output.id,
                    "sum": dict(joint.map.sum), "curve": joint.map.curve, "follow": dict(joint.map.follow),
                    "effects": {c: share(joint, d) for c, d in moved[name].items()},
                    "parts": parts[name],
                }
            )  # fmt: skip
        used = {c for effect in moved.values() for c in effect}
        return {
            "generation": self.generation, "name": profile.name, "about": profile.about, "shows": profile.shows,
            "file": str(self.path), "rate_hz": profile.rate_hz, "joints": joints,
            "signals": {n: {"sum": dict(s.sum), "curve": s.curve} for n, s in profile.signals.items()},
            "rules": [
                f"{r.joint} not beyond {r.beyond:g} towards {r.towards} for longer than {r.longest_s:g} s"
                for r in profile.rules
            ],
            "coefficients": [c for c in NAMES if c in used],
            "unused": [c for c in NAMES if c not in used],
            "clip": self.clip, "length_s": self.length_s, "playing": self.playing, "error": self.error,
            "fault": self._follower.fault,
        }  # fmt: skip


async def serve(preview: Preview, port: int, as_json: bool) -> int:
    """Serve the page and play the preview on it until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        # Not the loop's own handler: the end of the loop removes that, and a copy of the signal would come through.
        signal.signal(number, lambda *_: loop.is_closed() or loop.call_soon_threadsafe(stop.set))

    def on_report(report: dict[str, Any]) -> bool:
        accepted = preview.obey(report)
        if accepted:
            server.describe(preview.description())
        return accepted

    server = PreviewServer(on_report, AvatarConfig(port=port))
    server.describe(preview.description())
    url = await server.start()
    work = asyncio.ensure_future(_play(preview, server))
    end = asyncio.ensure_future(stop.wait())
    about = {"robot": preview.profile.name, "file": str(preview.path), "joints": len(preview.profile.joints)}
    echo(dumps({"url": url, **about}) if as_json else f"Preview of {preview.profile.name} (Ctrl-C ends it): {url}")
    try:
        await asyncio.wait({work, end}, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            work.result()
    finally:
        work.cancel()
        end.cancel()
        await server.stop()
    log("stopping")
    return 0


async def _play(preview: Preview, server: PreviewServer) -> None:
    """Tick at the profile's rate while a page is connected; reload the file when it changes."""
    loop = asyncio.get_running_loop()
    due = check = loop.time()
    fault = ""
    while True:
        if loop.time() >= check:
            check = loop.time() + RELOAD_S
            if preview.reload():
                server.describe(preview.description())
        if server.watched:
            now, face = preview.tick()
            state = (now.state, preview.generation, now.time_s, preview.position, face)
            server.show(encode_robot(*state, now.target, now.position, now.limited))
            if now.fault != fault:
                fault = now.fault
                server.describe(preview.description())
        due += 1.0 / preview.profile.rate_hz
        if loop.time() - due > LATE_S:
            due = loop.time()
        await asyncio.sleep(max(due - loop.time(), 0.0))


UNITS = {"us": "us", "deg": "deg", "rad": "rad", "m": "m", "raw": "counts", "1": ""}
NUMBERED_JOINTS = 24
"""Profiles with at most this many joints have the numbers in the table."""
CURVES_A_ROW = 4


def draw_mapping(profile: Profile, path: Path) -> None:
    """Write the picture, whole or not at all; the ending of `path` says its format.

    Raises:
        ReactdiffError: the format is unknown, or the file cannot be written.
    """
    from reactdiff_ros.evaluation.plots import new_figure

    kind = path.suffix.lower().lstrip(".")
    if kind not in ("png", "svg", "pdf"):
        raise ReactdiffError("a picture of this kind cannot be drawn", where=str(path), todo="use .png, .svg or .pdf")
    moved = effects(profile)
    used = [c for c in NAMES if any(c in m for m in moved.values())]
    signals = [(name, s, "") for name, s in profile.signals.items() if s.curve is not None]
    curves = [*signals, *((n, j.map, UNITS[j.unit]) for n, j in profile.joints.items() if j.map.curve is not None)]
    curve_rows, width = -(-len(curves) // CURVES_A_ROW), 0.33 * max(len(used), 4)
    heights = [max(0.34 * len(profile.joints), 1.2), *[1.9] * curve_rows]
    figure = new_figure(7.5 + width, sum(heights) + 2.4)
    figure.suptitle(f"{profile.name}: {profile.about}", wrap=True, fontsize=11)
    grid = figure.add_gridspec(len(heights), 1, height_ratios=heights)
    top = grid[0].subgridspec(1, 2, width_ratios=[width, 3.6])
    _table(figure, figure.add_subplot(top[0]), profile, used, moved)
    _ranges(figure.add_subplot(top[1]), profile)
    for row in range(curve_rows):
        cells = grid[1 + row].subgridspec(1, CURVES_A_ROW)
        for column, (name, curved, unit) in enumerate(curves[row * CURVES_A_ROW : (row + 1) * CURVES_A_ROW]):
            _curve(figure.add_subplot(cells[column]), name, curved, unit)
    with writing("the picture", path), whole_file(path) as file:
        figure.savefig(file, format=kind)


def _table(figure: Any, axis: Any, profile: Profile, used: list[str], moved: dict[str, dict[str, float]]) -> None:
    """Joints by coefficients: how much of its way a coefficient at its most moves a joint."""
    shares = np.array([[100 * share(j, moved[n].get(c, 0.0)) for c in used] for n, j in profile.joints.items()])
    shares = shares.reshape(len(profile.joints), len(used))
    image = axis.imshow(np.where(shares == 0.0, np.nan, shares), cmap="coolwarm", vmin=-100, vmax=100, aspect="auto")
    axis.set_xticks(range(len(used)), used, rotation=90, fontsize=8)
    axis.set_yticks(range(len(profile.joints)), list(profile.joints), fontsize=8)
    axis.set_xticks(np.arange(-0.5, len(used)), minor=True)
    axis.set_yticks(np.arange(-0.5, len(profile.joints)), minor=True)
    axis.grid(which="minor", color="0.9", linewidth=0.6)
    axis.tick_params(which="minor", length=0)
    if len(profile.joints) <= NUMBERED_JOINTS:
        for (row, column), value in np.ndenumerate(shares):
            if value:
                colour = "white" if abs(value) > 70 else "black"
                axis.text(column, row, f"{value:.0f}", ha="center", va="center", fontsize=6, color=colour)
    bar = figure.colorbar(image, ax=axis, location="bottom", shrink=0.6, aspect=40, pad=0.02)
    bar.set_label("% of the way from neutral to the limit, at 1, 0.6 rad or 0.15 m", fontsize=8)
    bar.ax.tick_params(labelsize=7)


def _ranges(axis: Any, profile: Profile) -> None:
    """Ends and neutral of every joint, each on its own scale."""
    for row, joint in enumerate(profile.joints.values()):
        at = (joint.neutral - joint.lower) / (joint.upper - joint.lower)
        axis.barh(row, 1.0, height=0.34, color="0.88")
        axis.plot([at, at], [row - 0.3, row + 0.3], color="#1c8f82", linewidth=2.5)
        unit = " " * bool(UNITS[joint.unit]) + UNITS[joint.unit]
        axis.text(-0.03, row, f"{joint.lower:g}", ha="right", va="center", fontsize=7)
        axis.text(1.03, row, f"{joint.upper:g}{unit}, {joint.limits.speed:g}/s", ha="left", va="center", fontsize=7)
        axis.text(at, row - 0.33, f"{joint.neutral:g}", ha="center", va="bottom", fontsize=6, color="#1c8f82")
    axis.set(xlim=(-0.35, 2.0), ylim=(len(profile.joints) - 0.5, -0.5))
    axis.set_title("ends, neutral, largest speed", fontsize=9)
    axis.axis("off")


def _curve(axis: Any, name: str, signal: Signal, unit: str) -> None:
    x, y = np.array(signal.curve or ((0.0, 0.0), (1.0, 0.0))).T
    beyond = 0.1 * (x[-1] - x[0])
    axis.axhline(0.0, color="0.8", linewidth=0.8)
    axis.plot([x[0] - beyond, *x, x[-1] + beyond], [y[0], *y, y[-1]], color="#7d5fc4")
    axis.plot(x, y, "o", color="#7d5fc4", markersize=3.5)
    axis.set_title(f"{name}: curve", fontsize=9)
    axis.set_xlabel("weighted sum", fontsize=8)
    axis.set_ylabel(f"from neutral, {unit}" if unit else "value", fontsize=8)
    axis.tick_params(labelsize=7)
