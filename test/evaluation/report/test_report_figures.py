from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_result import NOD_EVERY_S, SMILE_EVERY_S, face, small_result

from reactdiff_ros.errors import ConfigError, ReactdiffError
from reactdiff_ros.evaluation.estimates import draws_of, estimate_of, row_of
from reactdiff_ros.evaluation.metrics.bands import load_bands
from reactdiff_ros.evaluation.metrics.events import at_25_hz
from reactdiff_ros.evaluation.report import behaviour, summary, tables
from reactdiff_ros.evaluation.report.behaviour import Faces, moments_of, speech_runs
from reactdiff_ros.evaluation.report.behaviour import face as read_face
from reactdiff_ros.evaluation.report.tables import chosen, compare, load_published, metrics_of
from reactdiff_ros.evaluation.results import Figure, Info, Item, Result, System


@pytest.fixture(scope="module")
def faces() -> Faces:
    result = small_result()
    return Faces(result.items, result.systems, 25.0)


@pytest.fixture(scope="module")
def found(faces: Faces) -> dict[str, behaviour.Found]:
    return behaviour.behaviour_of("model", faces, small_result().items)


def known(found: dict[str, behaviour.Found], name: str) -> float:
    estimate = found[name].estimate
    assert estimate is not None, found[name].reason
    return estimate.value


def test_behaviour_is_what_was_made(found: dict[str, behaviour.Found]) -> None:
    assert known(found, "smiles_per_minute") == pytest.approx(60 / SMILE_EVERY_S, rel=0.03)
    assert known(found, "nods_per_minute") == pytest.approx(60 / NOD_EVERY_S, rel=0.07)
    assert known(found, "blinks_per_minute") == pytest.approx(15, rel=0.05)
    assert known(found, "smile_lag_s") == pytest.approx(0.8, abs=0.05)
    assert known(found, "smiles_answered") == pytest.approx(100, abs=2)
    assert known(found, "nod_size_deg") == pytest.approx(np.degrees(0.1), abs=0.4)
    assert known(found, "blink_length_s") == pytest.approx(0.2, abs=0.02)
    assert known(found, "smile_coupling") > 0.2
    assert "adds gaze live" in found["gaze_share"].reason


def test_rates_need_ten_minutes_and_medians_ten_events() -> None:
    result = small_result(2, 60.0)
    short = behaviour.behaviour_of("model", Faces(result.items, result.systems, 25.0), result.items)
    assert short["smiles_per_minute"].estimate is None
    assert "2.0 minutes, 10 needed" in short["smiles_per_minute"].reason
    assert short["smile_length_s"].estimate is not None
    assert short["nod_length_s"].estimate is None
    assert "events, 10 needed" in short["nod_length_s"].reason


def test_moments_are_found_where_they_were_put() -> None:
    seconds = 60.0
    speaker = face(seconds)
    own = face(seconds, smile=0.0)
    own[:, 54] = 0.001 * np.sin(np.arange(len(own)))
    own[500:, 53] += 0.3  # a jerk at 20 s
    own[750:800, 24] = 1.0  # jawOpen at its bound for 2 s from 30 s
    own[1000:1100] = own[1000]  # frozen for 4 s from 40 s
    t = np.arange(25) / 25
    own[1250:1275, 52] = 0.05 * np.sin(2 * np.pi * 2 * t)  # a nod at 50 s
    speech = np.zeros(len(own), np.float32)
    items = (Item("a", seconds, speaker=speaker, speech=speech),)
    systems = (System("m", "listener", streams={"a": own}),)
    worst, counts = moments_of("m", Faces(items, systems, 25.0), items, 25.0)
    first = {kind: next(m.seconds for m in worst if m.kind == kind) for kind in {m.kind for m in worst}}
    assert first["jerk"] == pytest.approx(20.0, abs=0.1)
    assert first["jump"] == pytest.approx(30.0, abs=0.1) or first["jump"] == pytest.approx(32.0, abs=0.1)
    assert first["limit"] == pytest.approx(30.0, abs=0.1)
    assert first["frozen"] == pytest.approx(40.0, abs=0.1)
    assert first["nod"] == pytest.approx(50.0, abs=0.2)
    assert (counts["missed"], counts["frozen"], counts["limit"], counts["nod"]) == (6, 1, 1, 1)
    speech[1200:1260] = 1.0
    assert moments_of("m", Faces(items, systems, 25.0), items, 25.0)[1]["nod"] == 0


def test_gaps_are_bridged_and_other_rates_resampled() -> None:
    curve = np.zeros((60, 58), np.float32)
    curve[:, 0] = np.arange(60) / 60
    curve[10:20, 0] = np.nan
    curve[:, 1] = np.nan
    whole = read_face(curve, 30.0)
    assert whole.frames == 50
    np.testing.assert_allclose(whole.coefficients[1:49, 0], np.arange(1, 49) * 1.2 / 60, atol=2e-3)
    assert not whole.coefficients[:, 1].any()
    np.testing.assert_array_equal(at_25_hz(curve[:, :1], 25.0), curve[:, :1])
    item = Item("a", 1.0, speech=np.array([0, 1, 1, np.nan, 1], np.float32))
    assert speech_runs(item, 25.0) == [(1, 3), (4, 5)]


def test_the_control_is_in_every_table_and_differences_are_told() -> None:
    result = small_result()
    weights = draws_of(result.items, 0)
    made = tables.tables(result, metrics_of(result), weights)
    agreement = made[0]
    cells = {line["system"].name: line["cells"] for line in agreement["lines"]}
    assert [m.name for m in agreement["metrics"]] == ["FRC", "FRD", "FRDvs"]
    assert [cell["sign"] for cell in cells["model"][:2]] == ["differs", "same"]
    assert cells["shuffled"][0]["sign"] == ""
    assert cells["mime"][1] is None
    assert [line["role"] for line in agreement["lines"]][:2] == ["listener", "control"]


def test_the_interval_of_a_table_is_that_of_the_page_and_one_group_has_none() -> None:
    result = small_result()
    model = result.system("model")
    draws = draws_of(result.items, result.info.draws_seed)
    assert result.info.draws_seed == 1, "the run's own seed"
    found, row = estimate_of(model, "FRC", draws), row_of(model, draws)
    assert found is not None
    assert (row["FRC"], row["FRC_low"], row["FRC_high"]) == (found.value, found.low, found.high)
    assert found.low < found.value < found.high
    assert (row["FRDvs_low"], row["FRDvs_high"]) == (0.02, 0.05)
    together = tuple(replace(item, group="all") for item in result.items)
    assert np.isnan(row_of(model, draws_of(together, 0))["FRC_low"]), "nobody else could have been drawn"


def test_a_figure_that_is_nothing_in_its_digits_has_no_minus() -> None:
    assert [summary.number(v, 1) for v in (-0.04, -0.06, 0.0)] == ["0.0", "−0.1", "0.0"]
    assert summary.number(-0.4, 0) == "0"


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9))
def test_ticks_are_within(low: float, span: float) -> None:
    ticks = summary.nice_ticks(low, low + span)
    assert len(ticks) <= 8
    room = 1e-6 * (span + abs(low))
    assert all(low - room <= t <= low + span + room for t in ticks)


def test_bands_and_published_figures_ship() -> None:
    bands = load_bands()
    assert set(bands) == {m.name for m in behaviour.MEASURES}
    assert {b.name for b in bands.values() if b.about == "conformance"} == {
        "blinks_per_minute", "blink_length_s", "gaze_share",
    }  # fmt: skip
    published = load_published()
    assert all(row.source for row in published)
    react = Info("react", "t", compat="react2024", people=True, settings={"split": "val"})
    mime = next(row for row in published if row.system == "Mime")
    assert (mime.figures["FRC"], mime.comparable(react)[0]) == (0.37, True)
    for change in (
        {"compat": "default"}, {"settings": {"split": "test"}}, {"settings": {}},
        {"settings": {"split": "val", "streams": 3}}, {"kind": "simulator", "people": False},
    ):  # fmt: skip
        comparable, why = mime.comparable(replace(react, **change))  # type: ignore[arg-type]
        assert not comparable
        assert why
    own = next(row for row in published if row.system.startswith("ReactDiff (Li"))
    assert not own.comparable(react)[0]


@pytest.mark.parametrize(
    "text", ["", "rows: [{system: a}]", "a: [", "rows: [{system: a, source: b, data: c, figures: {FRC: x}}]"]
)
def test_a_wrong_published_file_is_a_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(ConfigError):
        load_published(tmp_path / "p.yaml")


N = 24


def run(shift: float = 0.0, *, prefix: str = "i", seed: int = 0) -> Result:
    """N items whose figures differ widely between items, and by `shift` between runs."""
    level = np.random.default_rng(7).normal(0, 1.0, N)
    noise = np.random.default_rng([seed, 1]).normal(0, 0.05, N)
    values = {"FRC": level + noise + shift, "FRD": level - noise - shift, "smile_coupling": level + noise}
    figures = {"FRDvs": Figure(0.1 + shift, 0.09 + shift, 0.11 + shift)}
    items = tuple(Item(f"{prefix}{n}", 10.0) for n in range(N))
    return Result(Info("recordings", "t"), items, (System("model", "listener", values=values, figures=figures),))


def test_pairing_finds_what_two_separate_draws_cannot() -> None:
    a, b = run(), run(0.15, seed=1)
    found = compare((a, chosen(a, None, "a")), (b, chosen(b, None, "b")))
    assert {c.metric.name: c.verdict for c in found.figures} == {
        "FRC": "better", "FRD": "better", "smile_coupling": "none", "FRDvs": "higher",
    }  # fmt: skip
    other = run(0.15, prefix="j", seed=1)
    found = compare((a, a.systems[0]), (other, other.systems[0]))
    assert found.matched == 0
    assert {c.metric.name: c.verdict for c in found.figures}["FRC"] == "none"
    assert {c.difference.how for c in found.figures} == {"unpaired", "from intervals"}
    assert found.notes[0].startswith("No recordings match, so each run is drawn for itself")
    one = replace(other, items=(a.items[0], *other.items[1:]))
    found = compare((a, a.systems[0]), (one, one.systems[0]))
    assert found.matched == 1
    assert found.notes[0].startswith("Only 1 of 2 needed recordings match")


def test_wrong_names_are_sentences() -> None:
    a, empty = run(), System("empty", "listener")
    with pytest.raises(ReactdiffError, match="no system nobody"):
        chosen(a, "nobody", "a.npz")
    with pytest.raises(ReactdiffError, match="no figure in common"):
        compare((a, a.systems[0]), (Result(a.info, a.items, (empty,)), empty))
    with pytest.raises(ReactdiffError, match="no listener under test"):
        chosen(Result(a.info, (), (System("mime"),)), None, "a.npz")
