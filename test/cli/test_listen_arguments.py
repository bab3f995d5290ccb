"""Arguments of the launch file on the command line: recording, simulated time. Nothing is started."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest

from reactdiff_ros.cli.bag import _domain_without_listener
from reactdiff_ros.cli.listen import _wanted_port, choose_source, read_assignments
from reactdiff_ros.cli.main import main
from reactdiff_ros.launching.live_graph import Claim, LiveOptions, wanted_nodes
from reactdiff_ros.styles import Style, apply_control
from reactdiff_ros.types import ListenerControl


def names(**arguments: str) -> set[str]:
    return {node.name for node in wanted_nodes(LiveOptions(arguments=arguments))}


def test_the_recorder_runs_only_when_it_is_asked_for() -> None:
    assert "recorder_node" not in names()
    assert "recorder_node" not in names(record="false")
    assert "recorder_node" in names(record="true")


def test_under_simulated_time_the_devices_of_the_defaults_stay_closed() -> None:
    assert not {"camera_node", "microphone_node"} & names(use_sim_time="true")
    assert "camera_node" in names(use_sim_time="true", camera="/dev/video2")
    assert {"camera_node", "microphone_node"} <= names()


def test_assignments_are_read_as_by_the_launch_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    given = read_assignments(("record:=true", "consent:=form 12: yes", "record_to:=study/p07"))
    assert given == {"record": "true", "consent": "form 12: yes", "record_to": str(tmp_path / "study/p07")}


@pytest.mark.parametrize("word", ["record", "record=true", ":=true", "namespace:=robot1", "params_file:=x.yaml"])
def test_what_is_no_assignment_is_refused(word: str) -> None:
    with pytest.raises(click.UsageError):
        read_assignments((word,))


@pytest.mark.parametrize("word", ["record:=maybe", "colour:=red"])
def test_unknown_arguments_and_values_are_usage_errors(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["listen", word]) == 2
    assert word.partition(":=")[0] in capsys.readouterr().err


def test_a_listener_that_waits_for_a_bag_says_so() -> None:
    assert "bag" in choose_source("none", "none", None).sentence


def test_names_of_styles_are_found_in_any_case() -> None:
    styles = {"david": Style(attitude=0.5), "warm": Style()}
    assert apply_control(Style(), ListenerControl(style="DAVID"), styles) == styles["david"]


@pytest.mark.parametrize(
    ("parameters", "settings", "port"),
    [({}, {}, 8765), ({"port": 9000}, {}, 9000), ({}, {"/**/avatar_node": {"ros__parameters": {"port": 9001}}}, 9001)],
)
def test_the_port_that_is_wanted_is_known(parameters: dict[str, Any], settings: dict[str, Any], port: int) -> None:
    assert _wanted_port(LiveOptions(parameters=parameters, settings=settings)) == port


def test_a_recording_without_a_listener_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("REACTDIFF_HOME_DIR", str(tmp_path))
    monkeypatch.setenv("ROS_DOMAIN_ID", "97")
    assert _domain_without_listener("robot1") == 97
    running = Claim(97, "/robot1")
    assert _domain_without_listener("robot1") is None
    running.release()


def test_a_mark_needs_words() -> None:
    assert main(["bag", "mark", " "]) == 2


def test_a_recording_never_goes_over_something_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("rosbags")
    assert main(["bag", "record", "-o", str(tmp_path)]) == 1
    assert "already" in capsys.readouterr().err
