"""What `reactdiff listen` prints when the page answers: the address, and with a robot the token that arms it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from reactdiff_ros.avatar.access import LINK_VARIABLE
from reactdiff_ros.avatar.arming import TOKEN_VARIABLE
from reactdiff_ros.cli.listen import _announce
from reactdiff_ros.cli.main import main
from reactdiff_ros.errors import ConfigError
from reactdiff_ros.launching.live_graph import LiveGraph, LiveOptions

URL = "http://127.0.0.1:8765/"


def graph() -> Any:
    supervisor = SimpleNamespace(pids=lambda: {"avatar_node": 5})
    return SimpleNamespace(url=URL, page_token="abcde-fghjk-mnp23", supervisor=supervisor)


@pytest.mark.parametrize("robot", [True, False])
def test_the_token_is_printed_with_a_robot_only(robot: bool, capsys: pytest.CaptureFixture[str]) -> None:
    _announce(graph(), as_json=False, robot=robot)
    out = capsys.readouterr().out
    assert URL in out
    assert ("abcde-fghjk-mnp23" in out) is robot
    _announce(graph(), as_json=True, robot=robot)
    told = json.loads(capsys.readouterr().out)
    assert (told["url"], told.get("page_token")) == (URL, "abcde-fghjk-mnp23" if robot else None)


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
