"""Calls of pairs: form, errors that name file and field, map, rate, folds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reactdiff_ros.coefficients import INDEX
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.model.tokens import featurize
from reactdiff_ros.recordings.datasets.dyads import folds, others_of, read_dyads, resampled

ROOT = Path(__file__).resolve().parents[2]


def write(folder: Path, pair: str, session: str = "", rows: int = 60, **columns: tuple[object, object]) -> None:
    defaults: dict[str, tuple[object, object]] = {
        "au12_r": (1.75, 0), "au06_r": (0, 7 / 8), "gaze": (3, 1), "body_motion": (5, 0)
    }  # fmt: skip
    for feature, (a, b) in (defaults | columns).items():
        middle = f"_{session}" if session else ""
        lines = ['"Participant_A" "Participant_B"', *[f"{a} {b}"] * rows]
        (folder / f"{pair}{middle}_{feature}.csv").write_text("\n".join(lines) + "\n")


def test_both_directions_with_the_documented_map(tmp_path: Path) -> None:
    write(tmp_path, "p1")
    b, a = read_dyads(tmp_path)
    assert [(r.pair, r.session, r.role) for r in (b, a)] == [("p1", "first", "B"), ("p1", "first", "A")]
    assert b.frames == a.frames == 50
    smile, cheek, down = INDEX["mouthSmileLeft"], INDEX["cheekSquintRight"], INDEX["eyeLookDownLeft"]
    # B listens to A, who smiles at half strength and looks at B; B looks away with a quarter of a cheek raise.
    np.testing.assert_allclose(b.speaker.coefficients[0, :, smile], 0.5, atol=1e-6)
    np.testing.assert_allclose(b.listener[:, cheek], 0.25, atol=1e-6)
    np.testing.assert_allclose(b.speaker.gaze[0, :, 2], 1.0)
    np.testing.assert_allclose(b.listener[:, down], 0.58)
    np.testing.assert_allclose(a.listener[:, smile], 0.5, atol=1e-6)
    np.testing.assert_allclose(a.listener[:, down], 0.0)


def test_what_was_not_recorded_is_unobserved(tmp_path: Path) -> None:
    write(tmp_path, "p1")
    r = read_dyads(tmp_path)[0]
    assert r.observed.all(0).sum() == 4 + 8
    assert not r.observed[:, INDEX["headPitch"]].any()
    assert not r.speaker.microphone.any()
    assert not r.speaker.affect_observed.any()
    assert (r.speaker.confidence[0] > 0).sum(1).tolist() == [4] * 50
    features, flags = featurize(r.speaker)
    assert np.isfinite(features).all()
    assert flags[0, -1].tolist() == [1, 1, 0, 0, 0]


def test_gaps_are_unobserved_frames(tmp_path: Path) -> None:
    write(tmp_path, "p1", rows=60)
    path = tmp_path / "p1_au12_r.csv"
    lines = path.read_text().splitlines()
    lines[13:31] = ["NA 2.0"] * 18
    path.write_text("\n".join(lines))
    b, a = read_dyads(tmp_path)
    smile = INDEX["mouthSmileLeft"]
    assert not a.observed[10:25, smile].any()
    assert a.observed[:9, smile].all()
    assert (b.speaker.confidence[0, 10:25, smile] == 0).all()
    assert np.isfinite(a.listener).all()
    assert b.observed[:, smile].all()


def test_resampling_keeps_the_mean_and_the_times() -> None:
    step = np.where(np.arange(300) < 150, 0.0, 1.0)
    out = resampled(step, 30.0)
    assert len(out) == 250
    assert np.flatnonzero(out > 0.5)[0] == 125
    rng = np.random.default_rng(0)
    noise = rng.random(300)
    np.testing.assert_allclose(resampled(noise, 30.0).mean(), noise.mean(), rtol=1e-5)
    np.testing.assert_allclose(resampled(noise, 25.0), noise, rtol=1e-5)


@pytest.mark.parametrize(
    ("damage", "named", "sentence"),
    [
        (lambda f: (f / "p1_gaze.csv").unlink(), "p1_gaze.csv", "lacks a file"),
        (lambda f: (f / "p1_gaze.csv").write_text("A B\n1 2\n1 2\n"), "p1_gaze.csv", "2 rows"),
        (lambda f: (f / "p1_gaze.csv").write_text("A B\n1 2\n1 9\n"), "p1_gaze.csv", "gaze of line 3 is outside"),
        (lambda f: (f / "p1_au12_r.csv").write_text("A B\n1 x\n"), "p1_au12_r.csv", "line 2 is not two numbers"),
        (lambda f: (f / "p1_au12_r.csv").write_text("A B\n1\n"), "p1_au12_r.csv", "line 2 is not two numbers"),
        (lambda f: (f / "p1_au06_r.csv").write_text(""), "p1_au06_r.csv", "no au06_r"),
        (lambda f: (f / "p1_au06_r.csv").write_bytes(b"\xff\xfe\x00"), "p1_au06_r.csv", "cannot be read"),
        (lambda f: [p.unlink() for p in f.glob("*.csv")], "", "holds no dyads"),
    ],
)
def test_a_wrong_layout_names_file_and_field(tmp_path: Path, damage, named: str, sentence: str) -> None:
    write(tmp_path, "p1")
    damage(tmp_path)
    with pytest.raises(ReactdiffError) as caught:
        read_dyads(tmp_path)
    assert sentence in str(caught.value)
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_may_lie_below_as_they_are_published_but_once_only(tmp_path: Path) -> None:
    write(tmp_path, "p1")
    for feature in ("au12_r", "gaze"):
        below = tmp_path / feature / "1080p"
        below.mkdir(parents=True)
        (tmp_path / f"p1_{feature}.csv").rename(below / f"p1_{feature}.csv")
    assert len(read_dyads(tmp_path)) == 2
    (tmp_path / "p1_gaze.csv").write_bytes((tmp_path / "gaze" / "1080p" / "p1_gaze.csv").read_bytes())
    with pytest.raises(ReactdiffError, match="there twice"):
        read_dyads(tmp_path)


def test_a_folder_that_is_not_there_says_where_the_calls_are_published(tmp_path: Path) -> None:
    with pytest.raises(ReactdiffError, match="daoramey/nonverbal-dynamics-VC-resolution"):
        read_dyads(tmp_path / "none")


def test_folds_hold_every_pair_out_once_and_whole(tmp_path: Path) -> None:
    for pair in ("a", "b", "c", "d", "e"):
        for session in ("", "240p"):
            write(tmp_path, pair, session)
    recordings = read_dyads(tmp_path)
    assert len(recordings) == 20
    splits = folds(recordings, 4)
    for training, held in splits:
        assert {r.pair for r in training}.isdisjoint(r.pair for r in held)
        assert len(training) + len(held) == 20
    assert sorted(r.name for _, held in splits for r in held) == sorted(r.name for r in recordings)
    with pytest.raises(ReactdiffError, match="5 pairs"):
        folds(recordings, 6)
    others = others_of(recordings[0], recordings)
    assert [(r.pair, r.role, r.session) for r in others] == [("a", recordings[0].role, "first")]


def test_the_public_calls() -> None:
    folder = ROOT.parent / "shared" / "clips" / "dyads"
    if not folder.is_dir():
        pytest.skip(f"the public calls are not here ({folder})")
    recordings = read_dyads(folder)
    assert len(recordings) == 72
    assert len({r.pair for r in recordings}) == 12
    assert {r.frames for r in recordings} == {4500}
    smile = np.stack([r.listener[:, INDEX["mouthSmileLeft"]] for r in recordings])
    assert abs(smile.mean() * 3.5 - 0.98) < 0.03  # the calls' mean AU12
    at = np.mean([r.speaker.gaze[0, :, 2].mean() for r in recordings])
    assert 0.35 < at < 0.5
