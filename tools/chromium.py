"""A headless Chromium driven over DevTools: for the browser tests, and for pictures of the face."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import websocket

from tools.programs import with_us

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
    "--disable-extensions", "--hide-scrollbars", "--remote-debugging-port=0", "--remote-allow-origins=*",
)  # fmt: skip
START_S = 30.0


def find_chromium() -> str | None:
    """The path of a Chromium, or None."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Chromium:
    """One browser with an empty profile; pages are opened in it. Use it as a context manager. `flags`: more of them."""

    def __init__(self, size: tuple[int, int] = (1280, 720), flags: Sequence[str] = ()) -> None:
        binary = find_chromium()
        if binary is None:
            raise FileNotFoundError("no Chromium is installed: apt-get install chromium")
        self.size = size
        self._profile = tempfile.mkdtemp(prefix="reactdiff-chromium-")
        own = (f"--user-data-dir={self._profile}", f"--window-size={size[0]},{size[1]}")
        command = [binary, *FLAGS, *flags, *own, "about:blank"]
        self._process = subprocess.Popen(
            with_us(command), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            env=os.environ | {"TMPDIR": self._profile},  # the folder of its socket is removed with the profile
        )  # fmt: skip
        self.pid = self._process.pid
        try:
            self.port = self._wait_for_port()
        except BaseException:
            self.close()
            raise

    def _wait_for_port(self) -> int:
        path = Path(self._profile) / "DevToolsActivePort"
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            if self._process.poll() is not None:
                raise RuntimeError(f"Chromium ended with status {self._process.returncode}")
            if path.is_file() and (lines := path.read_text().split()):
                return int(lines[0])
            time.sleep(0.05)
        raise TimeoutError(f"Chromium opened no DevTools port within {START_S:g} s")

    def open(self, url: str) -> Page:
        """A new page at `url`, of the browser's size, after its load event."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/json/new?about:blank", method="PUT")
        with urllib.request.urlopen(request, timeout=10) as answer:
            target = json.load(answer)
        page = Page(target["webSocketDebuggerUrl"])
        page.resize(*self.size)
        page.go(url)
        return page

    def close(self) -> None:
        """End the browser and remove its profile."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait(5)
        shutil.rmtree(self._profile, ignore_errors=True)

    def __enter__(self) -> Chromium:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Page:
    """One tab, over its DevTools websocket."""

    def __init__(self, url: str) -> None:
        self._socket = websocket.create_connection(url, timeout=30, suppress_origin=True)
        self._number = 0
        self.errors: list[str] = []
        """Exceptions and console errors of the page."""
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """One DevTools command; its result."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv())
            if message.get("id") == self._number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return dict(message["result"])
            self._note(message)

    def _note(self, message: dict[str, Any]) -> None:
        params = message.get("params", {})
        if message.get("method") == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description", details["text"]))
        elif message.get("method") == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.errors.append(params["entry"]["text"] + " " + params["entry"].get("url", ""))

    def resize(self, width: int, height: int) -> None:
        """The size of the page in pixels."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def front(self) -> None:
        """Bring the tab to the front: a hidden one draws nothing."""
        self.call("Page.bringToFront")

    def go(self, url: str) -> None:
        """Open `url` and wait until it is loaded."""
        self.call("Page.navigate", url=url)
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'", 15)

    def value(self, expression: str) -> Any:
        """The value of a JavaScript expression (promises are awaited). Raises RuntimeError if it throws."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(json.dumps(answer["exceptionDetails"])[:500])
        return answer["result"].get("value")

    def until(self, expression: str, seconds: float = 10.0) -> Any:
        """Wait until `expression` is true; its value. Raises TimeoutError."""
        end = time.monotonic() + seconds
        while not (value := self.value(expression)):
            if time.monotonic() > end:
                raise TimeoutError(f"not true within {seconds:g} s: {expression}")
            time.sleep(0.02)
        return value

    def key(self, key: str) -> None:
        """Press and release a key."""
        text = {"text": key} if len(key) == 1 else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def screenshot(self, path: str | Path) -> Path:
        """A PNG of what is shown now."""
        data = base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])
        Path(path).write_bytes(data)
        return Path(path)

    def close(self) -> None:
        """Close the tab; the one before comes to the front."""
        self.call("Page.close")
        self._socket.close()
