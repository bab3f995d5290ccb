"""Makes the demo head from formulas alone: `python -m tools.demo.make_mesh [OUT.npz]`.

A drawn face (an ellipsoid with a nose, eye sockets and lips, shaded, with painted eyes and brows) is shown to FaceMesh,
which fits its 468 points with depth to it. The fit is made symmetric, rendered by `renderer.py` and fitted again; each
round moves the head part of the way, until it is stable. No picture of a person is used anywhere.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from itertools import combinations
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.coefficients import index, neutral
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.types import UINT8
from tools.demo import head as topology
from tools.demo.head import (
    EYE_DISTANCE_M,
    VERTEX_COUNT,
    HeadMesh,
    Morphs,
    Points,
    Triangles,
    outward,
)
from tools.demo.renderer import HeadRenderer, Scene

ROUNDS = 8
STEP, RETURN = 0.5, 0.4
"""How far a round goes towards FaceMesh's fit, and back towards the first one (without it the lips creep together)."""
MIDLINE = (
    0, 1, 2, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 94, 151, 152, 164, 168, 175, 195, 197, 199, 200,
)  # fmt: skip
REST = {
    "browDownLeft": 0.62, "browDownRight": 0.62, "eyeBlinkLeft": 0.12, "eyeBlinkRight": 0.12, "mouthRollUpper": 0.25,
    "mouthShrugUpper": 0.45, "mouthShrugLower": 0.40, "mouthSmileLeft": 0.06, "mouthSmileRight": 0.06,
}  # fmt: skip
"""Brings brows, lids and mouth to where adults have them (the formulas' face looks surprised), by its own morphs."""
# The left eye's rows in FaceMesh's topology, in the order of the right eye's in `head.py`.
_LEFT_EYE = (
    (263, 466, 388, 387, 386, 385, 384, 398, 362),
    (263, 249, 390, 373, 374, 380, 381, 382, 362),
    (467, 260, 259, 257, 258, 286, 414),
    (255, 339, 254, 253, 252, 256, 341),
)
_EYE_CORNERS = [33, 133, 263, 362]


def drawn_face() -> UINT8:
    """The first face, by formulas alone: a picture of 512 x 512 pixels that shows 0.32 m."""
    size = 512
    step = 0.32 / size
    rows, columns = np.mgrid[0:size, 0:size].astype(np.float32)
    u, v = (columns - size / 2) * step, (size / 2 - rows) * step
    a = np.abs(u)

    def bump(x: Any, cx: float, cy: float, sx: float, sy: float) -> Any:
        return np.exp(-(((x - cx) / sx) ** 2) - ((v - cy) / sy) ** 2)

    width = 0.074 * (1 - 0.22 * np.clip((-0.025 - v) / 0.115, 0, 1) ** 2)
    radius = (u / width) ** 2 + ((v + 0.025) / 0.115) ** 2
    z = 0.085 * np.sqrt(np.clip(1 - radius, 0, 1))
    z += 0.020 * np.exp(-((u / 0.009) ** 2)) * np.clip((0.01 - v) / 0.05, 0, 1) * (v > -0.046)
    z += 0.010 * bump(a, 0.014, -0.043, 0.007, 0.008) - 0.009 * bump(a, 0.032, 0.0, 0.018, 0.012)
    z += 0.004 * bump(a, 0.032, 0.018, 0.022, 0.007) + 0.006 * bump(u, 0, -0.075, 0.022, 0.012)
    z += 0.006 * bump(u, 0, -0.105, 0.02, 0.014) - 0.004 * bump(u, 0, -0.09, 0.02, 0.006)
    z += 0.004 * bump(a, 0.045, -0.035, 0.02, 0.02)
    z = cv2.GaussianBlur(z, (0, 0), 3)
    dy, dx = np.gradient(z)
    normal = np.dstack([-dx / step, dy / step, np.ones_like(z)])
    normal /= np.linalg.norm(normal, axis=2, keepdims=True)
    light = np.array([0.0, 0.5, 0.85]) / np.hypot(0.5, 0.85)
    shade = 0.35 + 0.75 * np.clip(normal @ light, 0, 1)

    colour: NDArray[np.float32] = np.full((size, size, 3), (150, 180, 225), np.float32)

    def blend(mask: Any, bgr: tuple[int, int, int]) -> None:
        m = np.asarray(mask, np.float32)[..., None]
        colour[:] = colour * (1 - m) + np.array(bgr, np.float32) * m

    blend(0.7 * np.clip(bump(u, 0, -0.073, 0.026, 0.009) * 2, 0, 1), (100, 105, 190))
    blend((np.abs(v + 0.0735) < 0.0012) & (a < 0.025), (50, 40, 90))
    blend((np.abs(v - 0.0185 - 0.004 * np.cos((a - 0.032) * 65)) < 0.0035) & (np.abs(a - 0.033) < 0.02), (45, 60, 85))
    blend(0.7 * bump(a, 0.008, -0.05, 0.004, 0.002), (60, 70, 120))
    eye = ((a - 0.032) / 0.0155) ** 2 + (v / 0.0062) ** 2 < 1
    from_pupil = (a - 0.032) ** 2 + v**2
    blend(((a - 0.032) / 0.0175) ** 2 + ((v - 0.001) / 0.008) ** 2 < 1, (60, 70, 110))
    blend(eye, (235, 238, 240))
    blend(eye & (from_pupil < 0.0058**2), (70, 90, 110))
    blend(eye & (from_pupil < 0.0025**2), (20, 20, 20))
    picture = np.full_like(colour, (190, 185, 180))
    picture[(a < 0.045) & (v < -0.05)] = (120, 148, 190)
    picture[(u / 0.085) ** 2 + ((v - 0.01) / 0.105) ** 2 < 1] = (35, 45, 60)
    skin = (radius < 1) & (v < 0.055 - 6 * u * u)
    picture[skin] = (colour * np.where(eye, 1, shade)[..., None])[skin]
    picture = cv2.GaussianBlur(np.clip(picture, 0, 255), (0, 0), 1).astype(np.uint8)
    return np.asarray(cv2.copyMakeBorder(picture, 100, 100, 150, 150, cv2.BORDER_REPLICATE))


def face_triangles() -> Triangles:
    """(852, 3): the triangles of FaceMesh's topology, from the connections that mediapipe lists.

    They are the connections' cliques of three, less those that merely surround three others.
    """
    from mediapipe.python.solutions.face_mesh_connections import FACEMESH_TESSELATION

    edges = {tuple(sorted(e)) for e in FACEMESH_TESSELATION}
    near: defaultdict[int, set[int]] = defaultdict(set)
    for a, b in edges:
        near[a].add(b)
        near[b].add(a)
    cliques = {tuple(sorted((a, b, x))) for a, b in edges for x in near[a] & near[b]}
    uses = Counter(e for t in cliques for e in combinations(t, 2))
    real = [t for t in cliques if not all(uses[e] == 3 for e in combinations(t, 2))]
    return np.array(sorted(real), dtype=np.int32)


def fitted(network: Any, picture: UINT8) -> Points:
    """(478, 3) points of mediapipe's FaceMesh: pixels right, pixels down, depth in pixels.

    Raises ReactdiffError where no face is found.
    """
    faces = network.process(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)).multi_face_landmarks
    if not faces:
        raise ReactdiffError("FaceMesh finds no face in the drawn head", todo="mend the drawing")
    height, width = picture.shape[:2]
    return np.array([(p.x * width, p.y * height, p.z * width) for p in faces[0].landmark])


def mirror_of(points: Points) -> NDArray[np.int32]:
    """(468,): the mirror image of every vertex, from a nearly symmetric fit (468, 3) with x = 0 in the middle."""
    partner = {i: i for i in MIDLINE}

    def pair(a: int, b: int) -> None:
        partner[a], partner[b] = b, a

    for row in (*topology.UPPER_LIP_ROWS, *topology.LOWER_LIP_ROWS):
        for a, b in zip(row, row[::-1], strict=True):
            pair(a, b)
    eye_rows = (topology.UPPER_LID, topology.LOWER_LID, topology.UPPER_LID_RING, topology.LOWER_LID_RING)
    for right, left in zip(eye_rows, _LEFT_EYE, strict=True):
        for a, b in zip(right, left, strict=True):
            pair(a, b)
    free = np.array([i for i in range(VERTEX_COUNT) if i not in partner])
    on_right, on_left = free[points[free, 0] < 0], free[points[free, 0] > 0]
    flipped = points[on_right] * np.array([-1, 1, 1])
    distance = np.linalg.norm(flipped[:, None] - points[on_left][None], axis=2)
    for k in np.argsort(distance, axis=None):
        a, b = int(on_right[k // len(on_left)]), int(on_left[k % len(on_left)])
        if a not in partner and b not in partner:
            pair(a, b)
    return np.array([partner[i] for i in range(VERTEX_COUNT)], dtype=np.int32)


def to_head(fit: Points, mirror: NDArray[np.int32] | None = None) -> Points:
    """A fit (478, 3) as vertices (468, 3) in the head frame, made symmetric where the mirror map is known."""
    vertices = fit[:VERTEX_COUNT] * np.array([1.0, -1.0, -1.0])
    vertices = (vertices - vertices[_EYE_CORNERS].mean(axis=0)) * (
        EYE_DISTANCE_M / float(np.linalg.norm((fit[473] - fit[468])[:2]))
    )
    if mirror is not None:
        vertices = (vertices + vertices[mirror] * np.array([-1.0, 1.0, 1.0])) / 2
    return np.asarray(vertices)


def _laid_on(fit: Points, reference: Points) -> Points:
    """`fit` without the pitch that it has against `reference` (a fit's tilt would add up over the rounds)."""
    a, b = fit[:, 1:] - fit[:, 1:].mean(axis=0), reference[:, 1:] - reference[:, 1:].mean(axis=0)
    angle = np.arctan2((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum(), (a * b).sum())
    cos, sin = np.cos(angle), np.sin(angle)
    turned = fit.copy()
    turned[:, 1:] = a @ np.array([[cos, sin], [-sin, cos]]) + reference[:, 1:].mean(axis=0)
    return turned


def make_head(rounds: int = ROUNDS) -> tuple[HeadMesh, list[float]]:
    """The head, and how far (mean, metres) each round moved it. Needs requirements/face-networks.txt."""
    from mediapipe.python.solutions.face_mesh import FaceMesh

    network = FaceMesh(static_image_mode=True, refine_landmarks=True, min_detection_confidence=0.3)
    first = fitted(network, drawn_face())
    mirror = mirror_of(to_head(first))
    start = vertices = to_head(first, mirror)
    triangles = face_triangles()
    moved = []
    scene = Scene(width=640, height=640, focal_px=1500.0, position_m=(0.0, 0.015, 1.2), supersample=2)
    for _ in range(rounds):
        head = HeadMesh(vertices, outward(vertices, triangles), mirror)
        fit = to_head(fitted(network, HeadRenderer(head).render(neutral(), scene)), mirror)
        step = STEP * (_laid_on(fit, vertices) - vertices) + RETURN * (start - vertices)
        moved.append(float(np.linalg.norm(step, axis=1).mean()))
        vertices = vertices + step
    return _at_rest(HeadMesh(vertices, outward(vertices, triangles), mirror)), moved


def _at_rest(head: HeadMesh) -> HeadMesh:
    rest = neutral()
    rest[list(index(*REST))] = list(REST.values())
    vertices = Morphs(head).apply(rest)
    upper, lower = list(topology.UPPER_LIP_ROWS[3]), list(topology.LOWER_LIP_ROWS[3])
    vertices[upper] = vertices[lower] = (vertices[upper] + vertices[lower]) / 2
    return HeadMesh(vertices, outward(vertices, head.triangles), head.mirror)


def main(path: str) -> None:
    """Makes the head and writes it to `path`."""
    head, moved = make_head()
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    integers = {name: getattr(head, name).astype(np.int16) for name in ("triangles", "mirror")}
    np.savez_compressed(path, vertices=head.vertices.astype(np.float32), **integers)
    print("mean motion a round, mm:", " ".join(f"{1000 * m:.2f}" for m in moved))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "resource/demo/head.npz")
