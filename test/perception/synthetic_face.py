"""Faces of the demo head, networks that see them exactly, and a stage to play on."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from reactdiff_ros.perception import PerceptionConfig, SpeakerPerception
from reactdiff_ros.perception import face as geometry
from reactdiff_ros.perception.nets import Detection, Region
from reactdiff_ros.types import Picture, SpeakerFrame, Voice
from tools.demo.head import Morphs, load_head
from tools.demo.readback import face

MS = 1_000_000
FRAME_MS = 40
HEAD = Morphs(load_head())


@lru_cache(256)
def frontal_face(**shown: float) -> np.ndarray:
    """Landmarks (478, 3) of the demo head with these coefficients, in the head's frame and units."""
    points = HEAD.landmarks(face(**shown))
    return geometry.frontal(points, geometry.fit_head(points))


def in_picture(
    points: np.ndarray, *, x: float = 320.0, y: float = 200.0, scale: float = 80.0,
    pitch: float = 0.0, yaw: float = 0.0, roll: float = 0.0,
) -> np.ndarray:  # fmt: skip
    """Landmarks in px (weak perspective) of a frontal face; `x`, `y` the point between the eyes."""
    turned = points @ Rotation.from_euler("YXZ", [yaw, pitch, roll]).as_matrix().T * scale
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
    width: int = 640
    height: int = 480

    def warm_up(self) -> None:
        pass

    def begin_detection(self, rgb: np.ndarray) -> None:
        pass

    def detect(self, rgb: np.ndarray, min_score: float) -> list[Detection]:
        regions = [actor.region() for actor in self.actors if actor.detectable]
        return [Detection(r, (r.x - r.side / 3, r.y - r.side / 3, r.side / 1.5, r.side / 1.5), 0.9) for r in regions]

    def mesh(self, rgb: np.ndarray, region: Region) -> np.ndarray | None:
        seen = [a for a in self.actors if a.meshable]
        near = [a for a in seen if np.hypot(a.x - region.x, a.y + 40 - region.y) < region.side / 2]
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
            shown = bgr[y0 : max(0, top + size), x0 : max(0, left + size)]
            shown[:] = patch[y0 - top :, x0 - left :][: shown.shape[0], : shown.shape[1]]
        return Picture(round(t_ms * MS), bgr)


@dataclass
class Talk:
    """A voice that speaks where `speaking` is set."""

    speaking: bool = False
    clean: bool = False

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
    actor.face = frontal_face(jawOpen=opening / 0.57 * (1 + np.sin(2 * np.pi * 4 * t)))


def one_talks(who: Actor, other: Actor) -> Callable[[float], None]:
    """The mouth of one of them moves."""
    return lambda t: (mouth(who, t, 0.1), mouth(other, t, 0.0))
