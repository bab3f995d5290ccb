#!/usr/bin/env python3
"""A conversation with a running listener: its turn events say when to answer, its action say answers.

    python examples/conversation.py --listen                       a scripted partner; starts the listener, too
    python examples/conversation.py --endpoint http://localhost:8000/v1 --model NAME [--transcribe MODEL]

Without --endpoint nothing leaves this machine. With it, the person's sound and words go to that address alone, which
speaks OpenAI's interface: /audio/transcriptions and /chat/completions. OPENAI_API_KEY is sent where it is set.
"""

import argparse
import http.client
import io
import json
import os
import queue
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
import uuid
import wave
from collections import deque

import rclpy
from rclpy.action import ActionClient
from rclpy.executors import ExternalShutdownException
from reactdiff_ros.action import Say
from reactdiff_ros.msg import AudioChunk, TurnEvent

SCRIPT = (
    ("Hello! Nice to see you. How was your day?", "happy"), ("I see. Tell me more about it.", "neutral"),
    ("Oh, really? I did not expect that.", "surprise"), ("That sounds good to me. And what comes next?", "happy"),
    ("Hm. I would like to think about it for a moment. Please go on.", "neutral"),
)  # fmt: skip
SORRY = "Sorry, I did not get that. Could you say it again?"
SYSTEM = "You are a robot who talks with the person in front of it. Answer in one or two short, plain sentences."
KEPT_S = 30.0
ANSWER_S = 10.0
LONGEST = 1 << 20


class Scripted:
    """Says its lines in order, whatever it hears."""

    def __init__(self):
        self.count = 0

    def reply(self, _sound):
        """(text, emotion)."""
        self.count += 1
        return SCRIPT[self.count % len(SCRIPT)]


class Endpoint:
    """Speech to text and a language model behind an address that the user named."""

    def __init__(self, address, model, transcribe):
        self.address, self.model, self.transcribe = address.rstrip("/"), model, transcribe
        self.messages = [{"role": "system", "content": SYSTEM}]

    def reply(self, sound):
        """(text, emotion); the endpoint's failures are one sentence on the terminal, and the robot asks again."""
        try:
            heard = self._text(sound)
            print(f"person: {heard}", flush=True)
            self.messages = [self.messages[0], *self.messages[1:][-20:], {"role": "user", "content": heard}]
            body = json.dumps({"model": self.model, "messages": self.messages, "max_tokens": 120}).encode()
            answer = self._ask("chat/completions", body, "application/json")["choices"][0]["message"]["content"]
            if not isinstance(answer, str) or not answer.strip():
                raise ValueError("an empty answer")
            self.messages.append({"role": "assistant", "content": answer[:2000]})
            return answer[:2000], "neutral"
        except (http.client.HTTPException, OSError, ValueError, KeyError, IndexError, TypeError) as error:
            print(f"conversation: {self.address} did not answer as expected ({error!s:.120})", flush=True)
            return SORRY, "neutral"

    def _text(self, sound):
        border = uuid.uuid4().hex
        parts = (
            f'--{border}\r\nContent-Disposition: form-data; name="model"\r\n\r\n{self.transcribe}\r\n'
            f'--{border}\r\nContent-Disposition: form-data; name="file"; filename="turn.wav"\r\n'
            "Content-Type: audio/wav\r\n\r\n"
        ).encode()
        body = parts + sound + f"\r\n--{border}--\r\n".encode()
        text = self._ask("audio/transcriptions", body, f"multipart/form-data; boundary={border}")["text"]
        if not isinstance(text, str) or not text.strip():
            raise ValueError("no words were understood")
        return text.strip()[:4000]

    def _ask(self, path, body, kind):
        key = os.environ.get("OPENAI_API_KEY")
        headers = {"Content-Type": kind, **({"Authorization": f"Bearer {key}"} if key else {})}
        request = urllib.request.Request(f"{self.address}/{path}", body, headers)
        end, text = time.monotonic() + ANSWER_S, b""
        with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:
            while piece := answer.read1(1 << 16):
                text += piece
                if time.monotonic() > end or len(text) > LONGEST:
                    raise TimeoutError("its answer is too slow or too long")
        return json.loads(text)


class Conversation:
    """Answers at the end of the person's turns; a new turn of theirs ends an answer that is still to come."""

    def __init__(self, node, partner):
        self.partner = partner
        self.said = 0
        self._client = ActionClient(node, Say, "say")
        self._chunks = deque()
        self._began = None
        self._turn = 0
        self._wanted = queue.SimpleQueue()
        node.create_subscription(AudioChunk, "audio", self._on_sound, 50)
        node.create_subscription(TurnEvent, "turn/event", self._on_event, 10)
        threading.Thread(target=self._answer, daemon=True).start()

    def begin(self):
        """The first line, once the robot can speak."""
        self._say(*SCRIPT[0])

    def ready(self):
        """Whether the robot can speak."""
        return self._client.server_is_ready()

    def _on_sound(self, message):
        stamp = message.header.stamp.sec + message.header.stamp.nanosec / 1e9
        self._chunks.append((stamp, message))
        while self._chunks and stamp - self._chunks[0][0] > KEPT_S:
            self._chunks.popleft()

    def _on_event(self, event):
        stamp = event.header.stamp.sec + event.header.stamp.nanosec / 1e9
        if event.kind in ("user_started", "barge_in"):
            self._began = stamp if self._began is None else self._began
        if event.kind in ("user_started", "barge_in", "eot_cancelled"):
            self._turn += 1
        if event.kind == "eot":
            self._turn += 1
            self._wanted.put((self._turn, self._sound(self._began)))
            self._began = None

    def _sound(self, began):
        """The turn as a WAV file, from half a second before it began."""
        chunks = [m for stamp, m in self._chunks if began is None or stamp > began - 0.5]
        file = io.BytesIO()
        with wave.open(file, "wb") as sound:
            sound.setnchannels(chunks[0].channels if chunks else 1)
            sound.setsampwidth(2)
            sound.setframerate(chunks[0].sample_rate if chunks else 16000)
            sound.writeframes(b"".join(m.samples.tobytes() for m in chunks))
        return file.getvalue()

    def _answer(self):
        while True:
            turn, sound = self._wanted.get()
            text, emotion = self.partner.reply(sound)
            if turn == self._turn:
                self._say(text, emotion)

    def _say(self, text, emotion):
        print(f"robot:  {text}", flush=True)
        self.said += 1
        self._client.send_goal_async(Say.Goal(text=text[:2000], emotion=emotion))


def main():
    """Talk until Ctrl-C, or until the listener that was started ends."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--listen", action="store_true", help="start a listener as well")
    parser.add_argument(
        "--endpoint", help="address of an OpenAI-compatible interface, such as http://localhost:8000/v1"
    )
    parser.add_argument("--model", default="default", help="language model of the endpoint")
    parser.add_argument("--transcribe", default="whisper-1", help="speech-to-text model of the endpoint")
    parser.add_argument("--for", dest="seconds", type=float, default=float("inf"), help="end after so many seconds")
    parser.add_argument("arguments", nargs="*", help="with --listen: arguments of the listener, such as clip:=FILE")
    given = parser.parse_args()
    listener = subprocess.Popen(["reactdiff", "listen", "turns:=true", *given.arguments]) if given.listen else None
    partner = Endpoint(given.endpoint, given.model, given.transcribe) if given.endpoint else Scripted()
    if listener is not None:
        os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")  # as `reactdiff listen` does
    rclpy.init(args=[])
    node = rclpy.create_node("conversation")
    talk = Conversation(node, partner)
    end, greeted = time.monotonic() + given.seconds, False
    try:
        while rclpy.ok() and time.monotonic() < end and (listener is None or listener.poll() is None):
            rclpy.spin_once(node, timeout_sec=0.1)
            if not greeted and talk.ready():
                greeted = True
                talk.begin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    if listener is not None and listener.poll() is None:
        listener.send_signal(signal.SIGINT)
        listener.wait(15.0)
    rclpy.try_shutdown()


if __name__ == "__main__":
    main()
