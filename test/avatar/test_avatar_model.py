"""3D avatars: what their files must have, and how a page moves them (headless Chromium, drawn by software)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from glb import chunks, glb, write
from stage import Shown, Stage, in_browser, opened

from reactdiff_ros.avatar import AvatarConfig, AvatarServer
from reactdiff_ros.avatar.model_file import ModelFile, coefficient, read_model_file, shipped_avatar
from reactdiff_ros.coefficients import BLENDSHAPE_NAMES
from reactdiff_ros.errors import ConfigError
from tools.chromium import Chromium
from tools.demo import make_avatar

ALL = list(BLENDSHAPE_NAMES)
SHARED = Path(os.environ.get("REACTDIFF_CLIPS", "/nonexistent")).parent / "avatars" / "makehuman_head_arkit52.vrm"
FLAGS = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist")


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


def test_an_avatar_with_all_names_and_one_without_some(tmp_path: Path) -> None:
    assert read_model_file(glb(tmp_path / "all.glb", ALL)).sentence == ""
    found = read_model_file(glb(tmp_path / "half.glb", ALL[:26]))
    assert found.missing == [n for n in ALL[26:] if n != "tongueOut"]
    assert "lacks 25 of 52" in found.sentence
    assert ALL[26] in found.sentence


def test_a_vrm_without_single_features_is_moved_by_its_presets(tmp_path: Path) -> None:
    tree = {"extensions": {"VRMC_vrm": {"expressions": {"preset": {"happy": {}, "aa": {}}}}}}
    assert read_model_file(glb(tmp_path / "new.vrm", ["A"], tree)) == ModelFile(1, frozenset(), True)
    groups = [{"name": "Joy", "presetName": "joy"}, *({"name": n, "presetName": "unknown"} for n in ALL)]
    old = {"extensions": {"VRM": {"blendShapeMaster": {"blendShapeGroups": groups}}}}
    assert read_model_file(glb(tmp_path / "old.vrm", ["A"], old)) == ModelFile(0, frozenset(ALL), False)


def test_the_shipped_avatar_is_what_its_command_makes_and_has_every_name(tmp_path: Path) -> None:
    made = tmp_path / "head.glb"
    made.write_bytes(make_avatar.make())
    assert read_model_file(made).missing == []
    (here, data), (there, shipped) = chunks(made), chunks(shipped_avatar("head"))
    for one, other in zip(here["meshes"], there["meshes"], strict=True):
        assert one.get("extras") == other.get("extras")
    first = here["accessors"][here["meshes"][0]["primitives"][0]["attributes"]["POSITION"]]
    view, same = (tree["bufferViews"][first["bufferView"]] for tree in (here, there))
    cuts = [slice(v["byteOffset"], v["byteOffset"] + v["byteLength"]) for v in (view, same)]
    assert view["byteLength"] == same["byteLength"]
    assert np.allclose(np.frombuffer(data[cuts[0]], "<f4"), np.frombuffer(shipped[cuts[1]], "<f4"), atol=1e-6)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda p: glb(p, ALL, cut=20), "cut off"),
        (lambda p: p.write_bytes(b"glTF"), "not a binary glTF"),
        (lambda p: p.write_text("{}"), "not a binary glTF"),
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


def red(picture: np.ndarray) -> np.ndarray:
    """Rows of the square, from its colour."""
    rows: np.ndarray = np.nonzero(((picture[..., 2] - picture[..., 0]) > 100).sum(1) > 20)[0]
    return rows


@in_browser
def test_coefficients_move_what_is_drawn(drawn: Chromium, tmp_path: Path) -> None:
    with Avatar(drawn, glb(tmp_path / "a.glb", ["jawOpen", "mouthSmile_L", "unknown"])) as shown:
        assert shown.avatar()["moved"] == 2
        rest = shown.picture(tmp_path)
        assert len(red(rest)) > 20
        lifted = shown.picture(tmp_path, jawOpen=0.4)
        assert red(lifted).mean() < red(rest).mean() - 20
        assert np.abs(shown.picture(tmp_path, cheekPuff=0.9) - rest).mean() < 1.0
        shown.page.key("l")  # the next look is a drawn one
        shown.page.until("!reactdiff.state().avatar && reactdiff.state().look === 'soft'")
        assert not shown.page.errors


@in_browser
def test_what_cannot_be_loaded_leaves_the_drawn_face_and_a_sentence(drawn: Chromium, tmp_path: Path) -> None:
    path = glb(tmp_path / "a.glb", ALL, {"bufferViews": []})
    with Avatar(drawn, path) as shown:
        shown.page.until("document.getElementById('notice').textContent.includes('drawn face replaces')", 30.0)
        assert shown.page.value("reactdiff.state().avatar") is None
        assert shown.page.value(
            "reactdiff.state().drawn !== null && !document.getElementById('face').hasAttribute('hidden')"
        )


@in_browser
def test_the_shipped_avatar_is_drawn_and_moves(drawn: Chromium, tmp_path: Path) -> None:
    with Avatar(drawn, "head") as shown:
        assert shown.avatar()["moved"] >= 51
        rest = shown.picture(tmp_path)
        for face in ({"mouthSmileLeft": 1.0, "mouthSmileRight": 1.0}, {"eyeBlinkLeft": 1.0}, {"headRoll": 0.3}):
            assert (np.abs(shown.picture(tmp_path, **face) - rest).max(2) > 25).sum() > 100, face
        assert not shown.page.errors


@in_browser
def test_the_gallery_shows_the_avatar_and_goes_back_to_the_looks(drawn: Chromium) -> None:
    ready = "window.reactdiff && reactdiff.cells().length > 0"
    with Stage() as stage, opened(drawn, stage.url + "faces", ready, 20.0) as page:
        page.value("document.querySelector('[title=\"avatar, laugh\"]').click()")
        assert page.until("reactdiff.avatar()", 30.0)["moved"] >= 51
        page.value("document.querySelector('[title=\"cub, sad\"]').click()")
        page.until("reactdiff.avatar() === null && document.getElementById('caption').textContent === 'cub, sad'")
        assert not page.errors


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
        for face in ({"mouthSmileLeft": 1.0, "mouthSmileRight": 1.0}, {"jawOpen": 0.8}, {"headYaw": 0.5}):
            for coefficients, changed in ((face, True), ({}, False)):
                pictures = (shown.picture(tmp_path, **coefficients) for _ in range(20))  # presets are smoothed
                counts = ((np.abs(picture - rest).max(2) > 25).sum() for picture in pictures)
                assert any((count > 300) == changed for count in counts), face
        assert not shown.page.errors
