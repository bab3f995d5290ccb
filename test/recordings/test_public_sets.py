"""Readers of public sets: what comes out on the 25 Hz grid, what is unobserved, and errors that name file and field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import generated_sets
import numpy as np
import pytest
from generated_sets import FACEVERSE_ORDER, REACT_CLIPS, attributes, dualtalk, face, mars, react
from numpy.typing import NDArray

from reactdiff_ros.coefficients import EYE_LOOK, HEAD_PITCH, HEAD_YAW, INDEX, LOWER, ROTATION, TRANSLATION, UPPER
from reactdiff_ros.recordings.datasets import public
from reactdiff_ros.recordings.datasets.public import CHANNELS, expression_names, faceverse_coefficients, neighbours
from reactdiff_ros.recordings.datasets.recording import DatasetError


def test_react_is_read_in_the_order_of_the_neighbour_matrix_and_mapped_by_name(tmp_path: Path) -> None:
    heard: list[tuple[int, int, int]] = []

    def voice_of(samples: NDArray[np.int16], rate_hz: int, frames: int) -> dict[str, NDArray[Any]]:
        heard.append((*samples.shape, rate_hz))
        return {"microphone": np.ones(frames, bool), "pitch_hz": np.full(frames, 180, np.float32)}

    root = react(tmp_path, frames=100, splits=("train",))
    read = list(public.recordings("react", root, "train", names=FACEVERSE_ORDER, voice_of=voice_of))
    assert [r.names["speaker"] for r in read] == [s for s, _ in REACT_CLIPS] + [x for _, x in REACT_CLIPS]
    assert (read[3].pair, read[3].session) == ("UDIVA/005013", "talk-1")
    assert len({r.person for r in read}) == 6
    first = read[0]
    assert (first.pair, first.session, first.role) == ("NoXI/010_2016-03-25_Paris", "1", "Novice_video")
    assert (first.frames, first.listener.dtype) == (100, np.float32)
    np.testing.assert_array_equal(first.attributes, attributes(100, 1))
    raw, values = face(100, 1)[:, 0], first.listener
    smile = raw[:, FACEVERSE_ORDER.index("mouthSmileLeft")]
    assert np.corrcoef(smile, values[:, INDEX["mouthSmileLeft"]])[0, 1] > 0.99
    assert np.corrcoef(raw[:, 52], values[:, HEAD_PITCH])[0, 1] > 0.999, "the head keeps its axes"
    assert abs(np.median(values[:, ROTATION], axis=0)).max() < 1e-4
    assert first.observed[0, :55].all()
    assert not first.observed[:, TRANSLATION].any()
    assert not values[:, TRANSLATION].any()
    assert ((values >= LOWER) & (values <= UPPER)).all()
    assert heard[0] == (4 * 8000, 1, 8000)
    assert first.speaker.microphone.all()
    assert (first.speaker.pitch_hz == 180).all()


def test_neighbours_from_the_splits_own_file_or_cut_from_the_whole_matrix(tmp_path: Path) -> None:
    root = react(tmp_path, frames=3, splits=("val",), sound=False)
    whole, rows = generated_sets.react_all_neighbours(root), [4, 3, 0, 2]
    rows += [r + 5 for r in rows]
    np.testing.assert_array_equal(neighbours(root, "val"), whole[np.ix_(rows, rows)] == 1)
    np.testing.assert_array_equal(generated_sets.react_neighbours(root) == 1, neighbours(root, "val"))


def test_expression_names_come_from_the_model_or_a_text_and_no_code_of_a_model_file_runs(tmp_path: Path) -> None:
    assert expression_names(generated_sets.faceverse_model(tmp_path / "model.npy")) == FACEVERSE_ORDER
    text = tmp_path / "names.txt"
    text.write_text("\n".join(n.replace("Left", "_L").replace("Right", "_R") for n in FACEVERSE_ORDER))
    read = [faceverse_coefficients(face(50, 3)[:, 0], n)[0] for n in (expression_names(text), FACEVERSE_ORDER)]
    np.testing.assert_array_equal(*read)
    hostile = generated_sets.hostile_model(tmp_path / "hostile.npy")
    with pytest.raises(DatasetError, match="cannot be read"):
        expression_names(hostile)
    assert not hostile.with_suffix(".run").exists()
    for content, words in (("mouthSmileLeft smirk", "smirk"), ("mouthSmileLeft", "1 different")):
        text.write_text(content)
        with pytest.raises(DatasetError, match=words):
            expression_names(text)


def test_mars_sessions_of_any_length_come_out_on_the_25_hz_grid(tmp_path: Path) -> None:
    read = list(public.recordings("mars", mars(tmp_path), names=FACEVERSE_ORDER))
    assert [r.names["session"] for r in read[:4]] == ["session0", "session0", "session2", "session10"]
    assert [r.role for r in read] == ["listener"] * 4 + ["speaker"] * 4
    assert [r.frames for r in read[:4]] == [51, 76, 101, 76]
    assert [r.pair for r in read[:2]] == ["2024-06-21", "2024-07-17"]
    first, raw, times = read[0], face(61, 1)[:, 0, 53], np.arange(51) / 25
    assert first.attributes.shape == (51, 25)
    between = np.interp(times, np.arange(61) / 30, raw - np.median(raw))
    np.testing.assert_allclose(first.listener[:, HEAD_YAW], between, atol=1e-4)
    newest = attributes(61, 0)[np.floor(times * 30 + 1e-6).astype(int), 15]
    np.testing.assert_allclose(first.speaker.affect[0, :, 7], newest, atol=1e-6)


def test_files_without_their_counterpart_and_other_rates_are_named(tmp_path: Path) -> None:
    sessions = mars(tmp_path)
    below = sessions / "train" / "facial-attributes" / "listener" / "session2"
    (below / "Camera-2024-06-21-105000-104950.npy").unlink()
    with pytest.raises(DatasetError, match=r"1 files of the speaker have none of the listener.*session2"):
        list(public.recordings("mars", sessions))
    sessions = mars(tmp_path, rate_hz=25.0)
    with pytest.raises(DatasetError, match=r"25\.0 frames a second instead of 30"):
        list(public.recordings("mars", sessions, voice_of=lambda samples, rate, frames: {}))
    with pytest.raises(DatasetError, match="no folder"):
        list(public.recordings("mars", sessions, "test"))


def test_dualtalk_is_read_in_both_directions_and_unsolved_channels_are_unobserved(tmp_path: Path) -> None:
    films = dualtalk(tmp_path)
    read = list(public.recordings("dualtalk", films))
    people = [(r.pair, r.session, r.role) for r in read]
    talks = (("UbjUDM1MiGE", "72_000"), ("4V6riHOB4q4", "26"))
    assert people == [(*talk, role) for talk in talks for role in ("speaker2", "speaker1")]
    assert [r.frames for r in read] == [80, 80, 100, 100]
    first = read[0]
    np.testing.assert_array_equal(first.listener, read[1].speaker.coefficients[0])
    assert first.speaker.mesh.all()
    assert not first.speaker.affect_observed.any()
    raw = np.load(films / "ARKit_npy" / "train" / "UbjUDM1MiGE_sub_video_72_000_speaker2.npy")
    for name in ("mouthSmileRight", "headYaw", "headPitch"):
        values = raw[:, CHANNELS.index(name)]
        centre = np.median(values) if name.startswith("head") else 0.0
        np.testing.assert_allclose(first.listener[:, INDEX[name]], values - centre, atol=1e-5)
    unobserved = {*EYE_LOOK, INDEX["tongueOut"], *range(*TRANSLATION.indices(58))}
    assert set(np.flatnonzero(~first.observed[0])) == unobserved


def nan_in(values: NDArray[Any]) -> NDArray[Any]:
    values[40, 0, 7] = np.nan
    return values


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda v: v[:, :, :57], ["3DMM coefficients", "(100, 1, 57)", "(frames, 58)"]),
        (lambda v: v[:70], ["70 and 100 frames", "Emotion"]),
        (nan_in, ["not finite", "frame 40, column 7"]),
        (lambda v: np.array({"a": 1}, dtype=object), ["cannot be read"]),
        ({"speaker2_arkit": None}, ["field speaker2_arkit", "missing"]),
        ({"speaker2_arkit": "../../other.npy"}, ["outside of its dataset"]),
        ({"speaker2_arkit": "train/none.npy"}, ["a file is missing: the ARKit channels"]),
    ],
)
def test_a_bad_array_or_line_is_named_with_its_file_and_field(tmp_path: Path, change: Any, words: list[str]) -> None:
    if callable(change):
        kind, root = "react", react(tmp_path, frames=100, splits=("train",))
        path = root / "train" / "3D_FV_files" / f"{REACT_CLIPS[0][1]}.npy"
        np.save(path, change(np.load(path)))
        words = [*words, str(path)]
    else:
        kind, root = "dualtalk", dualtalk(tmp_path)
        path = root / "metadata" / "train.jsonl"
        first, *rest = path.read_text().splitlines()
        path.write_text("\n".join([json.dumps(json.loads(first) | change), *rest]))
    with pytest.raises(DatasetError) as caught:
        list(public.recordings(kind, root, "train"))
    assert all(word in str(caught.value) for word in words), str(caught.value)
