"""Arguments, tokens and links of `reactdiff listen`. Nothing is started."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest

from reactdiff_ros.avatar import AvatarConfig, AvatarServer
from reactdiff_ros.avatar.access import LINK_VARIABLE
from reactdiff_ros.avatar.arming import TOKEN_VARIABLE
from reactdiff_ros.cli.bag import _domain_without_listener
from reactdiff_ros.cli.listen import _announce, _say_port, page_links, read_assignments
from reactdiff_ros.cli.main import main
from reactdiff_ros.errors import ConfigError
from reactdiff_ros.launching.live_graph import Claim, LiveGraph, LiveOptions, page_answers, wanted_nodes


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
