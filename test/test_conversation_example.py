"""The conversation's endpoint: one that answers well, late, or nonsense; the robot always has something to say."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any, get_args

import pytest
from answering import Answering, Handler
from loaded_files import loaded

from reactdiff_ros.types import TurnEventKind

pytest.importorskip("rclpy", reason="ROS 2 is not on the path: '. ./env.sh'")
pytestmark = pytest.mark.ros


@pytest.fixture(scope="module")
def conversation() -> Any:
    return loaded("examples/conversation.py")


def blanks(handler: Handler, count: int, size: int, every_s: float) -> None:
    """So many pieces of an answer: more than any answer is long, or for longer than is waited."""
    handler.send_response(200)
    handler.end_headers()
    for _ in range(count):
        handler.wfile.write(b" " * size)
        threading.Event().wait(every_s)


def broken_off(handler: Handler) -> None:
    """Less than was announced."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b"{")


FAULTS: dict[bytes, Callable[[Handler], object]] = {
    b"late": lambda _: threading.Event().wait(4.0),
    b"trickle": lambda handler: blanks(handler, 40, 1, 0.1),
    b"endless": lambda handler: blanks(handler, 3000, 1024, 0.0),
    b"broken off": broken_off,
    b"status line": lambda handler: handler.wfile.write(b"HTTP/9 hello\r\n\r\n"),
    b"unauthorized": lambda handler: handler.send_error(401),
    b"overloaded": lambda handler: handler.send_error(503),
}


@pytest.fixture
def server() -> Iterator[Answering]:
    with Answering() as server:
        yield server


HEARD = json.dumps({"text": "I was at the lake."}).encode()
REPLY = json.dumps({"choices": [{"message": {"content": "How nice."}}]}).encode()


@pytest.mark.parametrize(
    ("heard", "reply", "said"),
    [
        (HEARD, REPLY, "How nice."), (b"<html>", REPLY, None), (b"[]", REPLY, None),
        (b'{"text": ""}', REPLY, None), (HEARD, b'{"choices": []}', None),
        (HEARD, b'{"choices": [{"message": {"content": 7}}]}', None), (HEARD, b"\xff", None),
        *((fault, REPLY, None) for fault in FAULTS), (HEARD, b"overloaded", None), (HEARD, b"trickle", None),
    ],
)  # fmt: skip
def test_an_endpoint_that_answers_nonsense_is_one_sentence(
    conversation: Any, server: Answering, heard: bytes, reply: bytes, said: str | None, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    slow = {b"late", b"trickle"} & {heard, reply}
    monkeypatch.setattr(conversation, "ANSWER_S", 1.0 if slow else 10.0)
    answers = {"/v1/audio/transcriptions": heard, "/v1/chat/completions": reply}
    server.answers = {path: FAULTS.get(answer, answer) for path, answer in answers.items()}
    partner = conversation.Endpoint(f"http://127.0.0.1:{server.server_port}/v1/", "model", "ears")
    assert partner.reply(b"RIFF") == (said or conversation.SORRY, "neutral")
    assert b"RIFF" in server.bodies[0]
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("conversation:") for line in lines) == (said is None)


def test_events_become_the_frames_of_the_real_pipecat_and_an_answer_is_spoken(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = pytest.importorskip("pipecat.frames.frames", reason="Pipecat is not installed: pip install pipecat-ai")
    tests = pytest.importorskip("pipecat.tests.utils")

    example = loaded("examples/pipecat_listener.py")
    said: list[str] = []

    class Events:
        """The events of a listener, once the pipeline runs."""

        def __init__(self, on_event: Any) -> None:
            threading.Thread(target=lambda: [on_event(kind) for kind in get_args(TurnEventKind)], daemon=True).start()

        say = staticmethod(said.append)

    monkeypatch.setattr(example, "Listener", Events)
    words = [frames.LLMTextFrame("How "), frames.LLMTextFrame("nice.")]
    heard = frames.TranscriptionFrame("not an answer", "person", "")
    sent = [tests.SleepFrame(0.3), frames.LLMFullResponseStartFrame(), *words, frames.LLMFullResponseEndFrame(), heard]

    async def run() -> Any:
        return await tests.run_test(example.make_processor(), frames_to_send=sent, start_timeout=20.0)

    down, up = asyncio.run(run())
    wanted = [example.FRAMES[kind] for kind in get_args(TurnEventKind) if kind in example.FRAMES]
    assert len(wanted) == len(example.FRAMES), "a frame of no event"
    assert sorted(type(frame).__name__ for frame in up) == sorted(wanted)
    assert [name for frame in down if (name := type(frame).__name__) in wanted] == wanted
    assert said == ["How nice."]
