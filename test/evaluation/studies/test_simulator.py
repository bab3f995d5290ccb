"""The evaluation on the simulator: its set, its systems, what the report says, and the command."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from reactdiff_ros.coefficients import HEAD_PITCH, INDEX
from reactdiff_ros.evaluation.baselines import MIME_LAGS_S, late
from reactdiff_ros.evaluation.listeners import StreamListener, live_sampling
from reactdiff_ros.evaluation.metrics import bootstrap
from reactdiff_ros.evaluation.metrics.react import correlation
from reactdiff_ros.evaluation.results import System
from reactdiff_ros.evaluation.studies import simulator as study
from reactdiff_ros.evaluation.studies.simulator import STREAMS, SYSTEMS, Material, Streams, make_material, streams_of

pytest.importorskip("numba")
QUICK = ("oracle", "shuffled", "policy", "listener_mean")


def ignore(share: float) -> None:
    assert 0 <= share <= 1


@pytest.fixture(scope="module")
def material() -> Material:
    return make_material(1, 5, 150)


@pytest.fixture(scope="module")
def streams(material: Material) -> dict[str, Streams]:
    names = [name for name in SYSTEMS if name not in {"model", "nearest_neighbour", "rules"}]
    return {name: SYSTEMS[name](material, StreamListener("model"), ignore) for name in names}


def made_up(name: str, seed: int, n: int = 60, **shift: float) -> System:
    rng = np.random.default_rng(seed)
    shared = np.random.default_rng(99).standard_normal(n)
    values = {n_: shared + shift.get(n_, 0.0) + 0.01 * rng.standard_normal(n) for n_ in study.SPEAKER_FIGURES}
    values |= {figure: np.full(n, shift.get(figure, 1.0)) for figure in ("FRDiv", "FRVar")}
    return System(name, values=values)


def test_shuffled_people_are_the_oracle_s_with_other_speakers(material: Material, streams: dict[str, Streams]) -> None:
    other = study.other_speakers(material.items).reshape(5, STREAMS)
    assert (other != np.arange(5)[:, None]).all()
    assert (np.bincount(other.ravel()) == STREAMS).all()
    own = material.listeners(3, STREAMS, speaker_of=np.repeat(np.arange(5), STREAMS))
    assert np.array_equal(streams_of(own, 5).attributes, streams["oracle"].attributes)
    assert not np.array_equal(streams["shuffled"].attributes, streams["oracle"].attributes)


def test_the_mime_copies_what_the_speaker_truly_does_and_the_perceived_one_what_a_robot_saw(
    material: Material, streams: dict[str, Streams]
) -> None:
    """REACT's copies labels; the speaker's are the truth, without gains and errors of perception."""
    smile = INDEX["mouthSmileLeft"]
    truth = material.speakers.smile
    assert np.corrcoef(material.shown[..., smile].ravel(), truth.ravel())[0, 1] > 0.9
    assert np.abs(material.shown[..., HEAD_PITCH] - material.speakers.head[..., 0]).max() < 1e-6
    mirror = study.in_mirror(material.shown)
    lags = [streams_of(late(mirror, lag, 25.0), 5).attributes for lag in MIME_LAGS_S]
    targets = material.targets.attributes
    scores = [np.mean([correlation(o, t) for o, t in zip(a, targets, strict=True)]) for a in lags]
    assert np.array_equal(streams["mime"].attributes[:, :1], lags[int(np.argmax(scores))])
    assert not np.array_equal(streams["mime"].attributes, streams["mime_perceived"].attributes)


def test_the_model_runs_each_stream_from_its_own_past(random_weights: Path) -> None:
    from reactdiff_ros.model.backends.weights import find_weights

    few = make_material(4, 2, 60)
    model = StreamListener("model", find_weights(random_weights), live_sampling(steps=2, guidance=1.0, hop_s=0.32))
    made = SYSTEMS["model"](few, model, ignore)
    assert made.attributes.shape == (2, STREAMS, 60, 25)
    assert np.array_equal(made.pose, SYSTEMS["model"](few, model, ignore).pose)
    assert len({row.tobytes() for row in made.pose.reshape(20, -1)}) == 20


def test_skills_are_shares_of_the_way_from_shuffled_to_oracle() -> None:
    systems = [
        made_up("model", 0, FRC=1.6, FRD=49.1, pose=1.5),
        made_up("oracle", 1, FRC=2.0, FRD=49.0, pose=2.0),
        made_up("shuffled", 2, FRC=1.0, FRD=50.0, pose=1.0),
        made_up("mime", 3, FRC=2.5, FRD=60.0, FRDiv=0.0),
    ]
    result = study.report(systems, bootstrap.draws(0, 60, 200))
    skill = result["skill"]
    assert skill["FRC"] == pytest.approx(0.6, abs=0.02)
    assert skill["FRD"] == pytest.approx(0.9, abs=0.02)
    assert skill["pose"] == pytest.approx(0.5, abs=0.02)
    assert skill["FRC_low"] <= skill["FRC"] <= skill["FRC_high"]
    assert skill["mime"]["FRC"] == pytest.approx(1.5, abs=0.02)
    assert set(result["bands"]) == {"model", "mime"}
    assert result["bands"]["mime"]["all"] is False
    assert result["bands"]["mime"]["FRDiv_ratio"] is False
    by_chance = dict.fromkeys(("FRC", "all"), bool(skill["FRC"] >= 0.6))
    assert result["bands"]["model"] == dict.fromkeys(result["bands"]["model"], True) | by_chance


def test_all_bands_are_needed_together() -> None:
    good = {"FRC": 0.9, "FRC_low": 0.7, "FRD": 1.0, "FRDiv_ratio": 1.0, "FRVar_ratio": 1.0, "pose": 0.5}
    assert study.bands_of(good, 40.0, 50.0)["all"]
    assert not study.bands_of(good, 51.0, 50.0)["all"]
    bad = {"FRC": (0.59, math.nan), "FRC_low": (0.4,), "FRD": (1.2,), "FRDiv_ratio": (0.7,), "FRVar_ratio": (1.3,)}
    for name, value in ((name, value) for name, values in {**bad, "pose": (0.39,)}.items() for value in values):
        kept = study.bands_of({**good, name: value}, 40.0, None)
        assert (kept[name], kept["all"]) == (False, False)


def test_the_same_seed_gives_the_same_figures_with_any_number_of_workers() -> None:
    sizes = {"items": 4, "seconds": 5.0, "resamples": 50, "systems": QUICK}
    runs = [study.evaluate(StreamListener("model", workers=w), seed=3, **sizes).figures for w in (1, 2)]
    assert json.dumps(runs[0]) == json.dumps(runs[1])


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--systems", "orakel"], 2, "orakel"),
        (["--model", "nowhere", "--items", "2"], 1, "weights are missing (nowhere)"),
        (["--voices", __file__, "--systems", "oracle", "--items", "2"], 1, "voice bank cannot be read"),
    ],
)
def test_bad_requests_get_one_sentence(arguments: list[str], code: int, sentence: str, reactdiff) -> None:
    assert sentence in reactdiff("evaluate", "simulator", *arguments, "--json", code=code)[1]
