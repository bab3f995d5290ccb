"""3D avatars: what their files must have, and how a page moves them (headless Chromium, drawn by software)."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from stage import Shown, in_browser

from reactdiff_ros.avatar import AvatarConfig, AvatarServer
from reactdiff_ros.avatar.model_file import ModelFile, coefficient, read_model_file
from reactdiff_ros.coefficients import BLENDSHAPE_NAMES
from reactdiff_ros.errors import ConfigError
from tools.chromium import Chromium

ALL = list(BLENDSHAPE_NAMES)
SHARED = Path(os.environ.get("REACTDIFF_CLIPS", "/nonexistent")).parent / "avatars" / "makehuman_head_arkit52.vrm"
FLAGS = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist")


def glb(path: Path, names: list[str], tree: dict[str, Any] | None = None, cut: int = 0) -> Path:
    """A square of .2 m whose every morph target moves it up by .2 m; `tree` adds to the description."""
    corners = np.array([[-0.1, -0.1, 0], [0.1, -0.1, 0], [0.1, 0.1, 0], [-0.1, 0.1, 0]], "<f4")
    lift = np.tile(np.array([0, 0.2, 0], "<f4"), (4, 1))
    order = np.array([0, 1, 2, 0, 2, 3], "<u2")
    data = corners.tobytes() + lift.tobytes() + order.tobytes()
    box = {"min": corners.min(0).tolist(), "max": corners.max(0).tolist()}
    up = {"min": [0, 0.2, 0], "max": [0, 0.2, 0]}
    targets = [{"POSITION": 1} for _ in names]
    primitive = {"attributes": {"POSITION": 0}, "indices": 2, "targets": targets, "material": 0}
    known = {
        "asset": {"version": "2.0"}, "scene": 0, "scenes": [{"nodes": [0]}], "nodes": [{"mesh": 0, "name": "face"}],
        "meshes": [{"primitives": [primitive], "extras": {"targetNames": names}}],
        "materials": [{"pbrMetallicRoughness": {"baseColorFactor": [0.9, 0.1, 0.1, 1]}, "doubleSided": True}],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": 4, "type": "VEC3", **box},
            {"bufferView": 1, "componentType": 5126, "count": 4, "type": "VEC3", **up},
            {"bufferView": 2, "componentType": 5123, "count": 6, "type": "SCALAR"},
        ],
        "bufferViews": [
            {"buffer": 0, "byteOffset": 0, "byteLength": 48}, {"buffer": 0, "byteOffset": 48, "byteLength": 48},
            {"buffer": 0, "byteOffset": 96, "byteLength": 12},
        ],
        "buffers": [{"byteLength": len(data)}],
    }  # fmt: skip
    return write(path, known | (tree or {}), data, cut)


def write(path: Path, tree: dict[str, Any], data: bytes, cut: int = 0) -> Path:
    """A file of these two chunks, without its last `cut` bytes."""
    text = json.dumps(tree).encode()
    text += b" " * (-len(text) % 4)
    data += b"\0" * (-len(data) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(data), b"BIN\0") + data
    whole = struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks
    path.write_bytes(whole[: len(whole) - cut])
    return path


def chunks(path: Path) -> tuple[dict[str, Any], bytes]:
    """Description and data of a file."""
    raw = path.read_bytes()
    (length,) = struct.unpack("<I", raw[12:16])
    return json.loads(raw[20 : 20 + length]), raw[28 + length :]


@pytest.mark.parametrize(
    ("name", "means"),
    [
        ("eyeBlinkLeft", "eyeBlinkLeft"), ("EyeBlinkLeft", "eyeBlinkLeft"), ("eyeBlink_L", "eyeBlinkLeft"),
        ("blendShape1.mouthSmile_R", "mouthSmileRight"), ("head_jawOpen", "jawOpen"), ("Fcl_MTH_A", None), ("", None),
        ("mouthLeft", "mouthLeft"), ("mouthSmileLeft", "mouthSmileLeft"),
    ],
)  # fmt: skip
def test_names_of_morph_targets(name: str, means: str | None) -> None:
    assert coefficient(name) == means


def test_what_an_avatar_lacks_is_said_and_a_vrm_without_single_features_is_moved_by_its_presets(tmp_path: Path) -> None:
    assert read_model_file(glb(tmp_path / "all.glb", ALL)).sentence == ""
    found = read_model_file(glb(tmp_path / "half.glb", ALL[:26]))
    assert found.missing == [n for n in ALL[26:] if n != "tongueOut"]
    assert "lacks 25 of 52" in found.sentence
    tree = {"extensions": {"VRMC_vrm": {"expressions": {"preset": {"happy": {}, "aa": {}}}}}}
    assert read_model_file(glb(tmp_path / "new.vrm", ["A"], tree)) == ModelFile(1, frozenset(), True)
    groups = [{"name": "Joy", "presetName": "joy"}, *({"name": n, "presetName": "unknown"} for n in ALL)]
    old = {"extensions": {"VRM": {"blendShapeMaster": {"blendShapeGroups": groups}}}}
    assert read_model_file(glb(tmp_path / "old.vrm", ["A"], old)) == ModelFile(0, frozenset(ALL), False)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda p: glb(p, ALL, cut=20), "cut off"),
        (lambda p: p.write_bytes(b"glTF"), "not a binary glTF"),
        (lambda p: glb(p, []), "no morph targets"),
        (lambda p: glb(p, ["Fcl_MTH_A", "x"]), "no morph targets that are named"),
        (lambda p: glb(p, ALL, {"buffers": [{"uri": "http://elsewhere/a.bin"}]}), "refers to other files"),
        (lambda p: glb(p, [f"x{i}" for i in range(257)]), "more than 256"),
        (lambda p: glb(p, ALL, {"meshes": [{"primitives": 3}]}), "malformed"),
        (lambda p: glb(p, ALL, {"extensions": {"VRMC_vrm": {"expressions": []}}}), "malformed"),
        (lambda p: p.write_bytes(b"\0" * (64 * 1024 * 1024 + 1)), "larger than 64 MB"),
        (lambda p: None, "cannot be read"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_shown_says_why(make: Callable[[Path], Any], says: str, tmp_path: Path) -> None:
    path = tmp_path / "a.glb"
    make(path)
    with pytest.raises(ConfigError, match=says) as raised:
        AvatarConfig(look=str(path))
    assert str(path) in str(raised.value)


class Avatar(Shown):
    """A page with an avatar, fed with one face."""

    def __init__(self, browser: Chromium, path: Path | str) -> None:
        super().__init__(browser, AvatarServer(AvatarConfig(port=0, look=str(path))))

    def avatar(self) -> dict[str, Any]:
        return dict(self.page.until("reactdiff.state().avatar", 30.0))

    def picture(self, folder: Path, **face: float) -> np.ndarray:
        """What is seen with these coefficients."""
        self.show(**face)
        self.page.value("new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))")
        return np.asarray(cv2.imread(str(self.page.screenshot(folder / "shot.png"))), dtype=np.int16)


@pytest.fixture(scope="module")
def drawn() -> Iterator[Chromium]:
    with Chromium((640, 480), FLAGS) as chromium:
        yield chromium


@in_browser
def test_what_cannot_be_loaded_leaves_the_drawn_face_and_a_sentence(drawn: Chromium, tmp_path: Path) -> None:
    with Avatar(drawn, glb(tmp_path / "a.glb", ALL, {"bufferViews": []})) as shown:
        shown.page.until("document.getElementById('notice').textContent.includes('drawn face replaces')", 30.0)
        assert shown.page.value("reactdiff.state().avatar") is None
        assert not shown.page.value("document.getElementById('face').hasAttribute('hidden')")


@in_browser
def test_the_shipped_avatar_is_drawn_and_moves(drawn: Chromium, tmp_path: Path) -> None:
    with Avatar(drawn, "head") as shown:
        assert shown.avatar()["moved"] >= 51
        rest = shown.picture(tmp_path)
        for face in ({"mouthSmile": 1.0}, {"eyeBlinkLeft": 1.0}, {"headRoll": 0.3}):
            assert (np.abs(shown.picture(tmp_path, **face) - rest).max(2) > 25).sum() > 100, face
        assert not shown.page.errors


@pytest.mark.clips
@in_browser
@pytest.mark.skipif(not SHARED.is_file(), reason="the avatar for tests is not there: set REACTDIFF_CLIPS")
@pytest.mark.parametrize("kind", ["perfect sync", "presets", pytest.param("plain", marks=pytest.mark.slow)])
def test_a_real_head_smiles_and_turns(kind: str, drawn: Chromium, tmp_path: Path) -> None:
    tree, data = chunks(SHARED)
    if kind == "presets":
        del tree["extensions"]["VRMC_vrm"]["expressions"]["custom"]
    elif kind == "plain":
        del tree["extensions"], tree["extensionsUsed"]
    with Avatar(drawn, write(tmp_path / "head.vrm", tree, data)) as shown:
        assert shown.avatar()["presets"] == (kind == "presets")
        rest = shown.picture(tmp_path)
        shown.page.value("new Promise(r => setTimeout(r, 400))")
        for face in ({"mouthSmile": 1.0}, {"jawOpen": 0.8}, {"headYaw": 0.5}):
            for coefficients, changed in ((face, True), ({}, False)):
                pictures = (shown.picture(tmp_path, **coefficients) for _ in range(20))  # presets are smoothed
                counts = ((np.abs(picture - rest).max(2) > 25).sum() for picture in pictures)
                assert any((count > 300) == changed for count in counts), face
        assert not shown.page.errors
