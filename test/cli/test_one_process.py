"""`reactdiff listen --no-ros`: the whole listener in one process behind its page, without ROS on any path."""

import base64
import itertools
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
import websocket
from deadline import until

from reactdiff_ros.capture.browser import HEAD, PICTURE, REPLY, SOUND, TIME
from reactdiff_ros.capture.media import MediaClip
from reactdiff_ros.resources import demo_clip_path
from tools.chromium import Chromium, find_chromium

ROOT = Path(__file__).resolve().parents[2]
DEVICES = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
RECORDED = """new Promise(done => {
  const reader = new FileReader();
  reader.onload = () => done(reader.result.split(";base64,")[1]);
  reader.readAsDataURL(reactdiff.recorded());
})"""
WITHOUT_ROS = """
import sys
class NoRos:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("rclpy", "rcl_interfaces", "std_msgs"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, NoRos())
import reactdiff_ros.cli.listen as listen
listen.missing_for_nodes = lambda: "ROS 2"
from reactdiff_ros.cli.main import program
program()
"""


class Running:
    """The command, its page's address, and what it says."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.log, command = folder / "log", [sys.executable, "-c", WITHOUT_ROS, "listen", "--json", *options]
        with self.log.open("w") as said:
            given: Any = {"text": True, "cwd": ROOT, "env": os.environ | {"HOME": str(folder)}}
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, **given)
        line = self.process.stdout.readline()
        assert line, self.log.read_text()
        self.url = str(json.loads(line)["url"])

    def status(self) -> dict[str, Any]:
        with urllib.request.urlopen(self.url + "api/status", timeout=5.0) as answer:
            return dict(json.load(answer))

    def until(self, condition: Callable[[dict[str, Any]], object], what: str) -> None:
        until(lambda: condition(self.status()), what)


@pytest.fixture
def running(tmp_path):
    started: list[Running] = []

    def start(*options: str) -> Running:
        started.append(Running(tmp_path, *options))
        return started[-1]

    yield start
    for one in started:
        one.process.send_signal(signal.SIGTERM)
        assert one.process.wait(20.0) == 0
        assert "Traceback" not in one.log.read_text()


@pytest.mark.browser
@pytest.mark.skipif(find_chromium() is None, reason="no Chromium is installed")
def test_a_visitor_takes_the_place_of_the_demo_and_leaves_it(running, tmp_path):
    one = running("--port", "18790")
    assert "ROS 2 is not installed" in one.log.read_text()
    one.until(lambda s: s["graph"].get("speaker", {}).get("present"), "the demo speaker")
    with Chromium((800, 600), DEVICES) as browser:
        page = browser.open(one.url)
        page.until("window.reactdiff && !document.getElementById('visitor').hidden", 20.0)
        page.value("document.getElementById('visit-button').click()")
        page.value("document.getElementById('consent-yes').click()")
        one.until(lambda s: s["graph"].get("visitor") == "taken", "the visit")
        page.until("reactdiff.visitor().sent > 20 && reactdiff.visitor().sounds > 20", 30.0)
        one.until(lambda s: not s["graph"]["speaker"].get("present"), "a picture without a face instead of the demo")
        page.value("document.getElementById('record-button').click()")
        page.until("document.getElementById('record-button').textContent.startsWith('Stop')")
        page.value("new Promise(done => setTimeout(done, 3000))")
        page.value("document.getElementById('visit-button').click()")  # the end of a visit ends its video
        page.until("Boolean(reactdiff.recorded())", 20.0)
        (tmp_path / "both.webm").write_bytes(base64.b64decode(page.value(RECORDED)))
        with av.open(str(tmp_path / "both.webm")) as video:
            pictures = [frame.to_ndarray(format="bgr24") for frame in video.decode(video=0)]
        assert pictures[-1].shape == (480, 1280, 3)
        assert all(half.std() > 10 for half in np.split(pictures[-1], 2, axis=1))
        one.until(lambda s: s["graph"].get("visitor") == "free", "the end of the visit")
        one.until(lambda s: s["graph"]["speaker"].get("present"), "the demo speaker")


def test_what_a_page_sends_moves_the_face_and_what_is_damaged_does_not_stop_it(running):
    one = running("--port", "18791", "--camera", "browser", "--policy", "mime")
    picture = next(item for item in MediaClip(demo_clip_path()).pictures_and_sound() if hasattr(item, "bgr"))
    jpeg = bytes(cv2.imencode(".jpg", picture.bgr)[1])
    address = one.url.replace("http", "ws") + "capture"
    line = websocket.create_connection(address, origin=one.url.rstrip("/"), timeout=20)
    assert json.loads(line.recv()) == {"seat": True}

    def send(kind: int, content: bytes = b"", number: int = 0, rate: int = 0) -> None:
        line.send_binary(HEAD.pack(1, kind, rate // 25, number, time.time() * 1000) + content)

    ping = line.recv()
    send(TIME, number=REPLY.unpack(ping)[3])
    numbers = itertools.count()

    def seen(status: dict[str, Any]) -> bool:
        """A page goes on sending until it is seen: a busy listener takes the newest picture alone."""
        number = next(numbers)
        send(PICTURE, jpeg[: len(jpeg) // 2] if number == 1 else jpeg, number)
        send(SOUND, np.zeros(320, np.int16).tobytes(), number, 16000)
        return number > 1 and status["graph"].get("speaker", {}).get("person", -1) >= 0

    one.until(seen, "the person")
    one.until(lambda s: s["graph"].get("visitor") == "taken", "the visit")
    line.close()
    one.until(lambda s: s["graph"].get("visitor") == "free", "the end of the visit")
    assert one.status()["page"]["fresh"]


@pytest.mark.parametrize("options", ["--robot ohbot", "--camera 0", "--avatar none", "record:=true"])
def test_what_needs_ros_says_so_in_a_sentence(options, reactdiff):
    _, said = reactdiff("listen", "--no-ros", *options.split(), code=2)
    assert "cannot be used without ROS: leave out --no-ros" in said
    assert options.lstrip("-").split(":=")[0].split()[0] in said
