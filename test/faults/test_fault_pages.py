"""Open pages: who shows a face, who is not let in, who is reloaded."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from reactdiff_ros.evaluation.faults.pages import FACE_S, Pages

pytest.importorskip("aiohttp")


@pytest.fixture
def serve():
    """Starts a server whose websocket does what it is told: faces, words or a refusal; gives its address."""
    from aiohttp import web

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    opened, runners = [], []

    def start(says: str) -> str:
        async def socket(request: web.Request) -> web.WebSocketResponse:
            opened.append(time.monotonic())
            answer = web.WebSocketResponse()
            await answer.prepare(request)
            if says == "refusal":
                await answer.close()
                return answer
            while not answer.closed:
                await (answer.send_bytes(b"face") if says == "faces" else answer.send_str("word"))
                await asyncio.sleep(0.02)
            return answer

        async def run() -> str:
            app = web.Application()
            app.router.add_get("/ws", socket)
            runner = web.AppRunner(app, shutdown_timeout=0.1)
            runners.append(runner)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            return f"http://127.0.0.1:{runner.addresses[0][1]}/"

        return asyncio.run_coroutine_threadsafe(run(), loop).result(10.0)

    start.opened = opened
    yield start
    for runner in runners:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10.0)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5.0)
    loop.close()


def until(condition) -> None:
    end_s = time.monotonic() + 60.0
    while not condition() and time.monotonic() < end_s:
        threading.Event().wait(0.02)
    assert condition()


def test_pages_that_show_faces_are_well(serve):
    pages = Pages(serve("faces"), 20)
    until(lambda: len(serve.opened) == 20)
    assert pages.close() == []


def test_pages_are_reloaded(serve):
    pages = Pages(serve("faces"), 1, reload_s=0.2)
    until(lambda: len(serve.opened) >= 3)
    assert pages.close() == []
    assert min(b - a for a, b in zip(serve.opened, serve.opened[1:], strict=False)) > 0.15


def test_pages_without_a_face_are_said(serve):
    pages = Pages(serve("words"), 2, reload_s=FACE_S + 0.1)
    until(lambda: len(serve.opened) >= 4)
    (found,) = pages.close()
    assert "showed no face" in found


def test_pages_that_are_not_let_in_are_said(serve):
    pages = Pages(serve("refusal"), 2)
    until(lambda: len(serve.opened) >= 3)  # one asks again after it has counted its refusal
    (found,) = pages.close()
    assert "not let in" in found


def test_a_page_that_is_not_there_is_said():
    (found,) = Pages("http://127.0.0.1:9/", 1).close()
    assert "not let in" in found
