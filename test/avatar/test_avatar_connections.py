"""Connections that others hold open: a stop and the open pages get through, on real sockets of this machine."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from stage import TOKEN, port_of, until, upgrade

from reactdiff_ros.avatar import AvatarConfig, AvatarServer, connections
from reactdiff_ros.avatar import server as server_module
from reactdiff_ros.avatar.arming import RobotConsole
from tools.programs import with_us

FILES = 160
HALF = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Half: "
BODY = (
    b"POST /api/robot/arm HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{"
)
WHOLE = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
SERVE = """
import asyncio, contextlib, os, resource, sys
from reactdiff_ros.avatar import AvatarConfig, AvatarServer
from reactdiff_ros.avatar.arming import RobotConsole
files, left = int(sys.argv[1]), int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
async def call(what):
    return True, what + " done"
async def main():
    server = AvatarServer(AvatarConfig(port=0), RobotConsole(call, "abcde-fghjk-mnp23"))
    url = await server.start()
    server.status({"actuator": {"robot": "head"}})
    held = []
    with contextlib.suppress(OSError):
        while left:
            held.append(os.open(os.devnull, os.O_RDONLY))
    for file in held[:left]:
        os.close(file)
    print(url.rstrip("/").rpartition(":")[2], flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""


@contextmanager
def served(errors: Path, left: int = 0) -> Iterator[int]:
    """The port of a server in a process that may have FILES files; `left` of them are left, 0: all."""
    command = [sys.executable, "-c", SERVE, str(FILES), str(left)]
    with errors.open("wb") as log:
        process = subprocess.Popen(with_us(command), stdout=subprocess.PIPE, stderr=log)
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
    assert errors.read_text() == ""


def connect(port: int, sends: bytes = b"", address: str = "127.0.0.1") -> socket.socket:
    """A connection from an address of this machine."""
    made = socket.socket()
    made.settimeout(10)
    made.bind((address, 0))
    made.connect(("127.0.0.1", port))
    made.sendall(sends)
    return made


async def answer_to(connection: socket.socket, sends: bytes = b"") -> bytes:
    """What comes next on a connection."""
    connection.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(connection, sends)
    return await asyncio.wait_for(loop.sock_recv(connection, 4096), 10)


def ended(connection: socket.socket) -> bool:
    """Whether the server has ended it by now."""
    connection.setblocking(False)
    try:
        while connection.recv(65536):
            pass
    except BlockingIOError:
        return False
    except ConnectionError:
        pass
    return True


async def asked(port: int, path: str) -> dict[str, Any]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(8)) as session:
        url = f"http://127.0.0.1:{port}{path}"
        made = session.post(url, json={}) if path.startswith("/api/robot") else session.get(url)
        async with made as answer:
            assert answer.status == 200
            return dict(await answer.json())


@pytest.mark.parametrize(
    ("sends", "left"),
    [(b"", 0), (HALF, 0), (BODY, 0), (WHOLE, 0), (b"", 12)],
    ids=["silent", "half a request", "half a body", "idle", "no files left"],
)
async def test_a_stop_gets_through_more_connections_than_there_are_files(sends, left, tmp_path):
    with ExitStack() as stack:
        port = stack.enter_context(served(tmp_path / "errors", left))
        async with aiohttp.ClientSession() as session, session.ws_connect(f"http://127.0.0.1:{port}/ws") as viewer:
            for number in range(30 if left else FILES + 50):
                stack.enter_context(connect(port, sends, f"127.0.0.{1 + number % 3}"))
            for _ in range(3):
                assert (await asked(port, "/api/robot/stop"))["message"] == "stop done"
                assert (await asked(port, "/healthz"))["clients"] == 1, "who looks at the face goes on seeing it"
            await viewer.close()


@pytest.fixture
async def server(started):
    """A server with the fewest places, 64; an address has 32 of them at most."""

    async def call(what: str) -> tuple[bool, str]:
        await asyncio.sleep(0.3)
        return True, f"{what} done"

    made = await started(AvatarServer(AvatarConfig(port=0, max_clients=2), RobotConsole(call, TOKEN)))
    made.status({"actuator": {"robot": "head"}})
    return made


async def opened(stack: ExitStack, server: AvatarServer, count: int, address: str) -> list[socket.socket]:
    """Silent connections, as the server has them."""
    made, there = [], server._server._open  # type: ignore[union-attr]
    for expected in range(len(there) + 1, len(there) + 1 + count):
        made.append(stack.enter_context(connect(port_of(server.url), b"", address)))
        await until(lambda expected=expected: len(there) >= expected or bool(server.fault))  # type: ignore[misc]
    for _ in range(20):
        await asyncio.sleep(0.005)
    return made


async def test_one_address_pushes_out_its_own_connections_alone(server):
    with ExitStack() as stack:
        others = await opened(stack, server, 3, "127.0.0.9")
        own = await opened(stack, server, 32, "127.0.0.1")
        assert server.fault == ""
        more = await opened(stack, server, 5, "127.0.0.1")
        assert [ended(one) for one in own] == [True] * 5 + [False] * 27, "those that have waited the longest"
        assert not any(ended(one) for one in (*others, *more))
        assert "too many connections" in server.fault


async def test_many_addresses_push_out_the_oldest_and_no_open_page(server):
    with ExitStack() as stack:
        page = stack.enter_context(connect(port_of(server.url), upgrade("ws"), "127.0.0.2"))
        await until(lambda: server.clients == 1)
        oldest = await opened(stack, server, 3, "127.0.0.2")
        for number in range(12):
            await opened(stack, server, 5, f"127.0.1.{number}")
        assert (any(ended(one) for one in oldest), server.fault) == (False, "")
        command = asyncio.ensure_future(asked(port_of(server.url), "/api/robot/stop"))
        await until(lambda: ended(oldest[0]))
        for number in range(12):
            await opened(stack, server, 8, f"127.0.2.{number}")
        assert all(ended(one) for one in oldest)
        assert (await command)["done"], "a stop under way is answered"
        assert not ended(page)
        assert "too many connections" in server.fault


async def test_a_whole_request_is_read_however_many_newcomers_there_are(server):
    """All come at once, in one turn of the loop or two: those that are accepted first are not yet read."""
    with ExitStack() as stack:
        first = stack.enter_context(connect(port_of(server.url), WHOLE))
        for _ in range(300):
            stack.enter_context(connect(port_of(server.url)))
        assert (await answer_to(first)).startswith(b"HTTP/1.1 200")


async def test_headers_and_bodies_have_a_time_limit_and_a_stop_does_not_wait_for_its_body(server, monkeypatch, caplog):
    monkeypatch.setattr(connections, "HEADERS_S", 0.3)
    monkeypatch.setattr(server_module, "BODY_S", 0.2)
    with connect(port_of(server.url)) as one:
        assert b"Server: http\r\n" in await answer_to(one, WHOLE)
        await asyncio.sleep(0.5)
        assert b"200" in await answer_to(one, WHOLE), "no limit for what is not begun"
        assert await answer_to(one, HALF) == b""
    cases = [(BODY, b"408"), (BODY.replace(b"arm", b"stop"), b"200"), (b"\x16\x03\x01\r\n\r\n", b"400")]
    cases += [(WHOLE.replace(part, b"9.9"), b"400") for part in (b"1.1", b"Host")]  # these are no HTTP, either
    for sends, status in cases:
        with connect(port_of(server.url)) as one:
            assert (await answer_to(one, sends)).split(b" ")[1] == status
    assert caplog.text == ""
