"""What goes in must come back: known faces are rendered, shown to perception and compared with what it reads.

`python -m tools.demo.readback [CLIP ...]` prints the measured response of perception as tables, and how much its
readings tremble while the people of the clips hold still (docs/perception_noise.md).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Final

import numpy as np

from reactdiff_ros.capture.media import MediaClip
from reactdiff_ros.clock import NS, to_ns
from reactdiff_ros.coefficients import BLENDSHAPE_NAMES, INDEX, NAMES, ROTATION, neutral, sides
from reactdiff_ros.model.diffusion.latents import GROUPS
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
        out[sides(name)] = value
    return out


def looking(yaw: float, pitch: float) -> FloatArray:
    """Both eyes turned: `yaw` to the own left, `pitch` down, as shares (-1..1) of the eyeLook coefficients' range."""
    left, right = max(yaw, 0.0), max(-yaw, 0.0)
    return face(
        eyeLookOutLeft=left, eyeLookInRight=left, eyeLookInLeft=right, eyeLookOutRight=right,
        eyeLookDown=max(pitch, 0.0), eyeLookUp=max(-pitch, 0.0),
    )  # fmt: skip


class Readback:
    """Renders faces at 25 a second for one perception, which learns the neutral face fast. Deterministic.

    Args:
        scene: camera, place and light; may be exchanged while it runs.
        seed: of the camera's noise.
        renderer: draws the head; None makes one.
        nets: the face networks; None loads them.
    """

    def __init__(
        self, scene: Scene, seed: int = 0, *, renderer: HeadRenderer | None = None, nets: FaceNets | None = None
    ) -> None:
        self.scene = scene
        self.renderer = renderer or HeadRenderer()
        self.perception = SpeakerPerception(PerceptionConfig(neutral_learning_s=0.5), nets=nets)
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


# ---- What perception reads of known faces: reading = offset + gain x shown, by least squares

LEVELS = (0.0, 0.4, 0.8)
CONDITIONS: tuple[tuple[Scene, dict[str, float]], ...] = (
    (Scene(noise_sd=2.0), {}),
    (Scene(noise_sd=5.0, light_azimuth=0.9, light=0.75, ambient=0.35), {"headYaw": 0.15}),
    (Scene(noise_sd=3.0, light_azimuth=-1.1, light=0.5, ambient=0.45, position_m=(0.05, 0, 0.75)), {"headYaw": -0.15}),
    (Scene(noise_sd=2.0, light_elevation=1.0, position_m=(-0.04, 0.03, 0.48)), {"headPitch": 0.10, "headRoll": 0.10}),
)


Row = tuple[str, float, float, float, float]
"""Name, gain, offset, deviation from picture to picture of a held face, deviation of the readings from the line."""


def measure_responses() -> Iterator[tuple[Row, str, float]]:
    """Of every coefficient, shown alone at LEVELS under CONDITIONS; and which other one moves most, with its gain."""
    shown: dict[str, list[float]] = {n: [] for n in OBSERVABLE}
    read: dict[str, list[FloatArray]] = {n: [] for n in OBSERVABLE}
    noise: dict[str, list[float]] = {n: [] for n in OBSERVABLE}
    for seed, (scene, pose) in enumerate(CONDITIONS):
        run = Readback(scene, seed)
        run.hold(face(**pose), 40)
        for name, level in product(OBSERVABLE, LEVELS):
            frames = run.hold(face(**pose, **{name: level}), 6)[-SETTLED:]
            if all(f.mesh_present for f in frames):
                values = np.array([f.coefficients[: len(BLENDSHAPE_NAMES)] for f in frames])
                shown[name].append(level)
                read[name].append(values.mean(axis=0))
                noise[name].append(float(values[:, INDEX[name]].var(ddof=1)))
    for name in OBSERVABLE:
        i, levels, values = INDEX[name], np.array(shown[name]), np.array(read[name], np.float64)
        gains, offsets = np.polyfit(levels, values, 1)
        misfit = values[:, i] - offsets[i] - gains[i] * levels
        spread = float(np.sqrt((misfit**2).sum() / max(len(levels) - 2, 1)))
        most = int(np.argmax(np.abs(np.where(np.arange(len(gains)) == i, 0.0, gains))))
        row = (name, float(gains[i]), float(offsets[i]), float(np.sqrt(np.mean(noise[name]))), spread)
        yield row, BLENDSHAPE_NAMES[most], float(gains[most])


TURNS: Final[dict[str, tuple[float, ...]]] = {
    "headPitch": (-0.25, -0.12, 0.0, 0.12, 0.25), "headYaw": (-0.40, -0.20, 0.0, 0.20, 0.40),
    "headRoll": (-0.30, -0.15, 0.0, 0.15, 0.30),
}  # fmt: skip
PLACES: Final = {"x": (-0.12, 0.0, 0.12), "y": (-0.10, 0.0, 0.10), "z": (0.45, 0.6, 0.8, 1.0)}


def measure_pose() -> Iterator[Row]:
    """Of head rotations (rad) and the eyes' position (m)."""
    run = Readback(Scene(noise_sd=2.0))
    run.hold(neutral(), 60)
    for name, levels in TURNS.items():
        frames = [run.hold(face(**{name: level}), 12)[-SETTLED:] for level in levels]
        yield _line(name, levels, [[float(f.coefficients[INDEX[name]]) for f in part] for part in frames])
        run.hold(neutral(), 10)
    for axis, levels in PLACES.items():
        read = []
        for level in levels:
            place = {"x": 0.0, "y": 0.0, "z": 0.6, axis: level}
            run.scene = replace(run.scene, position_m=(place["x"], place["y"], place["z"]))
            found = [f.position_m for f in run.hold(neutral(), 14)[-SETTLED:]]
            read.append([float(p["xyz".index(axis)]) for p in found if p is not None])
        yield _line(f"position {axis}", levels, read)


def _line(name: str, levels: tuple[float, ...], read: list[list[float]]) -> Row:
    means = np.array([np.mean(r) for r in read])
    gain, offset = np.polyfit(levels, means, 1)
    noise = float(np.sqrt(np.mean([np.var(r, ddof=1) for r in read])))
    spread = float(np.sqrt(np.mean((means - offset - gain * np.array(levels)) ** 2)))
    return name, float(gain), float(offset), noise, spread


# ---- How much the readings of recorded people tremble while they hold still

STRETCH_S: Final = 0.4
LEAST_PICTURES: Final = 8
"""Of a stretch."""
STILL: Final = 0.04
"""By how much a coefficient, in the mean over MEAN_OF pictures, may differ within a still stretch; the head in rad."""
MEAN_OF: Final = 5
SKIPPED_S: Final = 1.0
"""At a clip's beginning, where the person's neutral face is learnt fastest."""


def still_deviations(path: Path, nets: FaceNets) -> list[list[float]]:
    """For each coefficient the deviation of its readings from a straight line, in every still stretch of a clip.

    Still: the running mean of the coefficient stays within STILL, and those of the head's turns do. Stretches with a
    reading at a bound of the coefficient, where noise would be cut off, are left out.

    Raises:
        MediaError: the clip cannot be read, or has no picture.
    """
    perception, times_s, read, observed = SpeakerPerception(nets=nets), [], [], []
    for picture in MediaClip(path).pictures():
        frame = perception.observe_picture(Picture(NS + picture.offset_ns, picture.bgr))
        times_s.append(picture.offset_ns / NS)
        read.append(frame.coefficients)
        observed.append(frame.mesh_present & (frame.confidence > 0))
    times, found = np.array(times_s), list[list[float]]([] for _ in NAMES)
    start = int(np.searchsorted(times, SKIPPED_S))
    while start < len(times):
        end = int(np.searchsorted(times, times[start] + STRETCH_S))
        rows, start = slice(start, end), end
        if end - rows.start < LEAST_PICTURES:
            continue
        values = np.array(read[rows], np.float64)
        moved = np.ptp(np.lib.stride_tricks.sliding_window_view(values, MEAN_OF, axis=0).mean(-1), axis=0)
        inside = (values.min(0) > 0.0) & (values.max(0) < 1.0)
        inside[ROTATION.start :] = True  # positions and turns have no bound at 0
        kept = np.all(observed[rows], axis=0) & inside & (moved < STILL)
        if (moved[ROTATION] < STILL).all():
            squares = np.polyfit(times[rows] - times[rows].mean(), values, 1, full=True)[1]
            for i in np.flatnonzero(kept):
                found[i].append(float(np.sqrt(squares[i] / (len(values) - 2))))
    return found


def main(clips: Sequence[Path]) -> None:
    """Print the response of perception, and how much readings tremble while the people of the clips hold still."""
    noise: dict[str, float] = {}
    print("| coefficient | gain | offset | noise sd | spread sd | moves too |\n|---|---|---|---|---|---|")
    for (name, gain, offset, sd, spread), other, moved in measure_responses():
        noise[name] = sd
        print(f"| {name} | {gain:.2f} | {offset:.2f} | {sd:.3f} | {spread:.2f} | {other} {moved:+.2f} |")
    print("\n| value | gain | offset | noise sd | spread sd |\n|---|---|---|---|---|")
    for name, gain, offset, sd, spread in measure_pose():
        noise[name] = sd
        print(f"| {name} | {gain:.2f} | {offset:+.3f} | {sd:.4f} | {spread:.3f} |")
    nets = FaceNets()
    by_clip = [still_deviations(path, nets) for path in clips]
    if clips:
        print("\n| group | stretches x coefficients | clips | quietest tenth | median | largest tenth | rendered |")
        print("|---|---|---|---|---|---|---|")
    for group in GROUPS if clips else ():
        members = [i for i in group.coefficients if i < ROTATION.stop]
        each = [[value for i in members for value in found[i]] for found in by_clip]
        values = [value for some in each for value in some]
        low, middle, high = np.percentile(values, [10, 50, 90]) if values else 3 * (np.nan,)
        rendered = [noise[NAMES[i]] for i in members if NAMES[i] in noise]
        root = np.sqrt(np.mean(np.square(rendered))) if rendered else np.nan
        figures = f"{low:.4f} | {middle:.4f} | {high:.4f} | {root:.4f}"
        print(f"| {group.name} | {len(values)} | {sum(map(bool, each))} | {figures} |")


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]])
