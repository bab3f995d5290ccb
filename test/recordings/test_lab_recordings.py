"""Recordings of one's own and calls with action units: round trip, folds, gaps, and errors that name file and field."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reactdiff_ros.coefficients import INDEX
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.model.diffusion.tokens import SpeakerBatch, blank
from reactdiff_ros.recordings.datasets.dyads import folds, others_of, read_dyads, read_pairs, resampled
from reactdiff_ros.recordings.datasets.recording import DatasetError, Recording, speaker_of
from reactdiff_ros.recordings.datasets.recordings import Extracted, extracted, load, recordings, save

FRAMES = 30


def test_a_listener_is_seen_between_gaps_and_told_of_what_was_seen_often() -> None:
    """Ten frames: nothing at either end, a gap within, and a coefficient that is seen in four of them only."""
    values, observed = np.zeros((10, 58), np.float32), np.zeros((10, 58), bool)
    values[:, 0] = [0, 1, 2, 0, 0, 5, 6, 7, 8, 0]
    observed[:, 0] = values[:, 0] > 0
    values[1:5, 1] = observed[1:5, 1] = 1
    seen, often = Recording("s", "p", "1", "A", blank(1, 10), values, observed).listener_seen()
    assert seen[:, 0].tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert often.nonzero()[0].tolist() == [0]
    assert values[3, 0] == 0, "the recording stays as it is"


def example(listener: bool = True) -> Extracted:
    values = np.random.default_rng(1).uniform(0, 1, (FRAMES, 58)).astype(np.float32)
    speaker = speaker_of(FRAMES, coefficients=values, observed=np.arange(58) < 50)
    both = (values, np.ones((FRAMES, 58), bool)) if listener else (None, None)
    stamps_ns = np.arange(FRAMES, dtype=np.int64) * 40_000_000
    return Extracted("anna-ben", "2", "ben", speaker, stamps_ns, *both, {"files": ["a.mp4"]})


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


ABOUT = {"format": "reactdiff-recording", "version": 1, "rate_hz": 25}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"speaker_mfcc": None}, "speaker_mfcc is missing"),
        ({"speaker_mfcc": np.zeros((FRAMES, 13), np.float32)}, r"speaker_mfcc is \(30, 13\).*instead of \(30, 26\)"),
        ({"speaker_pitch_hz": np.full(FRAMES, np.nan)}, "speaker_pitch_hz holds values that are not finite"),
        ({"stamps_ns": None}, "stamps_ns"),
        ({"observed": None}, "observed is missing"),
        ({"about": np.array("{}")}, "not one that 'reactdiff extract' wrote"),
        ({"about": np.array(json.dumps(ABOUT | {"rate_hz": 30}))}, "30 Hz instead of 1 at 25"),
        ({"about": np.array(json.dumps(ABOUT))}, r"about\.pair"),
    ],
)
def test_a_bad_field_is_named(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    path = tmp_path / "a.npz"
    save(path, example())
    with np.load(path) as file:
        arrays = {**file, **changes}
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})
    with pytest.raises(DatasetError, match=words) as caught:
        list(recordings(tmp_path))
    assert str(path) in str(caught.value)


def write(folder: Path, pair: str, rows: int = 60) -> None:
    for feature, row in {"au12_r": "1.75 0", "au06_r": "0 0.875", "gaze": "3 1"}.items():
        (folder / f"{pair}_{feature}.csv").write_text("\n".join(["A B", *[row] * rows]) + "\n")


def test_both_directions_with_the_documented_map(tmp_path: Path) -> None:
    write(tmp_path, "p1")
    b, a = read_dyads(tmp_path)
    assert [(r.pair, r.session, r.role, r.frames) for r in (b, a)] == [("p1", "first", role, 50) for role in "BA"]
    smile, cheek, down = INDEX["mouthSmileLeft"], INDEX["cheekSquintRight"], INDEX["eyeLookDownLeft"]
    # B listens to A, who smiles at half strength and looks at B; B looks away with a quarter of a cheek raise.
    np.testing.assert_allclose(b.speaker.coefficients[0, :, smile], 0.5, atol=1e-6)
    np.testing.assert_allclose(b.listener[:, cheek], 0.25, atol=1e-6)
    np.testing.assert_allclose(b.speaker.gaze[0, :, 2], 1.0)
    np.testing.assert_allclose(b.listener[:, down], 0.58)
    np.testing.assert_allclose(a.listener[:, smile], 0.5, atol=1e-6)
    np.testing.assert_allclose(a.listener[:, down], 0.0)


def test_resampling_keeps_the_mean_and_the_times() -> None:
    out = resampled(np.where(np.arange(300) < 150, 0.0, 1.0), 30.0)
    assert len(out) == 250
    assert np.flatnonzero(out > 0.5)[0] == 125
    noise = np.random.default_rng(0).random(300)
    np.testing.assert_allclose(resampled(noise, 30.0).mean(), noise.mean(), rtol=1e-5)
    np.testing.assert_allclose(resampled(noise, 25.0), noise, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("p1_gaze.csv", None, "lacks a file"),
        ("p1_gaze.csv", b"A B\n1 2\n1 2\n", "2 rows"),
        ("p1_gaze.csv", b"A B\n1 2\n1 9\n", "gaze of line 3 is outside"),
        ("p1_au12_r.csv", b"A B\n1 x\n", "line 2 is not two numbers"),
        ("p1_au06_r.csv", b"\xff\xfe\x00", "cannot be read"),
    ],
)
def test_a_wrong_layout_names_file_and_field(tmp_path: Path, name: str, content: bytes | None, sentence: str) -> None:
    write(tmp_path, "p1")
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ReactdiffError, match=sentence) as caught:
        read_dyads(tmp_path)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_tables_of_two_people_that_are_there_twice_or_no_table_are_one_sentence(tmp_path: Path) -> None:
    table = "time_s,A_smile,B_smile\n" + "".join(f"{i / 25},0.1,0.2\n" for i in range(60))
    (tmp_path / "again").mkdir()
    for path in (tmp_path / "p1.csv", tmp_path / "again" / "p1.csv"):
        path.write_text(table)
    with pytest.raises(ReactdiffError, match=r"twice.*again"):
        read_pairs(tmp_path)
    path.unlink()
    assert len(read_pairs(tmp_path)) == 2
    (tmp_path / "p1.csv").write_text(table + "9" * 200_000)
    with pytest.raises(ReactdiffError, match=r"cannot be read.*p1\.csv"):
        read_pairs(tmp_path)


def test_folds_hold_every_pair_out_once_and_whole(tmp_path: Path) -> None:
    for pair in "abcde":
        write(tmp_path, pair)
        write(tmp_path, f"{pair}_240p")
    recordings = read_dyads(tmp_path)
    assert len(recordings) == 20
    splits = folds(recordings, 4)
    assert all({r.pair for r in training}.isdisjoint(r.pair for r in held) for training, held in splits)
    assert sorted(r.name for _, held in splits for r in held) == sorted(r.name for r in recordings)
    with pytest.raises(ReactdiffError, match="5 pairs"):
        folds(recordings, 6)
    others = others_of(recordings[0], recordings)
    assert [(r.pair, r.role, r.session) for r in others] == [("a", recordings[0].role, "first")]


def test_the_public_calls(clips: Callable[[str], Path]) -> None:
    recordings = read_dyads(clips("dyads"))
    assert len(recordings) == 72
    assert len({r.pair for r in recordings}) == 12
    assert {r.frames for r in recordings} == {4500}
    smile = np.stack([r.listener[:, INDEX["mouthSmileLeft"]] for r in recordings])
    assert abs(smile.mean() * 3.5 - 0.98) < 0.03  # the calls' mean AU12
    assert 0.35 < np.mean([r.speaker.gaze[0, :, 2].mean() for r in recordings]) < 0.5
