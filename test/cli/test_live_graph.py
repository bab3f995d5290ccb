"""How `reactdiff listen` reads its arguments, how the nodes of the table are started, and what a user is told of them.

Nothing but small fake programs is started.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest
import yaml
from cli_domain import free_domain

from reactdiff_ros.avatar import AvatarConfig, AvatarServer
from reactdiff_ros.avatar.access import LINK_VARIABLE
from reactdiff_ros.avatar.arming import TOKEN_VARIABLE
from reactdiff_ros.cli.bag import _domain_without_listener
from reactdiff_ros.cli.listen import _announce, _say_port, page_links, read_assignments
from reactdiff_ros.cli.main import main
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
    page_answers,
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
        {"parameters": {"seed": -1}}, {"parameters": {"nonsense": 1}}, {"namespace": "robot1"}, {"namespace": "/9"},
        {"namespace": "/" + "a" * LONGEST_NAMESPACE}, {"params_file": tmp_path},
    ):  # fmt: skip
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


def names(**arguments: str) -> set[str]:
    return {node.name for node in wanted_nodes(LiveOptions(arguments=arguments))}


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


def test_a_recording_without_a_listener_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("REACTDIFF_HOME_DIR", str(tmp_path))
    monkeypatch.setenv("ROS_DOMAIN_ID", "97")
    assert _domain_without_listener("robot1") == 97
    running = Claim(97, "/robot1")
    assert _domain_without_listener("robot1") is None
    running.release()


def test_the_pages_node_is_given_the_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    options = LiveOptions(namespace="/token_test")
    with LiveGraph(options, print, tmp_path / "one") as one:
        assert one.supervisor.environment[TOKEN_VARIABLE] == one.page_token
        assert len(one.page_token) == 17
    with LiveGraph(options, print, tmp_path / "two") as two:
        assert two.page_token != one.page_token


@pytest.mark.parametrize("variable", [TOKEN_VARIABLE, LINK_VARIABLE])
def test_a_given_token_that_could_be_guessed_is_refused(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before, `REACTDIFF_PAGE_TOKEN=1` armed the robot."""
    monkeypatch.setenv(variable, "1")
    with pytest.raises(ConfigError, match=f"{variable}.*16 to 128"):
        LiveGraph(LiveOptions(namespace="/token_test"), print, tmp_path / "log")
    assert main(["listen", "--namespace", "/token_test"]) == 2, "as for every wrong setting: systemd does not try again"
    assert variable in capsys.readouterr().err
    monkeypatch.setenv(variable, f" {'a1' * 8} ")
    with LiveGraph(LiveOptions(namespace="/token_test"), print, tmp_path / "log") as graph:
        assert "a1" * 8 in (graph.page_token, graph.link_token)


def test_the_secrets_stay_out_of_this_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph_watch = pytest.importorskip("reactdiff_ros.nodes.graph_watch", reason="no rclpy")
    monkeypatch.setattr(graph_watch, "GraphWatch", lambda *_: SimpleNamespace(close=lambda: None))
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    monkeypatch.delenv(LINK_VARIABLE, raising=False)
    monkeypatch.setattr(os, "environ", os.environ.copy())
    with LiveGraph(LiveOptions(namespace="/token_test", domain=97), print, tmp_path / "log") as one:
        graph_watch.watch_graph(one)
        assert os.environ["ROS_DOMAIN_ID"] == "97"
        assert not {TOKEN_VARIABLE, LINK_VARIABLE} & set(os.environ)


TOKEN = "a-token_of-22-letters0"


@pytest.mark.parametrize("wanted", [8765, 8767, 0, None])
def test_a_port_in_use_is_said_with_the_one_that_is_used(
    wanted: int | None, capsys: pytest.CaptureFixture[str]
) -> None:
    _say_port(wanted, "http://127.0.0.1:8767/")
    said = "reactdiff: port 8765 is in use: the page is on port 8767\n" if wanted == 8765 else ""
    assert capsys.readouterr().err == said


@pytest.fixture(params=["127.0.0.1", "0.0.0.0", "https"])
def page(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    https = request.param == "https"
    host = "0.0.0.0" if https else request.param
    server = AvatarServer(AvatarConfig(port=0, host=host, https=https, state_dir=str(tmp_path)), link_token=TOKEN)
    url = asyncio.run_coroutine_threadsafe(server.start(), loop).result(10)
    supervisor = SimpleNamespace(pids=dict)
    facts = {"page_token": "abcde-fghjk-mnp23", "supervisor": supervisor, "trust": server.trust}
    yield SimpleNamespace(url=url, link_token=TOKEN, **facts), request.param
    asyncio.run_coroutine_threadsafe(server.stop(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_a_page_of_this_machine_has_an_address_and_one_beyond_it_links(
    page: tuple[Any, str], capsys: pytest.CaptureFixture[str]
) -> None:
    graph, host = page
    assert page_answers(graph.url)
    found = page_links(graph)
    if host == "127.0.0.1":
        assert found == [graph.url]
    else:
        assert all(link.endswith(f"/?token={TOKEN}") for link in found)
    _announce(graph, as_json=False, nodes={"browser_node"}, pids={})
    out = capsys.readouterr().out
    assert found[0] in out
    assert (TOKEN in out) is (host != "127.0.0.1")
    assert found[0].startswith("https://" if host == "https" else "http://")
    assert ("The operator's token, to end a visit" in out) is (host != "127.0.0.1")
    assert ("SHA-256" in out) is (graph.trust[1] != "") is (host == "https")
    _announce(graph, as_json=True, nodes=set(), pids={})
    report = json.loads(capsys.readouterr().out)
    assert report["url"] == found[0]
    assert ("trust" in report) is (host == "https")
