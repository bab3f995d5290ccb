"""`evaluate backchannels`: who nods in pauses is told from who nods at any time; shapes of nods; bad input."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from generated_sets import write_sound

from reactdiff_ros.evaluation.studies import backchannels as study
from reactdiff_ros.evaluation.studies.backchannels import Dialogue, make_dialogue, moments, pause_so_far, read_speech
from reactdiff_ros.model.diffusion.tokens import SpeakerBatch, blank
from reactdiff_ros.recordings.datasets.turns import read_turns
from reactdiff_ros.resources import demo_clip_path

FRAMES = 15000
NAMES = ("length (seconds)", "peaks", "peaks per sec", "extremes amplitude", "velocity")


def table(path: Path, rows: dict[str, str]) -> Path:
    """A table of annotated nods."""
    lines = [f"{name},feedback,6,0,0,0,0,0,0,{values}" for name, values in rows.items()]
    path.write_text("\n".join(["Category,Label", *lines]))
    return path


@pytest.fixture(scope="module")
def dialogue() -> Dialogue:
    """Two people who each talk for ten minutes in phrases of 2 s with pauses of 0.24 to 1.16 s, and are answered 0.2 s
    into half of the pauses of 0.6 s and more.
    """
    rng = np.random.default_rng(2)
    talks, answered = np.zeros((2, FRAMES), dtype=bool), np.zeros((2, FRAMES), dtype=np.int64)
    for row in range(2):
        at = 0
        while at < FRAMES - 110:
            talks[row, at : at + 50] = True
            pause = int(rng.integers(6, 30))
            answered[row, at + 55] = pause >= 15 and rng.random() < 0.5
            at += 50 + pause
        talks[row, at:] = True
    floor = [pause_so_far(of, np.zeros(FRAMES, dtype=bool)) for of in talks]
    pauses = [(row, *pause) for row in range(2) for pause in study.pauses_of(talks[row], floor[row])]
    return Dialogue(blank(2, FRAMES), np.stack(floor), answered, np.array(pauses, dtype=np.intp))


def test_who_nods_in_pauses_is_told_from_who_nods_at_any_time(dialogue: Dialogue) -> None:
    talks, other = (np.array([c == "x" for c in text]) for text in (".xx...xx.....xx..", ".........xx...x.."))
    pause = pause_so_far(talks, other)
    assert "".join("-" if np.isnan(p) else str(round(25 * p)) for p in pause) == "-00123001----0---"
    assert study.pauses_of(talks, pause) == [(3, 3, 3), (8, 5, 1)]
    chance = (np.random.default_rng(3).random((2, FRAMES)) < 0.01).astype(np.int64)
    found, by_chance, nobody = (moments(dialogue, nods, 1, 0) for nods in (dialogue.answered, chance, 0 * chance))
    assert found["after_pauses"]["share"] == 1.0
    assert found["after_pauses"]["ratio"] > found["after_pauses"]["low"] > 1.5
    assert found["hazard"]["speech"]["value"] == found["hazard"]["0_to_0.2_s"]["value"] == 0.0
    assert found["hazard"]["0.2_to_0.5_s"]["value"] > 0.3
    assert found["answers"]["0.7_to_1.2_s"]["value"] == pytest.approx(0.5, abs=0.1)
    assert found["answers"]["0.2_to_0.4_s"]["value"] == 0.0
    assert np.isnan(found["answers"]["over_2.5_s"]["value"])  # there are none
    assert study.correlation(found["hazard"], found["hazard"]) == pytest.approx(1.0)
    assert by_chance["after_pauses"]["low"] < 1.0 < by_chance["after_pauses"]["high"]
    assert by_chance["after_pauses"]["ratio"] == pytest.approx(1.0, abs=0.2)
    assert abs(by_chance["answers"]["0.7_to_1.2_s"]["excess"]) < 0.1
    assert np.isnan(nobody["after_pauses"]["ratio"])


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Timings of a minute, the shortest that is read, in which A and B talk and answer; a voice; a table of nods."""
    folder = tmp_path_factory.mktemp("given")
    (folder / "speech").mkdir()
    (folder / "speech" / "voice.wav").symlink_to(demo_clip_path())
    a = [(2.0 * i, 2.0 * i + 1.4) for i in range(14)]
    rows = [(b, e, "A") for b, e in a] + [(b + 30, e + 30, "B") for b, e in a]
    rows += [(2.0 * i + 1.5, 2.0 * i + 1.9, "B") for i in range(0, 12, 3)] + [(35.5, 35.9, "A"), (60.0, 61.0, "A")]
    lines = [f"{1000 * b},{1000 * e},{name}" for b, e, name in rows]
    (folder / "t.csv").write_text("\n".join(["begin,end,participant", *lines]))
    nods = table(folder / "nods.csv", dict.fromkeys(NAMES, "1,2,1,2,3,1"))
    return {"--timings": folder / "t.csv", "--speech": folder / "speech", "--nods": nods}


def words(given: dict[str, Path]) -> list[object]:
    """A command's options."""
    return ["evaluate", "backchannels", *(word for pair in given.items() for word in pair), "--system", "people"]


def test_the_command_says_it_all_and_draws_it(given: dict[str, Path], tmp_path: Path, reactdiff) -> None:
    picture = tmp_path / "b.png"
    report, _ = reactdiff(*words(given), "--system", "policy", "--streams", 1, "--output", picture, "--json")
    assert report["turns"] == {"A": {"talk": 15, "responses": 1}, "B": {"talk": 14, "responses": 4}}
    assert set(report["policy"]["hazard"]) == set(study.BINS)
    assert set(report["policy"]["answers"]) == set(study.LENGTH_BINS)
    assert report["annotated_nods"]["feedback"]["count"] == 6
    assert "count" in report["policy"]["nod_shapes"]
    assert picture.stat().st_size > 10_000
    made, again = (make_dialogue(read_turns(given["--timings"]), read_speech(given["--speech"]), seed=1) for _ in "ab")
    for name in SpeakerBatch.__slots__:
        assert np.array_equal(getattr(made.speaker, name), getattr(again.speaker, name), equal_nan=True)
    assert made.answered.sum(1).tolist() == [4, 1]


@pytest.mark.parametrize(("option", "name", "why"), [
    ("--speech", "empty", "holds no speech"), ("--speech", "tone", "no speech is heard"),
    ("--nods", "lacking.csv", "lacks velocity"), ("--nods", "words.csv", "not numeric"),
    ("--nods", "negative.csv", "a value that no nod has"), ("--output", "plot.txt", "must end with"),
])  # fmt: skip
def test_bad_input_is_one_sentence(option: str, name: str, why: str, given, tmp_path: Path, reactdiff) -> None:
    (tmp_path / "empty").mkdir()
    write_sound(tmp_path / "tone" / "a.wav", 2.0)
    numbers = dict.fromkeys(NAMES, "1,1")
    table(tmp_path / "lacking.csv", dict.fromkeys(NAMES[:-1], "1,1"))
    table(tmp_path / "words.csv", {**numbers, "peaks": "1,many"})
    table(tmp_path / "negative.csv", {**numbers, "peaks": "1,-1"})
    code = 2 if option == "--output" else 1
    assert why in reactdiff(*words({**given, option: tmp_path / name}), code=code)[1]


def nods(*cycles: int) -> np.ndarray:
    """Nods of 5 degrees and 1.6 Hz."""
    pitch = np.zeros((len(cycles), 200))
    for row, n in zip(pitch, cycles, strict=True):
        t = np.arange(round(n / 1.6 * 25)) / 25
        row[50 : 50 + len(t)] = np.radians(2.5) * (1 - np.cos(2 * np.pi * 1.6 * t))
    return pitch


def test_a_nod_has_the_shape_that_it_was_made_with_and_is_at_no_distance_from_itself(tmp_path: Path) -> None:
    found = study.shapes_of(nods(1, 2, 3, 5, 1, 2))
    assert found["peaks"].tolist() == [1, 2, 3, 5, 1, 2]
    assert found["length_s"] == pytest.approx(found["peaks"] / 1.6, abs=0.15)
    assert found["peaks_per_s"] == pytest.approx(found["peaks"] / found["length_s"])
    assert np.degrees(found["amplitude"]) == pytest.approx(5.0, abs=0.5)
    assert np.degrees(found["velocity"]) == pytest.approx(2 * 5.0 * 1.6, rel=0.2)
    scaled = [found[name] * (0.1 if name in ("amplitude", "velocity") else 1.0) for name in study.MEASURES]
    rows = {name: ",".join(map(repr, values.tolist())) for name, values in zip(NAMES, scaled, strict=True)}
    comparison = study.compared(found, study.read_nods(table(tmp_path / "nods.csv", rows)))
    assert comparison["count"] == 6
    assert [d["w1"] for d in comparison["distances"]["feedback"].values()] == pytest.approx([0.0] * 5, abs=1e-9)
    others = study.compared(study.shapes_of(nods(6, 6, 6, 6, 6)), {"feedback": found})["distances"]["feedback"]
    assert others["peaks"]["w1"] > 1.0
    assert others["peaks"]["ks"] == 1.0
    assert study.compared(study.shapes_of(nods(1)), {"feedback": found}) == {"count": 1}


@pytest.mark.clips
@pytest.mark.slow
def test_the_real_dialogue_and_the_real_nods(clips: Callable[[str], Path], tmp_path: Path) -> None:
    turns = read_turns(clips("turns/IFADV_DAV13U.csv"))
    assert [(len(p.talk), len(p.responses)) for p in turns.people] == [(242, 49), (132, 47)]
    assert len(study.read_nods(clips("nods/GER_2412.csv"))["all annotations"]["length_s"]) == 1578
    (tmp_path / "one.flac").symlink_to(clips("speech/facegood/1114_2_01.flac"))
    lines = clips("turns/IFADV_DAV13U.csv").read_text().splitlines()
    (tmp_path / "t.csv").write_text("\n".join(lines[:70]))
    short = make_dialogue(read_turns(tmp_path / "t.csv"), read_speech(tmp_path))
    figures = study.evaluate_backchannels(short, None, systems=("people", "rules"), streams=1).figures
    assert figures["people"]["per_minute"] > 1.0
    assert figures["rules"]["per_minute"] > 0.0
