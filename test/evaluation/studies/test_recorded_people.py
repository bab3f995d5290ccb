"""Studies of recorded people: calls and their folds, pairs in tables, acted emotions."""

import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from reactdiff_ros import Listener
from reactdiff_ros.coefficients import HEAD_PITCH, HEAD_YAW, SMILE
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation.report.page import build_page
from reactdiff_ros.evaluation.results import read_result
from reactdiff_ros.evaluation.studies.appropriateness import appropriateness
from reactdiff_ros.evaluation.studies.dyads import Calls, evaluate_dyads, read_calls
from reactdiff_ros.evaluation.studies.people import Pairs, evaluate_people, figures_of, read_people
from reactdiff_ros.model.diffusion.sampler import Conditions
from reactdiff_ros.model.diffusion.tokens import SpeakerBatch
from reactdiff_ros.recordings.datasets.dyads import read_pairs
from reactdiff_ros.recordings.labels import Named, label_of, labelled

ROWS = 1500


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight pairs of 50 s: B follows A by a second."""
    out = tmp_path_factory.mktemp("calls")
    rng = np.random.default_rng(0)
    for pair in range(8):
        noise = rng.normal(size=(2, ROWS + 100)).cumsum(1)
        slow = (noise[:, 60:] - noise[:, :-60])[:, : ROWS + 30]
        a, own = np.clip(1 + slow / slow.std(), 0, 5)
        b = 0.6 * np.r_[np.zeros(30), a[:-30]] + 0.4 * own
        au12 = np.stack([a, b], 1)[:ROWS]
        tables = {"au12_r": au12, "au06_r": au12 * 0.5, "gaze": np.full((ROWS, 2), 3), "body_motion": au12 * 100}
        for name, table in tables.items():
            np.savetxt(out / f"p{pair}_{name}.csv", table, fmt="%.2f", header="A B", comments="")
    return out


@pytest.fixture(scope="module")
def calls(folder: Path) -> Calls:
    return read_calls(folder)


class Follower:
    """A stand-in for a model, with a manifest that says what it was trained on."""

    name = "model"

    def __init__(self, folder: Path, fold: str, *, real: bool = True, **facts: object) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        manifest = {"real": real, "fold": fold, "ablate": [], "seed": 0, "steps": 1, **facts}
        (folder / "manifest.json").write_text(json.dumps(manifest))
        self.weights: Any = SimpleNamespace(folder=folder, name="stand-in", simulator="none")

    def run(self, speaker: SpeakerBatch, conditions: Conditions, seeds: np.ndarray, truth: object = None) -> np.ndarray:
        self.conditions, self.heard = conditions, speaker.coefficients[..., SMILE[0]]
        own = np.random.default_rng(int(seeds[0])).normal(size=self.heard.shape).cumsum(1) * 0.02
        out = np.zeros((*own.shape, 58), dtype=np.float32)
        out[:, 20:, list(SMILE)] = np.clip(0.4 * self.heard[:, :-20] + 0.15 + own[:, 20:] % 0.4, 0, 1)[..., None]
        return out


def test_four_models_are_each_tested_on_their_own_pairs(calls: Calls, tmp_path: Path) -> None:
    models: list[Any] = [Follower(tmp_path / f"{i}", f"{i}/4") for i in (3, 1, 4, 2)]
    figures = evaluate_dyads(calls, models, systems=("model",), permutations=200).figures["model"]
    assert figures["C"] > 0.1
    assert figures["saw_these_pairs"] is False
    assert sum(len(m.heard) for m in models) == len(calls.recordings)
    held = calls.fold_rows(0, 4)
    np.testing.assert_array_equal(models[1].heard, calls.speaker.coefficients[held][..., SMILE[0]])
    for folds in (("1/4", "1/4", "2/4", "3/4"), ("1/3", "2/3", "3/3", "")):
        others: list[Any] = [Follower(tmp_path / f"{i}", name) for i, name in enumerate(folds)]
        with pytest.raises(ReactdiffError, match="fold"):
            evaluate_dyads(calls, others, systems=("model",), permutations=100)


@pytest.mark.parametrize(("real", "data", "note"), [
    (True, (), "was trained on these calls"), (False, (), "not trained on recorded"),
    (False, ("speakers",), "was trained on these calls"),
])  # fmt: skip
def test_one_model_says_whether_it_saw_the_calls(calls: Calls, tmp_path: Path, real, data, note) -> None:
    model: Any = Follower(tmp_path, "", real=real, training=[{"settings": {}, "data": data}] if data else [])
    found = evaluate_dyads(calls, [model], systems=("model",), permutations=100).figures["model"]
    assert found["saw_these_pairs"] is (real or bool(data))
    assert note in found["note"]
    assert (model.conditions.real == real).all(), "a source they did not meet"
    assert (model.conditions.style_given.any(), model.conditions.controls_given.any()) == (real, not real)


@pytest.mark.parametrize(
    ("pattern", "row", "words"),
    [
        ("p3_au12_r.csv", "NA 1.3", r"au12_r of A is known in 0.0%.*p3_au"),
        ("p3_*.csv", "", r"it has 12.0 s where 25.0 s are needed"),
        ("*_au12_r.csv", "NA 1.3", r"0 can be used.*au12_r of A.*and 5 more"),
        ("*_au12_r.csv", "0.7 1.3", r"au12_r does not change in any of the calls"),
    ],
    ids=["one unknown", "one short", "all unknown", "all still"],
)
def test_a_poor_call_is_left_out_with_a_word_and_poor_calls_alone_are_refused(
    folder: Path, tmp_path: Path, pattern: str, row: str, words: str, reactdiff
) -> None:
    for path in folder.glob("*.csv"):
        head, *rows = path.read_text().splitlines()
        if path.match(pattern):
            rows = [row] * len(rows) if row else rows[:360]
        (tmp_path / path.name).write_text("\n".join([head, *rows]))
    code = 0 if pattern.startswith("p3") else 1
    arguments = ["evaluate", "dyads", "--folder", tmp_path, "--system", "real", "--permutations", 100, "--json"]
    found, error = reactdiff(*arguments, code=code)
    assert re.search(words, error)
    assert code or (found["calls"], found["frames"], list(found["left_out"])) == (7, 1250, ["p3/first"])


@pytest.mark.slow
def test_the_published_calls_give_the_known_figures(clips: Any) -> None:
    systems = ("real", "random", "still")
    found = evaluate_dyads(read_calls(clips("dyads")), [], systems=systems, permutations=1000).figures
    real, random, still = (found[name] for name in systems)
    assert real["C"] == pytest.approx(0.19, abs=0.015)
    assert real["p"] < 0.01
    assert real["D_marg"] == pytest.approx(0.36, abs=0.03)
    assert real["D_marg_95"] == pytest.approx(0.60, abs=0.06)
    assert abs(random["C"]) < 0.03
    assert random["p"] > 0.05
    assert still["D_marg"] == pytest.approx(3.6, abs=0.3)


def test_real_people_pass_strangers_a_still_face_and_the_mime_fail(folder: Path, tmp_path: Path, reactdiff) -> None:
    output = tmp_path / "dyads.npz"
    arguments = ["evaluate", "dyads", "--folder", folder, "--permutations", 500, "--output", output]
    systems = [word for name in ("real", "still", "random", "mime") for word in ("--system", name)]
    report, _ = reactdiff(*arguments, *systems, "--json")
    assert report["real"]["C"] > 0.2
    assert report["real"]["p"] < 0.01
    assert not any(report[name]["passes"] for name in ("random", "still", "mime"))
    assert report["mime"]["C"] > report["real"]["C"] > 2 * abs(report["random"]["C"])
    assert report["still"]["D_marg"] > 2
    result = read_result(output)
    real = result.system("real")
    assert (result.info.people, real.role, len(real.streams)) == (True, "reference", 16)
    np.testing.assert_allclose(real.values["smile_coupling"].mean(), report["real"]["C"])
    assert np.isnan(next(iter(real.streams.values()))[:, HEAD_PITCH]).all()
    assert result.system("still").figures["p"].value == report["still"]["p"]
    page = build_page(replace(result, info=replace(result.info, subject="random")), with_faces=False)
    assert "Time lines" in page
    assert "NaN" not in page.split("<script")[0]
    assert "the result file already exists" in reactdiff(*arguments, code=1)[1]


CHANNELS = ("smile", "brows", "pitch")


def write(folder: Path, *, coupled: bool, pairs: int = 8, seconds: float = 60.0) -> Path:
    """Pairs of people who rest for most of the time, of whom B does what A did 0.8 s before, or what it likes."""
    folder.mkdir(parents=True, exist_ok=True)
    rng, frames = np.random.default_rng(5), round(seconds * 30)

    def wander(frames: int) -> np.ndarray:
        noise = np.convolve(rng.standard_normal(frames + 60), np.hanning(60) / 5, "valid")[:frames]
        return np.clip(0.7 * noise - 0.7, 0.0, 1.0)

    for pair in range(pairs):
        columns = {"time_s": np.arange(frames) / 30}
        for name in CHANNELS:
            mine, own = wander(frames + 24), wander(frames)
            columns["A_" + name] = mine[24:]
            columns["B_" + name] = np.clip(0.9 * mine[:-24] + 0.2 * own, 0, 1) if coupled else own
        rows = np.stack(list(columns.values()), axis=1)
        np.savetxt(folder / f"p{pair:02d}.csv", rows, "%.4f", delimiter=",", header=",".join(columns), comments="")
    return folder


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Pairs:
    """Pairs of people who do not look at each other."""
    return read_people(write(tmp_path_factory.mktemp("alone"), coupled=False))


def test_a_coupling_is_found_and_an_independent_pair_is_at_chance(alone: Pairs, tmp_path: Path) -> None:
    coupled = read_people(write(tmp_path, coupled=True))
    assert coupled.channels == CHANNELS
    answering, idle = (figures_of(pairs, pairs.shown, 0, real=True) for pairs in (coupled, alone))
    assert answering["partner_auc"] > 0.62
    assert 0.35 < idle["partner_auc"] < 0.65
    # half of the rows are A, whom nobody answers
    assert min(answering["added_r2"].values()) > 0.1
    assert max(idle["added_r2"].values()) < 0.02
    assert answering["answered_within_3_s"] > 1.2 * answering["answered_by_chance"]
    assert 0.6 < answering["answer_lag_s"][2] < 1.2
    assert 0.3 < idle["two_sample_auc"]["all"] < 0.7
    assert figures_of(alone, np.zeros_like(alone.shown), 0)["added_r2"] == dict.fromkeys(CHANNELS)


def test_a_mirror_listens_to_its_own_partner_alone_and_who_is_not_like_people_is_told_from_them(alone: Pairs) -> None:
    figures = evaluate_people(alone, None, systems=("mime",)).figures["mime"]
    assert figures["partner_auc"] > 0.9
    assert set(figures["two_sample_auc"]) == {"all", *CHANNELS}
    assert figures["added_r2"]["smile"] > 0.3
    with pytest.raises(ReactdiffError, match="no model"):
        evaluate_people(alone, None, systems=("model",))
    reverse, far, unseen = (
        figures_of(alone, shown, 0)["two_sample_auc"]["all"]
        for shown in (alone.shown[::-1], 0.5 * alone.shown + 0.2, alone.shown + 1e-4)
    )
    assert max(reverse, unseen) < 0.65, "what perception cannot see does not count"
    assert far > 0.9


def test_bad_tables_are_one_sentence(tmp_path: Path, reactdiff) -> None:
    folder = write(tmp_path / "t", coupled=False, pairs=4, seconds=20)
    path = folder / "p00.csv"
    head, *rows = path.read_text().splitlines()
    for sentence, lines in {
        "where a number belongs": [*rows[:8], rows[8].replace("0.", "x.", 1), *rows[9:]],
        "is this the table of another tracker": [*rows[:4], "0.1333,88,0,0,0,0,0", *rows[5:]],
        "not evenly spaced": [*rows[:99], *rows[399:]],
        "are these ms": [f"{1000 * k}.0,{row.partition(',')[2]}" for k, row in enumerate(rows)],
    }.items():
        path.write_text("\n".join([head, *lines]))
        with pytest.raises(ReactdiffError, match=rf"{sentence}.*p00\.csv|p00\.csv.*{sentence}"):
            read_pairs(folder)
    path.unlink()
    assert "4 pairs of people" in reactdiff("evaluate", "people", "--folder", folder, "--system", "real", code=1)[1]


def test_gaps_and_still_channels_are_left_out(tmp_path: Path, reactdiff) -> None:
    folder = write(tmp_path, coupled=False, pairs=6, seconds=30)
    for path in folder.glob("*.csv"):
        head, *rows = path.read_text().splitlines()
        rows = [row + ",0.3,0.3" for row in rows]
        if path.name == "p00.csv":
            rows[:450] = [row.split(",")[0] + 8 * ",NA" for row in rows[:450]]
        path.write_text("\n".join([head + ",A_cheeks,B_cheeks", *rows]))
    report, _ = reactdiff("evaluate", "people", "--folder", folder, "--system", "real", "--json")
    assert report["channels"] == list(CHANNELS)
    assert set(report["left_out"]) == {"cheeks", "lips", "yaw", "roll", "p00/first"}
    assert (report["pairs"], report["listeners"]) == (5, 10)


def test_openface_and_affdex_tables_say_the_same(tmp_path: Path) -> None:
    curve = np.abs(np.sin(np.arange(200) / 20))
    openface, affdex = tmp_path / "openface", tmp_path / "affdex"
    openface.mkdir()
    affdex.mkdir()
    for role, code in (("A", "I"), ("B", "W")):
        lines = ["frame, timestamp, confidence, success, pose_Rx, pose_Ry, AU12_r, AU01_r, AU02_r"]
        lines += [f"{i}, {i / 25}, 1, {i != 60:d}, 0.1, {0.1 * c}, {3.5 * c}, 0, {c}" for i, c in enumerate(curve)]
        (openface / f"s1_second_{role}.csv").write_text("\n".join(lines))
        lines = ["TimeStamp,faceId,smile,yaw,pitch,browRaise,"]
        lines += [f"{i / 25},1,{100 * c},{-np.degrees(0.1 * c)},0,0," for i, c in enumerate(curve)]
        lines[61] = "2.4000nan,nan,nan,nan,nan,"
        (affdex / f"2016-01-01_10-00-00-1-{code}-T-x.csv").write_text("\n".join(lines))
    (one, _), (other, _) = read_pairs(openface), read_pairs(affdex)
    assert (one.pair, one.session, one.role, other.role) == ("s1", "second", "B", "B")
    np.testing.assert_allclose(one.listener[:60, SMILE[0]], curve[:60], atol=0.01)
    np.testing.assert_allclose(other.listener[:, SMILE[0]], one.listener[:, SMILE[0]], atol=0.01)
    np.testing.assert_allclose(one.listener[:60, HEAD_YAW], other.listener[:60, HEAD_YAW], atol=0.01)
    assert one.observed[59:61, SMILE[0]].tolist() == [True, False]
    assert not one.observed[:, 25].any()
    assert one.observed[:59, HEAD_PITCH].all()


def test_a_name_says_who_shows_what_and_a_folder_without_labels_is_refused(tmp_path: Path) -> None:
    assert label_of(Path("dreamtalk_w009_angry.mp4")) == Named("w009", "angry", "angry")
    assert label_of(Path("W009_front_disgusted_level3_001.mp4")) == Named("w009", "disgust", "disgusted")
    assert label_of(Path("angry_customer.mp4")) is None
    (tmp_path / "talk.mp4").write_bytes(b"")
    for folder, words in ((tmp_path, "no labelled clip"), (tmp_path / "missing", "cannot be read")):
        with pytest.raises(ReactdiffError, match=words):
            labelled(folder)


def test_a_listener_does_not_smile_at_anger_and_answers_a_smile_and_grief(clips: Any) -> None:
    acted = [clips("emotions") / f"dreamtalk_w009_{label}.mp4" for label in ("angry", "happy", "neutral", "sad")]
    found = appropriateness(acted, seeds=1, progress=lambda share: None).figures
    away = found["minus_neutral"]
    assert max(away["angry"]["smile"], away["sad"]["smile"]) <= 0.03
    assert away["happy"]["smile"] >= 0.15
    assert away["sad"]["concern"] >= 0.15
    assert found["by_label"]["angry"]["smile_p95"] <= 0.35
    assert abs(found["gaze"]["up_minus_down"]) < 0.08


@pytest.mark.slow
def test_a_listener_is_concerned_while_she_cries_and_not_when_she_laughs(clips: Any) -> None:
    track = Listener(style="warm", seed=3).react(clips("pyfeat_pexels_occlusion_20s.mp4"))
    smile, brows = track.faces[:, list(SMILE)].mean(axis=1), track["browInnerUp"]
    cries, laughs = (track.times >= 1.5) & (track.times < 3.0), track.times >= 14.0
    assert smile[cries].max() < 0.2 < smile[laughs].mean()
    assert brows[cries].mean() > 0.3
    assert brows[laughs].mean() < 0.15
