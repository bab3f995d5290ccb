"""`evaluate react` on generated sets, `evaluate recordings` on a folder, and what their scores and baselines are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from generated_sets import FACEVERSE_ORDER, mars, react, react_neighbours
from run_tools import lab, own_listener

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation import baselines as simple
from reactdiff_ros.evaluation.metrics import bootstrap
from reactdiff_ros.evaluation.metrics.react import speaker_distances, speaker_diversities, speaker_diversity
from reactdiff_ros.evaluation.results import Info, Item, Result, read_result
from reactdiff_ros.evaluation.runs.recordings import Source, sources, unblinded
from reactdiff_ros.evaluation.runs.scoring import SKETCH, Spread
from reactdiff_ros.recordings.bags.storage import Study
from reactdiff_ros.recordings.bags.write import BagWriter
from reactdiff_ros.recordings.blinding import Key, StudyPlan, seal, sessions_of
from reactdiff_ros.resources import demo_clip_path

pytest.importorskip("numba")
ROWS = {
    "rules", "shuffled", "ground_truth", "mime", "random", "mean_sequence", "mean_frame", "nearest_neighbour",
}  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = react(tmp_path_factory.mktemp("react"), frames=101, sound=False)
    react_neighbours(folder)
    (folder / "names.txt").write_text("\n".join(FACEVERSE_ORDER))
    return folder


@pytest.fixture
def evaluated(reactdiff):
    """The report on a set, and its errors."""

    def call(data: Path, *more: object, code: int = 0) -> tuple[dict[str, Any], str]:
        arguments = ["evaluate", "react", "--data", data, "--listener", "rules", "--streams", 2, "--no-voice"]
        names = ["--expression-names", data / "names.txt"] if (data / "names.txt").exists() else []
        found: tuple[dict[str, Any], str] = reactdiff(*arguments, *names, "--cuts", 0, "--json", *more, code=code)
        return found

    return call


def test_a_split_beside_all_baselines(data: Path, tmp_path: Path, evaluated) -> None:
    output = tmp_path / "result.npz"
    report, _ = evaluated(data, "--output", output, "--cuts", 2)
    table = report["systems"]
    assert set(table) == ROWS
    assert (report["recordings"], report["compat"]) == (8, "react2024")
    assert table["ground_truth"]["FRD"] == pytest.approx(0, abs=1e-6)
    assert table["ground_truth"]["FRC"] > table["mime"]["FRC"] > table["random"]["FRC"]
    assert table["random"]["FRVar"] == pytest.approx(1 / 12, rel=0.05)
    assert table["random"]["FRDvs"] == pytest.approx(1 / 6, rel=0.05)
    assert table["rules"]["FRDvs_low"] < table["rules"]["FRDvs"] < table["rules"]["FRDvs_high"]
    assert table["mean_frame"]["FRC"] == 0
    assert table["mean_frame"]["FRVar"] == pytest.approx(0, abs=1e-9)
    assert 0 <= table["random"]["FRSyn"] <= 49
    for lag in ("FRSyn_ms", "response_lag_ms"):
        assert abs(table["mime"][lag] - 1e3 * report["settings"]["mime_lag_s"]) < 200
    assert table["rules"]["causal"] is True
    result = read_result(output)
    assert result.info.kind == "react"
    assert result.subject is not None
    assert result.subject.name == "rules"
    assert {s.role for s in result.systems} == {"listener", "baseline", "control", "reference"}
    np.testing.assert_allclose(result.system("rules").values["FRC"].mean(), table["rules"]["FRC"])
    # The generated list has three pairs of people.
    assert (len(result.items), len({item.group for item in result.items})) == (8, 3)


def test_an_ended_run_goes_on_and_a_changed_or_broken_file_is_done_anew(tmp_path: Path, evaluated) -> None:
    small, kept = react(tmp_path / "data", frames=61, sound=False, splits=("val",)), tmp_path / "kept"
    assert "--own-targets" in evaluated(small, code=1)[1], "there is no neighbour matrix"
    report, _ = evaluated(small, "--own-targets")
    assert report["settings"]["own_targets"] is True
    assert report["systems"]["ground_truth"]["FRD"] == pytest.approx(0, abs=1e-6)
    react_neighbours(small)
    first, error = evaluated(small, "--run", kept)
    assert first["kept_parts"] == 0
    assert "no train split" in error
    sorted(kept.glob("listen-*.npz"))[3].unlink()
    again, error = evaluated(small, "--run", kept)
    assert again["kept_parts"] == 7
    assert "reusing 7 stored parts of 8" in error
    assert again["systems"]["mime"] == first["systems"]["mime"]
    assert again["systems"]["rules"]["FRC"] == first["systems"]["rules"]["FRC"]
    broken = next((small / "val" / "3D_FV_files").rglob("RECOLA/group-1/P25/1.npy"))
    broken.write_bytes(b"not an array")
    report, error = evaluated(small, "--run", kept, code=1)
    assert f"is done again: it was measured with another {broken.name}" in error
    assert (report["recordings"], len(report["failed"])) == (6, 2)  # once as the speaker, once as the listener
    assert "cannot be read as a NumPy file" in error
    assert broken.read_bytes() == b"not an array"


def test_mars_at_its_own_rate_and_of_any_length_and_the_model_listens(
    tmp_path: Path, any_weights: Path, evaluated
) -> None:
    folder, output = mars(mars(tmp_path, split="train"), split="val"), tmp_path / "model.npz"
    report, _ = evaluated(folder, "--listener", "model", "--model", any_weights, "--output", output)
    assert (report["compat"], report["recordings"], report["failed"]) == ("mars", 8, {})
    assert set(report["systems"]) == {*ROWS, "model"}
    assert report["systems"]["ground_truth"]["FRD"] == pytest.approx(0, abs=1e-6)
    assert report["systems"]["ground_truth"]["FRC"] == 2  # forced, as the challenge does
    shown = read_result(output).system("model")
    assert shown.role == "listener"
    assert np.isfinite(shown.values["FRC"]).all()
    assert len(shown.compute_s) > 0
    faces = list(shown.streams.values())
    assert all(np.isfinite(face).all() and face.shape[1] == 58 for face in faces)
    assert max(face.std(0).max() for face in faces) > 1e-3
    assert len({face.tobytes() for face in faces}) == 8


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = react(tmp_path_factory.mktemp("react"), frames=101, sound=False, splits=("val",))
    out = tmp_path_factory.mktemp("lab")
    lab(out, data, FACEVERSE_ORDER, chosen=(0, 2, 3), alone=(0,))
    (out / "broken.mp4").write_bytes(b"nothing of a film")
    return out


@pytest.fixture
def evaluated_folder(reactdiff):
    """The report on a folder, and its errors."""

    def call(folder: Path, *more: object, code: int = 0) -> tuple[dict[str, Any], str]:
        arguments = ["evaluate", "recordings", folder, "--listener", "rules", "--streams", 2, "--cuts", 0, "--json"]
        found: tuple[dict[str, Any], str] = reactdiff(*arguments, *more, code=code)
        return found

    return call


def test_with_and_without_a_recorded_listener(folder: Path, tmp_path: Path, evaluated_folder) -> None:
    output = tmp_path / "lab.npz"
    before = {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
    report, error = evaluated_folder(folder, "--output", output, code=1)
    assert before == {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
    assert (report["recordings"], list(report["failed"])) == (3, ["broken"])
    assert "the media file cannot be read" in error
    table = report["systems"]
    assert {"rules", "mime_live", "random_live", "shuffled", "ground_truth", "mime", "mean_sequence"} <= set(table)
    assert table["ground_truth"]["FRD"] == pytest.approx(0, abs=1e-6)
    assert table["mean_sequence"]["FRC"] < table["ground_truth"]["FRC"]
    assert table["mime_live"]["smile_coupling"] > table["shuffled"]["smile_coupling"]
    assert table["rules"]["FRDvs_low"] <= table["rules"]["FRDvs"] <= table["rules"]["FRDvs_high"]
    assert table["rules"]["jerk"] > 0
    assert table["rules"]["latency_p95_ms"] < 1000
    assert any("10 minutes" in note for note in report["notes"])
    result = read_result(output)
    assert [item.id for item in result.items] == ["people0/talk", "people2/talk", "people3/talk"]
    assert (result.items[0].truth is None, result.items[1].truth is None) == (True, False)
    assert np.isfinite(result.system("rules").values["FRC"]).tolist() == [False, True, True]
    assert set(result.system("rules").streams) == {item.id for item in result.items}
    assert result.info.failed[0].startswith("broken: ")


def test_a_listener_that_fails_is_no_success(folder: Path, tmp_path: Path, evaluated_folder) -> None:
    broken = own_listener(tmp_path, declared="0.0", looks="1 // 0")
    report, error = evaluated_folder(folder, "--listener", broken, code=1)
    assert list(report["failed"].values()).count("Own did not listen") == report["recordings"] == 3
    assert "division" in error
    assert report["systems"]["rules"]["jerk"] > 0


def test_a_clip_goes_through_the_whole_session(tmp_path: Path, evaluated_folder) -> None:
    with av.open(str(demo_clip_path())) as source, av.open(str(tmp_path / "short.mp4"), "w") as out:
        streams = {s.index: out.add_stream_from_template(s) for s in source.streams if s.type in ("video", "audio")}
        for packet in source.demux():
            if packet.dts is not None and packet.stream.index in streams and packet.pts * packet.time_base < 3.0:
                packet.stream = streams[packet.stream.index]
                out.mux(packet)
    report, _ = evaluated_folder(tmp_path, "--streams", 1)
    assert report["recordings"] == 1
    assert 2.5 < 60 * report["minutes"] < 4.0
    # With one recording the control is the same face half a recording later.
    assert any("half a recording later" in note for note in report["notes"])
    assert report["systems"]["shuffled"]["role"] == "control"
    assert 0 < report["systems"]["rules"]["latency_p50_ms"] <= report["systems"]["rules"]["latency_p99_ms"] < 600


def test_pairs_are_found_by_name_or_by_option_and_a_bag_is_one_recording(tmp_path: Path) -> None:
    names = ("a_speaker.mp4", "a_listener.mp4", "b.mov", "c.mov", "sub/d.wav", "e.npz", ".hidden.mp4", "notes.txt")
    for name in (*names, "bag/metadata.yaml", "bag/bag_0.mcap", "loose/a.mcap", "loose/b.mcap"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    found = {s.id: s for s in sources(tmp_path)}
    assert sorted(found) == ["a_speaker", "b", "bag", "c", "e", "loose/a", "loose/b", "sub/d"]
    assert found["a_speaker"].listener == tmp_path / "a_listener.mp4"
    assert found["sub/d"].group == "sub"
    found = {s.id: s for s in sources(tmp_path, [(Path("b.mov"), tmp_path / "c.mov"), (Path("c.mov"), Path("b.mov"))])}
    assert sorted(found) == ["a_speaker", "b", "bag", "c", "e", "loose/a", "loose/b", "sub/d"]
    assert found["b"].listener == tmp_path / "c.mov"
    with pytest.raises(ReactdiffError, match="names a file that is not there"):
        sources(tmp_path, [(Path("b.mov"), Path("x.mov"))])


def test_conditions_reach_the_result_file(tmp_path: Path) -> None:
    plan = StudyPlan("warm", "between", ("p01", "p02"), {"a": {"policy": "mime"}, "b": {"policy": "idle"}})
    sessions = sessions_of(plan, 1)
    public, private = seal(plan, sessions, 1, np.random.default_rng(1).bytes)
    (tmp_path / "key.json").write_text(json.dumps(private))
    for name in ("p01", "p02"):  # the second one's seal is another's
        with BagWriter(tmp_path / name, study=Study(name, study="warm", seal=public["sessions"][0]["seal"])):
            pass
    found = [Source(name, tmp_path / name) for name in ("p01", "p02", "clip")]
    items = tuple(Item(source.id, 60.0, notes=("first",)) for source in found)
    result, conditions = unblinded(Result(Info("recordings", "t"), items, ()), found, Key(tmp_path / "key.json"))
    assert conditions == result.info.settings["conditions"] == {"p01": sessions[0].condition}
    told, unknown, clip = (item.notes for item in result.items)
    assert told == (f"recorded under the condition {sessions[0].condition} (session p01)", "first")
    assert "does not fit" in unknown[0]
    assert clip == ("first",)


@pytest.mark.parametrize(("frames", "exact"), [(60, True), (400, False)])
def test_the_interval_is_that_of_the_distances(frames: int, exact: bool) -> None:
    rng = np.random.default_rng(1)
    own = rng.gamma(1.0, 1.0, (24, 1, 1, 1)) * rng.standard_normal((24, 2, 1, 25))
    values = (own + 0.1 * rng.standard_normal((24, 2, frames, 25))).astype(np.float32)
    assert (values[0].size <= SKETCH) == exact
    spread, draws = Spread(), bootstrap.group_draws([f"pair{n // 2}" for n in range(24)], seed=3)
    for n, one in enumerate(values):
        spread.add(n, one, frames)
    distances, found = speaker_distances(values), spread.figure(draws)
    low, high = bootstrap.interval(speaker_diversities(distances, draws))
    assert found.value == pytest.approx(speaker_diversity(distances), rel=1e-5)
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-4 if exact else 0.05)
    assert found.low < found.value < found.high


def test_nearest_neighbours_and_the_shuffled_control_are_never_of_the_same_people() -> None:
    known = np.random.default_rng(5).standard_normal((20, 8)).astype(np.float32)
    assert simple.nearest(known[1] + 0.01, known, np.zeros(20, bool), 1).tolist() == [1]
    assert 1 not in simple.nearest(known[1] + 0.01, known, np.arange(20) == 1, 4)
    groups = ["a", "a", "b", "b", "c", "a", "a", "b", "b", "c"]
    assert all(i is not None and groups[i] != groups[n] for n, i in enumerate(simple.other_people(groups)))
    assert (simple.other_people(["a", "a"]), simple.other_people(["a", "b"])) == ([None, None], [1, 0])
