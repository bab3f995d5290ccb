"""What goes in must come back: known faces are rendered, shown to perception and compared with what it reads.

`python -m tools.demo.readback [OUT.md [CLIP ...]]` writes the measured response of perception as
a table, and how much its readings tremble while the people of the clips hold still.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.capture.media import MediaClip
from reactdiff_ros.clock import NS, to_ns
from reactdiff_ros.coefficients import BLENDSHAPE_NAMES, INDEX, NAMES, ROTATION, neutral
from reactdiff_ros.model.plan.latents import GROUPS
from reactdiff_ros.perception.config import PerceptionConfig
from reactdiff_ros.perception.nets import FaceNets
from reactdiff_ros.perception.speaker import SpeakerPerception
from reactdiff_ros.types import FloatArray, Picture, SpeakerFrame
from tools.demo.renderer import HeadRenderer, Scene

FRAME_NS = to_ns(0.04)
SETTLED = 4
"""Pictures at the end of a hold that are averaged."""
POSE_STEP_RAD = 0.12
"""Turns grow by no more than this a picture, so that perception sees motion and not a cut."""

OBSERVABLE: tuple[str, ...] = (
    "jawOpen", "mouthSmileLeft", "mouthSmileRight", "mouthFrownLeft", "mouthFrownRight", "mouthPucker", "mouthFunnel",
    "mouthStretchLeft", "mouthStretchRight", "mouthPressLeft", "mouthPressRight", "mouthUpperUpLeft",
    "mouthUpperUpRight", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthLeft", "mouthRight", "browDownLeft",
    "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "eyeBlinkLeft", "eyeBlinkRight",
    "eyeWideLeft", "eyeWideRight", "eyeSquintLeft", "eyeSquintRight", "eyeLookOutLeft", "eyeLookOutRight",
    "eyeLookInLeft", "eyeLookInRight", "eyeLookUpLeft", "eyeLookUpRight", "eyeLookDownLeft", "eyeLookDownRight",
)  # fmt: skip
"""What landmarks can show, and the renderer moves."""


def face(**values: float) -> FloatArray:
    """Coefficients (58,), neutral but for `values`; a name without its Left or Right sets both."""
    out = neutral()
    for name, value in values.items():
        sides = [name] if name in INDEX else [name + "Left", name + "Right"]
        out[[INDEX[side] for side in sides]] = value
    return out


def looking(yaw: float, pitch: float) -> FloatArray:
    """Both eyes turned: `yaw` to the own left, `pitch` down, as shares (-1..1) of the eyeLook coefficients' range."""
    left, right = max(yaw, 0.0), max(-yaw, 0.0)
    return face(
        eyeLookOutLeft=left, eyeLookInRight=left, eyeLookInLeft=right, eyeLookOutRight=right,
        eyeLookDown=max(pitch, 0.0), eyeLookUp=max(-pitch, 0.0),
    )  # fmt: skip


class Readback:
    """Renders faces at 25 a second for one perception. Deterministic.

    Args:
        scene: camera, place and light; may be exchanged while it runs.
        seed: of the camera's noise.
        config: perception's settings; by default its neutral is learnt fast, because every run begins with one.
        renderer: draws the head; None makes one.
        nets: the face networks; None loads them.
    """

    def __init__(
        self,
        scene: Scene,
        seed: int = 0,
        config: PerceptionConfig | None = None,
        *,
        renderer: HeadRenderer | None = None,
        nets: FaceNets | None = None,
    ) -> None:
        self.scene = scene
        self.renderer = renderer or HeadRenderer()
        self.perception = SpeakerPerception(config or PerceptionConfig(neutral_learning_s=0.5), nets=nets)
        self._rng = np.random.default_rng(seed)
        self._stamp_ns = 0
        self._shown = neutral()

    def show(self, coefficients: FloatArray) -> SpeakerFrame:
        """One picture."""
        self._stamp_ns += FRAME_NS
        self._shown = coefficients
        picture = self.renderer.render(coefficients, self.scene, self._rng)
        return self.perception.observe_picture(Picture(self._stamp_ns, picture, focal_px=self.scene.focal))

    def hold(self, coefficients: FloatArray, pictures: int = 9) -> list[SpeakerFrame]:
        """Moves there as fast as faces do, then stays; the frames of the stay."""
        turn = float(np.abs(coefficients[52:55] - self._shown[52:55]).max())
        steps = max(3, int(np.ceil(turn / POSE_STEP_RAD)))
        start = self._shown
        for i in range(1, steps):
            self.show((start + (coefficients - start) * (i / steps)).astype(np.float32))
        return [self.show(coefficients) for _ in range(pictures)]

    def read(self, coefficients: FloatArray, pictures: int = 9) -> FloatArray:
        """What perception reads of a held face: (58,), mean of the last pictures; NaN where the face was lost."""
        frames = self.hold(coefficients, pictures)[-SETTLED:]
        if not all(f.mesh_present for f in frames):
            return np.full(len(NAMES), np.nan, dtype=np.float32)
        return np.asarray(np.mean([f.coefficients for f in frames], axis=0), dtype=np.float32)


@dataclass(frozen=True)
class Response:
    """How one coefficient comes back: reading = offset + gain * shown, by least squares."""

    name: str
    gain: float
    offset: float
    noise_sd: float
    """Standard deviation from picture to picture of a held face."""
    spread_sd: float
    """Standard deviation of the readings around the line, over conditions."""
    other: str
    """The foreign coefficient that moves most with this one, and by how much when it goes from 0 to 1."""
    other_gain: float


LEVELS = (0.0, 0.4, 0.8)
CONDITIONS: tuple[tuple[Scene, dict[str, float]], ...] = (
    (Scene(noise_sd=2.0), {}),
    (Scene(noise_sd=5.0, light_azimuth=0.9, light=0.75, ambient=0.35), {"headYaw": 0.15}),
    (
        Scene(noise_sd=3.0, light_azimuth=-1.1, light=0.5, ambient=0.45, position_m=(0.05, 0.0, 0.75)),
        {"headYaw": -0.15},
    ),
    (Scene(noise_sd=2.0, light_elevation=1.0, position_m=(-0.04, 0.03, 0.48)), {"headPitch": 0.10, "headRoll": 0.10}),
)


def measure_responses(names: tuple[str, ...] = OBSERVABLE) -> list[Response]:
    """Shows every coefficient alone at LEVELS under CONDITIONS."""
    shown: dict[str, list[float]] = {n: [] for n in names}
    read: dict[str, list[NDArray[np.float32]]] = {n: [] for n in names}
    noise: dict[str, list[float]] = {n: [] for n in names}
    for seed, (scene, pose) in enumerate(CONDITIONS):
        run = Readback(scene, seed)
        run.hold(face(**pose), 40)
        for name in names:
            print(f"\rcondition {seed + 1} of {len(CONDITIONS)}: {name:24s}", end="", file=sys.stderr, flush=True)
            for level in LEVELS:
                frames = run.hold(face(**pose, **{name: level}), 6)[-SETTLED:]
                if not all(f.mesh_present for f in frames):
                    continue
                values = np.array([f.coefficients for f in frames])
                shown[name].append(level)
                read[name].append(values.mean(axis=0))
                noise[name].append(float(values[:, INDEX[name]].var(ddof=1)))
    print(file=sys.stderr)
    return [_fit(n, np.array(shown[n]), np.array(read[n]), float(np.sqrt(np.mean(noise[n])))) for n in names]


def _fit(name: str, shown: NDArray[np.float64], read: NDArray[np.float32], noise_sd: float) -> Response:
    design = np.stack([np.ones_like(shown), shown], axis=1)
    (offsets, gains), *_ = np.linalg.lstsq(design, read[:, : len(BLENDSHAPE_NAMES)].astype(np.float64), rcond=None)
    i = INDEX[name]
    misfit = read[:, i] - offsets[i] - gains[i] * shown
    foreign = gains.copy()
    foreign[i] = 0.0
    most = int(np.argmax(np.abs(foreign)))
    spread = float(np.sqrt((misfit**2).sum() / max(len(shown) - 2, 1)))
    return Response(
        name, float(gains[i]), float(offsets[i]), noise_sd, spread, BLENDSHAPE_NAMES[most], float(foreign[most])
    )


def measure_pose() -> list[tuple[str, float, float, float, float]]:
    """(name, gain, offset, noise sd, spread sd) of head rotations (rad) and the eyes' position (m)."""
    run = Readback(Scene(noise_sd=2.0))
    run.hold(neutral(), 60)
    rows = []
    turns: dict[str, tuple[float, ...]] = {
        "headPitch": (-0.25, -0.12, 0.0, 0.12, 0.25),
        "headYaw": (-0.40, -0.20, 0.0, 0.20, 0.40),
        "headRoll": (-0.30, -0.15, 0.0, 0.15, 0.30),
    }
    for name, levels in turns.items():
        frames = [run.hold(face(**{name: level}), 12)[-SETTLED:] for level in levels]
        rows.append(_line(name, levels, [[float(f.coefficients[INDEX[name]]) for f in part] for part in frames]))
        run.hold(neutral(), 10)
    places: dict[str, tuple[float, ...]] = {
        "x": (-0.12, 0.0, 0.12),
        "y": (-0.10, 0.0, 0.10),
        "z": (0.45, 0.6, 0.8, 1.0),
    }
    for axis, levels in places.items():
        read = []
        for level in levels:
            place = {"x": 0.0, "y": 0.0, "z": 0.6, axis: level}
            run.scene = replace(run.scene, position_m=(place["x"], place["y"], place["z"]))
            found = [f.position_m for f in run.hold(neutral(), 14)[-SETTLED:]]
            read.append([float(p["xyz".index(axis)]) for p in found if p is not None])
        rows.append(_line(f"position {axis}", levels, read))
    return rows


def _line(name: str, levels: tuple[float, ...], read: list[list[float]]) -> tuple[str, float, float, float, float]:
    means = np.array([np.mean(r) for r in read])
    gain, offset = np.polyfit(levels, means, 1)
    noise = float(np.sqrt(np.mean([np.var(r, ddof=1) for r in read])))
    spread = float(np.sqrt(np.mean((means - offset - gain * np.array(levels)) ** 2)))
    return name, float(gain), float(offset), noise, spread


def table(clips: Sequence[Path] = ()) -> str:
    """The measured response of perception, in Markdown; with recordings of one person each also its noise on those."""
    levels = ", ".join(f"{x:g}" for x in LEVELS)
    lines = [
        "# What perception reads of known faces",
        "",
        "Made by `python -m tools.demo.readback docs/perception_noise.md CLIP ...`.",
        "",
        "## A rendered face",
        "",
        f"The demo speaker is rendered with one coefficient at {levels} under {len(CONDITIONS)} conditions (camera",
        "noise 2 to 5 grey levels, light from the left, the right and above, 0.48 to 0.75 m away, turned up to 9",
        "degrees) and read by `SpeakerPerception`: reading = offset + gain x shown. *noise* is the standard deviation",
        "from picture to picture of a held face, *spread* that of the readings around the line, over the conditions;",
        "*moves too* is the foreign coefficient with the largest gain. A rendered face is one face: real ones differ",
        "more.",
        "",
        "| coefficient | gain | offset | noise sd | spread sd | moves too |",
        "|---|---|---|---|---|---|",
    ]
    responses = measure_responses()
    for r in responses:
        figures = f"{r.gain:.2f} | {r.offset:.2f} | {r.noise_sd:.3f} | {r.spread_sd:.2f}"
        lines.append(f"| {r.name} | {figures} | {r.other} {r.other_gain:+.2f} |")
    lines += ["", "Head rotation in rad, position of the eyes in metres (0.60 m away where not varied):", ""]
    lines += ["| value | gain | offset | noise sd | spread sd |", "|---|---|---|---|---|"]
    pose = measure_pose()
    lines += [f"| {n} | {g:.2f} | {o:+.3f} | {s:.4f} | {p:.3f} |" for n, g, o, s, p in pose]
    if clips:
        noise = {r.name: r.noise_sd for r in responses} | {name: sd for name, _, _, sd, _ in pose}
        lines += people_table(clips, noise)
    return "\n".join(lines) + "\n"


# ---- How much the readings of recorded people tremble while they hold still

STRETCH_S: Final = 0.4
LEAST_PICTURES: Final = 8
"""Of a stretch."""
STILL: Final = 0.04
"""By how much a coefficient, in the mean over MEAN_OF pictures, may differ within a still stretch; the head in rad."""
MEAN_OF: Final = 5
SKIPPED_S: Final = 1.0
"""At a clip's beginning, where the person's neutral face is learnt fastest."""
MEASURED: Final = tuple((group.name, tuple(i for i in group.coefficients if i < ROTATION.stop)) for group in GROUPS)
"""(group, its coefficients); of the head the rotations, in rad."""


@dataclass(frozen=True, slots=True)
class Readings:
    """What perception read of one clip, picture by picture."""

    times_s: NDArray[np.float64]
    """(T,)"""
    coefficients: FloatArray
    """(T, 58)"""
    observed: NDArray[np.bool_]
    """(T, 58): of landmarks that were found."""


@dataclass(slots=True)
class Tremble:
    """Deviations of still stretches of one group, over coefficients, and the clips that have any."""

    deviations: list[float] = field(default_factory=list)
    clips: int = 0


def read_clip(path: Path, nets: FaceNets | None = None) -> Readings:
    """One clip through its own perception.

    Raises:
        MediaError: it cannot be read, or has no picture.
    """
    perception = SpeakerPerception(nets=nets)
    times, read, observed = [], [], []
    for picture in MediaClip(path).pictures():
        frame = perception.observe_picture(Picture(NS + picture.offset_ns, picture.bgr))
        times.append(picture.offset_ns / NS)
        read.append(frame.coefficients)
        observed.append(frame.mesh_present & (frame.confidence > 0))
    shape = (len(times), len(NAMES))
    return Readings(
        np.array(times), np.array(read, np.float32).reshape(shape), np.array(observed, np.bool_).reshape(shape)
    )


def still_deviations(readings: Readings) -> list[list[float]]:
    """For each coefficient the deviation of its readings from a straight line, in every still stretch of a clip.

    Still: the running mean of the coefficient stays within STILL, and those of the head's turns do. Stretches with a
    reading at a bound of the coefficient, where noise would be cut off, are left out.
    """
    times = readings.times_s
    found: list[list[float]] = [[] for _ in NAMES]
    start = int(np.searchsorted(times, SKIPPED_S))
    while start < len(times):
        end = int(np.searchsorted(times, times[start] + STRETCH_S))
        rows, start = slice(start, end), end
        if end - rows.start < LEAST_PICTURES:
            continue
        values = readings.coefficients[rows].astype(np.float64)
        moved = np.ptp(np.lib.stride_tricks.sliding_window_view(values, MEAN_OF, axis=0).mean(-1), axis=0)
        deviation = _deviation(times[rows], values)
        inside = (values.min(0) > 0.0) & (values.max(0) < 1.0)
        inside[ROTATION.start :] = True  # positions and turns have no bound at 0
        kept = readings.observed[rows].all(0) & inside & (moved < STILL)
        if (moved[ROTATION] < STILL).all():
            for i in np.flatnonzero(kept):
                found[i].append(float(deviation[i]))
    return found


def _deviation(times: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each column of `values` (T, C) from its least-squares line over the times (T,)."""
    x, y = times - times.mean(), values - values.mean(0)
    return np.asarray(np.sqrt(((y - np.outer(x, x @ y / (x @ x))) ** 2).sum(0) / (len(x) - 2)))


def measure_people(clips: Sequence[Path]) -> dict[str, Tremble]:
    """By the names of MEASURED."""
    found = {name: Tremble() for name, _ in MEASURED}
    nets = FaceNets()
    for number, path in enumerate(clips):
        print(f"\rclip {number + 1} of {len(clips)}: {path.name:40.40s}", end="", file=sys.stderr, flush=True)
        by_coefficient = still_deviations(read_clip(path, nets))
        for name, members in MEASURED:
            mine = [deviation for i in members for deviation in by_coefficient[i]]
            found[name].deviations += mine
            found[name].clips += bool(mine)
    print(file=sys.stderr)
    return found


def people_table(clips: Sequence[Path], rendered: dict[str, float]) -> list[str]:
    """The lines of the page on recorded people.

    Args:
        clips: recordings of one person each.
        rendered: noise of the rendered face's coefficients by name, for comparison.
    """
    lines = [
        "", "## Recorded people", "",
        f"{len(clips)} public clips of one person each: {', '.join(p.stem for p in clips)}.", "",
        f"In each stretch of {STRETCH_S:g} s in which the mean of a coefficient over {MEAN_OF} pictures differs by",
        f"less than {STILL:g}, and the head turns by less than {np.degrees(STILL):.1f} degrees: the standard deviation",
        "of its readings around a straight line. Readings at a bound are left out. *rendered* is the root mean square",
        "of the noise above, of what of the group is moved there. People never hold quite still, and clips are",
        "compressed: the quietest tenth is nearest to perception's own noise, the rest holds small true motion too.",
        "Still stretches are few, because most of these people talk.", "",
        "| group | stretches x coefficients | clips | quietest tenth | median | largest tenth | rendered |",
        "|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for name, tremble in measure_people(clips).items():
        compared = [rendered[NAMES[i]] for i in dict(MEASURED)[name] if NAMES[i] in rendered]
        lines.append(f"| {name}{', rad' if name == 'head' else ''} | {_figures(tremble)} | {_root(compared)} |")
    return lines


def _figures(tremble: Tremble) -> str:
    if not tremble.deviations:
        return "0 | 0 | - | - | -"
    low, middle, high = np.percentile(tremble.deviations, [10, 50, 90])
    return f"{len(tremble.deviations)} | {tremble.clips} | {low:.4f} | {middle:.4f} | {high:.4f}"


def _root(values: Sequence[float]) -> str:
    return f"{np.sqrt(np.mean(np.square(values))):.4f}" if values else "-"


if __name__ == "__main__":
    text = table([Path(name) for name in sys.argv[2:]])
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(text, encoding="utf-8")
    else:
        print(text)
