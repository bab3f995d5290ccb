"""`evaluate react`, `recordings` and `online`: scores and baselines, listeners as functions, and who looks ahead."""

import json
import re
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from generated_sets import FACEVERSE_ORDER, mars, react, react_neighbours

from reactdiff_ros.coefficients import COEFFICIENT_COUNT
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.evaluation import baselines as simple
from reactdiff_ros.evaluation.listeners import Spec, StreamListener, listen_to, natural_conditions
from reactdiff_ros.evaluation.metrics import bootstrap
from reactdiff_ros.evaluation.metrics.react import speaker_distances, speaker_diversities, speaker_diversity
from reactdiff_ros.evaluation.online import verify
from reactdiff_ros.evaluation.results import Info, Item, Result, read_result
from reactdiff_ros.evaluation.runs.recordings import Source, sources, unblinded
from reactdiff_ros.evaluation.runs.scoring import SKETCH, Spread
from reactdiff_ros.model.listener import ListenerConfig
from reactdiff_ros.model.policies.rules import RulesListener
from reactdiff_ros.recordings.bags.storage import Study
from reactdiff_ros.recordings.bags.write import BagWriter
from reactdiff_ros.recordings.blinding import Key, StudyPlan, seal, sessions_of
from reactdiff_ros.recordings.datasets import public
from reactdiff_ros.recordings.datasets.recordings import Extracted, save
from reactdiff_ros.resources import demo_clip_path
from reactdiff_ros.simulator.dyads import simulate

pytest.importorskip("numba")
ROWS = {
    "rules", "shuffled", "ground_truth", "mime", "random", "mean_sequence", "mean_frame", "nearest_neighbour",
}  # fmt: skip


@pytest.fixture
def evaluated(reactdiff):
    """The report on a set or a folder, and its errors."""

    def call(kind: str, *more: object, code: int = 0) -> tuple[dict[str, Any], str]:
        arguments = ["evaluate", kind, "--listener", "rules", "--streams", 2, "--cuts", 0, "--json"]
        voice = ["--no-voice"] if kind == "react" else []
        found: tuple[dict[str, Any], str] = reactdiff(*arguments, *voice, *more, code=code)
        return found

    return call


def test_a_split_beside_all_baselines(tmp_path: Path, evaluated) -> None:
    data, output = react(tmp_path / "react", frames=101, sound=False), tmp_path / "result.npz"
    react_neighbours(data)
    (data / "names.txt").write_text("\n".join(FACEVERSE_ORDER))
    words = ["--data", data, "--expression-names", data / "names.txt", "--output", output, "--cuts", 2]
    report, _ = evaluated("react", *words)
    table = report["systems"]
    assert set(table) == ROWS
    assert (report["recordings"], report["compat"]) == (8, "react2024")
    assert table["ground_truth"]["FRD"] == pytest.approx(0, abs=1e-6)
    assert table["ground_truth"]["FRC"] > table["mime"]["FRC"] > table["random"]["FRC"]
    assert table["random"]["FRVar"] == pytest.approx(1 / 12, rel=0.05)
    assert table["random"]["FRDvs"] == pytest.approx(1 / 6, rel=0.05)
    assert table["rules"]["FRDvs_low"] < table["rules"]["FRDvs"] < table["rules"]["FRDvs_high"]
    assert (table["mean_frame"]["FRC"], table["mean_frame"]["FRVar"]) == (0, pytest.approx(0, abs=1e-9))
    for lag in ("FRSyn_ms", "response_lag_ms"):
        assert abs(table["mime"][lag] - 1e3 * report["settings"]["mime_lag_s"]) < 200
    assert table["rules"]["causal"] is True
    result = read_result(output)
    assert (result.info.kind, result.info.subject) == ("react", "rules")
    assert {s.role for s in result.systems} == {"listener", "baseline", "control", "reference"}
    np.testing.assert_allclose(result.system("rules").values["FRC"].mean(), table["rules"]["FRC"])
    # The generated list has three pairs of people.
    assert (len(result.items), len({item.group for item in result.items})) == (8, 3)


def test_an_ended_run_goes_on_and_a_changed_or_broken_file_is_done_anew(tmp_path: Path, evaluated) -> None:
    small, kept = react(tmp_path / "data", frames=61, sound=False, splits=("val",)), tmp_path / "kept"
    words = ["react", "--data", small]
    assert "--own-targets" in evaluated(*words, code=1)[1], "there is no neighbour matrix"
    report, _ = evaluated(*words, "--own-targets")
    assert report["settings"]["own_targets"] is True
    react_neighbours(small)
    first, error = evaluated(*words, "--run", kept)
    assert first["kept_parts"] == 0
    assert "no train split" in error
    sorted(kept.glob("listen-*.npz"))[3].unlink()
    again, error = evaluated(*words, "--run", kept)
    assert "reusing 7 stored parts of 8" in error
    assert again["systems"]["mime"] == first["systems"]["mime"]
    assert again["systems"]["rules"]["FRC"] == first["systems"]["rules"]["FRC"]
    broken = next((small / "val" / "3D_FV_files").rglob("RECOLA/group-1/P25/1.npy"))
    broken.write_bytes(b"not an array")
    report, error = evaluated(*words, "--run", kept, code=1)
    assert f"is done again: it was measured with another {broken.name}" in error
    assert (report["recordings"], len(report["failed"])) == (6, 2)  # once as the speaker, once as the listener
    assert "cannot be read as a NumPy file" in error
    assert broken.read_bytes() == b"not an array"
    assert "measured with another streams" in evaluated(*words, "--run", kept, "--streams", 1, code=1)[1]


def test_mars_at_its_own_rate_and_of_any_length_and_the_model_listens(tmp_path, any_weights: Path, evaluated) -> None:
    data, output = mars(mars(tmp_path, split="train"), split="val"), tmp_path / "model.npz"
    words = ["--data", data, "--listener", "model", "--model", any_weights, "--output", output]
    report, _ = evaluated("react", *words)
    assert (report["compat"], report["recordings"], report["failed"]) == ("mars", 8, {})
    assert set(report["systems"]) == {*ROWS, "model"}
    assert report["systems"]["ground_truth"]["FRD"] == pytest.approx(0, abs=1e-6)
    assert report["systems"]["ground_truth"]["FRC"] == 2  # forced, as the challenge does
    shown = read_result(output).system("model")
    assert np.isfinite(shown.values["FRC"]).all()
    assert len(shown.compute_s) > 0
    faces = list(shown.streams.values())
    assert all(np.isfinite(face).all() and face.shape[1] == 58 for face in faces)
    assert max(face.std(0).max() for face in faces) > 1e-3
    assert len({face.tobytes() for face in faces}) == 8


def lab(folder: Path, data: Path, names: tuple[str, ...], chosen: tuple[int, ...], alone: tuple[int, ...] = ()) -> None:
    """Extracted recordings of a generated REACT set, each of its own people; `alone`: without the listener."""
    for i, recording in enumerate(public.recordings("react", data, "val", names=names)):
        if i in chosen:
            times = np.arange(recording.frames) * 40_000_000
            heard = (None, None) if i in alone else (recording.listener, recording.observed)
            about = (recording.pair, recording.session, recording.role, recording.speaker, times)
            save(folder / f"people{i}" / "talk.npz", Extracted(*about, *heard))


OWN_LISTENER = """

class Own(SmileBack):
    name, look_ahead_s, frames = "own", DECLARED, ()

    def foresee(self, frames):
        self.frames = frames

    def plan(self, now_ns):
        for frame in self.frames:
            if frame.stamp_ns <= now_ns + LOOKS * 1e9:
                self.frame, self.smile = frame, np.clip(frame.coefficients[SMILE[0]], 0, 1)
        return super().plan(now_ns)
"""


def own_listeners(folder: Path, *, declared: str = "0.0", looks: str = "0.0") -> Path:
    """The file of docs/bring_your_own_listener.md with SmileBack, and Own, whose look-ahead is not the declared one."""
    page = Path(__file__).resolve().parents[3] / "docs" / "bring_your_own_listener.md"
    found = re.search(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None
    path = folder / f"own_{declared}.py"  # bytecode is told apart by the second
    path.write_text(found[1] + OWN_LISTENER.replace("DECLARED", declared).replace("LOOKS", looks))
    return path


def test_recordings_with_and_without_a_listener_and_listeners_of_one_s_own(tmp_path: Path, evaluated) -> None:
    data, folder = react(tmp_path / "react", frames=101, sound=False, splits=("val",)), tmp_path / "lab"
    lab(folder, data, FACEVERSE_ORDER, chosen=(0, 2, 3), alone=(0,))
    (folder / "broken.mp4").write_bytes(b"nothing of a film")
    before = {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
    own = own_listeners(tmp_path, looks="1 // 0")
    words = ["--listener", f"{own}:SmileBack", "--listener", f"{own}:Own", "--output", tmp_path / "lab.npz"]
    report, error = evaluated("recordings", folder, *words, code=1)
    assert before == {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
    assert list(report["failed"].values()).count("Own did not listen") == report["recordings"] == 3
    assert "division" in error
    assert "the media file cannot be read" in error
    table = report["systems"]
    assert {"rules", "mime_live", "random_live", "shuffled", "ground_truth", "mime", "mean_sequence"} <= set(table)
    assert (table["SmileBack"]["role"], table["shuffled"]["role"]) == ("listener", "control")
    assert table["SmileBack"]["smile_coupling"] is not None
    assert table["ground_truth"]["FRD"] == pytest.approx(0, abs=1e-6)
    assert table["mean_sequence"]["FRC"] < table["ground_truth"]["FRC"]
    assert table["mime_live"]["smile_coupling"] > table["shuffled"]["smile_coupling"]
    assert table["rules"]["FRDvs_low"] <= table["rules"]["FRDvs"] <= table["rules"]["FRDvs_high"]
    assert table["rules"]["jerk"] > 0
    assert table["rules"]["latency_p95_ms"] < 1000
    assert any("10 minutes" in note for note in report["notes"])
    result = read_result(tmp_path / "lab.npz")
    assert [item.id for item in result.items] == ["people0/talk", "people2/talk", "people3/talk"]
    assert (result.items[0].truth is None, result.items[1].truth is None) == (True, False)
    assert np.isfinite(result.system("rules").values["FRC"]).tolist() == [False, True, True]
    assert set(result.system("rules").streams) == {item.id for item in result.items}
    assert any(sentence.startswith("broken: ") for sentence in result.info.failed)


def test_a_clip_goes_through_the_whole_session(tmp_path: Path, evaluated) -> None:
    with av.open(str(demo_clip_path())) as source, av.open(str(tmp_path / "short.mp4"), "w") as out:
        streams = {s.index: out.add_stream_from_template(s) for s in source.streams if s.type in ("video", "audio")}
        for packet in source.demux():
            if packet.dts is not None and packet.stream.index in streams and packet.pts * packet.time_base < 3.0:
                packet.stream = streams[packet.stream.index]
                out.mux(packet)
    report, _ = evaluated("recordings", tmp_path, "--streams", 1)
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
    both = {s.id: s for s in sources(tmp_path, [(Path("b.mov"), tmp_path / "c.mov"), (Path("c.mov"), Path("b.mov"))])}
    assert both.keys() == found.keys()
    assert both["b"].listener == tmp_path / "c.mov"
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
    items, condition = tuple(Item(source.id, 60.0, notes=("first",)) for source in found), sessions[0].condition
    result, conditions = unblinded(Result(Info("recordings", "t"), items, ()), found, Key(tmp_path / "key.json"))
    assert conditions == result.info.settings["conditions"] == {"p01": condition}
    first, unknown, clip = (item.notes for item in result.items)
    assert first == (f"recorded under the condition {condition} (session p01)", "first")
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


@pytest.mark.parametrize("name", ["simulator", "policy", "rules", "mime", "random", "idle"])
def test_every_listener_gives_streams_each_of_the_named_speaker(name: str) -> None:
    dyads, rows, seeds = simulate(5, 3, 60, prior="natural"), np.array([2, 0]), np.array([3, 4])
    listener = StreamListener(name)
    shows = listener.before(dyads.speaker, dyads.stimulus)
    shown = shows(natural_conditions(2), seeds, rows)
    assert shown.shape == (2, 60, COEFFICIENT_COUNT)
    assert np.isfinite(shown).all()
    some = listener.run(dyads.speaker.take(rows), natural_conditions(2), seeds, dyads.stimulus.take(rows))
    np.testing.assert_array_equal(shown, some)
    if name in ("simulator", "policy", "mime"):
        assert not np.array_equal(shown, shows(natural_conditions(2), seeds, np.array([0, 1])))


def test_a_listener_that_is_not_deterministic_is_told_so() -> None:
    class Moody(RulesListener):
        rng = np.random.default_rng()

        def plan(self, now_ns):
            made = super().plan(now_ns)
            if made is not None:
                made.coefficients[:] = np.clip(made.coefficients + 0.01 * self.rng.random(), 0, 0.5)
            return made

    verdict = verify(Moody(seed=0, config=ListenerConfig()), seconds=1.0, cuts=3)
    assert not verdict.holds
    assert "not deterministic" in verdict.sentence("moody")


def test_a_look_ahead_is_held_to_what_is_declared(tmp_path: Path, reactdiff) -> None:
    few = ["--cuts", 10, "--seconds", 1.4, "--json", "--listener"]
    honest, cheat = (own_listeners(tmp_path, declared=declared, looks="0.5") for declared in ("0.5", "0.3"))
    for listener in ("rules", f"{honest}:SmileBack", f"{honest}:Own"):
        report, _ = reactdiff("evaluate", "online", *few, listener)
        assert (report["holds"], report["first_difference"]) == (True, None)
        assert report["plan_ms_p50"] > 0
    report, error = reactdiff("evaluate", "online", *few, f"{cheat}:Own", code=1)
    assert report["holds"] is False
    assert 0.3 <= report["first_difference"]["ahead_s"] <= 0.5
    assert f"looks further: frame {report['first_difference']['frame']}" in error


@pytest.mark.parametrize(("text", "sentence"), [
    ("nobody", "unknown listener"), ("json:JSONDecoder", "must take seed="),
    ("collections:Counter", "lacks name"), ("nowhere/own.py:Own", "the listener's file is missing"),
])  # fmt: skip
def test_a_listener_that_cannot_be_had_is_a_sentence(text: str, sentence: str, reactdiff) -> None:
    assert sentence in reactdiff("evaluate", "online", "--listener", text, "--cuts", 1, code=1)[1]


@pytest.mark.parametrize(("change", "sentence"), [
    ("face = face[:, :57]", "has shape"), ("face[:] = np.nan", "not numbers"), ("slot -= 3", "begins in the past"),
])  # fmt: skip
def test_plans_from_outside_are_checked(tmp_path: Path, change: str, sentence: str) -> None:
    path = own_listeners(tmp_path)
    path.write_text(path.read_text().replace("        return Reaction(", f"        {change}\n        return Reaction("))
    speaker = simulate(5, 1, 20).speaker
    with pytest.raises(ReactdiffError, match=sentence):
        listen_to(Spec(f"{path}:SmileBack"), speaker, [0])
