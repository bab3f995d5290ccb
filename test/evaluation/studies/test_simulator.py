"""The evaluation on the simulator: its set, its systems, what the report says, and the command."""

import math
from pathlib import Path

import numpy as np
import pytest

from reactdiff_ros.coefficients import INDEX
from reactdiff_ros.evaluation.baselines import MIME_LAGS_S, late
from reactdiff_ros.evaluation.listeners import StreamListener
from reactdiff_ros.evaluation.metrics import bootstrap
from reactdiff_ros.evaluation.metrics.react import correlation
from reactdiff_ros.evaluation.report.page import build_page
from reactdiff_ros.evaluation.results import System, read_result
from reactdiff_ros.evaluation.studies import simulator as study
from reactdiff_ros.evaluation.studies.simulator import STREAMS, SYSTEMS, make_material, streams_of

pytest.importorskip("numba")


def test_shuffled_people_hear_others_and_the_mime_copies_what_the_speaker_truly_does() -> None:
    """REACT's copies labels; the speaker's are the truth, without gains and errors of perception."""
    material = make_material(1, 5, 150)
    other = study.other_speakers(material.items).reshape(5, STREAMS)
    assert (other != np.arange(5)[:, None]).all()
    assert (np.bincount(other.ravel()) == STREAMS).all()
    smile = material.shown[..., INDEX["mouthSmileLeft"]]
    assert np.corrcoef(smile.ravel(), material.speakers.smile.ravel())[0, 1] > 0.9
    streams = [
        SYSTEMS[name](material, StreamListener("model"), lambda share: None) for name in ("mime", "mime_perceived")
    ]
    lags = [streams_of(late(study.in_mirror(material.shown), lag, 25.0), 5).attributes for lag in MIME_LAGS_S]
    targets = material.targets.attributes
    scores = [np.mean([correlation(o, t) for o, t in zip(a, targets, strict=True)]) for a in lags]
    assert np.array_equal(streams[0].attributes[:, :1], lags[int(np.argmax(scores))])
    assert not np.array_equal(streams[0].attributes, streams[1].attributes)


def test_skills_are_shares_of_the_way_from_shuffled_to_oracle() -> None:
    def made_up(name: str, seed: int, **shift: float) -> System:
        rng, shared = np.random.default_rng(seed), np.random.default_rng(99).standard_normal(60)
        values = {n: shared + shift.get(n, 0.0) + 0.01 * rng.standard_normal(60) for n in study.SPEAKER_FIGURES}
        values |= {figure: np.full(60, shift.get(figure, 1.0)) for figure in ("FRDiv", "FRVar")}
        return System(name, values=values)

    systems = [
        made_up("model", 0, FRC=1.6, FRD=49.1, pose=1.5), made_up("oracle", 1, FRC=2.0, FRD=49.0, pose=2.0),
        made_up("shuffled", 2, FRC=1.0, FRD=50.0, pose=1.0), made_up("mime", 3, FRC=2.5, FRD=60.0, FRDiv=0.0),
    ]  # fmt: skip
    result = study.report(systems, bootstrap.draws(0, 60, 200))
    skill = result["skill"]
    for name, share in {"FRC": 0.6, "FRD": 0.9, "pose": 0.5}.items():
        assert skill[name] == pytest.approx(share, abs=0.02)
    assert skill["FRC_low"] <= skill["FRC"] <= skill["FRC_high"]
    assert skill["mime"]["FRC"] == pytest.approx(1.5, abs=0.02)
    assert set(result["bands"]) == {"model", "mime"}
    assert (result["bands"]["mime"]["all"], result["bands"]["mime"]["FRDiv_ratio"]) == (False, False)


def test_all_bands_are_needed_together() -> None:
    good = {"FRC": 0.9, "FRC_low": 0.7, "FRD": 1.0, "FRDiv_ratio": 1.0, "FRVar_ratio": 1.0, "pose": 0.5}
    assert study.bands_of(good, 40.0, 50.0)["all"]
    assert not study.bands_of(good, 51.0, 50.0)["all"]
    bad = {"FRC": 0.59, "FRC_low": 0.4, "FRD": 1.2, "FRDiv_ratio": 0.7, "FRVar_ratio": 1.3, "pose": 0.39}
    for name, value in (*bad.items(), ("FRC", math.nan)):
        kept = study.bands_of({**good, name: value}, 40.0, None)
        assert (kept[name], kept["all"]) == (False, False)


def test_a_seed_gives_the_same_figures_with_any_number_of_workers_and_a_page(tmp_path: Path, reactdiff) -> None:
    few = ["evaluate", "simulator", "--items", 3, "--seconds", 4, "--systems", "oracle,shuffled,policy", "--json"]
    report, _ = reactdiff(*few, "--workers", 1, "--output", tmp_path / "out")
    again, _ = reactdiff(*few, "--workers", 2)
    roles = {"oracle": "reference", "shuffled": "control", "policy": "baseline"}
    assert [again[name] for name in roles] == [report[name] for name in roles]
    assert [Path(p).stat().st_size > 1000 for p in report["plots"]] == [True, True]
    result = read_result(Path(report["result"]))
    assert (result.info.kind, result.info.people) == ("simulator", False)
    assert {s.name: s.role for s in result.systems} == roles
    policy = result.system("policy")
    assert policy.values["FRC"].mean() == pytest.approx(report["policy"]["FRC"])
    assert policy.figures["FRDvs"].value == pytest.approx(report["policy"]["FRDvs"])
    assert set(policy.streams) == {item.id for item in result.items}
    shown = policy.streams["speaker0001"]
    assert shown.shape == (100, 58)
    assert shown.std(0).max() > 0.01
    assert not np.array_equal(shown, result.system("oracle").streams["speaker0001"])
    assert len(build_page(result, with_faces=False)) > 10_000


def test_bad_requests_get_one_sentence(reactdiff) -> None:
    for code, sentence, arguments in (
        (2, "orakel", ["--systems", "orakel"]),
        (1, "weights are missing (nowhere)", ["--model", "nowhere", "--items", 2]),
        (1, "voice bank cannot be read", ["--voices", __file__, "--systems", "oracle", "--items", 2]),
    ):
        assert sentence in reactdiff("evaluate", "simulator", *arguments, "--json", code=code)[1]
