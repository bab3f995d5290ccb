"""The figures of faults as a file and as a page, and that other files are a sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reactdiff_ros.errors import ConfigError, MediaError
from reactdiff_ros.evaluation.faults.account import Account
from reactdiff_ros.evaluation.faults.catalogue import SHORT, catalogue, chosen
from reactdiff_ros.evaluation.faults.figures import kept, summary
from reactdiff_ros.evaluation.faults.servos import ServoAccount, Watchdog
from reactdiff_ros.evaluation.pages import page


def row(name: str, **changes) -> dict:
    done = Account(0.041, 1.9, 2.6, None, 2.66, 0.39, 0.0, True, ["perception_node died: started again in 0.25 s"])
    asked = {"normal_after_s": 6.0, "face_dies": False}
    return {
        "fault": name,
        "what": f"{name} |",
        "load": 1.5,
        "asked": asked,
        **done.as_dict(),
        "violations": [],
        **changes,
    }


def test_rows_keep_the_catalogues_order_and_new_ones_take_the_old_ones_place():
    before = [{**row("cpu"), "clip": "a.mp4"}, {**row("camera-gone", longest_gap_s=0.5), "clip": "a.mp4"}]
    figures = summary(before, [row("camera-gone"), row("perception-killed", violations=["too late"])], clip="b.mp4")
    assert [(r["fault"], r["clip"]) for r in figures["faults"]] == [
        ("perception-killed", "b.mp4"), ("camera-gone", "b.mp4"), ("cpu", "a.mp4"),
    ]  # fmt: skip
    assert figures["within_bounds"] is False


def test_rows_of_another_machine_say_so(tmp_path: Path):
    path = tmp_path / "faults.json"
    figures = summary([], [row("cpu")], clip="a.mp4")
    for part in (figures["hardware"], figures["faults"][0]):
        part["cpu"] = "an abacus"
    path.write_text(json.dumps(figures))
    both = summary(kept(path), [row("pages")], clip="a.mp4")
    assert [r["cpu"] == "an abacus" for r in both["faults"]] == [True, False]
    assert f"Measured on an abacus and {both['hardware']['cpu']}," in page_of(both, tmp_path)
    del figures["faults"][0]["cpu"]  # as older files are
    path.write_text(json.dumps(figures))
    assert kept(path)[0]["cpu"] == "an abacus"


def page_of(figures: dict, folder: Path) -> str:
    (folder / "figures.json").write_text(json.dumps(figures))
    return page("reliability", folder / "figures.json")


def test_page_shows_figures_and_what_failed(tmp_path: Path):
    failed = row("cpu", normal_after_s=None, violations=["never"])
    text = page_of(summary([], [failed, row("pages", away_from_s=None)], clip="c"), tmp_path)
    assert "1 of 2 faults are handled within their requirements" in text
    assert "| cpu \\| **fail** | 41 ms | 1.9 to 2.6 s |  | never | 6 s | 0.39 | | perception_node died" in text
    assert "| pages \\| | 41 ms |  |  | 2.66 s |" in text
    assert "- cpu |: never" in text


def test_page_shows_what_the_servos_did(tmp_path: Path):
    done = ServoAccount(0.21, None, 0.0, 0.5).as_dict()
    follows = done | {"servos_return_s": None, "servos_follow_after_s": 1.5}
    text = page_of(summary([], [row("cpu", **done), row("pages", **follows)], clip="c"), tmp_path)
    assert "| to neutral 210 ms after the last face, wait to be enabled, at most 50 % of the speed limit |" in text
    assert "| follow after 1.5 s, at most 50 % of the speed limit |" in text
    text = page_of(summary([], [row("cpu", **done, **Watchdog("hold", 0.52).as_dict())], clip="c"), tmp_path)
    assert "watchdog of the servos after 0.52 s (host_loss: hold)" in text


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"faults": [{}], "hardware": {}}', '{"faults": 3, "hardware": {}}', "[" * 9999]
)
def test_other_files_are_a_sentence(tmp_path: Path, text: str):
    path = tmp_path / "faults.json"
    path.write_text(text)
    with pytest.raises(MediaError, match="no figures of faults"):
        kept(path)
    assert kept(tmp_path / "missing.json") == []


def test_names_of_faults():
    names = [fault.name for fault in catalogue()]
    assert len(set(names)) == len(names)
    assert [fault.name for fault in chosen(["cpu", "cpu", "pages"])] == ["cpu", "pages"]
    assert [fault.name for fault in chosen([], short=True)] == list(SHORT)
    with pytest.raises(ConfigError, match="there is no such fault"):
        chosen(["earthquake"])


def test_faults_of_a_robot_need_one():
    assert not [fault.name for fault in chosen([]) if fault.robot]
    assert [f.name for f in chosen([], robot=True) if f.robot] == [
        *("actuator-killed", "actuator-stopped-1", "actuator-stopped-5", "actuator-stopped-30"),
        *("servo-cable", "servo-board"),
    ]
    assert "servo-hot" in [f.name for f in chosen([], robot=True, bus=True)]
    with pytest.raises(ConfigError, match="needs a robot"):
        chosen(["actuator-killed"])
    with pytest.raises(ConfigError, match="servos on a bus"):
        chosen(["servo-hot"], robot=True)
