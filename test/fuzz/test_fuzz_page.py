"""Whatever comes over the network to the page: it answers as before, and gives out nothing but its own files."""

import asyncio
import contextlib

import aiohttp
from fuzz_tools import examples
from hypothesis import given
from hypothesis import strategies as st

from reactdiff_ros.avatar import AvatarConfig, AvatarServer
from reactdiff_ros.avatar.access import Guard, host_name
from reactdiff_ros.avatar.arming import RobotConsole
from reactdiff_ros.avatar.server import load_pages

pieces = st.one_of(
    st.sampled_from(
        ["..", "%2e%2e", "%2f", "/", "\\", "//", "%00", "etc/passwd", "server.py", "index.html", "ws", "api/status",
         "?", "#", "~", ".git", "%c0%ae", "\x7f", "é"]
    ),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=8),
)  # fmt: skip
lines = st.one_of(
    st.binary(max_size=120),
    st.builds(str.join, st.sampled_from(["/", ""]), st.lists(pieces, max_size=6)).map(
        lambda path: b"GET /" + path.encode() + b" HTTP/1.1\r\nHost: HOST\r\n\r\n"
    ),
    st.sampled_from(
        [b"POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 99999999\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
         b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", b"OPTIONS * HTTP/1.1\r\nHost: HOST\r\n\r\n",
         b"GET /ws HTTP/1.1\r\nHost: HOST\r\nUpgrade: websocket\r\n\r\n",
         b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
         b"GET / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n"]
    ),
)  # fmt: skip


wrong = st.dictionaries(st.sampled_from(["fps", "candidates", "x"]), st.none() | st.floats() | st.text(max_size=5))
words = st.one_of(
    st.sampled_from(['{"fps": 60}', '{"fps": 1e999}', '{"fps": NaN}', '{"fps": true}', "[" * 3000, "{}", "null", "\0"]),
    st.text(max_size=80), wrong.map(str), st.binary(max_size=60),
)  # fmt: skip


async def answer_to(request: bytes, host: str) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(host.rpartition(":")[2]))
    writer.write(request.replace(b"HOST", host.encode()))
    if writer.can_write_eof():
        writer.write_eof()
    try:
        return await asyncio.wait_for(reader.read(2_000_000), 0.5)
    except (asyncio.TimeoutError, ConnectionError):
        return b""
    finally:
        writer.close()


@given(st.lists(lines, min_size=1, max_size=12), st.lists(words, min_size=1, max_size=15))
@examples(20, most=100)
def test_any_bytes_and_any_words_over_the_websocket(requests: list[bytes], sent: list[str | bytes]) -> None:
    own = set(load_pages("soft").values())

    async def check() -> None:
        server = AvatarServer(AvatarConfig(port=0))
        await server.start()
        try:
            for request in requests:
                answer = await answer_to(request, server.url.removeprefix("http://").rstrip("/"))
                head, _, body = answer.partition(b"\r\n\r\n")
                if head.startswith(b"HTTP/1.1 200") and b"json" not in head:
                    assert body in own or any(file.startswith(body) for file in own)
                assert b"Traceback" not in answer
                assert b" 500 " not in head.split(b"\r\n")[0]
            async with aiohttp.ClientSession() as session:
                async with session.ws_connect(server.url + "ws") as ws:
                    with contextlib.suppress(ConnectionError, aiohttp.ClientError):  # the page may be sent away
                        for message in sent:
                            await (ws.send_str(message) if isinstance(message, str) else ws.send_bytes(message))
                async with session.get(server.url + "healthz") as answered:
                    assert answered.status == 200
        finally:
            await server.stop()

    asyncio.run(asyncio.wait_for(check(), 60.0))


@given(
    st.one_of(st.none(), st.text(max_size=60), st.sampled_from(["[::1", "a@b", "127.0.0.1:x", "localhost.:80", "::1"])),
    st.one_of(st.none(), st.text(max_size=60), st.sampled_from(["null", "http://[", "http://localhost", "file://"])),
)
@examples(300)
def test_headers_are_let_through_for_known_hosts_alone(host: str | None, origin: str | None) -> None:
    refused = Guard("127.0.0.1").refuses(host, origin)
    if refused is None:
        assert host is not None
        assert host_name(host) in ("localhost", "127.0.0.1", "::1")
        assert origin is None or origin.lower().endswith(host.lower())


tokens = st.one_of(
    st.none(), st.booleans(), st.integers(), st.lists(st.text()), st.text(), st.sampled_from(["ABCDE-FGHJ", "\ud800"])
)


@given(st.one_of(st.sampled_from(["arm", "disarm", "reset", "stop", "", "__class__"]), st.text(max_size=9)), tokens)
@examples(100)
def test_no_command_without_the_token(what: str, token: object) -> None:
    """Whatever is said, the robot does not move."""
    moved: list[str] = []

    async def call(command: str) -> tuple[bool, str]:
        moved.append(command)
        return True, "done"

    console = RobotConsole(call, "abcde-fghjk-mnp23")
    assert asyncio.run(console.command(what, token)).status in (403, 404)  # type: ignore[arg-type]
    assert moved == []
