"""The bag of a replay: the graph's topics on the recording's stamps, the same bytes for the same seed."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bag_making import START, demo_bag, robot_speaks

from reactdiff_ros.cli.main import main
from reactdiff_ros.recordings.bags.storage import BagFiles, study_of
from reactdiff_ros.recordings.replay import ReplaySettings, replay
from reactdiff_ros.resources import demo_clip_path


def digest(bag: Path) -> str:
    return hashlib.sha256(b"".join(p.read_bytes() for p in sorted(bag.iterdir()))).hexdigest()


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return demo_bag(tmp_path_factory.mktemp("bags") / "talk", 2.0)


@pytest.fixture(scope="module")
def out(bag: Path) -> Path:
    """The replay of it by rules, with plans."""
    path = bag.with_name("out")
    assert main(["bag", "replay", str(bag), "-o", str(path), "--policy", "rules", "--plans", "--processes", "1"]) == 0
    return path


def test_topics_rates_and_stamps_are_the_graphs(out: Path) -> None:
    source = BagFiles(out)
    counts = {topic.name: topic.count for topic in source.topics.values()}
    assert counts["/speaker/frame"] == 50
    assert 100 <= counts["/listener/expression"] <= 110
    assert counts["/listener/reaction"] >= 8
    records = list(source.records(set(counts)))
    times = [record.received_ns for record in records]
    assert times == sorted(times)
    assert times[0] >= START
    assert times[-1] <= START + 2_200_000_000


@pytest.mark.parametrize("candidates", [1, pytest.param(10, marks=pytest.mark.slow)])
def test_the_same_seed_gives_the_same_bytes_in_another_process(bag: Path, any_weights: Path, candidates: int) -> None:
    how = ["--seed", "7", "--candidates", str(candidates), "--set", f"model_dir={any_weights}", "--set", "steps=2"]
    one, two = (bag.with_name(f"{name}{candidates}") for name in ("here", "there"))
    assert main(["bag", "replay", str(bag), "-o", str(one), "--plans", "--processes", "1", *how]) == 0
    command = [sys.executable, "-m", "reactdiff_ros.cli.main", "bag", "replay", str(bag), "-o", str(two), "--plans"]
    done = subprocess.run([*command, *how], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert digest(one) == digest(two)
    weights = study_of(BagFiles(one).custom_data)
    assert weights is not None
    assert len(weights.weights) == 12


def test_nothing_is_overwritten_and_faults_are_sentences(
    bag: Path, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = digest(out), digest(bag)
    for arguments, code, word in (
        ([str(bag), "-o", str(out)], 1, "already"),
        ([str(tmp_path / "none.mcap"), "-o", str(tmp_path / "x")], 1, "no such bag"),
        ([str(bag), "-o", str(tmp_path / "x"), "--camera-topic", "/other"], 1, "no topic /other"),
        ([str(bag), "-o", str(tmp_path / "x"), "--style", "angelic"], 2, "angelic"),
        ([str(bag), "-o", str(tmp_path / "x"), "--set", "steps=900"], 2, "steps"),
        ([str(bag), "-o", str(tmp_path / "x"), "--set", "steps"], 2, "NAME=VALUE"),
        ([str(bag), "--video", str(tmp_path / "x.txt")], 1, "mp4"),
        ([str(bag)], 2, "OUT_BAG"),
        ([str(bag), "--realtime", "--policy", "rules", "-o", "x"], 2, "--output, --policy cannot be used with"),
        ([str(bag), "-o", str(tmp_path / "x"), "--rate", "2"], 2, "--rate can only be used with --realtime"),
    ):
        assert main(["bag", "replay", *arguments]) == code
        said = capsys.readouterr().err
        assert word in said
        assert "Traceback" not in said
    assert (digest(out), digest(bag)) == before
    assert not (tmp_path / "x").exists()


def test_the_robots_own_voice_is_not_the_others(tmp_path: Path) -> None:
    path = demo_bag(tmp_path / "own", 1.5, also=robot_speaks)
    turns: dict[bool, set[str]] = {True: set(), False: set()}
    for heed in turns:
        settings = ReplaySettings(policy="rules", own_voice=heed)
        replay(path, settings, each=lambda step, heed=heed: turns[heed].update(r.turn for r in step.reactions))  # type: ignore[misc]
    assert "robot_speaking" in turns[True]
    assert "robot_speaking" not in turns[False]


def test_interrupted_it_keeps_a_bag_that_says_so(tmp_path: Path) -> None:
    path = tmp_path / "part"
    command = [sys.executable, "-m", "reactdiff_ros.cli.main", "bag", "replay", str(demo_clip_path()), "-o", str(path)]
    with subprocess.Popen(
        [*command, "--policy", "rules", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        end = time.monotonic() + 60
        while not _grown(tmp_path) and process.poll() is None and time.monotonic() < end:
            os.sched_yield()
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=150)
    assert process.returncode == 0, stderr
    report = json.loads(stdout)
    assert (report["complete"], report["stopped"]) == (False, True)
    assert "incomplete" in stderr
    study = study_of(BagFiles(path).custom_data)
    assert study is not None
    assert study.parameters["replay.complete"] is False
    assert 0 < study.parameters["replay.done_s"] < 60
    assert [p.name for p in tmp_path.iterdir()] == ["part"], "nothing else is left"


def _grown(folder: Path) -> bool:
    """The bag that is being written has some content."""
    return any(p.stat().st_size > 20_000 for p in folder.rglob("*.mcap"))
