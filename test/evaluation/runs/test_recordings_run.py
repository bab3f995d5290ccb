"""`evaluate recordings` on a folder of files of `reactdiff extract`, clips and what is none."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from generated_sets import FACEVERSE_ORDER, react
from run_tools import lab, own_listener

from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation.results import Info, Item, Result, read_result, write_result
from reactdiff_ros.evaluation.runs.recordings import Perceived, Source, _ages, sources, unblinded
from reactdiff_ros.model.diffusion.tokens import blank
from reactdiff_ros.recordings.bags.storage import Study
from reactdiff_ros.recordings.bags.write import BagWriter
from reactdiff_ros.recordings.blinding import Key, StudyPlan, seal, sessions_of
from reactdiff_ros.resources import demo_clip_path
from reactdiff_ros.types import ExpressionFrame

pytest.importorskip("numba")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = react(tmp_path_factory.mktemp("react"), frames=101, sound=False, splits=("val",))
    out = tmp_path_factory.mktemp("lab")
    lab(out, data, FACEVERSE_ORDER, chosen=(0, 2, 3), alone=(0,))
    (out / "broken.mp4").write_bytes(b"nothing of a film")
    return out


@pytest.fixture
def evaluated(reactdiff):
    """The report on a folder, and its errors."""

    def call(folder: Path, *more: object, code: int = 0) -> tuple[dict[str, Any], str]:
        arguments = ["evaluate", "recordings", folder, "--listener", "rules", "--streams", 2, "--cuts", 0, "--json"]
        found: tuple[dict[str, Any], str] = reactdiff(*arguments, *more, code=code)
        return found

    return call


def test_with_and_without_a_recorded_listener(folder: Path, tmp_path: Path, evaluated) -> None:
    output = tmp_path / "lab.npz"
    before = {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
    report, error = evaluated(folder, "--output", output, code=1)
    assert before == {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
    assert report["recordings"] == 3
    assert list(report["failed"]) == ["broken"]
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
    assert result.items[0].truth is None
    assert result.items[1].truth is not None
    assert np.isfinite(result.system("rules").values["FRC"]).tolist() == [False, True, True]
    assert set(result.system("rules").streams) == {item.id for item in result.items}
    assert result.info.failed[0].startswith("broken: ")


def test_a_listener_that_fails_is_no_success(folder: Path, tmp_path: Path, evaluated) -> None:
    whole = tmp_path / "whole"
    shutil.copytree(folder, whole, ignore=shutil.ignore_patterns("broken.mp4"))
    broken = own_listener(tmp_path, declared="0.0", looks="1 // 0")
    report, error = evaluated(whole, "--listener", broken, code=1)
    assert set(report["failed"].values()) == {"Own did not listen"}
    assert len(report["failed"]) == report["recordings"] == 3
    assert "division" in error
    assert report["systems"]["rules"]["jerk"] > 0


def test_a_clip_goes_through_the_whole_session(tmp_path: Path, evaluated) -> None:
    av = pytest.importorskip("av")
    with av.open(str(demo_clip_path())) as source, av.open(str(tmp_path / "short.mp4"), "w") as out:
        streams = {s.index: out.add_stream_from_template(s) for s in source.streams if s.type in ("video", "audio")}
        for packet in source.demux():
            if packet.dts is not None and packet.stream.index in streams and packet.pts * packet.time_base < 3.0:
                packet.stream = streams[packet.stream.index]
                out.mux(packet)
    report, _ = evaluated(tmp_path, "--streams", 1)
    assert report["recordings"] == 1
    assert 2.5 < 60 * report["minutes"] < 4.0
    # With one recording the control is the same face half a recording later.
    assert any("half a recording later" in note for note in report["notes"])
    assert report["systems"]["shuffled"]["role"] == "control"
    assert 0 < report["systems"]["rules"]["latency_p50_ms"] <= report["systems"]["rules"]["latency_p99_ms"] < 600


def test_a_pause_of_the_recording_is_no_latency() -> None:
    def face(stamp_ms: int, evidence_ms: int) -> ExpressionFrame:
        flat = np.zeros(58, np.float32)
        return ExpressionFrame(stamp_ms * 10**6, flat, "listening", (), None, None, evidence_ms * 10**6, None)

    frames: Any = tuple(SimpleNamespace(stamp_ns=ms * 10**6) for ms in (0, 40, 80, 2000))
    faces = [face(100, 0), face(160, 40), face(900, 80), face(1500, 80), face(2060, 2000)]
    np.testing.assert_allclose(_ages(faces, Perceived(0, blank(1), frames=frames)), [0.1, 0.12, 0.06])


def test_pairs_are_found_by_name_or_by_option_and_a_bag_is_one_recording(tmp_path: Path) -> None:
    names = ("a_speaker.mp4", "a_listener.mp4", "b.mov", "c.mov", "sub/d.wav", "e.npz", ".hidden.mp4", "notes.txt")
    bags = ("session_07/metadata.yaml", "session_07/session_07_0.mcap", "loose/a.mcap", "loose/b.mcap")
    for name in (*names, *bags):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    found = {s.id: s for s in sources(tmp_path)}
    assert sorted(found) == ["a_speaker", "b", "c", "e", "loose/a", "loose/b", "session_07", "sub/d"]
    assert found["a_speaker"].listener == tmp_path / "a_listener.mp4"
    assert found["sub/d"].group == "sub"
    shutil.rmtree(tmp_path / "session_07")
    found = {s.id: s for s in sources(tmp_path, [(Path("b.mov"), tmp_path / "c.mov"), (Path("c.mov"), Path("b.mov"))])}
    assert sorted(found) == ["a_speaker", "b", "c", "e", "loose/a", "loose/b", "sub/d"]
    assert found["b"].listener == tmp_path / "c.mov"
    with pytest.raises(ReactdiffError, match="names a file that is not there"):
        sources(tmp_path, [(Path("b.mov"), Path("x.mov"))])


def test_conditions_reach_the_result_file(tmp_path: Path) -> None:
    plan = StudyPlan("warm", "between", ("p01", "p02"), {"a": {"policy": "mime"}, "b": {"policy": "idle"}})
    sessions = sessions_of(plan, 1)
    public, private = seal(plan, sessions, 1, np.random.default_rng(1).bytes)
    (tmp_path / "key.json").write_text(json.dumps(private))
    seals = [row["seal"] for row in public["sessions"]]
    for name, mark in (("p01", seals[0]), ("p02", seals[0])):  # the second one's is another's
        with BagWriter(tmp_path / name, study=Study(name, study="warm", seal=mark)):
            pass
    found = [Source(name, tmp_path / name) for name in ("p01", "p02", "clip")]
    items = tuple(Item(source.id, 60.0, notes=("first",)) for source in found)
    result, conditions = unblinded(Result(Info("recordings", "t"), items, ()), found, Key(tmp_path / "key.json"))
    assert conditions == {"p01": sessions[0].condition}
    write_result(result, tmp_path / "r.npz")
    kept = read_result(tmp_path / "r.npz")
    assert kept.info.settings["conditions"] == conditions
    assert kept.items[0].notes == (f"recorded under the condition {sessions[0].condition} (session p01)", "first")
    assert "does not fit" in kept.items[1].notes[0]
    assert kept.items[2].notes == ("first",)
