"""Calibrations: lerobot's JSON shape, files that are wrong, and files that are never lost."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reactdiff_ros.actuation.calibration import (
    Calibration,
    CalibrationError,
    calibrated_joints,
    calibration_path,
    load_calibration,
    save_calibration,
)
from reactdiff_ros.actuation.profile import load_profile
from reactdiff_ros.errors import ReactdiffError

JAW = Calibration(3, 1, -77, 1200, 2900)


def test_what_was_saved_is_read_back_and_has_lerobots_shape(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "robot.json"
    assert save_calibration(path, {"jaw": JAW}) is None
    assert load_calibration(path) == {"jaw": JAW}
    assert json.loads(path.read_text()) == {
        "jaw": {"id": 3, "drive_mode": 1, "homing_offset": -77, "range_min": 1200, "range_max": 2900}
    }


def test_no_file_is_no_calibration(tmp_path: Path) -> None:
    assert load_calibration(tmp_path / "none.json") == {}


def test_old_files_are_kept_each_under_its_own_name(tmp_path: Path) -> None:
    path = tmp_path / "robot.json"
    path.write_text("the first")
    first = save_calibration(path, {"jaw": JAW})
    second = save_calibration(path, {})
    assert first is not None
    assert second is not None
    assert first.read_text() == "the first"
    assert load_calibration(second) == {"jaw": JAW}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["robot.json", "robot.json.1.bak", "robot.json.2.bak"]


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "robot.json"
    save_calibration(path, {"jaw": JAW})

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ReactdiffError, match="No space left"):
        save_calibration(path, {})
    assert load_calibration(path) == {"jaw": JAW}
    assert [p.name for p in tmp_path.iterdir()] == ["robot.json"]


def test_a_file_system_without_links_is_backed_up_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    path = tmp_path / "robot.json"
    path.write_text("old")
    backup = save_calibration(path, {"jaw": JAW})
    assert backup is not None
    assert backup.read_text() == "old"


GOOD = asdict(JAW)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "not plain JSON"),
        ("{", "not plain JSON"),
        ("[" * 100_000, "not plain JSON"),
        ("\udcff", "not plain JSON"),
        ("[]", "no joints"),
        (f'{{"jaw": {json.dumps(GOOD)}, "jaw": {json.dumps(GOOD)}}}', "'jaw' is given twice"),
        ('{"jaw": 3}', "no calibration of a joint"),
        (json.dumps({"jaw": {k: v for k, v in GOOD.items() if k != "id"}}), "id is missing"),
        (json.dumps({"jaw": {**GOOD, "range_min": 1.5}}), "not a whole number"),
        (json.dumps({"jaw": {**GOOD, "range_min": True}}), "not a whole number"),
        (json.dumps({"jaw": {**GOOD, "range_max": None}}), "not a whole number"),
        (json.dumps({"jaw": {**GOOD, "range_max": 10**30}}), "not a whole number"),
        (json.dumps({"jaw": {**GOOD, "homing_offset": float("nan")}}), "not a whole number"),
        (json.dumps({"jaw": {**GOOD, "drive_mode": 2}}), "neither 0 nor 1"),
        (json.dumps({"jaw": {**GOOD, "range_min": 2900}}), "reversed"),
        (json.dumps({"jaw": {**GOOD, "range_min": 3900}}), "reversed"),
        ("#" * 1_100_000, "larger"),
    ],
)
def test_what_is_no_calibration_is_one_sentence_with_its_place(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "robot.json"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(CalibrationError) as caught:
        load_calibration(path)
    sentence = str(caught.value)
    assert words in sentence
    assert str(path) in sentence
    assert "\n" not in sentence


def test_a_folder_is_no_calibration(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match="cannot be read"):
        load_calibration(tmp_path)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 240), st.integers(0, 30), st.binary(max_size=5))
def test_no_damage_crashes_the_reader(
    tmp_path_factory: pytest.TempPathFactory, at: int, cut: int, piece: bytes
) -> None:
    path = tmp_path_factory.mktemp("c") / "robot.json"
    save_calibration(path, {"jaw": JAW, "neck": Calibration(4, 0, 0, 0, 4095)})
    text = path.read_bytes()
    path.write_bytes(text[:at] + piece + text[at + cut :])
    sentence = ""
    try:
        load_calibration(path)
    except CalibrationError as error:
        sentence = str(error)
    assert "\n" not in sentence


def test_where_it_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert calibration_path("ohbot") == tmp_path / "reactdiff_ros" / "calibration" / "ohbot.json"


def test_which_joints_need_one() -> None:
    assert len(calibrated_joints(load_profile("generic_12servo"))) == 12
    assert len(calibrated_joints(load_profile("ohbot"))) == 8
    for robot in ("screen", "reachy_mini", "furhat", "ros2_control"):
        assert calibrated_joints(load_profile(robot)) == ()
