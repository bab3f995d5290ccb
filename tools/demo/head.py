"""The demo speaker's head: a mesh in FaceMesh's 468-point topology, its parts, and what ARKit's coefficients do to it.

Head frame: metres, ARKit's face axes (+x the face's own left, +y up, +z out of the face), origin midway between the
eyes. "right" and "left" are the face's own. Displacements are in metres at coefficient 1, of the size that adults
show; they are linear in each coefficient except the jaw (a rotation) and the lids (which slide over the eyeball).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.coefficients import INDEX
from reactdiff_ros.errors import ReactdiffError, explained
from reactdiff_ros.resources import resource_path

Points = NDArray[np.float64]
Triangles = NDArray[np.int32]

VERTEX_COUNT = 468
EYE_DISTANCE_M = 0.063
"""Distance between the pupils: the mean of adults."""
IRIS_RADIUS_M = 0.0058
EYEBALL_RADIUS_M = 0.0120
LANDMARK_PX_PER_M = 3000.0
HEAD_CENTRE = np.array([0.0, -0.03, -0.09])

# Rows of FaceMesh's topology. Eyes: corner to corner along the upper lid, and along the lower lid; right eye.
UPPER_LID = (33, 246, 161, 160, 159, 158, 157, 173, 133)
LOWER_LID = (33, 7, 163, 144, 145, 153, 154, 155, 133)
UPPER_LID_RING = (247, 30, 29, 27, 28, 56, 190)
LOWER_LID_RING = (25, 110, 24, 23, 22, 26, 112)
BROW_UPPER = (70, 63, 105, 66, 107)
BROW_LOWER = (46, 53, 52, 65, 55)
# Lips, from the right corner to the left one, outside to inside.
UPPER_LIP_ROWS = (
    (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291),
    (76, 184, 74, 73, 72, 11, 302, 303, 304, 408, 306),
    (62, 183, 42, 41, 38, 12, 268, 271, 272, 407, 292),
    (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308),
)
LOWER_LIP_ROWS = (
    (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291),
    (76, 77, 90, 180, 85, 16, 315, 404, 320, 307, 306),
    (62, 96, 89, 179, 86, 15, 316, 403, 319, 325, 292),
    (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308),
)
RIGHT_CORNER, LEFT_CORNER = 61, 291
OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
FOREHEAD, CHIN, NOSE_TIP = 10, 152, 4


@dataclass(frozen=True)
class HeadMesh:
    """`vertices` (468, 3) in the head frame; `triangles` (n, 3), counter-clockwise seen from outside."""

    vertices: Points
    triangles: Triangles
    mirror: NDArray[np.int32]
    """(468,): the vertex that is this one's mirror image."""

    def left(self, indices: tuple[int, ...]) -> tuple[int, ...]:
        """The left side's vertices for the right side's `indices`, in the same order."""
        return tuple(int(self.mirror[i]) for i in indices)

    @cached_property
    def eye_centres(self) -> Points:
        """(2, 3): centres of the right and the left eyeball."""
        centres = []
        for upper, lower in ((UPPER_LID, LOWER_LID), (self.left(UPPER_LID), self.left(LOWER_LID))):
            ring = self.vertices[list(upper + lower)]
            middle = (ring[0] + ring[8]) / 2
            middle[1] = ring[:, 1].mean() + 0.0010  # the upper lid covers the iris, the lower one just touches it
            middle[2] = ring[[3, 4, 5, 12, 13, 14], 2].max() + 0.0005 - EYEBALL_RADIUS_M
            centres.append(middle)
        return np.array(centres)


def outward(vertices: Points, triangles: Triangles, centre: Points = HEAD_CENTRE) -> Triangles:
    """`triangles` turned so that each is counter-clockwise seen from outside (from the front, where it is flat)."""
    a, b, c = (vertices[triangles[:, i]] for i in range(3))
    inward = np.einsum("ij,ij->i", np.cross(b - a, c - a), (a + b + c) / 3 - centre) < 0
    turned = triangles.copy()
    turned[inward] = turned[inward][:, [0, 2, 1]]
    return turned


def load_head() -> HeadMesh:
    """The head that ships with the package.

    Raises:
        ReactdiffError: the file is missing or does not hold a head.
    """
    path = resource_path("demo/head.npz")
    wrong, todo = (OSError, KeyError, ValueError), "make it again: python -m tools.demo.make_mesh"
    with explained(wrong, "the demo head cannot be read", where=path, todo=todo):
        with np.load(path, allow_pickle=False) as data:
            vertices, triangles, mirror = (data[name] for name in ("vertices", "triangles", "mirror"))
        head = HeadMesh(vertices.astype(np.float64), triangles.astype(np.int32), mirror.astype(np.int32))
    if head.vertices.shape != (VERTEX_COUNT, 3) or head.mirror.shape != (VERTEX_COUNT,):
        raise ReactdiffError("the demo head has not 468 vertices", where=str(path), todo="install the package again")
    return head


Weights = NDArray[np.float64]

JAW_ANGLE_RAD = 0.36
"""Opening of the jaw at jawOpen 1: 20 degrees, about 35 mm between the lips."""
EYE_YAW_RAD = 0.60
"""Turn of the eyeball at eyeLookIn/Out 1."""
EYE_PITCH_RAD = 0.60
"""Turn of the eyeball at eyeLookUp/Down 1."""


_SIDES = (("Right", -1.0), ("Left", 1.0))
"""And where x grows."""


def _smoothstep(x: Weights) -> Weights:
    t = np.clip(x, 0.0, 1.0)
    return np.asarray(t * t * (3 - 2 * t))


class Morphs:
    """The linear displacement of every coefficient and the weights of jaw and lids, made once for a head."""

    def __init__(self, mesh: HeadMesh) -> None:
        self.mesh = mesh
        self.v = mesh.vertices
        self._lips()
        self._jaw()
        self._lids()
        self.linear: NDArray[np.float64] = np.zeros((52, VERTEX_COUNT, 3))
        self._mouth_shapes()
        self._brow_shapes()
        self._cheek_and_nose_shapes()

    def apply(self, coefficients: NDArray[np.floating]) -> Points:  # type: ignore[type-arg]
        """Vertices (468, 3) in the head frame for `coefficients` (at least the 52 blendshapes, 0..1)."""
        c = np.asarray(coefficients, dtype=np.float64)[:52]
        v = self.v.copy()
        for i in np.flatnonzero(c):
            v += c[i] * self.linear[i]
        return self._close_lids(self._open_jaw(v, c), c)

    def landmarks(self, coefficients: NDArray[np.floating]) -> Points:  # type: ignore[type-arg]
        """(478, 3): the head's landmarks from the front as the face mesh gives them, in px, irises looking ahead."""
        scale = np.array([LANDMARK_PX_PER_M, -LANDMARK_PX_PER_M, -LANDMARK_PX_PER_M])
        rim = IRIS_RADIUS_M * np.array([(0, 0, 0), (1, 0, 0), (0, 1, 0), (-1, 0, 0), (0, -1, 0)])
        irises = [eye + np.array([0.0, 0.0, EYEBALL_RADIUS_M]) + rim for eye in self.mesh.eye_centres]
        points = np.concatenate([self.apply(coefficients), *irises])
        return np.asarray(points * scale)

    # Mouth and jaw

    def _lips(self) -> None:
        v, count = self.v, VERTEX_COUNT
        self.mouth_half = (v[LEFT_CORNER, 0] - v[RIGHT_CORNER, 0]) / 2
        self.mouth_y = float(v[[13, 14], 1].mean())
        self.corner_y = float(v[[LEFT_CORNER, RIGHT_CORNER], 1].mean())
        self.upper_lip = np.zeros(count, dtype=bool)
        self.lower_lip = np.zeros(count, dtype=bool)
        for row in UPPER_LIP_ROWS:
            self.upper_lip[list(row[1:-1])] = True
        for row in LOWER_LIP_ROWS:
            self.lower_lip[list(row[1:-1])] = True
        self.corners = np.zeros(count, dtype=bool)
        for row in UPPER_LIP_ROWS:
            self.corners[[row[0], row[-1]]] = True
        self.lips = self.upper_lip | self.lower_lip | self.corners
        self.across = np.clip(np.abs(v[:, 0]) / self.mouth_half, 0, 1)
        """0 at the middle of the mouth, 1 from its corners on."""

    def _jaw(self) -> None:
        v = self.v
        below = _smoothstep((self.corner_y + 0.012 - v[:, 1]) / 0.034)
        centred = 1 - 0.35 * _smoothstep((np.abs(v[:, 0]) - self.mouth_half) / 0.03)
        weight = below * centred
        weight[self.upper_lip] = 0.22 * self.across[self.upper_lip] ** 4
        weight[self.corners] = 0.22
        weight[self.lower_lip] = 0.22 + 0.70 * np.sqrt(1 - self.across[self.lower_lip] ** 2)
        above_mouth = (v[:, 1] > self.mouth_y) & ~self.lips
        weight[above_mouth] *= _smoothstep(
            (np.abs(v[above_mouth, 0]) - 0.3 * self.mouth_half) / (0.7 * self.mouth_half)
        )
        self.jaw_weight = weight
        self.jaw_hinge = np.array([0.0, self.mouth_y + 0.035, -0.085])

    def _open_jaw(self, v: Points, c: Weights) -> Points:
        weight = self.jaw_weight * c[INDEX["jawOpen"]]
        closing = c[INDEX["mouthClose"]]
        weight = np.where(self.lips, weight * (1 - closing), weight)
        out = self.jaw_transform(v, weight)
        # The cheeks follow: an opened mouth narrows a little.
        out[:, 0] = v[:, 0] * (1 - 0.07 * weight * self.lips)
        return out

    def jaw_transform(self, points: Points, jaw_open: float | Weights) -> Points:
        """`points` (n, 3) turned with the jaw bone, as far as it is open: lower teeth, tongue, and skin in part."""
        angle = JAW_ANGLE_RAD * jaw_open
        y, z = points[:, 1] - self.jaw_hinge[1], points[:, 2] - self.jaw_hinge[2]
        cos, sin = np.cos(angle), np.sin(angle)
        moved = points.copy()
        moved[:, 1] = self.jaw_hinge[1] + cos * y - sin * z
        moved[:, 2] = self.jaw_hinge[2] + sin * y + cos * z
        return moved

    def _around(self, x: float, y: float, radius: float, ratio: float = 1.0) -> Weights:
        """Weights of a soft spot at (x, y) of the face's front."""
        dx, dy = (self.v[:, 0] - x) / radius, (self.v[:, 1] - y) / (radius * ratio)
        return np.asarray(np.exp(-(dx**2) - dy**2))

    def _set(self, name: str, weight: Weights, vector: tuple[float, float, float]) -> None:
        self.linear[INDEX[name]] += weight[:, None] * np.array(vector)

    def _mouth_shapes(self) -> None:
        v, y0 = self.v, self.mouth_y
        around = self._around(0, y0, 0.034, 0.85)
        lip_side = {side: _smoothstep((s * v[:, 0] / self.mouth_half + 0.25) / 0.6) for side, s in _SIDES}
        for side, s in _SIDES:
            corner = self._around(s * self.mouth_half, self.corner_y, 0.020)
            pull = np.where(self.lips, self.across**2 * (s * v[:, 0] > 0), corner)
            self._set(f"mouthSmile{side}", pull, (s * 0.0090, 0.0095, -0.0060))
            self._set(f"mouthSmile{side}", self._around(s * 0.043, y0 + 0.032, 0.020), (s * 0.001, 0.0035, 0.0035))
            self._set(f"mouthFrown{side}", pull, (s * 0.0015, -0.0100, -0.0015))
            self._set(f"mouthStretch{side}", pull, (s * 0.0100, -0.0015, -0.0040))
            self._set(f"mouthDimple{side}", pull, (s * 0.0045, 0.0010, -0.0050))
            upper = np.where(self.upper_lip, 1 - 0.8 * self.across**2, 0.0)
            skin = self._around(s * 0.012, y0 + 0.018, 0.014) * ~self.lips * (v[:, 1] > y0)
            self._set(f"mouthUpperUp{side}", (upper + 0.6 * skin) * lip_side[side], (0, 0.0080, 0.0005))
            lower = np.where(self.lower_lip, 1 - 0.8 * self.across**2, 0.0)
            chin = self._around(s * 0.012, y0 - 0.02, 0.014) * ~self.lips * (v[:, 1] < y0)
            self._set(f"mouthLowerDown{side}", (lower + 0.6 * chin) * lip_side[side], (0, -0.0085, 0.0005))
            press = np.where(self.lips, 1.0, 0.35 * around) * lip_side[side]
            self.linear[INDEX[f"mouthPress{side}"]][:, 1] += -0.50 * (v[:, 1] - y0) * press * self.lips
            self.linear[INDEX[f"mouthPress{side}"]][:, 2] += -0.003 * press
            self._set(f"mouth{side}", around, (s * 0.010, 0, 0))
        narrow = np.where(self.lips, 1.0, around)
        pucker, funnel = self.linear[INDEX["mouthPucker"]], self.linear[INDEX["mouthFunnel"]]
        pucker[:, 0] += -0.42 * v[:, 0] * narrow
        pucker[:, 2] += 0.0075 * np.where(self.lips, 1 - 0.4 * self.across**2, around)
        pucker[:, 1] += 0.18 * (v[:, 1] - y0) * self.lips
        funnel[:, 0] += -0.28 * v[:, 0] * narrow
        funnel[:, 2] += 0.0065 * narrow
        self._set("mouthFunnel", np.where(self.upper_lip, 1 - self.across**2, 0.0), (0, 0.0048, 0))
        self._set("mouthFunnel", np.where(self.lower_lip, 1 - self.across**2, 0.0), (0, -0.0062, 0))
        self.linear[INDEX["mouthRollUpper"]][:, 1] += -0.65 * (v[:, 1] - y0) * self.upper_lip
        self.linear[INDEX["mouthRollLower"]][:, 1] += -0.65 * (v[:, 1] - y0) * self.lower_lip
        self._set("mouthShrugLower", np.where(self.lower_lip, 1.0, self._around(0, y0 - 0.03, 0.02)), (0, 0.004, 0.003))
        self._set("mouthShrugUpper", np.where(self.upper_lip, 1.0, 0.0), (0, 0.004, 0.002))
        jaw = self.jaw_weight
        self._set("jawLeft", jaw, (0.010, 0, 0))
        self._set("jawRight", jaw, (-0.010, 0, 0))
        self._set("jawForward", jaw, (0, 0, 0.009))

    # Eyes

    def _lids(self) -> None:
        left = self.mesh.left
        self.lids = (
            (UPPER_LID, LOWER_LID, UPPER_LID_RING, LOWER_LID_RING),
            (left(UPPER_LID), left(LOWER_LID), left(UPPER_LID_RING), left(LOWER_LID_RING)),
        )

    def _close_lids(self, v: Points, c: Weights) -> Points:
        out = v.copy()
        for eye, (side, _) in enumerate(_SIDES):
            upper, lower, upper_ring, lower_ring = (list(row) for row in self.lids[eye])
            blink, wide, squint = (c[INDEX[f"eye{n}{side}"]] for n in ("Blink", "Wide", "Squint"))
            down, up = c[INDEX[f"eyeLookDown{side}"]], c[INDEX[f"eyeLookUp{side}"]]
            inner = slice(1, -1)
            bow = np.sin(np.linspace(0, np.pi, len(upper)))[inner]
            gap = (v[upper, 1] - v[lower, 1])[inner]
            # Lids go with the eye: the upper one most of the way, the lower one a little.
            top = v[upper, 1][inner] - (0.14 * squint + 0.60 * down - 0.22 * up) * gap + 0.0028 * wide * bow
            rise = (0.40 * squint + 0.08 * blink - 0.28 * down + 0.08 * up) * gap - 0.0007 * wide * bow
            bottom = v[lower, 1][inner] + rise
            top = bottom + np.maximum(top - bottom, 0.0) * (1 - blink)
            drop = v[upper, 1][inner] - top
            out[upper[inner], 1], out[lower[inner], 1] = top, bottom
            out[upper_ring, 1] -= 0.50 * drop
            out[lower_ring, 1] += 0.45 * rise
            self._lay_on_eyeball(out, eye, upper[inner] + lower[inner])
        return out

    def _lay_on_eyeball(self, v: Points, eye: int, indices: list[int]) -> None:
        """Keeps moved lid edges in front of the eyeball."""
        centre, radius = self.mesh.eye_centres[eye], EYEBALL_RADIUS_M + 0.0006
        offset = v[indices, :2] - centre[:2]
        surface = centre[2] + np.sqrt(np.maximum(radius**2 - (offset**2).sum(axis=1), 0.0))
        v[indices, 2] = np.maximum(v[indices, 2], surface)

    @staticmethod
    def gaze(c: NDArray[np.floating]) -> tuple[tuple[float, float], ...]:  # type: ignore[type-arg]
        """((yaw, pitch) of the right eye, of the left eye) in rad, head frame; yaw to the own left, pitch down."""

        def of(side: str, outward_sign: float) -> tuple[float, float]:
            look = {d: float(c[INDEX[f"eyeLook{d}{side}"]]) for d in ("Out", "In", "Down", "Up")}
            return (
                EYE_YAW_RAD * outward_sign * (look["Out"] - look["In"]),
                EYE_PITCH_RAD * (look["Down"] - look["Up"]),
            )

        return of("Right", -1.0), of("Left", 1.0)

    # Brows, cheeks, nose

    def _brow_shapes(self) -> None:
        v = self.v
        lid_points = [i for eye in self.lids for row in eye[:2] for i in row]
        keep = np.ones(VERTEX_COUNT)
        keep[lid_points] = 0.0
        keep[[i for eye in self.lids for row in eye[2:] for i in row]] = 0.25
        brow = v[list(BROW_UPPER + BROW_LOWER)]
        brow_y = float(brow[:, 1].mean())
        inner_x, outer_x = float(np.abs(brow[:, 0]).min()), float(np.abs(brow[:, 0]).max())
        height = np.exp(-(((v[:, 1] - brow_y) / 0.016) ** 2)) * keep
        along = np.clip((np.abs(v[:, 0]) - inner_x) / (outer_x - inner_x), 0, 1)
        fade = np.exp(-((np.maximum(np.abs(v[:, 0]) - outer_x, 0) / 0.012) ** 2))
        for side, s in _SIDES:
            own = _smoothstep((s * v[:, 0] + 0.006) / 0.012)
            self._set(f"browDown{side}", height * fade * own * (1 - 0.45 * along), (-s * 0.0022, -0.0080, 0.0012))
            self._set(f"browOuterUp{side}", height * fade * own * _smoothstep((along - 0.1) / 0.6), (0, 0.0095, 0))
        self._set("browInnerUp", height * (1 - _smoothstep(along / 0.75)), (0, 0.0100, 0))

    def _cheek_and_nose_shapes(self) -> None:
        y0 = self.mouth_y
        for side, s in _SIDES:
            self._set(f"cheekSquint{side}", self._around(s * 0.040, y0 + 0.038, 0.016), (0, 0.0045, 0.0025))
            self._set("cheekPuff", self._around(s * 0.042, y0 + 0.004, 0.022), (s * 0.010, 0, 0.008))
            self._set(f"noseSneer{side}", self._around(s * 0.012, y0 + 0.036, 0.012), (0, 0.0050, 0.001))
