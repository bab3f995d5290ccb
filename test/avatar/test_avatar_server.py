"""The servers of the face and of a robot's preview: newest wins, many pages, pages that misbehave, files."""

import json
import re
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import aiohttp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stage import port_of, until, upgrade
from yarl import URL

from reactdiff_ros.avatar import AvatarServer
from reactdiff_ros.avatar.config import LOOKS, AvatarConfig
from reactdiff_ros.avatar.looks import PAGE
from reactdiff_ros.avatar.server import PreviewServer, load_pages
from reactdiff_ros.avatar.web import BAD_INPUT_LIMIT, INPUT_RATE_LIMIT
from reactdiff_ros.avatar.wire import ROBOT_STATES, encode_frame, encode_robot, to_json
from reactdiff_ros.coefficients import INDEX, LOWER, NAMES, UPPER
from reactdiff_ros.errors import ConfigError
from reactdiff_ros.types import ExpressionFrame, Sound, SpeakerFrame

Serve = Callable[..., Awaitable[AvatarServer]]
Page = aiohttp.ClientWebSocketResponse


def frame(number: int, values: object = 0.1, mode: Any = "listening") -> ExpressionFrame:
    """The frame of this tick, whose picture was captured half a second before."""
    now_ns, coefficients = number * 20_000_000, np.full(58, values, np.float32)
    return ExpressionFrame(now_ns, coefficients, mode, ("gaze",), now_ns - 500_000_000, None, None, None)


def told(server: AvatarServer, counter: str) -> int:
    """A counter of the status."""
    return int(server._report()["page"][counter])


@pytest.fixture
async def server(started):
    return await started(AvatarServer(AvatarConfig(port=0)))


async def binary(page: Page) -> bytes:
    while (message := await page.receive(timeout=60)).type is not aiohttp.WSMsgType.BINARY:
        assert message.type is aiohttp.WSMsgType.TEXT, message
    return bytes(message.data)


async def number(page: Page) -> int:
    """Of the next frame."""
    return int.from_bytes((await binary(page))[4:8], "little")


async def next_message(page: Page, kind: str) -> dict[str, Any]:
    """The next message of that kind; in between, nothing but the status."""
    while (message := json.loads((await page.receive(timeout=60)).data))["type"] != kind:
        assert message["type"] == "status", "nothing that was not asked for"
    return dict(message)


async def closing(page: Page) -> tuple[int | None, str]:
    while (message := await page.receive(timeout=60)).type is not aiohttp.WSMsgType.CLOSE:
        assert message.type in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT), message
    return message.data, message.extra or ""


async def values(session: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    async with session.get(url) as answer:
        return dict(await answer.json())


async def test_values_are_answered_and_nothing_but_the_page_is_served(server, session):
    for path in ("nothing.js", "../server.py", "..%2fserver.py", "%2e%2e/config.py", "__init__.py", "link.svg"):
        async with session.get(URL(server.url + path, encoded=True)) as answer:
            assert answer.status == 404, path
    api = server.url + "api/"
    assert await values(session, api + "expression") == {"fresh": False, "expression": None}
    assert "neutral" in (await values(session, api + "status"))["page"]["reason"]
    server.show(frame(3))
    server.status({"speaker": {"present": True, "pitch_hz": float("nan")}, "last_error": "the camera is gone"})
    await until(server.fresh)
    answered = await values(session, api + "expression")
    assert answered["fresh"]
    assert answered["expression"]["coefficients"]["jawOpen"] == pytest.approx(0.1)
    answered = await values(session, api + "status")
    assert answered["graph"]["speaker"] == {"present": True, "pitch_hz": None}
    assert (answered["page"]["frames"], answered["page"]["reason"]) == (1, "")
    async with session.post(api + "status", data=b"x" * 10_000) as answer:
        assert answer.status == 405


async def test_it_starts_again_after_a_stop_and_a_new_page_gets_no_stale_face(session):
    server = AvatarServer(AvatarConfig(port=0, stale_s=0.05))
    for _ in range(2):
        url = await server.start()
        assert await server.start() == url
        server.show(frame(1))
        await until(server.fresh)
        await until(lambda: not server.fresh())
        async with session.ws_connect(url + "ws") as page:
            assert "neutral" in (await next_message(page, "status"))["page"]["reason"]
            server.show(frame(2))
            assert (await binary(page))[48:] == encode_frame(frame(2), 1)[48:]
            await server.stop()
            assert await closing(page) == (1001, "The face's server stops.")
        await server.stop()
        server.show(frame(2))
        server.status({})
    with pytest.raises(aiohttp.ClientConnectorError):
        await session.get(url)


async def test_fifty_pages_and_no_more(server, session):
    async with AsyncExitStack() as stack:
        pages = [await stack.enter_async_context(session.ws_connect(server.url + "ws")) for _ in range(50)]
        await until(lambda: server.clients == 50)
        code, reason = await closing(await stack.enter_async_context(session.ws_connect(server.url + "ws")))
        assert (code, "50 places are taken" in reason, told(server, "clients_refused")) == (1013, True, 1)
        server.show(frame(1))
        assert [await number(page) for page in pages] == [1] * 50


async def test_a_page_that_does_not_read_holds_up_nobody(server, session):
    sleeper = socket.socket()
    sleeper.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sleeper.connect(("127.0.0.1", port_of(server.url)))
    sleeper.sendall(upgrade("ws"))
    async with session.ws_connect(server.url + "ws") as page:
        await until(lambda: server.clients == 2)
        for n in range(1, 1001):
            server.show(frame(n))
            assert await number(page) == n
        assert server.dropped > 500  # the sleeper's: at most some hundred wait for it
    sleeper.close()


MALFORMED = ("{", '{"fps":5,"voice":1}', '{"fps":true}', '{"fps":NaN}', "[" * 3000, b"\xff\0")
MISBEHAVE = {str(sent)[:12]: ([sent] * BAD_INPUT_LIMIT, 1008, BAD_INPUT_LIMIT) for sent in MALFORMED}
MISBEHAVE |= {"too many": (['{"fps":60}'] * (INPUT_RATE_LIMIT + 1), 1008, 0), "too large": (["x" * 1_000_000], 1009, 0)}


@pytest.mark.parametrize(("sent", "code", "bad"), MISBEHAVE.values(), ids=MISBEHAVE)
async def test_pages_that_misbehave_are_closed_and_others_are_served(server, session, sent, code, bad):
    async with session.ws_connect(server.url + "ws") as page:
        for message in sent:
            await (page.send_bytes(message) if isinstance(message, bytes) else page.send_str(message))
        assert (await closing(page))[0] == code
    await until(lambda: told(server, "bad_inputs") == bad)
    async with session.get(server.url, headers={"X-Big": "x" * 100_000}) as answer:
        assert answer.status == 400
    async with session.ws_connect(server.url + "ws") as page:
        server.show(frame(1))
        await binary(page)


async def test_voice_candidates_and_what_is_seen_go_to_the_pages_that_ask_for_them(server, session):
    quarter, place = np.full(58, 0.25, np.float32), np.array([0.1, np.nan, 0.6], np.float32)
    seen = SpeakerFrame(1, 1, None, 0, True, True, quarter, quarter, 1.0, None, place, None, None)
    async with session.ws_connect(server.url + "ws") as asks, session.ws_connect(server.url + "ws") as other:
        await asks.send_str('{"fps":60,"candidates":true,"seen":true,"voice":true}')
        await other.send_str('{"fps":60,"candidates":false}')
        await until(lambda: all(server.wanted(what) for what in ("candidates", "seen", "voice")))
        pieces = [np.full((160, 2), i, np.int16) for i in range(60)]
        for i, samples in enumerate(pieces):
            server.voice(Sound(i * 10_000_000, 16000, samples))
        for i, samples in enumerate(pieces):
            assert await binary(asks) == struct.pack("<BBHId", 3, 2, 0, 16000, i / 100) + samples.tobytes()
        server.candidates(np.full((3, 16, 58), np.nan, np.float32), 1, 25.0)
        plan = await next_message(asks, "candidates")
        assert (plan["chosen"], len(plan["nod"]), len(plan["smile"][0])) == (1, 3, 16)
        server.seen(seen)
        known = await next_message(asks, "seen")
        assert (known["face"], known["place"][1]) == ([0.25] * 58, None)
        server.status({"speaker": {}})
        while "speaker" not in (await next_message(other, "status"))["graph"]:
            pass
    await until(lambda: not (server.wanted("candidates") or server.wanted("voice")))


async def test_the_preview_gives_the_robot_and_its_newest_tick_and_moves_none(started, session):
    asked: list[dict[str, Any]] = []
    server = PreviewServer(lambda report: bool(asked.append(report)), AvatarConfig(port=0))
    server.describe({"name": "ohbot"})
    await started(server)
    server.show(b"first")
    async with session.ws_connect(server.url + "ws") as page:
        got = {(await page.receive(timeout=60)).data for _ in range(2)}
        assert got == {b"first", '{"type":"robot","name":"ohbot"}'}
        server.show(b"second")
        assert await binary(page) == b"second"
        for _ in range(BAD_INPUT_LIMIT):
            await page.send_str('{"fps": 60, "arm": true}')
        assert "mean nothing here" in (await closing(page))[1]
    assert asked == [{"fps": 60, "arm": True}] * BAD_INPUT_LIMIT
    for command in ("arm", "stop"):
        async with session.post(server.url + f"api/robot/{command}", json={}) as answer:
            assert answer.status in (404, 405)


# ---- what is sent and served


def test_a_frame_is_280_bytes_with_its_stamps_and_coefficients():
    values = np.zeros(58, np.float32)
    values[INDEX["jawOpen"]] = 0.25
    message = encode_frame(frame(100, values, "idle"), 2**32 + 7)
    assert len(message) == 280
    version, mode, _, number, stamp, picture, sound, plan, _ = struct.unpack_from("<BBHI5d", message)
    assert (version, mode, number, stamp, picture) == (1, 1, 7, 2.0, 1.5)
    assert np.isnan([sound, plan]).all()
    np.testing.assert_array_equal(np.frombuffer(message, "<f4", offset=48), values)
    whole = frame(100)
    for bad in ({"coefficients": values[:57]}, {"coefficients": values[:, None]}, {"mode": "angry"}):
        with pytest.raises(ValueError, match="expression"):
            encode_frame(replace(whole, **bad), 1)


def test_a_tick_of_a_robot():
    values = np.zeros(58, np.float32)
    values[INDEX["jawOpen"]] = 7.0
    message = encode_robot("returning", 3, 12.5, 0.25, values, [1.0, 2.0], [3.0, 4.0], [True, False])
    assert len(message) == 256 + 9 * 2
    assert struct.unpack_from("<BBHIdfI", message) == (2, ROBOT_STATES.index("returning"), 2, 3, 12.5, 0.25, 0)
    assert np.frombuffer(message, "<f4", 58, 24)[INDEX["jawOpen"]] == 1.0, "bounded"
    assert np.frombuffer(message, "<f4", 4, 256).tolist() == [1.0, 2.0, 3.0, 4.0]
    assert message[-2:] == b"\x01\x00"


@given(st.lists(st.floats(width=32), min_size=58, max_size=58))
def test_what_reaches_the_page_is_finite_and_bounded(numbers):
    sent = np.frombuffer(encode_frame(frame(100, np.array(numbers, np.float32)), 1), "<f4", offset=48)
    assert ((sent >= LOWER) & (sent <= UPPER)).all()


WILD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.integers() | st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(WILD)
def test_any_status_becomes_strict_json(value):
    json.loads(to_json(value), parse_constant=lambda name: pytest.fail(f"{name} in JSON"))


@pytest.mark.parametrize(
    ("file", "name", "ours"),
    [("rig.js", "NAMES", NAMES), ("looks.js", "LOOKS", LOOKS), ("robot/tick.js", "STATES", ROBOT_STATES)],
)
def test_the_page_knows_the_same_names(file, name, ours):
    listed = re.search(rf"{name} = \[(.*?)\];", (PAGE / file).read_text(), re.DOTALL)
    assert tuple(re.findall(r'"(\w+)"', listed[1])) == ours


@pytest.mark.parametrize(("server", "script"), [(AvatarServer, b'src="main.js"'), (PreviewServer, b'src="robot.js"')])
def test_the_page_is_found_and_needs_nothing_from_outside(server, script):
    pages = load_pages("night", server.folders)
    assert b'data-look="night"' in pages["index.html"]
    assert script in pages["index.html"]
    for name, page in pages.items():
        assert set(re.findall(rb"https?://[^\s\"']+", page)) <= {b"http://www.w3.org/2000/svg"}, name


@pytest.mark.parametrize("bad", [
    {"host": "http://x"}, {"host": "robot..lab"}, {"host": "x" * 64 + ".lab"}, {"port": 65536}, {"port_tries": 0},
    {"look": 'x"><script>'}, {"max_clients": 0}, {"stale_s": float("nan")}, {"extra_hosts": ("a b",)},
])  # fmt: skip
def test_a_bad_setting_is_one_sentence(bad):
    with pytest.raises(ConfigError, match="screen face"):
        AvatarConfig(**bad)  # type: ignore[arg-type]


def test_the_face_is_neutral_half_a_second_after_its_input_died():
    """With slack for a picture of the page, and for the server's timers."""
    stale_s = AvatarConfig().stale_s
    assert 0.3 <= stale_s <= 0.5 - 0.1
    before_the_server_says_it = re.search(r"this\.staleMs = (\d+);", (PAGE / "link.js").read_text())
    assert int(before_the_server_says_it[1]) == round(stale_s * 1000)
