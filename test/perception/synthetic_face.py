"""Schematic faces with the population's neutral measures, networks that see them exactly, and a stage to play on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from reactdiff_ros.perception import PerceptionConfig, SpeakerPerception
from reactdiff_ros.perception import face as geometry
from reactdiff_ros.perception.nets import Detection, Region
from reactdiff_ros.types import Picture, SpeakerFrame, Voice

MS = 1_000_000
FRAME_MS = 40
EYE_WIDTH = 0.439


def frontal_face(
    *, gap: float = 0.07, smile: float = 0.0, blink: float = 0.0, brow: float = 0.0, iris: float = 0.0
) -> np.ndarray:
    """(478, 3) in the head frame (unit: distance of the eyes). `smile` moves the corners of the mouth (up, out and
    back), `brow` the brows (up), `iris` both irises to the face's left; in units. `blink` 0..1 closes the lids."""
    rng = np.random.default_rng(5)
    face = np.column_stack([rng.uniform(-0.9, 0.9, 478), rng.uniform(-1.6, 0.6, 478), rng.uniform(-0.5, 0.3, 478)])
    face[geometry.RIGID] = geometry.MEAN_FACE
    nose = -0.736
    for i in (2, 94, 164):
        face[i] = (0.0, nose, 0.45)
    upper, lower = nose - 0.215 - 0.145, nose - 0.215 - 0.145 - gap
    for x, points in ((0.0, (0, 13, 14, 17)), (-0.1, (37, 82, 87, 84)), (0.1, (267, 312, 317, 314))):
        for i, y in zip(points, (upper + 0.145, upper, lower, lower - 0.168), strict=True):
            face[i] = (x, y, 0.4)
    for i, (x, y) in {39: (-0.15, upper + 0.145), 269: (0.15, upper + 0.145), 181: (-0.15, lower - 0.168),
                      405: (0.15, lower - 0.168)}.items():  # fmt: skip
        face[i] = (x, y, 0.4)
    for side, corners in ((-1.0, (61, 78)), (1.0, (291, 308))):
        for i in corners:
            face[i] = (side * (0.37 + smile), nose - 0.35 + smile, 0.45 - 0.34 - smile)
    chin = lower - 0.168 - 0.5
    for i in (152, 175, 199):
        face[i] = (0.0, chin, 0.2)
    opening = (0.31 * (1.0 - blink) + 0.07 * blink) * EYE_WIDTH
    for side, lids, centre in ((-1.0, ((159, 145), (158, 153), (160, 144)), 468),
                               (1.0, ((386, 374), (385, 380), (387, 373)), 473)):  # fmt: skip
        for k, (top, bottom) in enumerate(lids):
            x = side * (0.5 + (0.0, -0.07, 0.07)[k])
            face[bottom] = (x, -0.1 * EYE_WIDTH, 0.05)
            face[top] = (x, -0.1 * EYE_WIDTH + opening, 0.05)
        face[centre] = (side * 0.5 + iris, 0.055 * EYE_WIDTH, 0.05)
        radius = geometry.IRIS_DIAMETER_M / geometry.EYE_DISTANCE_M / 2
        for k, (dx, dy) in enumerate(((radius, 0), (0, radius), (-radius, 0), (0, -radius))):
            face[centre + 1 + k] = face[centre] + (dx, dy, 0.0)
    for side, (inner, middle, outer) in ((-1.0, ((55, 107), (65, 66, 105), (46, 63, 70))),
                                         (1.0, ((285, 336), (295, 296, 334), (276, 293, 300)))):  # fmt: skip
        for points, x, y in ((inner, 0.208, 0.315), (middle, 0.45, 0.397), (outer, 0.8, 0.295)):
            for i in points:
                face[i] = (side * x, y + brow, 0.2)
    for side, points in ((-1.0, (50, 101, 205)), (1.0, (280, 330, 425))):
        for i in points:
            face[i] = (side * 0.6, -0.512, 0.1)
    return face


def in_picture(
    face: np.ndarray, *, x: float = 320.0, y: float = 200.0, scale: float = 80.0, pitch: float = 0.0, yaw: float = 0.0,
    roll: float = 0.0,
) -> np.ndarray:  # fmt: skip
    """Landmarks in px (weak perspective) of a frontal face; `x`, `y` the point between the eyes."""
    turned = face @ Rotation.from_euler("YXZ", [yaw, pitch, roll]).as_matrix().T * scale
    return turned * (1.0, -1.0, -1.0) + (x, y, 0.0)


@dataclass
class Actor:
    """A face that stands at (x, y) with its own texture."""

    x: float
    y: float = 200.0
    scale: float = 60.0
    face: np.ndarray = field(default_factory=frontal_face)
    seed: int = 0
    yaw: float = 0.0
    detectable: bool = True
    meshable: bool = True

    def landmarks(self) -> np.ndarray:
        return in_picture(self.face, x=self.x, y=self.y, scale=self.scale, yaw=self.yaw)

    def region(self) -> Region:
        points = self.landmarks()
        low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
        return Region(*(float(v) for v in (low + high) / 2), 1.5 * float((high - low).max()))


@dataclass
class World:
    """Stands in for the networks: sees the actors that are on stage, exactly."""

    actors: list[Actor] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    """What was asked for, in order."""
    width: int = 640
    height: int = 480

    def warm_up(self) -> None:
        pass

    def begin_detection(self, rgb: np.ndarray) -> None:
        self.calls.append("begin")

    def detect(self, rgb: np.ndarray, min_score: float) -> list[Detection]:
        self.calls.append("detect")
        found = []
        for region in (actor.region() for actor in self.actors if actor.detectable):
            side = region.side / 1.5
            found.append(Detection(region, (region.x - side / 2, region.y - side / 2, side, side), 0.9))
        return found

    def mesh(self, rgb: np.ndarray, region: Region) -> np.ndarray | None:
        self.calls.append("mesh")
        near = [
            a for a in self.actors if a.meshable and np.hypot(a.x - region.x, a.y + 40 - region.y) < region.side / 2
        ]
        return min(near, key=lambda a: abs(a.x - region.x)).landmarks() if near else None

    def picture(self, t_ms: float) -> Picture:
        """What the camera shows: each actor's own texture on a plain wall."""
        bgr = np.full((self.height, self.width, 3), 90, np.uint8)
        for actor in self.actors:
            size = round(3.2 * actor.scale)
            texture = np.random.default_rng(actor.seed + 100).integers(0, 255, (6, 6, 3), dtype=np.uint8)
            patch = cv2.resize(texture, (size, size), interpolation=cv2.INTER_LINEAR)
            left, top = round(actor.x) - size // 2, round(actor.y) - size // 3
            x0, y0 = max(0, left), max(0, top)
            x1, y1 = min(self.width, left + size), min(self.height, top + size)
            if x1 > x0 and y1 > y0:
                bgr[y0:y1, x0:x1] = patch[y0 - top : y1 - top, x0 - left : x1 - left]
        return Picture(round(t_ms * MS), bgr)


class Talk:
    """A voice that speaks where `speaking` is set."""

    def __init__(self, speaking: bool = False) -> None:
        self.speaking, self.clean = speaking, False

    def push(self, sound) -> None:
        pass

    def reset(self) -> None:
        pass

    def latest(self, now_ns: int) -> tuple[Voice, int]:
        voice = Voice(1.0 * self.speaking, self.speaking, np.zeros(26, np.float32), 0.0, -40.0, 0.0, 0.0, self.clean)
        return voice, now_ns


class Stage:
    """Plays a world picture by picture."""

    def __init__(self, *actors: Actor, config: PerceptionConfig | None = None) -> None:
        self.world, self.voice, self.t_ms = World(list(actors)), Talk(), 0
        self.perception = SpeakerPerception(config, voice=self.voice, nets=self.world)

    def play(self, seconds: float, act: Callable[[float], None] = lambda t: None) -> list[SpeakerFrame]:
        frames = []
        for _ in range(round(seconds * 1000 / FRAME_MS)):
            act(self.t_ms / 1000)
            frames.append(self.perception.observe_picture(self.world.picture(self.t_ms)))
            self.t_ms += FRAME_MS
        return frames


def ids(frames: list[SpeakerFrame]) -> list[int]:
    """The targets in order, repetitions left out."""
    found = [frame.person_id for frame in frames]
    return [person for i, person in enumerate(found) if i == 0 or person != found[i - 1]]


def mouth(actor: Actor, t: float, opening: float) -> None:
    """Lips that move four times a second, by so many eye distances."""
    actor.face = frontal_face(gap=0.07 + opening * (1 + np.sin(2 * np.pi * 4 * t)))


def one_talks(who: Actor, other: Actor) -> Callable[[float], None]:
    """The mouth of one of them moves."""

    def talk(t: float) -> None:
        mouth(who, t, 0.1)
        mouth(other, t, 0.0)

    return talk
