"""`evaluate people`: a coupling is found, an independent pair is at chance; tables are read or refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reactdiff_ros.coefficients import HEAD_PITCH, HEAD_YAW, SMILE
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation.studies.people import Pairs, evaluate_people, figures_of, read_people
from reactdiff_ros.recordings.datasets.dyads import read_pairs

RATE_HZ = 30.0
NAMES = ("smile", "brows", "pitch")


def wander(rng: np.random.Generator, frames: int) -> np.ndarray:
    """A slow curve in 0..1 that rests at 0 for most of the time."""
    noise = np.convolve(rng.standard_normal(frames + 60), np.hanning(60) / 5, "valid")[:frames]
    return np.clip(0.7 * noise - 0.7, 0.0, 1.0)


def write(folder: Path, *, coupled: bool, pairs: int = 8, seconds: float = 60.0) -> Path:
    """Pairs of people, of whom B does what A did 0.8 s before, or what it likes."""
    folder.mkdir(parents=True, exist_ok=True)
    rng, frames = np.random.default_rng(5), round(seconds * RATE_HZ)
    for pair in range(pairs):
        columns = {"time_s": np.arange(frames) / RATE_HZ}
        for name in NAMES:
            mine, own = wander(rng, frames + 24), wander(rng, frames)
            columns["A_" + name] = mine[24:]
            columns["B_" + name] = np.clip(0.9 * mine[:-24] + 0.2 * own, 0, 1) if coupled else own
        rows = np.stack(list(columns.values()), axis=1)
        lines = [",".join(f"{v:.4f}" for v in row) for row in rows]
        (folder / f"p{pair:02d}.csv").write_text("\n".join([",".join(columns), *lines]))
    return folder


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Pairs:
    """Pairs of people who do not look at each other."""
    return read_people(write(tmp_path_factory.mktemp("alone"), coupled=False))


def test_a_coupling_is_found_and_an_independent_pair_is_at_chance(alone: Pairs, tmp_path: Path) -> None:
    coupled = read_people(write(tmp_path, coupled=True))
    assert coupled.channels == NAMES
    answering = figures_of(coupled, coupled.shown, 0, real=True)
    idle = figures_of(alone, alone.shown, 0, real=True)
    assert answering["partner_auc"] > 0.62
    assert 0.35 < idle["partner_auc"] < 0.65
    # half of the rows are A, whom nobody answers
    assert min(answering["added_r2"].values()) > 0.1
    assert max(idle["added_r2"].values()) < 0.02
    assert answering["answered_within_3_s"] > 1.2 * answering["answered_by_chance"]
    assert 0.6 < answering["answer_lag_s"][2] < 1.2
    assert 0.3 < idle["two_sample_auc"]["all"] < 0.7
    assert figures_of(alone, np.zeros_like(alone.shown), 0)["added_r2"] == dict.fromkeys(NAMES)


def test_who_is_not_like_people_is_told_from_them(alone: Pairs) -> None:
    def auc(shown: np.ndarray) -> float:
        return float(figures_of(alone, shown, 0)["two_sample_auc"]["all"])

    assert auc(alone.shown[::-1]) < 0.65
    assert auc(0.5 * alone.shown + 0.2) > 0.9
    assert auc(alone.shown + 1e-4) < 0.65, "what perception cannot see does not count"


def test_a_mirror_listens_to_its_own_partner_alone(alone: Pairs) -> None:
    figures = evaluate_people(alone, None, systems=("mime",)).figures["mime"]
    assert figures["partner_auc"] > 0.9
    assert set(figures["two_sample_auc"]) == {"all", *NAMES}
    assert figures["added_r2"]["smile"] > 0.3
    with pytest.raises(ReactdiffError, match="no model"):
        evaluate_people(alone, None, systems=("model",))


def test_openface_and_affdex_tables_say_the_same(tmp_path: Path) -> None:
    curve = np.abs(np.sin(np.arange(200) / 20))
    openface, affdex = tmp_path / "openface", tmp_path / "affdex"
    openface.mkdir()
    affdex.mkdir()
    for role, code in (("A", "I"), ("B", "W")):
        head = "frame, timestamp, confidence, success, pose_Rx, pose_Ry, AU12_r, AU01_r, AU02_r"
        lines = [
            f"{i}, {i / 25}, 1, {i != 60:d}, 0.1, {0.1 * c:.4f}, {3.5 * c:.4f}, 0, {c:.4f}" for i, c in enumerate(curve)
        ]
        (openface / f"s1_second_{role}.csv").write_text("\n".join([head, *lines]))
        lines = [f"{i / 25:.4f},1,{100 * c:.3f},{-np.degrees(0.1 * c):.4f},0,0," for i, c in enumerate(curve)]
        lines[60] = "2.4000nan,nan,nan,nan,nan,"
        (affdex / f"2016-01-01_10-00-00-1-{code}-T-x.csv").write_text(
            "\n".join(["TimeStamp,faceId,smile,yaw,pitch,browRaise,", *lines])
        )
    one, other = read_pairs(openface), read_pairs(affdex)
    assert [r.role for r in one] == [r.role for r in other] == ["B", "A"]
    assert (one[0].pair, one[0].session) == ("s1", "second")
    smile = one[0].listener[:, SMILE[0]]
    np.testing.assert_allclose(smile[:60], curve[:60], atol=0.01)
    np.testing.assert_allclose(other[0].listener[:, SMILE[0]], smile, atol=0.01)
    np.testing.assert_allclose(one[0].listener[:60, HEAD_YAW], other[0].listener[:60, HEAD_YAW], atol=0.01)
    assert one[0].observed[59:61, SMILE[0]].tolist() == [True, False]
    assert not one[0].observed[:, 25].any()
    assert one[0].observed[:59, HEAD_PITCH].all()


def test_bad_tables_are_one_sentence(tmp_path: Path, reactdiff) -> None:
    folder = write(tmp_path / "t", coupled=False, pairs=4, seconds=20)
    path = folder / "p00.csv"
    good = path.read_text()
    head, *rows = good.split("\n")
    cases = {
        "where a number belongs": good.replace(rows[8], rows[8].replace("0.", "x.", 1)),
        "is this the table of another tracker": good.replace(rows[4], "0.1333,88,0,0,0,0,0"),
        "not evenly spaced": "\n".join([head, *rows[:99], *rows[399:]]),
        "rising times": "\n".join([head, *rows[:19]]),
        "are these ms": "\n".join([head, *(f"{1000 * k}.0,{row.partition(',')[2]}" for k, row in enumerate(rows))]),
    }
    for sentence, text in cases.items():
        path.write_text(text)
        with pytest.raises(ReactdiffError, match=r"p00\.csv") as error:
            read_pairs(folder)
        assert sentence in str(error.value)
    path.write_text(good)
    (folder / "x_A.csv").write_text("timestamp,AU12_r\n")
    with pytest.raises(ReactdiffError, match="only one person"):
        read_pairs(folder)
    (folder / "x_A.csv").unlink()
    path.unlink()
    assert "4 pairs of people" in reactdiff("evaluate", "people", "--folder", folder, "--system", "real", code=1)[1]


def test_gaps_and_still_channels_are_left_out(tmp_path: Path, reactdiff) -> None:
    folder = write(tmp_path, coupled=False, pairs=6, seconds=30)
    for path in folder.glob("*.csv"):
        head, *rows = path.read_text().split("\n")
        rows = [row + ",0.3,0.3" for row in rows]
        if path.name == "p00.csv":
            rows[: len(rows) // 2] = [row.split(",")[0] + 8 * ",NA" for row in rows[: len(rows) // 2]]
        path.write_text("\n".join([head + ",A_cheeks,B_cheeks", *rows]))
    report, _ = reactdiff("evaluate", "people", "--folder", folder, "--system", "real", "--json")
    assert report["channels"] == list(NAMES)
    assert set(report["left_out"]) == {"cheeks", "lips", "yaw", "roll", "p00/first"}
    assert (report["pairs"], report["listeners"]) == (5, 10)
