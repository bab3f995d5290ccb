"""Readers of public sets: what comes out on the 25 Hz grid, what is unobserved, and errors that name file and field."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from generated_sets import (
    FACEVERSE_ORDER,
    REACT_CLIPS,
    attributes,
    dualtalk,
    face,
    faceverse_model,
    hostile_model,
    mars,
    react,
    react_all_neighbours,
    react_neighbours,
)
from numpy.typing import NDArray

from reactdiff_ros.coefficients import (
    BLENDSHAPE_NAMES,
    EYE_LOOK,
    HEAD_PITCH,
    HEAD_YAW,
    INDEX,
    LOWER,
    ROTATION,
    TRANSLATION,
    UPPER,
)
from reactdiff_ros.recordings.datasets import public
from reactdiff_ros.recordings.datasets.public import (
    CHANNELS,
    OBSERVED,
    expression_names,
    faceverse_coefficients,
    neighbours,
    pairs,
)
from reactdiff_ros.recordings.datasets.recording import DatasetError

NOVICE = "NoXI/010_2016-03-25_Paris/Novice_video/1"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return react(tmp_path_factory.mktemp("react"), frames=100)


def test_both_roles_of_every_clip_are_read_in_the_order_of_the_neighbour_matrix(root: Path) -> None:
    read = list(public.recordings("react", root, "train", names=FACEVERSE_ORDER))
    assert [r.names["speaker"] for r in read] == [s for s, _ in REACT_CLIPS] + [x for _, x in REACT_CLIPS]
    first = read[0]
    assert (first.pair, first.session, first.role) == ("NoXI/010_2016-03-25_Paris", "1", "Novice_video")
    assert (read[3].pair, read[3].session) == ("UDIVA/005013", "talk-1")
    assert len({r.person for r in read}) == 6
    assert first.frames == 100
    assert first.listener.dtype == np.float32
    np.testing.assert_array_equal(first.attributes, attributes(100, 1))


def test_the_expression_is_mapped_by_name_and_the_head_keeps_its_axes(root: Path) -> None:
    first = next(iter(public.recordings("react", root, "train", names=FACEVERSE_ORDER)))
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


def test_the_voice_is_made_of_the_speakers_sound(root: Path) -> None:
    heard: list[tuple[int, int, int]] = []

    def voice_of(samples: NDArray[np.int16], rate_hz: int, frames: int) -> dict[str, NDArray[Any]]:
        heard.append((*samples.shape, rate_hz))
        return {"microphone": np.ones(frames, bool), "pitch_hz": np.full(frames, 180, np.float32)}

    first = next(iter(public.recordings("react", root, "train", voice_of=voice_of)))
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
    np.save(path, change(np.load(path)))
    with pytest.raises(DatasetError) as caught:
        list(public.recordings("react", root, "train"))
    assert all(word in str(caught.value) for word in [*words, str(path)]), str(caught.value)


def test_expression_names_come_from_the_model_a_list_or_a_text(tmp_path: Path) -> None:
    assert expression_names(faceverse_model(tmp_path / "model.npy")) == FACEVERSE_ORDER
    apple = [n.replace("Left", "_L").replace("Right", "_R") for n in FACEVERSE_ORDER]
    (tmp_path / "names.txt").write_text("\n".join(apple))
    values = face(50, 3)[:, 0]
    other = expression_names(tmp_path / "names.txt")
    np.testing.assert_array_equal(
        faceverse_coefficients(values, other)[0], faceverse_coefficients(values, FACEVERSE_ORDER)[0]
    )


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


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return mars(tmp_path_factory.mktemp("mars"))


def test_sessions_of_any_length_come_out_on_the_25_hz_grid(sessions: Path) -> None:
    read = list(public.recordings("mars", sessions, names=FACEVERSE_ORDER))
    assert [r.names["session"] for r in read[:4]] == ["session0", "session0", "session2", "session10"]
    assert [r.role for r in read] == ["listener"] * 4 + ["speaker"] * 4
    assert [r.frames for r in read[:4]] == [51, 76, 101, 76]
    assert read[0].pair == "2024-06-21"
    assert read[1].pair == "2024-07-17"
    assert read[0].attributes is not None
    assert read[0].attributes.shape == (51, 25)


def test_the_listener_is_interpolated_and_the_speaker_is_what_was_there(sessions: Path) -> None:
    first = next(iter(public.recordings("mars", sessions, names=FACEVERSE_ORDER)))
    raw = face(61, 1)[:, 0, 53]
    times = np.arange(51) / 25
    expected = np.interp(times, np.arange(61) / 30, raw - np.median(raw))
    np.testing.assert_allclose(first.listener[:, HEAD_YAW], expected, atol=1e-4)
    speaker = attributes(61, 0)[:, 15]
    at = np.floor(times * 30 + 1e-6).astype(int)
    np.testing.assert_allclose(first.speaker.affect[0, :, 7], speaker[at], atol=1e-6)


def test_files_without_their_counterpart_and_other_rates_are_named(tmp_path: Path) -> None:
    sessions = mars(tmp_path)
    alone = sessions / "train" / "facial-attributes" / "listener" / "session2" / "Camera-2024-06-21-105000-104950.npy"
    alone.unlink()
    with pytest.raises(DatasetError, match=r"1 files of the speaker have none of the listener.*session2"):
        list(public.recordings("mars", sessions))
    sessions = mars(tmp_path, rate_hz=25.0)
    with pytest.raises(DatasetError, match=r"25\.0 frames a second instead of 30"):
        list(public.recordings("mars", sessions, voice_of=lambda samples, rate, frames: {}))
    with pytest.raises(DatasetError, match="no folder"):
        list(public.recordings("mars", sessions, "test"))
    (sessions / "train" / "audio" / "speaker" / "session0" / "Camera-2024-06-21-103121-103102.wav").write_bytes(b"RIFF")
    with pytest.raises(DatasetError, match="cannot be read as PCM wav"):
        list(public.recordings("mars", sessions, voice_of=lambda samples, rate, frames: {}))


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dualtalk(tmp_path_factory.mktemp("dualtalk"))


def test_each_conversation_is_read_in_both_directions(films: Path) -> None:
    read, first, second = list(public.recordings("dualtalk", films)), ("UbjUDM1MiGE", "72_000"), ("4V6riHOB4q4", "26")
    people = [(r.pair, r.session, r.role) for r in read]
    assert people == [(*of, role) for of in (first, second) for role in ("speaker2", "speaker1")]
    assert [r.frames for r in read] == [80, 80, 100, 100]
    np.testing.assert_array_equal(read[0].listener, read[1].speaker.coefficients[0])
    assert read[0].speaker.mesh.all()
    assert not read[0].speaker.affect_observed.any()


def test_channels_are_mapped_by_name_and_unsolved_ones_are_unobserved(films: Path) -> None:
    assert sorted(CHANNELS[:52]) == sorted(BLENDSHAPE_NAMES)
    first = next(iter(public.recordings("dualtalk", films)))
    raw = np.load(films / "ARKit_npy" / "train" / "UbjUDM1MiGE_sub_video_72_000_speaker2.npy")
    for name in ("mouthSmileRight", "headYaw", "headPitch"):
        values = raw[:, CHANNELS.index(name)]
        centre = np.median(values) if name.startswith("head") else 0.0
        np.testing.assert_allclose(first.listener[:, INDEX[name]], values - centre, atol=1e-5)
    unobserved = {*EYE_LOOK, INDEX["tongueOut"], *range(*TRANSLATION.indices(58))}
    assert set(np.flatnonzero(~OBSERVED)) == unobserved


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"speaker2_arkit": None}, "field speaker2_arkit of a conversation is missing"),
        ({"speaker2_arkit": "../../other.npy"}, "outside of its dataset"),
        ({"speaker2_arkit": "train/none.npy"}, "a file is missing: the ARKit channels"),
        ({"name": None}, "has no name"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, change: dict[str, str | None], words: str) -> None:
    films = dualtalk(tmp_path)
    path = films / "metadata" / "train.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[0].update(change)
    path.write_text("\n".join(json.dumps(line) for line in lines))
    with pytest.raises(DatasetError, match=words):
        list(public.recordings("dualtalk", films))
