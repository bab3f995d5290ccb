"""The faults by name, the file of their figures, and `reactdiff bench faults`, whose graph is replaced."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from reactdiff_ros.cli.main import main
from reactdiff_ros.errors import ConfigError, MediaError
from tools.faults.account import Account
from tools.faults.catalogue import chosen, kept, summary


def row(name: str, **changes) -> dict:
    done = Account(0.041, 1.9, 2.6, None, 2.66, 0.39, 0.0, True, ["perception_node died: started again in 0.25 s"])
    asked = {"normal_after_s": 6.0, "face_dies": False}
    return {
        "fault": name,
        "what": f"{name} |",
        "load": 1.5,
        "asked": asked,
        **asdict(done),
        "violations": [],
        **changes,
    }


def test_faults_of_a_robot_need_one():
    assert not [fault.name for fault in chosen([]) if fault.robot]
    assert [f.name for f in chosen([], robot="generic_12servo") if f.robot] == [
        *("actuator-killed", "actuator-stopped-1", "actuator-stopped-5", "actuator-stopped-30"),
        *("servo-cable", "servo-board"),
    ]
    assert "servo-hot" in [f.name for f in chosen([], robot="bus_head")]
    with pytest.raises(ConfigError, match="needs a robot"):
        chosen(["actuator-killed"])
    with pytest.raises(ConfigError, match="servos on a bus"):
        chosen(["servo-hot"], robot="generic_12servo")


def test_rows_keep_the_catalogues_order_and_new_ones_replace_old_ones():
    before = [{**row("cpu"), "clip": "a.mp4"}, {**row("camera-gone", longest_gap_s=0.5), "clip": "a.mp4"}]
    figures = summary(before, [row("camera-gone"), row("perception-killed", violations=["too late"])], clip="b.mp4")
    assert [(r["fault"], r["clip"]) for r in figures["faults"]] == [
        ("perception-killed", "b.mp4"), ("camera-gone", "b.mp4"), ("cpu", "a.mp4"),
    ]  # fmt: skip
    assert figures["within_bounds"] is False


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"faults": [{}], "hardware": {}}', '{"faults": 3, "hardware": {}}', "[" * 9999]
)
def test_other_files_are_one_sentence(tmp_path: Path, text: str):
    path = tmp_path / "faults.json"
    path.write_text(text)
    with pytest.raises(MediaError, match="no figures of faults"):
        kept(path)
    assert kept(tmp_path / "missing.json") == []


@pytest.mark.parametrize(
    "words",
    [("bench", "faults", "--list"), ("bench", "soak", "--judge"), ("dev", "demo", "render", "--output", "x.mp4")],
)
def test_without_a_checkout_the_command_says_where_to_run_it(words, tmp_path, capsys, monkeypatch):
    from reactdiff_ros import resources

    monkeypatch.setattr(resources, "__file__", str(tmp_path / "site-packages" / "reactdiff_ros" / "extras.py"))
    assert main(list(words)) == 3
    assert "run this command from a checkout of the repository" in capsys.readouterr().err
