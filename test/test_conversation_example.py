"""The conversation's endpoint: one that answers well, late, or nonsense; the robot always has something to say."""

import json
import threading
from collections.abc import Callable

import pytest
from answering import Answering, Handler
from loaded_files import loaded

pytest.importorskip("rclpy", reason="ROS 2 is not on the path: '. ./env.sh'")
pytestmark = pytest.mark.ros


def trickle(handler: Handler, size: int, every_s: float) -> None:
    """An answer in small pieces: more than any answer is long, or for longer than is waited."""
    handler.send_response(200)
    handler.send_header("Content-Length", "9000000")
    handler.end_headers()
    for _ in range(40):
        handler.wfile.write(b" " * size)
        threading.Event().wait(every_s)


FAULTS: dict[bytes, Callable[[Handler], object]] = {
    b"late": lambda _: threading.Event().wait(4.0),
    b"trickle": lambda handler: trickle(handler, 1, 0.1),
    b"endless": lambda handler: trickle(handler, 100_000, 0.0),
    b"broken off": lambda handler: trickle(handler, 1, 0.0),
    b"overloaded": lambda handler: handler.send_error(503),
}
HEARD = json.dumps({"text": "I was at the lake."}).encode()
REPLY = json.dumps({"choices": [{"message": {"content": "How nice."}}]}).encode()


@pytest.mark.parametrize(
    ("heard", "reply", "said"),
    [
        (HEARD, REPLY, "How nice."), (b"<html>", REPLY, None), (b'{"text": ""}', REPLY, None),
        (HEARD, b'{"choices": []}', None), (HEARD, b'{"choices": [{"message": {"content": 7}}]}', None),
        *((fault, REPLY, None) for fault in FAULTS), (HEARD, b"trickle", None),
    ],
)  # fmt: skip
def test_an_endpoint_that_answers_nonsense_is_one_sentence(heard, reply, said, monkeypatch, capsys):
    conversation = loaded("examples/conversation.py")
    slow = {b"late", b"trickle"} & {heard, reply}
    monkeypatch.setattr(conversation, "ANSWER_S", 1.0 if slow else 10.0)
    answers = {"/v1/audio/transcriptions": heard, "/v1/chat/completions": reply}
    with Answering() as server:
        server.answers = {path: FAULTS.get(answer, answer) for path, answer in answers.items()}
        partner = conversation.Endpoint(f"http://127.0.0.1:{server.server_port}/v1/", "model", "ears")
        assert partner.reply(b"RIFF") == (said or conversation.SORRY, "neutral")
        assert b"RIFF" in server.bodies[0]
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("conversation:") for line in lines) == (said is None)
