from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from generated_sets import FACEVERSE_ORDER, attributes, face, mars

from reactdiff_ros.coefficients import HEAD_YAW
from reactdiff_ros.recordings.datasets.files import DatasetError, between, newest
from reactdiff_ros.recordings.datasets.mars import items, recordings, targets


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return mars(tmp_path_factory.mktemp("mars"))


def test_sessions_of_any_length_come_out_on_the_25_hz_grid(root: Path) -> None:
    read = list(recordings(root, names=FACEVERSE_ORDER))
    assert [r.names["session"] for r in read[:4]] == ["session0", "session0", "session2", "session10"]
    assert [r.role for r in read] == ["listener"] * 4 + ["speaker"] * 4
    assert [r.frames for r in read[:4]] == [51, 76, 101, 76]
    assert read[0].pair == "2024-06-21"
    assert read[1].pair == "2024-07-17"
    assert read[0].attributes is not None
    assert read[0].attributes.shape == (51, 25)


def test_the_listener_is_interpolated_and_the_speaker_is_what_was_there(root: Path) -> None:
    first = next(iter(recordings(root, names=FACEVERSE_ORDER)))
    raw = face(61, 1)[:, 0, 53]
    times = np.arange(51) / 25
    expected = np.interp(times, np.arange(61) / 30, raw - np.median(raw))
    np.testing.assert_allclose(first.listener[:, HEAD_YAW], expected, atol=1e-4)
    speaker = attributes(61, 0)[:, 15]
    at = np.floor(times * 30 + 1e-6).astype(int)
    np.testing.assert_allclose(first.speaker.affect[0, :, 7], speaker[at], atol=1e-6)


def test_the_grid_never_sees_a_frame_before_its_time() -> None:
    values = np.arange(31, dtype=np.float32)[:, None]
    seen = newest(values, 30.0)[:, 0] / 30
    assert (seen <= np.arange(len(seen)) / 25 + 1e-6).all()
    np.testing.assert_allclose(between(values, 30.0)[:, 0] / 30, np.arange(26) / 25, atol=1e-6)


def test_all_listeners_of_a_session_are_appropriate_to_all_its_speakers(root: Path) -> None:
    listed, matrix = items(root, "train"), targets(root, "train")
    assert matrix.shape == (8, 8)
    assert matrix[0].tolist() == [True, True] + [False] * 6
    assert matrix.diagonal().all()
    assert [i.session for i in listed[:4]] == ["session0", "session0", "session2", "session10"]
    assert matrix[4, 5]
    assert not matrix[0, 4]


def test_files_without_their_counterpart_and_other_rates_are_named(tmp_path: Path) -> None:
    root = mars(tmp_path)
    alone = root / "train" / "facial-attributes" / "listener" / "session2" / "Camera-2024-06-21-105000-104950.npy"
    alone.unlink()
    with pytest.raises(DatasetError, match=r"1 files of the speaker have none of the listener.*session2"):
        list(recordings(root))
    root = mars(tmp_path, rate_hz=25.0)
    with pytest.raises(DatasetError, match=r"25\.0 frames a second instead of 30"):
        list(recordings(root, voice_of=lambda samples, rate, frames: {}))
    with pytest.raises(DatasetError, match="no folder"):
        list(recordings(root, "test"))
    (root / "train" / "audio" / "speaker" / "session0" / "Camera-2024-06-21-103121-103102.wav").write_bytes(b"RIFF")
    with pytest.raises(DatasetError, match="cannot be read as PCM wav"):
        list(recordings(root, voice_of=lambda samples, rate, frames: {}))
