"""The face networks: a detector of faces, and the mesh of 478 points in a region that we choose.

They are MediaPipe's full-range detector and its mesh with attention, as ONNX (`resource/models/face/README.md`). What
MediaPipe does around them is done here: cutting out, decoding boxes, projecting back. Each followed person has an own
region, so identities are ours (see `tracking.py`), and the detector runs only when asked: in its own thread, so that it
works while the mesh runs in the thread that calls it.
"""

from __future__ import annotations

import math
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactdiff_ros.errors import MessageError
from reactdiff_ros.onnx_network import Network, shipped
from reactdiff_ros.pictures import cut_out, shrunk
from reactdiff_ros.types import Array

RGB = NDArray[np.uint8]

LANDMARKS = 478
SMALLEST_SIDE_PX = 32
REGION_MARGIN = 1.5
"""The side of a region in larger sides of the face in it."""

_SIDE: Final = 192
"""Side of the square that both networks take, px."""
_CELLS: Final = 48
"""The detector gives one box a cell; its cells in a row and in a column."""
_LEAST_SCORE: Final = 0.6
_OVERLAP: Final = 0.3
"""Boxes whose intersection is a larger part of their union are one face."""
_LEAST_PRESENCE: Final = 0.0
"""Of the mesh, before the sigmoid: probability .5."""


@dataclass(frozen=True, slots=True)
class Region:
    """A square part of the picture. Centre and side in pixels of the picture given to the nets, angle in rad."""

    x: float
    y: float
    side: float
    angle: float = 0.0


@dataclass(frozen=True, slots=True)
class Detection:
    """A face box of the full-range detector.

    `region` is the square to run the mesh in; `score` 0..1.
    """

    region: Region
    box: tuple[float, float, float, float]
    """x, y of the upper left corner, width, height in px."""
    score: float


def to_rgb(bgr: NDArray[Any], max_side_px: int, mirror: bool = False) -> tuple[RGB, float]:
    """RGB picture whose sides are under `max_side_px` twice, and its scale relative to `bgr`: 1, 1/2, 1/3 and so on.

    Takes uint8 (height, width), (height, width, 1), (.., 3) BGR or (.., 4) BGRA; `mirror` swaps left and right.

    Raises:
        MessageError: for any other array.
    """
    if not isinstance(bgr, np.ndarray) or bgr.dtype != np.uint8 or bgr.ndim not in (2, 3) or bgr.size == 0:
        shape = getattr(bgr, "shape", type(bgr).__name__)
        raise MessageError("a picture must be uint8 of shape height x width x 3", where=f"got {shape}")
    if bgr.ndim == 3 and bgr.shape[2] not in (1, 3, 4):
        raise MessageError("a picture must have 1, 3 or 4 channels", where=f"got {bgr.shape}")
    picture = bgr.reshape(*bgr.shape[:2], -1)
    factor = min(max(1, max(picture.shape[:2]) // max_side_px), *picture.shape[:2])
    picture = picture[:, ::-1] if mirror else picture
    return shrunk(picture, factor, (0, 0, 0) if picture.shape[2] == 1 else (2, 1, 0)), 1 / factor


def region_of_landmarks(points: Array) -> Region:
    """The region in which the mesh is run on the next picture: larger than the points' extent, turned with the eyes."""
    x, y = points[:, 0], points[:, 1]
    left, right, top, bottom = float(x.min()), float(x.max()), float(y.min()), float(y.max())
    across = points[263] - points[33]
    angle = float(np.arctan2(across[1], across[0]))
    return Region((left + right) / 2, (top + bottom) / 2, REGION_MARGIN * max(right - left, bottom - top), angle)


class FaceNets:
    """Detector and mesh. Not thread-safe; same picture and region, same bits.

    Args:
        folder: with `detector.onnx` and `mesh.onnx`; None = those that ship with the package.

    Raises:
        WeightsError: a file is missing or damaged.
    """

    def __init__(self, folder: Path | None = None) -> None:
        trial = {"picture": np.zeros((1, _SIDE, _SIDE, 3), np.uint8)}
        folder = folder or shipped("face")
        self._detector = Network("the face detector", folder / "detector.onnx", trial)
        self._mesh = Network("the face mesh", folder / "mesh.onnx", trial)
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="face detector")
        self._begun: tuple[RGB, Future[list[Detection]]] | None = None

    def warm_up(self) -> None:
        """Runs both networks on an empty picture."""
        empty = np.zeros((_SIDE, _SIDE, 3), dtype=np.uint8)
        self.detect(empty, 0.5)
        self.mesh(empty, Region(_SIDE / 2, _SIDE / 2, _SIDE))

    def begin_detection(self, rgb: RGB) -> None:
        """Starts the detector on a picture and does not wait: `detect` of this very picture does.

        In between the mesh can run on another core. A result that is not fetched is dropped with the next picture.
        """
        if min(rgb.shape[:2]) < SMALLEST_SIDE_PX:
            return
        if self._begun is not None:
            self._begun[1].cancel()
        self._begun = rgb, self._worker.submit(self._detect, rgb)

    def detect(self, rgb: RGB, min_score: float) -> list[Detection]:
        """All faces with at least `min_score` (0.6 is the least that is ever returned), best first."""
        if self._begun is None or self._begun[0] is not rgb:
            self.begin_detection(rgb)
        if self._begun is None or self._begun[0] is not rgb:  # too small
            return []
        future, self._begun = self._begun[1], None
        return [found for found in future.result() if found.score >= min_score]

    def _detect(self, rgb: RGB) -> list[Detection]:
        height, width = rgb.shape[:2]
        whole = Region(width / 2, height / 2, max(width, height))
        boxes, scores = self._detector.run({"picture": _part(rgb, whole, zeros=True)})
        return [
            found
            for values, score in _faces(boxes, scores)
            if (found := _detection(_projected(values.reshape(-1, 2), whole), score)) is not None
        ]

    def mesh(self, rgb: RGB, region: Region) -> Array | None:
        """Landmarks (478, 3) in px (z on the scale of x, smaller = nearer), or None where the net sees no face."""
        known = all(map(math.isfinite, (region.x, region.y, region.side, region.angle)))
        if min(rgb.shape[:2]) < SMALLEST_SIDE_PX or region.side < 8 or not known:
            return None
        landmarks, presence = self._mesh.run({"picture": _part(rgb, region)})
        if not presence[0] > _LEAST_PRESENCE:
            return None
        points = landmarks.astype(np.float64)
        points[:, :2] = _projected(points[:, :2], region)
        points[:, 2] *= region.side / _SIDE
        return points if np.isfinite(points).all() else None


def _part(rgb: RGB, region: Region, *, zeros: bool = False) -> RGB:
    """The region (1, 192, 192, 3), upright. Outside the picture: zeros, or as at its edge."""
    turn = _turn(region)
    middle = np.array([[region.x], [region.y]]) - turn @ np.full((2, 1), _SIDE / 2)
    return cut_out(rgb, np.hstack([turn, middle]), (_SIDE, _SIDE), zeros=zeros)[None]


def _projected(points: Array, region: Region) -> Array:
    """Points (n, 2) of the cut-out region, in pixels of the picture."""
    projected: Array = (points - _SIDE / 2) @ _turn(region).T + (region.x, region.y)
    return projected


def _turn(region: Region) -> Array:
    """(2, 2): from pixels of the cut-out region to those of the picture."""
    scale = region.side / _SIDE
    cosine, sine = scale * math.cos(region.angle), scale * math.sin(region.angle)
    return np.array([[cosine, -sine], [sine, cosine]])


def _faces(boxes: NDArray[np.float32], scores: NDArray[np.float32]) -> list[tuple[Array, float]]:
    """(corners and key points, score) of every face, best first: x, y of upper left, lower right and six key points.

    Cells that tell of the same face are averaged with their scores as weights.
    """
    (cells,) = np.nonzero(scores >= math.log(_LEAST_SCORE / (1 - _LEAST_SCORE)))
    cells = cells[np.argsort(-scores[cells], kind="stable")]
    weights = 1 / (1 + np.exp(-scores[cells].astype(np.float64).clip(-100, 100)))
    values = boxes[cells].astype(np.float64)
    places = (np.stack([cells % _CELLS, cells // _CELLS], axis=1) + 0.5) * (_SIDE / _CELLS)
    values[:, 4:] += np.tile(places, 6)
    middles, halves = places + values[:, :2], values[:, 2:4] / 2
    values[:, :2], values[:, 2:4] = middles - halves, middles + halves
    keep = np.isfinite(values).all(axis=1) & (halves > 0).all(axis=1)
    values, weights = values[keep], weights[keep]
    faces = []
    while len(values):
        same = _overlaps(values[0], values) > _OVERLAP
        faces.append((np.average(values[same], axis=0, weights=weights[same]), float(weights[0])))
        values, weights = values[~same], weights[~same]
    return faces


def _overlaps(box: Array, boxes: Array) -> Array:
    """Intersection over union of a box with each of `boxes` (n, 4 or more): x, y of upper left and lower right."""
    upper, lower = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:4], boxes[:, 2:4])
    common = np.prod((lower - upper).clip(0), axis=1)
    areas = np.prod(boxes[:, 2:4] - boxes[:, :2], axis=1)
    overlaps: Array = common / (areas + np.prod(box[2:4] - box[:2]) - common)
    return overlaps


def _detection(points: Array, score: float) -> Detection | None:
    """Of corners and key points in pixels of the picture; the first two of those are the eyes."""
    (x, y), (right, bottom), right_eye, left_eye = points[:4].tolist()
    width, height = right - x, bottom - y
    if width < 1 or height < 1:
        return None
    angle = math.atan2(left_eye[1] - right_eye[1], left_eye[0] - right_eye[0])
    return Detection(
        region=Region(x + width / 2, y + height / 2, REGION_MARGIN * max(width, height), angle),
        box=(x, y, width, height),
        score=score,
    )
