from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from generated_sets import (
    FACEVERSE_ORDER,
    REACT_CLIPS,
    attributes,
    face,
    faceverse_model,
    hostile_model,
    react,
    react_all_neighbours,
    react_neighbours,
)
from numpy.typing import NDArray

from reactdiff_ros.attributes import ATTRIBUTE_NAMES
from reactdiff_ros.coefficients import HEAD_PITCH, INDEX, LOWER, ROTATION, TRANSLATION, UPPER
from reactdiff_ros.model.tokens import featurize
from reactdiff_ros.recordings.datasets.faceverse import expression_names, to_coefficients
from reactdiff_ros.recordings.datasets.files import DatasetError
from reactdiff_ros.recordings.datasets.react import neighbours, pairs, recordings
from reactdiff_ros.recordings.datasets.speaker import affect_of
from reactdiff_ros.types import EXPRESSION_CLASSES

NOVICE = "NoXI/010_2016-03-25_Paris/Novice_video/1"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return react(tmp_path_factory.mktemp("react"), frames=100)


def test_both_roles_of_every_clip_are_read_in_the_order_of_the_neighbour_matrix(root: Path) -> None:
    read = list(recordings(root, "train", names=FACEVERSE_ORDER))
    assert [r.names["speaker"] for r in read] == [s for s, _ in REACT_CLIPS] + [x for _, x in REACT_CLIPS]
    assert len(list(recordings(root, "train", both_roles=False))) == len(REACT_CLIPS)
    first = read[0]
    assert (first.pair, first.session, first.role) == ("NoXI/010_2016-03-25_Paris", "1", "Novice_video")
    assert (read[3].pair, read[3].session) == ("UDIVA/005013", "talk-1")
    assert len({r.person for r in read}) == 6
    assert first.frames == 100
    assert first.listener.dtype == np.float32
    np.testing.assert_array_equal(first.attributes, attributes(100, 1))


def test_the_expression_is_mapped_by_name_and_the_head_keeps_its_axes(root: Path) -> None:
    first = next(iter(recordings(root, "train", names=FACEVERSE_ORDER)))
    raw = face(100, 1)[:, 0]
    smile = raw[:, FACEVERSE_ORDER.index("mouthSmileLeft")]
    ours = first.listener[:, INDEX["mouthSmileLeft"]]
    assert np.corrcoef(smile, ours)[0, 1] > 0.99
    assert np.corrcoef(raw[:, 52], first.listener[:, HEAD_PITCH])[0, 1] > 0.999
    assert abs(np.median(first.listener[:, ROTATION], axis=0)).max() < 1e-4
    assert first.observed[0, :55].all()
    assert not first.observed[:, TRANSLATION].any()
    assert not first.listener[:, TRANSLATION].any()
    assert (first.listener >= LOWER).all()
    assert (first.listener <= UPPER).all()


def test_without_the_licensed_names_only_the_head_is_observed(root: Path) -> None:
    first = next(iter(recordings(root, "train")))
    assert first.observed.sum() == 3 * 100
    assert not first.speaker.confidence[:, :, :52].any()


def test_the_speaker_is_what_perception_would_deliver(root: Path) -> None:
    first = next(iter(recordings(root, "train", names=FACEVERSE_ORDER)))
    assert first.speaker.mesh.all()
    assert not first.speaker.microphone.any()
    labelled = attributes(100, 0)
    happy, surprise = EXPRESSION_CLASSES.index("happy"), EXPRESSION_CLASSES.index("surprise")
    classes = first.speaker.affect[0, :, :7]
    np.testing.assert_allclose(classes.sum(1), 1, atol=1e-5)
    ratio = labelled[:, ATTRIBUTE_NAMES.index("Happy")] / labelled[:, ATTRIBUTE_NAMES.index("Surprise")]
    np.testing.assert_allclose(classes[:, happy] / classes[:, surprise], ratio, rtol=1e-3)
    features, observed = featurize(first.speaker)
    assert np.isfinite(features).all()
    assert observed[0, -1].tolist() == [1, 1, 1, 0, 0]


def test_contempt_has_no_class_and_nothing_known_is_even() -> None:
    values = np.zeros((2, 25), np.float32)
    values[0, ATTRIBUTE_NAMES.index("Contempt")] = 1
    values[1, [ATTRIBUTE_NAMES.index("Contempt"), ATTRIBUTE_NAMES.index("Sad")]] = 0.5
    out = affect_of(values)
    np.testing.assert_allclose(out[0, :7], 1 / 7, rtol=1e-6)
    assert out[1, EXPRESSION_CLASSES.index("sad")] == 1


def test_the_voice_is_made_of_the_speakers_sound(root: Path) -> None:
    heard: list[tuple[int, int, int]] = []

    def voice_of(samples: NDArray[np.int16], rate_hz: int, frames: int) -> dict[str, NDArray[Any]]:
        heard.append((*samples.shape, rate_hz))
        return {"microphone": np.ones(frames, bool), "pitch_hz": np.full(frames, 180, np.float32)}

    first = next(iter(recordings(root, "train", voice_of=voice_of)))
    assert heard == [(4 * 8000, 1, 8000)]
    assert first.speaker.microphone.all()
    assert (first.speaker.pitch_hz == 180).all()


def test_neighbours_from_the_splits_own_file_or_cut_from_the_whole_matrix(tmp_path: Path) -> None:
    root = react(tmp_path, frames=3, splits=("val",), sound=False)
    whole = react_all_neighbours(root)
    rows = [4, 3, 0, 2]
    rows += [r + 5 for r in rows]
    np.testing.assert_array_equal(neighbours(root, "val"), whole[np.ix_(rows, rows)] == 1)
    matrix = react_neighbours(root)
    np.testing.assert_array_equal(neighbours(root, "val"), matrix == 1)
    assert len(pairs(root, "val")) == len(matrix)


def spoil(path: Path, change: Callable[[NDArray[Any]], NDArray[Any]]) -> None:
    np.save(path, change(np.load(path)))


def with_nan(values: NDArray[Any]) -> NDArray[Any]:
    values[40, 0, 7] = np.nan
    return values


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda v: v[:, :, :57], ["3DMM coefficients", "(100, 1, 57)", "(frames, 58)"]),
        (lambda v: v[:70], ["70 and 100 frames", "Emotion"]),
        (with_nan, ["not finite", "frame 40, column 7"]),
        (lambda v: v.astype("U8"), ["not numeric"]),
        (lambda v: np.array({"a": 1}, dtype=object), ["cannot be read"]),
    ],
)
def test_a_bad_array_is_named_with_its_file_and_field(
    tmp_path: Path, change: Callable[[NDArray[Any]], NDArray[Any]], words: list[str]
) -> None:
    root = react(tmp_path, frames=100, splits=("train",))
    path = root / "train" / "3D_FV_files" / f"{NOVICE}.npy"
    spoil(path, change)
    with pytest.raises(DatasetError) as caught:
        list(recordings(root, "train"))
    assert all(word in str(caught.value) for word in [*words, str(path)]), str(caught.value)
    told: list[DatasetError] = []
    read = list(recordings(root, "train", on_bad=told.append))
    assert len(told) == 2
    assert len(read) == 2 * len(REACT_CLIPS) - 2


def test_missing_files_and_lists_are_named(tmp_path: Path) -> None:
    root = react(tmp_path, frames=10, splits=("train",))
    (root / "train" / "Emotion" / f"{NOVICE.replace('Novice_video', 'P2')}.csv").unlink()
    with pytest.raises(DatasetError, match="a file is missing: the facial attributes"):
        list(recordings(root, "train"))
    with pytest.raises(DatasetError, match=r"list of the test split.*test\.csv"):
        pairs(root, "test")
    with pytest.raises(DatasetError, match="no folder"):
        list(recordings(root, "test"))
    (root / "train.csv").write_text("x,speaker,listener\n0,../../etc/P25/1,RECOLA/group-1/P26/1\n")
    with pytest.raises(DatasetError, match="outside of its dataset"):
        pairs(root, "train")
    (root / "train.csv").write_text("x,speaker,listener\n0,one\n")
    with pytest.raises(DatasetError, match="line 2"):
        pairs(root, "train")
    (root / "train.csv").write_text("x,speaker,listener\n")
    with pytest.raises(DatasetError, match="empty"):
        pairs(root, "train")
    (root / "train.csv").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(DatasetError):
        pairs(root, "train")


def test_a_table_with_wrong_columns_or_words_in_it_is_named(tmp_path: Path) -> None:
    root = react(tmp_path, frames=10, splits=("train",))
    path = root / "train" / "Emotion" / "NoXI/010_2016-03-25_Paris/P1/1.csv"
    rows = path.read_text().splitlines()
    path.write_text("\n".join([rows[0], rows[1].rsplit(",", 1)[0] + ",happy", *rows[2:]]))
    with pytest.raises(DatasetError, match="row 1 of the facial attributes is not numeric"):
        list(recordings(root, "train"))
    path.write_text("\n".join(row.rsplit(",", 1)[0] for row in rows))
    with pytest.raises(DatasetError, match="24 columns; missing: Contempt"):
        list(recordings(root, "train"))
    names = rows[0].split(",")
    path.write_text("\n".join(",".join(reversed(row.split(","))) for row in rows))
    assert names[0] == "AU1"
    np.testing.assert_allclose(next(iter(recordings(root, "train", both_roles=True))).speaker.affect[0, 0, 7],
                               attributes(10, 0)[0, 15], atol=1e-6)  # fmt: skip


def test_frames_of_another_rate_than_25_are_noticed_by_their_sound(tmp_path: Path) -> None:
    root = react(tmp_path, frames=300, splits=("train",))
    for path in (root / "train" / "3D_FV_files").rglob("*.npy"):
        spoil(path, lambda v: v[:250])
    for path in (root / "train" / "Emotion").rglob("*.csv"):
        path.write_text("\n".join(path.read_text().splitlines()[:251]))
    for path in (root / "train" / "Emotion").rglob("*.npy"):
        spoil(path, lambda v: v[:250])
    with pytest.raises(DatasetError, match=r"20\.8 frames a second instead of 25"):
        list(recordings(root, "train", voice_of=lambda samples, rate, frames: {}))


@pytest.mark.parametrize("values", [np.eye(3), np.ones((8, 7)), 0.5 * np.eye(8)])
def test_a_wrong_neighbour_matrix_is_refused(tmp_path: Path, values: NDArray[Any]) -> None:
    root = react(tmp_path, frames=3, splits=("val",), sound=False)
    np.save(root / "neighbour_emotion_val.npy", values)
    with pytest.raises(DatasetError, match=r"neighbour matrix.*neighbour_emotion_val"):
        neighbours(root, "val")


def test_expression_names_come_from_the_model_a_list_or_a_text(tmp_path: Path) -> None:
    assert expression_names(faceverse_model(tmp_path / "model.npy")) == FACEVERSE_ORDER
    apple = [n.replace("Left", "_L").replace("Right", "_R") for n in FACEVERSE_ORDER]
    (tmp_path / "names.txt").write_text("\n".join(apple))
    values = face(50, 3)[:, 0]
    other = expression_names(tmp_path / "names.txt")
    np.testing.assert_array_equal(to_coefficients(values, other)[0], to_coefficients(values, FACEVERSE_ORDER)[0])


def test_bad_name_lists_are_refused_and_no_code_of_a_model_file_runs(tmp_path: Path) -> None:
    hostile = hostile_model(tmp_path / "hostile.npy")
    with pytest.raises(DatasetError, match="cannot be read"):
        expression_names(hostile)
    assert not hostile.with_suffix(".run").exists()
    for text, words in (("mouthSmileLeft smirk", "smirk"), ("mouthSmileLeft", "1 different")):
        (tmp_path / "names.txt").write_text(text)
        with pytest.raises(DatasetError, match=words):
            expression_names(tmp_path / "names.txt")
    with pytest.raises(DatasetError, match="missing"):
        expression_names(tmp_path / "none.npy")


def test_a_pitch_that_wraps_about_pi_stays_one_motion() -> None:
    values = np.zeros((4, 58), np.float32)
    values[:, 52] = [np.pi - 0.1, -np.pi + 0.1, np.pi - 0.1, np.pi - 0.1]
    pitch = to_coefficients(values, None)[0][:, HEAD_PITCH]
    np.testing.assert_allclose(pitch, [0, 0.2, 0, 0], atol=1e-5)
