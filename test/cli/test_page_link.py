"""What the terminal shows of a page beyond this machine."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from reactdiff_ros.avatar import AvatarConfig, AvatarServer
from reactdiff_ros.avatar.access import LINK_VARIABLE
from reactdiff_ros.cli.listen import _announce, page_links, qr_code
from reactdiff_ros.launching.live_graph import _URL, LiveGraph, LiveOptions, page_answers

TOKEN = "a-token_of-22-letters0"


class Terminal(StringIO):
    """A screen."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


class Old(Terminal):
    """One that knows no block characters."""

    encoding = "ascii"


@pytest.fixture(params=["127.0.0.1", "0.0.0.0"])
def page(request: pytest.FixtureRequest) -> Iterator[Any]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = AvatarServer(AvatarConfig(port=0, host=request.param), link_token=TOKEN)
    url = asyncio.run_coroutine_threadsafe(server.start(), loop).result(10)
    supervisor = SimpleNamespace(pids=dict)
    yield (
        SimpleNamespace(url=url, link_token=TOKEN, page_token="abcde-fghjk-mnp23", supervisor=supervisor),
        request.param,
    )
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
    _announce(graph, as_json=False, robot=False)
    out = capsys.readouterr().out
    assert found[0] in out
    assert (TOKEN in out) is (host != "127.0.0.1")
    _announce(graph, as_json=True, robot=False)
    assert f'"{found[0]}"' in capsys.readouterr().out


def test_the_link_as_a_picture_is_for_terminals_that_can_show_it() -> None:
    link = f"http://192.168.1.5:8765/?token={TOKEN}"
    picture = qr_code(link, Terminal())
    lines = picture.splitlines()
    assert len(lines) > 15
    assert {"█", "▀", "▄"} <= set(picture)
    assert max(map(len, lines)) < 80
    assert qr_code(link, Terminal()) == picture
    assert qr_code(link + "x", Terminal()) != picture
    assert qr_code(link, StringIO()) == qr_code(link, Old()) == ""


def test_without_the_library_the_link_alone_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "segno", None)
    assert qr_code("http://192.168.1.5:8765/", Terminal()) == ""


def test_the_pages_node_is_given_the_links_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(LINK_VARIABLE, raising=False)
    with LiveGraph(LiveOptions(namespace="/link_test"), print, tmp_path / "one") as graph:
        assert graph.supervisor.environment[LINK_VARIABLE] == graph.link_token
        assert graph.link_token != graph.page_token
    monkeypatch.setenv(LINK_VARIABLE, TOKEN)
    with LiveGraph(LiveOptions(namespace="/link_test"), print, tmp_path / "two") as graph:
        assert graph.link_token == TOKEN


@pytest.mark.parametrize("url", ["http://127.0.0.1:8765/", "http://[::1]:8765/", "http://robot-1.lab:80/"])
def test_every_kind_of_address_is_found_in_a_log(url: str) -> None:
    assert _URL.findall(f"[INFO] face at {url}\n") == [url]
