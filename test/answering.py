"""A web service on this machine that answers what a test wants."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Handler(BaseHTTPRequestHandler):
    server: Answering

    def do_POST(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        answer = self.server.answers.get(self.path)
        if callable(answer):
            with contextlib.suppress(OSError):  # the other end does not wait for all of it
                answer(self)
            return
        self.send_response(404 if answer is None else 200)
        self.end_headers()
        self.wfile.write(answer or b"")

    def log_message(self, *_: Any) -> None:
        pass


class Answering(ThreadingHTTPServer):
    """`answers`: by path, what is answered, or what answers; `bodies`: what was posted. Runs as a context."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, bytes | Callable[[Handler], object]] = {}
        self.bodies: list[bytes] = []

    def __enter__(self) -> Answering:
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()
