from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.model.tokens import SpeakerBatch
from reactdiff_ros.recordings.datasets.files import DatasetError
from reactdiff_ros.recordings.datasets.recordings import Extracted, extracted, load, recordings, save
from reactdiff_ros.recordings.datasets.speaker import speaker_of

FRAMES = 30


def example(listener: bool = True) -> Extracted:
    rng = np.random.default_rng(1)
    values = rng.uniform(0, 1, (FRAMES, 58)).astype(np.float32)
    speaker = speaker_of(FRAMES, coefficients=values, observed=np.arange(58) < 50)
    return Extracted(
        pair="anna-ben",
        session="2",
        role="ben",
        speaker=speaker,
        stamps_ns=np.arange(FRAMES, dtype=np.int64) * 40_000_000,
        listener=values if listener else None,
        observed=np.ones((FRAMES, 58), bool) if listener else None,
        about={"files": ["a.mp4"]},
    )


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    save(tmp_path / "below" / "a.npz", example())
    save(tmp_path / "b.npz", example(listener=False))
    back = load(tmp_path / "below" / "a.npz")
    for name in SpeakerBatch.__slots__:
        np.testing.assert_array_equal(getattr(back.speaker, name), getattr(example().speaker, name))
    np.testing.assert_array_equal(back.stamps_ns, example().stamps_ns)
    assert back.about["files"] == ["a.mp4"]
    assert len(list(extracted(tmp_path))) == 2
    (one,) = recordings(tmp_path)
    assert (one.pair, one.session, one.role, one.frames) == ("anna-ben", "2", "ben", FRAMES)
    assert not list(tmp_path.rglob("*.part"))


def test_a_folder_in_which_nobody_listens_says_how_to_get_listeners(tmp_path: Path) -> None:
    unseen = replace(example(), observed=np.zeros((FRAMES, 58), bool))
    save(tmp_path / "a.npz", example(listener=False))
    save(tmp_path / "b.npz", unseen)
    with pytest.raises(DatasetError, match=r"holds a listener.*reactdiff extract --pair") as caught:
        list(recordings(tmp_path))
    assert str(tmp_path) in str(caught.value)
    save(tmp_path / "c.npz", example())
    alone: list[Path] = []
    assert len(list(recordings(tmp_path, on_alone=alone.append))) == 1
    assert [path.name for path in alone] == ["a.npz", "b.npz"]


def rewrite(path: Path, **changes: Any) -> None:
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    for name, value in changes.items():
        if value is None:
            del arrays[name]
        else:
            arrays[name] = value
    np.savez(path, **arrays)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"speaker_mfcc": None}, "speaker_mfcc is missing"),
        ({"speaker_mfcc": np.zeros((FRAMES, 13), np.float32)}, r"speaker_mfcc is \(30, 13\).*instead of \(30, 26\)"),
        ({"speaker_camera": np.zeros(FRAMES, np.float32)}, "speaker_camera"),
        (
            {"speaker_pitch_hz": np.full(FRAMES, np.nan, np.float32)},
            "speaker_pitch_hz holds values that are not finite",
        ),
        ({"stamps_ns": None}, "stamps_ns"),
        ({"observed": None}, "observed is missing"),
        ({"listener": np.zeros((FRAMES - 1, 58))}, "listener is"),
        ({"listener": np.full((FRAMES, 58), np.inf)}, "listener holds values"),
        ({"listener": np.full((FRAMES, 58), 1e300)}, "listener holds values"),
        ({"listener": np.full((FRAMES, 58), "a")}, "listener is .* of <U1"),
        ({"observed": np.full((FRAMES, 58), "a")}, "observed is .* of <U1"),
        ({"speaker_pitch_hz": np.full(FRAMES, "a")}, "speaker_pitch_hz is .* of <U1"),
        ({"speaker_pitch_hz": np.full(FRAMES, 1e300)}, "speaker_pitch_hz holds values"),
        ({"about": np.array("{")}, "about is missing or no JSON"),
        ({"about": np.array("{}")}, "not one that 'reactdiff extract' wrote"),
        (
            {"about": np.array(json.dumps({"format": "reactdiff-recording", "version": 1, "rate_hz": 30}))},
            "30 Hz instead of 1 at 25",
        ),
        (
            {"about": np.array(json.dumps({"format": "reactdiff-recording", "version": 1, "rate_hz": 25}))},
            r"about\.pair",
        ),
    ],
)
def test_a_bad_field_is_named(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    path = tmp_path / "a.npz"
    save(path, example())
    save(tmp_path / "b.npz", example())
    rewrite(path, **changes)
    with pytest.raises(DatasetError, match=words) as caught:
        list(recordings(tmp_path))
    assert str(path) in str(caught.value)
    told: list[DatasetError] = []
    assert len(list(recordings(tmp_path, told.append))) == 1
    assert len(told) == 1


def test_files_that_are_no_archives_and_empty_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no recordings"):
        list(recordings(tmp_path))
    with pytest.raises(DatasetError, match="no folder"):
        list(recordings(tmp_path / "none"))
    for content in (b"", b"PK\x03\x04 cut off", b"no archive"):
        (tmp_path / "a.npz").write_bytes(content)
        with pytest.raises(DatasetError, match="cannot be read"):
            list(recordings(tmp_path))


def test_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    save(path, example())
    before = path.read_bytes()
    (tmp_path / f".a.npz.{os.getpid()}.part").mkdir()
    with pytest.raises(ReactdiffError, match="cannot be written"):
        save(path, replace(example(), pair="other"))
    assert path.read_bytes() == before
