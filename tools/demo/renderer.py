"""Renders the demo speaker: 58 coefficients and a scene in, a camera picture out. Deterministic.

The head is placed in the camera's optical frame (x right, y down, z forward): with neutral coefficients the point
midway between the eyes is at `Scene.position_m` and the face looks along -z, parallel to the optical axis.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from reactdiff_ros import coefficients as table
from reactdiff_ros.types import UINT8
from tools.demo.head import EYE_DISTANCE_M, HeadMesh, Morphs, Points, Triangles, load_head
from tools.demo.parts import (
    Look,
    Painter,
    Scalp,
    TriangleBuffer,
    draw_body,
    draw_eyeball,
    draw_lashes,
    draw_mouth,
    paint,
    unroll,
    vertex_normals,
)

NECK = np.array([0.0, -0.075, -0.085])
"""Centre of head rotation in the head frame: the joint between skull and neck."""


@dataclass(frozen=True)
class Scene:
    """Camera, place and light.

    `focal_px` None: a horizontal field of view of 60 degrees. Light angles in rad: azimuth positive from the picture's
    right, elevation positive from above. `noise_sd` in grey levels of 255.
    """

    width: int = 640
    height: int = 480
    focal_px: float | None = None
    position_m: tuple[float, float, float] = (0.0, 0.0, 0.60)
    light_azimuth: float = -0.5
    light_elevation: float = 0.6
    light: float = 0.62
    ambient: float = 0.52
    noise_sd: float = 0.0
    supersample: int = 1
    """Pixels are drawn this many times finer in both directions, then averaged."""

    @property
    def focal(self) -> float:
        """Focal length in pixels."""
        return self.focal_px if self.focal_px is not None else self.width / (2 * np.tan(np.radians(30.0)))


def rotation(pitch: float, yaw: float, roll: float) -> Points:
    """Head rotation (3, 3) for ARKit's angles as in `coefficients.py`: roll first, then pitch, then yaw."""
    cp, sp, cy, sy, cr, sr = np.cos(pitch), np.sin(pitch), np.cos(yaw), np.sin(yaw), np.cos(roll), np.sin(roll)
    rx = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    ry = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    rz = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return np.asarray(ry @ rx @ rz)


class HeadRenderer:
    """Draws one head with one look.

    Args:
        mesh: the head, by default the one that ships.
        look: its colours.
    """

    def __init__(self, mesh: HeadMesh | None = None, look: Look | None = None) -> None:
        self.mesh = mesh or load_head()
        self.look = look or Look()
        self.morphs = Morphs(self.mesh)
        self._skin = paint(self.mesh, self.look)
        self._uv = unroll(self.mesh.vertices)
        self._scalp = Scalp(self.mesh, self.look)

    def eyes_position(self, coefficients: NDArray[np.floating], scene: Scene) -> Points:  # type: ignore[type-arg]
        """(3,) midpoint of the eyes in the camera's optical frame, metres."""
        return np.asarray(self._to_camera(self.mesh.eye_centres.mean(axis=0)[None], coefficients, scene)[0])

    def landmarks(self, coefficients: NDArray[np.floating], scene: Scene) -> Points:  # type: ignore[type-arg]
        """(468, 2) pixel coordinates of the mesh's vertices as rendered."""
        return _project(self._to_camera(self.morphs.apply(coefficients), coefficients, scene), scene)

    def render(
        self,
        coefficients: NDArray[np.floating],  # type: ignore[type-arg]
        scene: Scene = Scene(),
        rng: np.random.Generator | None = None,
    ) -> UINT8:
        """A picture, uint8 (height, width, 3) BGR.

        Args:
            coefficients: (58,), see `coefficients.py`.
            scene: camera, place, light.
            rng: source of the sensor noise; needed only where `scene.noise_sd` is above 0.
        """
        n = scene.supersample
        fine = replace(scene, width=scene.width * n, height=scene.height * n, focal_px=scene.focal * n)
        picture: NDArray[np.float32] = np.empty((fine.height, fine.width, 3), np.float32)
        picture[:] = self.look.background
        picture *= np.linspace(1.06, 0.92, fine.height, dtype=np.float32)[:, None, None]
        self._draw(picture, np.asarray(coefficients, dtype=np.float64), fine)
        if n > 1:
            size = (scene.width, scene.height)
            picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.float32)
        if scene.noise_sd > 0:
            if rng is None:
                raise ValueError("noise_sd needs rng")
            picture = picture + scene.noise_sd * _noise(scene.height, scene.width, rng)
        return np.clip(np.rint(picture), 0, 255).astype(np.uint8)

    def _to_camera(self, points: Points, c: NDArray[np.floating], scene: Scene) -> Points:  # type: ignore[type-arg]
        """Head frame to the camera's optical frame."""
        centre = self.mesh.eye_centres.mean(axis=0)
        turned = (points - NECK) @ rotation(*(float(x) for x in c[table.ROTATION])).T + NECK
        placed = turned - centre + np.asarray(c[table.TRANSLATION], dtype=np.float64)
        return np.asarray(placed * np.array([1.0, -1.0, -1.0]) + np.array(scene.position_m))

    def _draw(self, picture: NDArray[np.float32], c: Points, scene: Scene) -> None:
        def project(points: Points) -> Points:
            return _project(self._to_camera(points, c, scene), scene)

        eyes = self.eyes_position(c, scene)
        if eyes[2] < 0.12:
            return
        vertices = self.morphs.apply(c)
        brush = Painter(picture, project, scene.focal * EYE_DISTANCE_M / eyes[2])
        sway = (float(c[table.TRANSLATION][0]), float(c[table.TRANSLATION][1]))
        body = draw_body(picture, scene.focal, scene.position_m, self.look, brush.unit, sway)
        openings = [draw_mouth(brush, vertices, self.morphs, c)]
        openings += [
            draw_eyeball(brush, vertices, self.mesh, eye, gaze, self.look)
            for eye, gaze in enumerate(self.morphs.gaze(c))
        ]
        self._draw_solids(picture, vertices, c, scene, body, openings)
        for eye in range(2):
            draw_lashes(brush, vertices, self.mesh, eye, self.look)

    def _draw_solids(
        self, picture: NDArray[np.float32], vertices: Points, c: Points, scene: Scene,
        body: list[NDArray[np.int32]], openings: list[NDArray[np.int32]],
    ) -> None:  # fmt: skip
        """Skull, face and hair over a picture that shows body, eyeballs and mouth already."""
        scalp, triangles = self._scalp, self.mesh.triangles
        buffer = TriangleBuffer(*picture.shape[:2])

        def layer(points: Points, faces: Triangles, two_sided: bool = False) -> None:
            camera = self._to_camera(points, c, scene)
            buffer.draw(_project(camera, scene), camera[:, 2], faces, two_sided)

        layer(scalp.back.vertices, scalp.back.triangles, two_sided=True)
        for polygon in body:
            buffer.clear(polygon)
        layer(scalp.skull.vertices, scalp.skull.triangles)
        for polygon in openings:
            buffer.clear(polygon)
        layer(vertices, triangles)
        layer(scalp.front.vertices, scalp.front.triangles)
        seen = buffer.resolve()
        if not len(seen.rows):
            return
        parts = (scalp.back, scalp.skull, None, scalp.front)
        normals = np.vstack([vertex_normals(vertices, triangles) if p is None else p.normals for p in parts])
        colours = np.vstack([np.hstack([self._uv, self._uv[:, :1]]) if p is None else p.colours for p in parts])
        turn = rotation(*(float(x) for x in c[table.ROTATION]))
        both = seen.interpolate(np.hstack([normals @ turn.T, colours]).astype(np.float32))
        gloss = np.concatenate(
            [np.full(len(triangles), 0.10) if p is None else np.full(len(p.triangles), p.gloss) for p in parts]
        )
        begin = len(scalp.back.triangles) + len(scalp.skull.triangles)
        skin = (seen.triangle >= begin) & (seen.triangle < begin + len(triangles))
        albedo = both[:, 3:].copy()
        albedo[skin] = _sample(self._skin, both[skin, 3], both[skin, 4])
        shaded = _Light(scene).shade(albedo, both[:, :3], gloss.astype(np.float32)[seen.triangle][:, None])
        picture[seen.rows, seen.columns] = shaded


class _Light:
    """One soft key light, sky and ground; wraps around as light does in skin."""

    def __init__(self, scene: Scene) -> None:
        az, el = scene.light_azimuth, scene.light_elevation
        self.direction = np.array([np.sin(az) * np.cos(el), np.sin(el), np.cos(az) * np.cos(el)], np.float32)
        half = self.direction + np.array([0, 0, 1], np.float32)
        self.half = half / np.linalg.norm(half)
        self.strength, self.ambient = scene.light, scene.ambient

    def shade(
        self, albedo: NDArray[np.float32], normals: NDArray[np.float32], gloss: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        n = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-6)
        wrap = np.array([0.18, 0.24, 0.40], np.float32)
        diffuse = np.clip((n @ self.direction)[:, None] + wrap, 0, None) / (1 + wrap)
        sky = self.ambient * (0.86 + 0.14 * n[:, 1:2])
        shine = gloss * self.strength * np.clip(n @ self.half, 0, 1)[:, None] ** 24 * 255
        return np.asarray(albedo * (sky + self.strength * diffuse) + shine, dtype=np.float32)


@functools.lru_cache(maxsize=4)
def _noise_field(height: int, width: int) -> NDArray[np.float32]:
    return np.random.default_rng(1).standard_normal((height, width, 3), dtype=np.float32)


def _noise(height: int, width: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Unit noise (height, width, 3): a window at a random place of a field that is drawn once, for speed."""
    y, x = rng.integers(0, 128, 2)
    sign = 1 - 2 * rng.integers(0, 2)
    return np.asarray(sign * _noise_field(height + 128, width + 128)[y : y + height, x : x + width])


def _sample(image: NDArray[np.float32], x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.float32]:
    """Bilinear samples (n, 3). In rows of 1024, because OpenCV's remap takes no longer ones."""
    count = len(x)
    if not count:
        return np.zeros((0, 3), np.float32)
    padding = -count % 1024
    maps = [np.pad(a, (0, padding)).reshape(-1, 1024) for a in (x, y)]
    sampled = cv2.remap(image, maps[0], maps[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(sampled.reshape(-1, 3)[:count])


def _project(camera: Points, scene: Scene) -> Points:
    z = np.maximum(camera[:, 2:3], 0.05)
    centre = np.array([(scene.width - 1) / 2, (scene.height - 1) / 2])
    return np.asarray(camera[:, :2] / z * scene.focal + centre)
