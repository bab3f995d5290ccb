"""How the nodes of the table are started, and what a user is told of them. No ROS is needed here."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from cli_domain import free_domain

from reactdiff_ros.errors import ConfigError, ReactdiffError
from reactdiff_ros.launching import live_graph
from reactdiff_ros.launching.configuration import effective, lab_settings
from reactdiff_ros.launching.live_graph import (
    Claim,
    LiveGraph,
    LiveOptions,
    NodeReport,
    graph_environment,
    node_command,
    wanted_nodes,
)
from reactdiff_ros.launching.table import LONGEST_NAMESPACE, load_table
from reactdiff_ros.recordings.replay.parameters import settings_as_live

DOMAIN = free_domain()


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A prefix with a fake program for every node: it sleeps."""
    folder = tmp_path / "prefix" / "lib" / "reactdiff_ros"
    folder.mkdir(parents=True)
    for node in load_table().nodes:
        (folder / node.name).write_text("#!/bin/sh\necho face at http://127.0.0.1:1/\nexec sleep 600\n")
        (folder / node.name).chmod(0o755)
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"/nowhere:{tmp_path / 'prefix'}")
    return folder


def parameters(command: live_graph.NodeCommand) -> dict[str, object]:
    file = Path(command.command[-1])
    (entry,) = yaml.safe_load(file.read_text()).values()
    return dict(entry["ros__parameters"])


def test_what_was_given_reaches_the_nodes_that_have_it(installed: Path, tmp_path: Path) -> None:
    options = LiveOptions(arguments={"camera": "0", "policy": "rules"}, parameters={"seed": 7}, namespace="/a/b")
    table = load_table()
    camera = node_command(table.node("camera_node"), options, tmp_path)
    assert camera.command[:4] == (str(installed / "camera_node"), "--ros-args", "-r", "__ns:=/a/b")
    assert parameters(camera) == {"device": "0"}  # a text, also where YAML would read a number
    assert parameters(node_command(table.node("reaction_node"), options, tmp_path)) == {"policy": "rules", "seed": 7}
    perception = node_command(table.node("perception_node"), options, tmp_path)
    assert not (tmp_path / "perception_node.yaml").exists()
    assert "robot.yaml" in perception.command[-1]


def test_the_users_file_is_weaker_than_the_command_line(installed: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("reaction_node: {ros__parameters: {policy: mime}}")
    options = LiveOptions(arguments={"policy": "rules"}, params_file=file)
    command = node_command(load_table().node("reaction_node"), options, tmp_path).command
    files = [command[i + 1] for i, word in enumerate(command) if word == "--params-file"]
    assert [Path(name).name for name in files] == ["robot.yaml", "mine.yaml", "reaction_node.yaml"]
    none = replace(options, arguments={"robot": "none", "avatar": "none"}, params_file=None)
    assert "--params-file" not in node_command(load_table().node("reaction_node"), none, tmp_path).command


@pytest.mark.parametrize(("avatar", "flat"), [("soft", True), ("none", False)])
def test_without_a_robot_the_face_is_flat_where_a_page_shows_it(
    installed: Path, tmp_path: Path, avatar: str, flat: bool
) -> None:
    """Else the page would have the gaze of a physical head, which looks over people's heads."""
    given = {"robot": "none", "avatar": avatar}
    command = node_command(load_table().node("expression_node"), LiveOptions(arguments=given), tmp_path)
    assert ("robot.yaml" in command.command[-1]) == flat
    if flat:
        assert parameters(command) == {"flat_face": True}
    assert effective(given, lab_settings(given)).parameters["expression_node"]["flat_face"].value is flat
    assert settings_as_live(robot="none")[0].expression.flat_face, "as in a replay"


def test_wrong_options_are_sentences(tmp_path: Path) -> None:
    for wrong in (
        {"parameters": {"seed": -1}},
        {"parameters": {"nonsense": 1}},
        {"namespace": "robot1"},
        {"namespace": "/9"},
        {"namespace": "/" + "a" * LONGEST_NAMESPACE},
        {"params_file": tmp_path},
    ):
        with pytest.raises(ConfigError):
            LiveOptions(**wrong)
    for arguments in ({"policy": "clairvoyant"}, {"robot": "nobody's"}):
        with pytest.raises(ConfigError):
            wanted_nodes(LiveOptions(arguments=arguments))


def test_discovery_stays_on_this_machine_unless_told_otherwise() -> None:
    base = {"ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET", "PATH": "/bin"}
    local = graph_environment(LiveOptions(), base)
    assert local["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"
    assert local["PATH"] == "/bin"
    assert "ROS_LOCALHOST_ONLY" not in local
    assert graph_environment(LiveOptions(lan=True), base)["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "SUBNET"
    humble = {**base, "ROS_DISTRO": "humble"}
    assert graph_environment(LiveOptions(), humble)["ROS_LOCALHOST_ONLY"] == "1"
    assert graph_environment(LiveOptions(lan=True), humble)["ROS_LOCALHOST_ONLY"] == "0"
    assert graph_environment(LiveOptions(domain=5), base)["ROS_DOMAIN_ID"] == "5"


def test_one_listener_in_a_namespace_of_a_domain() -> None:
    Claim(232, "/" + "a" * (LONGEST_NAMESPACE - 1)).release()
    claim = Claim(DOMAIN, "/claimed")
    with pytest.raises(ReactdiffError, match=rf"already runs \(process {os.getpid()}\)"):
        Claim(DOMAIN, "/claimed")
    Claim(DOMAIN, "/other").release()
    Claim(DOMAIN + 1, "/claimed").release()
    claim.release()
    Claim(DOMAIN, "/claimed").release()


@pytest.fixture
def graph(installed: Path, tmp_path: Path) -> Iterator[tuple[LiveGraph, list[str]]]:
    said: list[str] = []
    options = LiveOptions(arguments={"clip": "x.mp4"}, namespace="/said", domain=DOMAIN)
    with LiveGraph(options, said.append, tmp_path / "log") as made:
        made.start(wanted_nodes(options))
        yield made, said


def test_errors_are_said_once_and_their_end_too(graph: tuple[LiveGraph, list[str]]) -> None:
    made, said = graph
    bad = NodeReport("clip_node", 2, "the clip is broken")
    for report in (bad, bad, NodeReport("clip_node", 2, "the clip is missing"), NodeReport("clip_node", 0, "plays")):
        made.hear(report)
    made.hear(NodeReport("clip_node", 1, "no sound"))
    made.hear(NodeReport("somebody_elses_node", 2, "broken"))
    assert said == ["clip_node: the clip is broken", "clip_node works again: plays"]


def test_a_warning_that_lasts_is_said_by_the_first_node_that_has_it(
    graph: tuple[LiveGraph, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, said = graph
    now = [100.0]
    monkeypatch.setattr(live_graph.time, "monotonic", lambda: now[0])

    def hear(seconds: int, **levels: int) -> None:
        for _ in range(seconds):
            now[0] += 1.0
            for name in ("clip_node", "perception_node", "reaction_node"):
                made.hear(NodeReport(name, levels.get(name[:4], 0), f"{name} at {now[0]:g}"))

    hear(3, clip=1, perc=1)  # it passes by itself
    hear(3)
    assert said == []
    hear(20, clip=1, perc=1, reac=1)
    assert [line.split(":")[0] for line in said] == ["clip_node"], "once, and not by those that suffer from it"
    hear(3)
    hear(6, clip=1)
    assert len(said) == 1, "it comes and goes"
    hear(2, perc=1)
    hear(9)
    assert [line.split(":")[0] for line in said[1:]] == ["clip_node works again"]
    hear(8, perc=1)
    assert said[2].startswith("perception_node: ")


def test_active_is_when_all_have_said_so(graph: tuple[LiveGraph, list[str]]) -> None:
    made, _ = graph
    names = list(made.supervisor.pids())
    assert not made.active()
    for name in names:
        made.hear(NodeReport(name, 0, "works", {"state": "active"}))
    assert made.active()
    os.kill(made.supervisor.pids()[names[1]], signal.SIGKILL)
    for _ in range(100):
        made.step(0.02)
        if names[1] not in made.supervisor.pids():
            break
    assert not made.active()  # also while it waits to be started again
    made.hear(NodeReport(names[0], 1, "configured", {"state": "inactive"}))
    assert not made.active()
