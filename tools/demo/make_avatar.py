"""Makes the avatar that ships with the package: the demo head as binary glTF with ARKit's 52 names.

    python -m tools.demo.make_avatar

Head frame and shapes are those of `tools.demo.head`. The jaw's turn and the sliding lids become straight morphs.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.avatar.model_file import shipped_avatar
from reactdiff_ros.coefficients import BLENDSHAPE_NAMES, INDEX
from reactdiff_ros.whole_file import whole_file
from tools.demo import head as topology
from tools.demo.head import HeadMesh, Morphs, Points, Triangles, load_head, outward
from tools.demo.parts import SIZE, Look, Scalp, darker, grid_triangles, paint, unroll, vertex_normals
from tools.demo.renderer import rotation

LEAST_M = 1e-4
"""A vertex that a morph moves less stays."""
TEXTURE_PX, JPEG_QUALITY = 512, 88
_FLOAT, _SHORT, _BYTE = 5126, 5123, 5121


@dataclass
class Solid:
    """A mesh: colours are BGR, 0..255, per vertex; `morphs` are displacements by coefficient; m, head frame."""

    name: str
    vertices: Points
    triangles: Triangles
    colours: NDArray[np.float64] | None = None
    uv: Points | None = None
    morphs: dict[str, Points] = field(default_factory=dict)


def face(mesh: HeadMesh, morphs: Morphs) -> Solid:
    """The skin without the openings of eyes and mouth."""
    openings = [
        {*topology.UPPER_LID, *topology.LOWER_LID}, {*mesh.left(topology.UPPER_LID), *mesh.left(topology.LOWER_LID)},
        {*topology.UPPER_LIP_ROWS[3], *topology.LOWER_LIP_ROWS[3]},
    ]  # fmt: skip
    closed = [t for t in mesh.triangles if not any(opening.issuperset(t.tolist()) for opening in openings)]
    moved = {}
    for name in BLENDSHAPE_NAMES:
        one = np.zeros(52)
        one[INDEX[name]] = 1.0
        moved[name] = morphs.apply(one) - mesh.vertices
    moved["mouthClose"] = -0.9 * moved["jawOpen"] * morphs.lips[:, None]
    return Solid("face", mesh.vertices, np.array(closed), uv=unroll(mesh.vertices) / SIZE, morphs=moved)


def eye(mesh: HeadMesh, side: int, look: Look) -> Solid:
    """An eyeball, its rings around the line of sight."""
    radius = topology.EYEBALL_RADIUS_M
    edge = float(np.arcsin(topology.IRIS_RADIUS_M / radius))
    rings = np.concatenate(
        [np.array([0.01, 0.399, 0.4, 0.62, 0.86, 0.99, 1.0]) * edge, np.linspace(edge + 0.02, 2.2, 7)]
    )
    phi = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    t, p = np.meshgrid(rings, phi, indexing="ij")
    unit = np.stack([np.sin(t) * np.sin(p), np.sin(t) * np.cos(p), np.cos(t)], axis=-1).reshape(-1, 3)
    dark, iris, white = (14.0, 14.0, 16.0), look.iris, (228.0, 232.0, 236.0)
    ring_colours = [dark, dark, iris, iris, darker(iris, 0.85), darker(iris, 0.35), white, *[white] * 7]
    colours = np.repeat(np.array(ring_colours), len(phi), axis=0)
    name, aside = ("Right", -1.0) if side == 0 else ("Left", 1.0)
    morphs = {}
    for direction, yaw, pitch in (("Out", aside, 0.0), ("In", -aside, 0.0), ("Down", 0.0, 1.0), ("Up", 0.0, -1.0)):
        turn = rotation(pitch * topology.EYE_PITCH_RAD, yaw * topology.EYE_YAW_RAD, 0.0)
        morphs[f"eyeLook{direction}{name}"] = radius * (unit @ turn.T - unit)
    vertices = mesh.eye_centres[side] + radius * unit
    triangles = outward(vertices, grid_triangles(len(rings), len(phi)), vertices.mean(axis=0))
    return Solid(f"eye{name}", vertices, triangles, colours, morphs=morphs)


def mouth(morphs: Morphs) -> list[Solid]:
    """A dark pocket and two rows of teeth; the lower ones go with the jaw."""
    x = np.linspace(-1.0, 1.0, 13)
    z = float(morphs.v[[13, 14], 2].mean())
    half, y0 = morphs.mouth_half, morphs.mouth_y

    def strip(
        name: str, top: float, bottom: float, back: float, colour: tuple[float, float, float], *, jaw: bool = False
    ) -> Solid:
        arch = np.stack([0.86 * x * half, np.full_like(x, y0), z - back - 0.016 * x**2], axis=1)
        vertices = np.vstack([arch + np.array([0, top, 0]), arch + np.array([0, bottom, 0])])
        n = len(x)
        triangles = np.array([t for i in range(n - 1) for t in ((i, i + n, i + 1), (i + 1, i + n, i + n + 1))])
        opened = morphs.jaw_transform(vertices, 1.0) - vertices if jaw else np.zeros_like(vertices)
        if name == "pocket":
            opened[n:] = morphs.jaw_transform(vertices[n:], 1.0) - vertices[n:]
        colours = np.tile(np.array(colour), (len(vertices), 1))
        return Solid(name, vertices, triangles, colours, morphs={"jawOpen": opened})

    return [
        strip("pocket", 0.016, -0.016, 0.020, (30.0, 24.0, 60.0)),
        strip("upperTeeth", 0.004, -0.0035, 0.010, (222.0, 230.0, 236.0)),
        strip("lowerTeeth", -0.005, -0.013, 0.012, (206.0, 214.0, 222.0), jaw=True),
    ]


def neck(look: Look) -> Solid:
    """A tube from the jaw to the collar."""
    phi = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    rows = [(0.050, 0.052, -0.055), (0.046, 0.050, -0.120), (0.050, 0.052, -0.150), (0.060, 0.058, -0.175)]
    vertices = np.vstack(
        [np.stack([a * np.sin(phi), np.full_like(phi, y), b * np.cos(phi) - 0.075], 1) for a, b, y in rows]
    )
    shade = np.repeat(np.array([darker(look.skin, f) for f in (0.55, 0.66, 0.8, 0.84)]), len(phi), axis=0)
    triangles = outward(vertices, grid_triangles(len(rows), len(phi)), vertices.mean(axis=0))
    return Solid("neck", vertices, triangles, shade)


class Writer:
    """Collects solids into one binary glTF 2.0 file."""

    def __init__(self, texture: bytes) -> None:
        self._data = bytearray()
        self._tree: dict[str, Any] = {
            "asset": {"version": "2.0", "generator": "reactdiff_ros tools.demo.make_avatar", "copyright": "Apache-2.0"},
            "scene": 0, "scenes": [{"nodes": []}], "nodes": [], "meshes": [], "accessors": [], "bufferViews": [],
            "materials": [_material(baseColorTexture={"index": 0}), _material()], "textures": [{"source": 0}],
        }  # fmt: skip
        self._tree["images"] = [{"bufferView": self._view(texture), "mimeType": "image/jpeg"}]

    def add(self, solid: Solid) -> None:
        """A mesh in its own node."""
        normals = vertex_normals(solid.vertices, solid.triangles)
        attributes = {"POSITION": self._vectors(solid.vertices), "NORMAL": self._vectors(normals)}
        if solid.uv is not None:
            attributes["TEXCOORD_0"] = self._array(solid.uv.astype("<f4"), _FLOAT, "VEC2")
        if solid.colours is not None:
            linear = np.clip(solid.colours[:, ::-1] / 255, 0, 1) ** 2.2
            colours = np.hstack([np.round(255 * linear), np.full((len(linear), 1), 255)]).astype(np.uint8)
            attributes["COLOR_0"] = self._array(colours, _BYTE, "VEC4", normalized=True)
        moved = {n: d for n, d in solid.morphs.items() if np.abs(d).max() > LEAST_M}
        primitive: dict[str, Any] = {
            "attributes": attributes, "material": 0 if solid.uv is not None else 1,
            "indices": self._array(solid.triangles.ravel().astype("<u2"), _SHORT, "SCALAR"),
        }  # fmt: skip
        mesh: dict[str, Any] = {"name": solid.name, "primitives": [primitive]}
        if moved:
            primitive["targets"] = [{"POSITION": self._sparse(d)} for d in moved.values()]
            mesh["extras"] = {"targetNames": list(moved)}
        self._tree["scenes"][0]["nodes"].append(len(self._tree["nodes"]))
        self._tree["nodes"].append({"name": solid.name, "mesh": len(self._tree["meshes"])})
        self._tree["meshes"].append(mesh)

    def finished(self) -> bytes:
        """The file."""
        self._tree["buffers"] = [{"byteLength": len(self._data)}]
        text = json.dumps(self._tree, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 4)
        chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(self._data), b"BIN\0")
        return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks) + len(self._data)) + chunks + bytes(self._data)

    def _view(self, data: bytes) -> int:
        self._tree["bufferViews"].append({"buffer": 0, "byteOffset": len(self._data), "byteLength": len(data)})
        self._data += data + b"\0" * (-len(data) % 4)
        return len(self._tree["bufferViews"]) - 1

    def _array(self, values: NDArray[Any], component: int, kind: str, **more: Any) -> int:
        count = len(values) if values.ndim > 1 else values.size
        view = self._view(np.ascontiguousarray(values).tobytes())
        self._tree["accessors"].append(
            {"bufferView": view, "componentType": component, "count": count, "type": kind, **more}
        )
        return len(self._tree["accessors"]) - 1

    def _vectors(self, values: Points) -> int:
        values = values.astype("<f4")
        box = {"min": values.min(axis=0).tolist(), "max": values.max(axis=0).tolist()}
        return self._array(values, _FLOAT, "VEC3", **box)

    def _sparse(self, moved: Points) -> int:
        places = np.flatnonzero(np.abs(moved).max(axis=1) > LEAST_M)
        kept = np.zeros_like(moved)
        kept[places] = moved[places]
        self._tree["accessors"].append(
            {
                "componentType": _FLOAT, "count": len(moved), "type": "VEC3",
                "min": kept.min(axis=0).tolist(), "max": kept.max(axis=0).tolist(),
                "sparse": {
                    "count": len(places),
                    "indices": {"bufferView": self._view(places.astype("<u2").tobytes()), "componentType": _SHORT},
                    "values": {"bufferView": self._view(kept[places].astype("<f4").tobytes())},
                },
            }
        )  # fmt: skip
        return len(self._tree["accessors"]) - 1


def _material(**more: Any) -> dict[str, Any]:
    return {"doubleSided": True, "pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 0.7, **more}}


def make(look: Look | None = None) -> bytes:
    """The avatar's file."""
    look = look or Look()
    mesh = load_head()
    morphs, scalp = Morphs(mesh), Scalp(mesh, look)
    picture = cv2.resize(paint(mesh, look).astype(np.uint8), (TEXTURE_PX, TEXTURE_PX), interpolation=cv2.INTER_AREA)
    writer = Writer(bytes(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]))
    writer.add(face(mesh, morphs))
    for side in (0, 1):
        writer.add(eye(mesh, side, look))
    behind = float(mesh.vertices[list(topology.OVAL), 2].min())
    for name, part in (("skull", scalp.skull), ("hairBack", scalp.back), ("hair", scalp.front)):
        triangles = part.triangles
        if name != "hair":  # the renderer draws these first, so that the face covers them
            triangles = triangles[part.vertices[triangles, 2].max(axis=1) < behind]
        writer.add(Solid(name, part.vertices, triangles, part.colours.astype(np.float64)))
    for solid in (*mouth(morphs), neck(look)):
        writer.add(solid)
    return writer.finished()


if __name__ == "__main__":
    with whole_file(shipped_avatar("head")) as file:
        file.write(make())
