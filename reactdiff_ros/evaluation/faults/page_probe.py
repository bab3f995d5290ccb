"""Asks the avatar's page, again and again, whether its face is fresh."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable
from contextlib import closing
from typing import Final
from urllib.parse import urlsplit

EVERY_S: Final = 0.05
ANSWER_S: Final = 0.25


class PageProbe:
    """A thread that calls `told` with (machine's clock in ns, whether the page answered that its face is fresh).

    A page that does not answer has no fresh face. Args: `url`: gives the page's present address, None = none.
    """

    def __init__(self, url: Callable[[], str | None], told: Callable[[int, bool], None]) -> None:
        self._url, self._told = url, told
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="page probe", daemon=True)

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def close(self) -> None:
        """Ask no more."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(2.0)

    def _run(self) -> None:
        while not self._stop.wait(EVERY_S):
            url = self._url()
            self._told(time.time_ns(), url is not None and page_is_fresh(url))


def page_is_fresh(url: str) -> bool:
    """Whether the page at `url` answers now that its face is fresh."""
    where = urlsplit(url)
    try:
        with closing(http.client.HTTPConnection(where.hostname or "", where.port, timeout=ANSWER_S)) as connection:
            connection.request("GET", "/healthz")
            answer = connection.getresponse()
            return answer.status == 200 and json.loads(answer.read(4096)).get("fresh") is True
    except (OSError, ValueError, http.client.HTTPException):
        return False
