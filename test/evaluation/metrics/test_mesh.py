"""Errors in mm: what moves counts, by how much, and a folder that is none is one sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reactdiff_ros.coefficients import BLENDSHAPE_NAMES
from reactdiff_ros.errors import MediaError
from reactdiff_ros.evaluation.metrics.mesh import FACE, LIPS, NASION, REST, FaceMesh, read_mesh

SIDES = [n.replace("Left", "_L").replace("Right", "_R") for n in BLENDSHAPE_NAMES if not n.startswith(("jaw", "mouth"))]


def obj(vertices: np.ndarray) -> str:
    return "# a face\n" + "".join(f"v {x:.5f} {y:.5f} {z:.5f}\n" for x, y, z in vertices) + "f 1 2 3\n"


def rest() -> np.ndarray:
    """Lips around the origin, a forehead above, and the rest far below."""
    vertices = np.tile([0.0, -20.0, 0.0], (FACE + 5, 1))
    vertices[list(LIPS)] = 0.0
    vertices[NASION] = [0.0, 5.0, 0.0]
    vertices[FACE - 1] = [0.0, 9.0, 0.0]
    return vertices


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """JawOpen lowers a lip by 2 cm, browInnerUp (of two files) the forehead by 1 cm each, the others nothing."""
    folder = tmp_path_factory.mktemp("FaceXModel")
    still, jaw, brow = rest(), rest(), rest()
    jaw[LIPS[0], 1] -= 2.0
    brow[FACE - 1, 1] += 1.0
    mouth = [n for n in BLENDSHAPE_NAMES if n.startswith(("jaw", "mouth"))]
    split = [n.replace("Left", "_L").replace("Right", "_R") for n in mouth if n not in ("jawLeft", "jawRight")]
    names = {REST, *mouth, *split, *SIDES, "cheekPuff_L", "cheekPuff_R"} - {"tongueOut"}
    text = obj(still)
    for name in names:
        (folder / f"{name}.obj").write_text(text, encoding="utf-8")
    (folder / "jawOpen.obj").write_text(obj(jaw), encoding="utf-8")
    for side in ("_L", "_R"):
        (folder / f"browInnerUp{side}.obj").write_text(obj(brow), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def mesh(folder: Path) -> FaceMesh:
    return read_mesh(folder)


def face(frames: int = 4, **values: float | list[float]) -> np.ndarray:
    coefficients = np.zeros((frames, len(BLENDSHAPE_NAMES)))
    for name, value in values.items():
        coefficients[:, BLENDSHAPE_NAMES.index(name)] = value
    return coefficients


def test_the_lip_that_is_farthest_off_counts_in_every_frame(mesh: FaceMesh) -> None:
    truth = face(jawOpen=[0.0, 0.5, 1.0, 0.5])
    assert mesh.lip_error(truth, truth) == 0.0
    assert mesh.lip_error(face(), truth) == pytest.approx(20.0 * 0.5)
    assert mesh.lip_error(face(browInnerUp=1.0), face()) == 0.0


def test_what_the_upper_face_does_not_do_is_positive(mesh: FaceMesh) -> None:
    lively = face(browInnerUp=[0.0, 1.0, 0.0, 1.0])
    share = 1.0 / mesh.upper.shape[1]
    assert mesh.upper.shape[1] == 1
    assert mesh.upper_deviation(face(), lively) == pytest.approx(share * 20.0 * 0.5)
    assert mesh.upper_deviation(lively, face()) == pytest.approx(-share * 20.0 * 0.5)
    assert mesh.upper_deviation(face(browInnerUp=1.0), face()) == pytest.approx(0.0), "a pose is no motion"


def test_a_folder_without_the_mesh_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="ICT-FaceKit"):
        read_mesh(tmp_path)
    (tmp_path / f"{REST}.obj").write_text("v 1 2 3\n", encoding="utf-8")
    with pytest.raises(MediaError, match="not a mesh of ICT-FaceKit"):
        read_mesh(tmp_path)
    (tmp_path / f"{REST}.obj").write_text("v 1 2 x\n", encoding="utf-8")
    with pytest.raises(MediaError, match="cannot be read"):
        read_mesh(tmp_path)
