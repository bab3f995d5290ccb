"""A websocket to a robot's own computer, held by a thread: sending never waits, the newest value of each kind wins."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import threading
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final, TypeVar

import aiohttp

RETRY_S: Final = 0.5
CONNECT_S: Final = 2.0
SEND_S: Final = 0.5
"""A message that does not leave within this time: the other side has stopped reading, the line is given up."""
MESSAGE_BYTES: Final = 1 << 20
_T = TypeVar("_T")


class Link:
    """Connections to one host, made again whenever they end, until `close`.

    Args:
        urls: websockets by name, all to be open at once.
        on_open: called on the thread with each websocket's name when it opened; returns a message to begin with.
        on_message: called on the thread with the name and every JSON object that comes; other messages, and those that
            it raises for, are counted.
        least_s: the least time between two sendings on a websocket; what comes sooner waits, and the newest wins.
    """

    def __init__(
        self,
        urls: Mapping[str, str],
        *,
        on_message: Callable[[str, dict[str, Any]], None],
        on_open: Callable[[str], dict[str, Any] | None] = lambda name: None,
        least_s: float = 0.0,
    ) -> None:
        self._least_s = least_s
        self._urls, self._on_message, self._on_open = dict(urls), on_message, on_open
        self._slots: dict[str, dict[str, str]] = {name: {} for name in urls}
        self._lock = threading.Lock()
        self._wakes = {name: asyncio.Event() for name in urls}
        self._open: dict[str, aiohttp.ClientWebSocketResponse] = {}
        self._session: aiohttp.ClientSession | None = None
        self._closing = False
        self._changed = threading.Condition()
        self.trouble = ""
        """Why it is not connected, in the words of the system."""
        self.replaced = 0
        """Messages that a newer one took the place of before they left."""
        self.malformed = 0
        self.lost = 0
        """How often a websocket that was open has ended: one that is back may be of a robot that has restarted."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="robot link", daemon=True)
        self._thread.start()
        self._tasks = [asyncio.run_coroutine_threadsafe(self._hold(name), self._loop) for name in urls]

    @property
    def connected(self) -> bool:
        """Whether all websockets are open."""
        return len(self._open) == len(self._urls)

    def wait(self, timeout_s: float = CONNECT_S, ready: Callable[[], bool] | None = None) -> bool:
        """Wait until all are open (or `ready`); False after the timeout."""
        with self._changed:
            return self._changed.wait_for(ready or (lambda: self.connected), timeout_s)

    def send(self, name: str, kind: str, message: Mapping[str, Any]) -> None:
        """Send soon; what waits of the same kind is replaced. Never waits, never raises."""
        text = json.dumps(message, separators=(",", ":"), allow_nan=False)
        with self._lock:
            self.replaced += kind in self._slots[name]
            self._slots[name][kind] = text
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._wakes[name].set)

    def request(self, method: str, url: str, timeout_s: float) -> dict[str, Any] | str:
        """An HTTP request, waited for: the JSON object of the answer, or one line that says what is wrong."""

        async def ask() -> dict[str, Any] | str:
            limit = aiohttp.ClientTimeout(total=timeout_s)
            async with self._its_session().request(method, url, timeout=limit) as answer:
                if answer.status != 200:
                    return f"it answers {answer.status} {answer.reason}"
                body = await answer.json(content_type=None)
                return body if isinstance(body, dict) else "it answers in another language than expected"

        try:
            return self._run(ask(), timeout_s + 1.0)
        except (aiohttp.ClientError, OSError, ValueError, asyncio.TimeoutError, TimeoutError, RuntimeError) as error:
            return _line(error)

    def close(self) -> None:
        """End the connections and the thread. Twice is fine."""
        if self._closing:
            return
        self._closing = True
        with contextlib.suppress(asyncio.TimeoutError, TimeoutError, RuntimeError):
            self._run(self._end(), 3.0)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(3.0)
        if not self._thread.is_alive():
            self._loop.close()

    # On the thread.

    def _run(self, work: Coroutine[Any, Any, _T], timeout_s: float) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout_s)

    def _its_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession()
        return self._session

    async def _hold(self, name: str) -> None:
        while not self._closing:
            try:
                limit = aiohttp.ClientWSTimeout(ws_close=1.0)
                connecting = self._its_session().ws_connect(
                    self._urls[name], timeout=limit, heartbeat=2.0, max_msg_size=MESSAGE_BYTES
                )
                socket = await asyncio.wait_for(connecting, CONNECT_S)
                try:
                    await self._speak(name, socket)
                finally:
                    self._gone(name)
                    with contextlib.suppress(Exception):
                        await asyncio.wait_for(socket.close(), 1.0)
            except (aiohttp.ClientError, OSError, ValueError, asyncio.TimeoutError) as error:
                self.trouble = _line(error)
            await asyncio.sleep(RETRY_S)

    async def _speak(self, name: str, socket: aiohttp.ClientWebSocketResponse) -> None:
        with self._lock:
            self._slots[name].clear()  # what was to be sent before it was lost is old
        first = self._on_open(name)
        if first is not None:
            await asyncio.wait_for(socket.send_json(first), SEND_S)
        with self._changed:
            self._open[name] = socket
            self._changed.notify_all()
        sender = asyncio.ensure_future(self._send(name, socket))
        try:
            async for message in socket:
                if message.type is not aiohttp.WSMsgType.TEXT:
                    self.malformed += 1
                    continue
                self._understand(name, message.data)
            self.trouble = "it ended the connection"
        finally:
            sender.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await sender

    def _understand(self, name: str, text: str) -> None:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            self.malformed += 1
            return
        try:
            self._on_message(name, value)
        except Exception:  # whatever the other side says, the line is held
            self.malformed += 1
            return
        with self._changed:
            self._changed.notify_all()

    async def _send(self, name: str, socket: aiohttp.ClientWebSocketResponse) -> None:
        wake, sent_s = self._wakes[name], -math.inf
        try:
            while True:
                await wake.wait()
                await asyncio.sleep(sent_s + self._least_s - self._loop.time())
                wake.clear()
                with self._lock:
                    texts = list(self._slots[name].values())
                    self._slots[name].clear()
                for text in texts:
                    await asyncio.wait_for(socket.send_str(text), SEND_S)
                sent_s = self._loop.time()
        except (ConnectionError, RuntimeError, asyncio.TimeoutError):
            self._gone(name)
            with contextlib.suppress(Exception):
                await asyncio.wait_for(socket.close(), 1.0)

    def _gone(self, name: str) -> None:
        with self._changed:
            self.lost += self._open.pop(name, None) is not None
            self._changed.notify_all()

    async def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        for socket in list(self._open.values()):
            with contextlib.suppress(Exception):
                await asyncio.wait_for(socket.close(), 1.0)
        await asyncio.sleep(0)
        if self._session is not None:
            await self._session.close()


def _line(error: BaseException) -> str:
    if isinstance(error, (asyncio.TimeoutError, TimeoutError)):
        return "it does not answer in time"
    strerror = getattr(error, "strerror", None)
    return str(strerror or error or type(error).__name__).splitlines()[0]
