"""How lips are judged: figures that are high for a mouth that follows and low for one that does not, and bad files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from reactdiff_ros.coefficients import INDEX, MOUTH
from reactdiff_ros.errors import MediaError
from reactdiff_ros.speech.lips import Lips
from reactdiff_ros.types import Sound
from tools.small_networks import lips_study as study
from tools.small_networks.known_lips import KnownLips, from_facegood, read_truth
from tools.small_networks.mesh import FACE, LIPS, NASION, REST, FaceMesh, read_mesh


def syllables(seconds: float = 4.0) -> Sound:
    rng = np.random.default_rng(0)
    t = np.arange(int(16000 * seconds)) / 16000
    places = np.arange(0, seconds + 0.2, 0.2)
    slow = np.interp(t, places, rng.random(len(places)))
    buzz = sum(np.sin(2 * np.pi * 110 * k * t) / k for k in range(1, 30))
    return Sound(0, 16000, np.asarray(3000 * buzz * np.clip(2 * slow - 0.6, 0, 1), np.int16)[:, None])


def test_a_mouth_is_like_itself_at_its_lag_and_unlike_other_moments() -> None:
    sound = syllables()
    own = Lips().whole(sound)
    table = np.zeros((len(own.level), 52), np.float32)
    table[:, MOUTH] = np.roll(own.coefficients, 8, axis=0)
    found = study.evaluate(KnownLips("own", sound, table, 100.0)).figures
    assert found["r"]["jawOpen"] > 0.98
    assert found["lag_ms"] == pytest.approx(80.0)
    assert found["shuffled"]["jawOpen"] < 0.75
    assert found["rms_error"]["network"] < found["rms_error"]["shuffled"]
    assert np.isnan(study.pearson(np.zeros(100), np.sin(np.arange(100.0))))
    assert study.silent_mouth(seconds=2.0) == 0.0


def test_closures_count_once_each_within_40_ms() -> None:
    closure = np.zeros(300)
    closure[50:56] = closure[100:105] = closure[103:108] = closure[250:255] = 1.0
    truth = np.array([[0.5, 0.56], [0.98, 1.0], [1.9, 1.95]])
    assert study.closure_counts(closure, truth) == (2, 3, 3)
    assert study.f1(2, 3, 3) == pytest.approx(2 / 3)
    assert study.closure_counts(np.zeros(300), truth) == (0, 0, 3)
    assert np.isnan(study.f1(0, 0, 0))


def test_truth_of_many_forms_and_of_none(tmp_path: Path) -> None:
    table = np.random.default_rng(0).random((90, 58)).astype(np.float32)
    np.save(tmp_path / "arkit.npy", table)
    values, rate = read_truth(tmp_path / "arkit.npy", rate_hz=60.0)
    assert (values.shape, rate) == ((90, 52), 60.0)
    np.savez(tmp_path / "arkit.npz", coefficients=table[:, :52], rate_hz=25.0)
    assert read_truth(tmp_path / "arkit.npz")[1] == 25.0
    np.save(tmp_path / "facegood.npy", np.zeros((30, 116)))
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.save(tmp_path / "flat.npy", np.zeros(30))
    (tmp_path / "text.npy").write_text("no array")
    for name in ("facegood.npy", "objects.npy", "flat.npy", "text.npy", "missing.npy"):
        with pytest.raises(MediaError, match="cannot be read"):
            read_truth(tmp_path / name)
    with pytest.raises(MediaError):
        from_facegood(np.zeros((30, 116)), [f"column_{i}" for i in range(116)])


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"symbols": ["a"], "starts": [0], "ends": []}', '{"alphabet": "x", "symbols": []}']
)
def test_timings_that_are_none(text: str, tmp_path: Path) -> None:
    path = tmp_path / "timing.json"
    path.write_text(text)
    with pytest.raises(MediaError, match="timing"):
        study.read_timing(path)


def test_the_command_on_facegood(tmp_path: Path, clips, reactdiff) -> None:
    """Its timing is invented: it only has to be read."""
    timing = tmp_path / "timing.json"
    timing.write_text(json.dumps({"symbols": ["m", "a"], "starts": [1.0, 1.1], "ends": [1.1, 1.3]}))
    names = clips("facegood_bs116_names.npy")
    arguments = ["--sound", clips("facegood_1114_3_15.wav"), "--truth", clips("facegood_1114_3_15_bs116_30fps.npy")]
    found, _ = reactdiff("evaluate", "lips", *arguments, "--names", names, "--timing", timing, "--json")
    assert found["r"]["jawOpen"] > found["shuffled"]["jawOpen"] + 0.2
    assert found["silence"]["jawOpen"] <= 0.01
    assert {"closure_f1", "lag_ms", "table", "loudness", "rms_error"} <= found.keys()
    assert from_facegood(np.ones((2, 116)), np.load(names))[0, INDEX["jawOpen"]] == 1.0
    reactdiff("evaluate", "lips", "--sound", "x.wav", code=2)
    reactdiff("evaluate", "lips", code=2)


# Errors in mm


def obj(vertices: np.ndarray) -> str:
    return "# a face\n" + "".join(f"v {x:.5f} {y:.5f} {z:.5f}\n" for x, y, z in vertices) + "f 1 2 3\n"


NAMES = ("jawOpen", "jawLeft", "eyeBlinkRight", "browInnerUp", "tongueOut")
"""One for each way in which the mesh names its files; reading all 52 takes seconds."""


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> FaceMesh:
    """Lips around the origin, a forehead above, the rest far below; jawOpen lowers a lip by 2 cm, browInnerUp (of two
    files) the forehead by 1 cm each, the others do nothing.
    """
    folder = tmp_path_factory.mktemp("FaceXModel")
    still = np.tile([0.0, -20.0, 0.0], (FACE + 5, 1))
    still[list(LIPS)] = 0.0
    still[NASION], still[FACE - 1] = [0.0, 5.0, 0.0], [0.0, 9.0, 0.0]
    jaw, brow = still.copy(), still.copy()
    jaw[LIPS[0], 1] -= 2.0
    brow[FACE - 1, 1] += 1.0
    files = {REST: still, "jawOpen": jaw, "jawLeft": still, "eyeBlink_R": still}
    for name, vertices in {**files, "browInnerUp_L": brow, "browInnerUp_R": brow}.items():
        (folder / f"{name}.obj").write_text(obj(vertices), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(read_mesh.__module__ + ".BLENDSHAPE_NAMES", NAMES)
        return read_mesh(folder)


def face(**values: float | list[float]) -> np.ndarray:
    coefficients = np.zeros((4, len(NAMES)))
    for name, value in values.items():
        coefficients[:, NAMES.index(name)] = value
    return coefficients


def test_the_lip_that_is_farthest_off_counts_and_what_the_upper_face_does_not_do(mesh: FaceMesh) -> None:
    truth = face(jawOpen=[0.0, 0.5, 1.0, 0.5])
    assert mesh.lip_error(truth, truth) == 0.0
    assert mesh.lip_error(face(), truth) == pytest.approx(20.0 * 0.5)
    assert mesh.lip_error(face(browInnerUp=1.0), face()) == 0.0
    lively = face(browInnerUp=[0.0, 1.0, 0.0, 1.0])
    assert mesh.upper.shape[1] == 1
    assert mesh.upper_deviation(face(), lively) == pytest.approx(20.0 * 0.5)
    assert mesh.upper_deviation(lively, face()) == pytest.approx(-20.0 * 0.5)
    assert mesh.upper_deviation(face(browInnerUp=1.0), face()) == pytest.approx(0.0), "a pose is no motion"


@pytest.mark.parametrize(
    ("text", "words"), [(None, "ICT-FaceKit"), ("v 1 2 3\n", "not a mesh of ICT-FaceKit"), ("v 1 2 x\n", "be read")]
)
def test_a_folder_without_the_mesh_is_one_sentence(text: str | None, words: str, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / f"{REST}.obj").write_text(text, encoding="utf-8")
    with pytest.raises(MediaError, match=words) as error:
        read_mesh(tmp_path)
    assert str(tmp_path) in str(error.value)
