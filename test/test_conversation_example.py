"""The conversation's endpoint: one that answers well, late, or nonsense; the robot always has something to say."""

import json
import threading

import pytest
from answering import Answering
from loaded_files import loaded

pytest.importorskip("rclpy", reason="ROS 2 is not on the path: '. ./env.sh'")
pytestmark = pytest.mark.ros


FAULTS = {b"late": lambda _: threading.Event().wait(4.0), b"overloaded": lambda handler: handler.send_error(503)}
HEARD = json.dumps({"text": "I was at the lake."}).encode()
REPLY = json.dumps({"choices": [{"message": {"content": "How nice."}}]}).encode()


@pytest.mark.parametrize(("heard", "reply", "said"), [
    (HEARD, REPLY, "How nice."), (b"<html>", REPLY, None), (b'{"text": ""}', REPLY, None),
    (HEARD, b'{"choices": []}', None), (HEARD, b'{"choices": [{"message": {"content": 7}}]}', None),
    (b"late", REPLY, None), (HEARD, b"late", None), (b"overloaded", REPLY, None),
])  # fmt: skip
def test_an_endpoint_that_answers_nonsense_is_one_sentence(heard, reply, said, monkeypatch, capsys):
    conversation = loaded("examples/conversation.py")
    monkeypatch.setattr(conversation, "ANSWER_S", 1.0 if b"late" in (heard, reply) else 10.0)
    answers = {"/v1/audio/transcriptions": heard, "/v1/chat/completions": reply}
    with Answering() as server:
        server.answers = {path: FAULTS.get(answer, answer) for path, answer in answers.items()}
        partner = conversation.Endpoint(f"http://127.0.0.1:{server.server_port}/v1/", "model", "ears")
        assert partner.reply(b"RIFF") == (said or conversation.SORRY, "neutral")
        assert b"RIFF" in server.bodies[0]
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("conversation:") for line in lines) == (said is None)
