"""A visitor's camera and microphone through a real page in headless Chromium, the page's server and DDS."""

from __future__ import annotations

import json
import socket
import threading
import wave
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import websocket
from capture_attacks import connect, jpeg
from ros_harness import NodeProcess, RosGraph, ask
from stage import IN_BROWSER
from std_msgs.msg import Bool

from reactdiff_ros.capture.browser import HEAD, PICTURE, REPLY, TIME
from reactdiff_ros.capture.visits import dismiss
from reactdiff_ros.messages import from_stamp
from tools.chromium import Chromium, Page

pytestmark = [pytest.mark.ros, *IN_BROWSER]
PICTURES, SOUND, VISITOR = "camera/image_raw/compressed", "audio", "camera/visitor"
DEVICES = ("--use-fake-device-for-media-stream", "--autoplay-policy=no-user-gesture-required")
YES = "--use-fake-ui-for-media-stream"


def beeps(path: Path) -> Path:
    """A second of sound with a click at its start."""
    samples = np.zeros(48000, np.int16)
    samples[:480] = 20000 * np.sin(np.arange(480) * 2 * np.pi * 1000 / 48000)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48000)
        file.writeframes(samples.tobytes())
    return path


@pytest.fixture
def avatar(graph: RosGraph) -> NodeProcess:
    graph.listen(PICTURES, SOUND, VISITOR, "camera/camera_info")
    avatar = graph.start("avatar_node", port=18765)
    graph.start("browser_node")
    graph.wait_active("avatar_node", "browser_node")
    return avatar


def opened(graph: RosGraph, browser: Chromium, url: str) -> Page:
    """The page, once it offers the camera."""
    page = browser.open(url)
    graph.until(lambda: page.value("window.reactdiff && !document.getElementById('visitor').hidden"), 20.0, "the offer")
    return page


def agree(page: Page) -> None:
    page.value("document.getElementById('visit-button').click()")
    page.value("document.getElementById('consent-yes').click()")


def visit(page: Page) -> Any:
    return page.value("reactdiff.visitor()")


def seated(url: str) -> websocket.WebSocket | None:
    """A visitor's connection that has the seat; None: the one before has not left it yet."""
    line = connect(url)
    if json.loads(line.recv()) == {"seat": True}:
        return line
    line.close()
    return None


def test_a_visitor_is_seen_and_heard_and_the_next_one_waits(
    graph: RosGraph, avatar: NodeProcess, tmp_path: Path
) -> None:
    sound = f"--use-file-for-fake-audio-capture={beeps(tmp_path / 'beeps.wav')}"
    url = graph.page(avatar)
    with Chromium((800, 600), (*DEVICES, YES, sound)) as browser:
        page = opened(graph, browser, url)
        assert not graph.received[PICTURES]  # nothing before the visitor agrees
        agree(page)
        graph.until(lambda: len(graph.received[PICTURES]) >= 20, 30.0, "pictures")
        graph.until(lambda: len(graph.received[SOUND]) >= 150, 30.0, "sound")
        assert visit(page)["state"] == "live"
        assert graph.received[VISITOR][-1].data
        graph.until(lambda: "640x480" in graph.sentence("browser_node"), what="the size")

        pictures = graph.received[PICTURES]
        stamps = [from_stamp(m.header.stamp) for m in pictures]
        assert (np.diff(stamps) > 0).all()
        assert all(bytes(m.data[:2]) == b"\xff\xd8" for m in pictures)
        assert graph.received["camera/camera_info"][-1].width == 640
        chunks = graph.received[SOUND]
        ends = [from_stamp(m.header.stamp) + len(m.samples) * 10**9 // m.sample_rate for m in chunks]
        begins = [from_stamp(m.header.stamp) for m in chunks]
        assert np.abs(np.array(begins[1:]) - ends[:-1]).max() < 15_000_000  # without gaps
        heard = np.concatenate([m.samples for m in chunks])
        assert np.abs(heard).max() > 5000
        assert abs(from_stamp(chunks[-1].header.stamp) - stamps[-1]) < 3 * 10**9  # one clock

        # The seat is taken: pages know it, and another visitor waits.
        graph.until(lambda: visitors(url)[0] == "taken", what="the taken seat")
        line = connect(url)
        assert json.loads(line.recv()) == {"waiting": 1}
        line.close()

        # A page that is hidden sends nothing; seen again, it goes on.
        other = browser.open(url + "operator")
        graph.until(lambda: not graph.received[VISITOR][-1].data, what="the pause")
        other.close()
        page.front()
        graph.until(lambda: graph.received[VISITOR][-1].data, what="the visit goes on")

        page.value("document.getElementById('visit-button').click()")
        graph.until(lambda: not graph.received[VISITOR][-1].data, what="the end of the visit")
        assert (visit(page)["state"], visit(page)["sentence"]) == ("off", "")
        graph.until(lambda: visitors(url)[0] == "free", what="the free seat")


CAPTURED = """
window.captured = [];
const video = document.getElementById("me").querySelector("video");
const note = (now, { captureTime }) => {
  captured.push(performance.timeOrigin + captureTime);
  video.requestVideoFrameCallback(note);
};
video.requestVideoFrameCallback(note);
"""


@pytest.mark.real_time  # next to other work, the page misses pictures and its clock
@pytest.mark.parametrize("way", ["track", "page"])
def test_pictures_carry_the_time_of_their_capture_with_and_without_the_cameras_track(
    graph: RosGraph, avatar: NodeProcess, way: str
) -> None:
    with Chromium((800, 600), (*DEVICES, YES)) as browser:
        page = opened(graph, browser, graph.page(avatar))
        if way == "page":
            assert page.value("delete globalThis.MediaStreamTrackProcessor")
        assert page.value("'MediaStreamTrackProcessor' in globalThis") is (way == "track")
        agree(page)
        graph.until(lambda: len(graph.received[PICTURES]) >= 5, 30.0, "pictures")
        page.value(f"(() => {{{CAPTURED}}})()")
        graph.until(lambda: page.value("captured.length") >= 60, 30.0, "pictures of the page")  # after some reports

        def apart_ms() -> float:
            newest = graph.received[PICTURES][-30:-5]  # what came last, the page may not have noted yet
            stamps = np.array([from_stamp(m.header.stamp) for m in newest]) / 1e6
            return float(np.median(np.abs(stamps[:, None] - np.array(page.value("captured"))).min(axis=1)))

        # The clocks agree better with every report; a neighbouring picture is 33 to 50 ms away.
        graph.until(lambda: apart_ms() < 3.0, 60.0, "stamps of the pictures' capture")
        assert visit(page)["sent"] > 0


def test_the_operator_passes_the_seat_on(graph: RosGraph, avatar: NodeProcess) -> None:
    url = graph.page(avatar)
    with Chromium((800, 600), (*DEVICES, YES)) as browser:
        line = graph.until(lambda: seated(url), what="the free seat")
        page = opened(graph, browser, url)
        graph.until(
            lambda: "Wait" in page.value("document.getElementById('visit-button').textContent"), what="the line"
        )
        agree(page)
        graph.until(lambda: "you are next" in visit(page)["sentence"], what="the sentence of who waits")
        third = connect(url)
        assert json.loads(third.recv()) == {"waiting": 2}
        rude = connect(url)
        assert json.loads(rude.recv()) == {"waiting": 3}
        rude.send_binary(HEAD.pack(1, PICTURE, 0, 0, 1.0))
        assert "did not wait" in json.loads(rude.recv())["sentence"]
        rude.close()
        graph.until(lambda: visitors(url) == ("taken", 2), what="two who wait")
        assert not graph.received[PICTURES]  # nothing of who waits is published

        assert pass_on(url) == (200, "The next visitor's turn begins.")
        said = line.recv()
        while "sentence" not in str(said):
            said = line.recv()
        assert json.loads(said)["sentence"] == "The operator has ended this visit."
        graph.until(lambda: graph.received[PICTURES], what="pictures of the next one")
        assert visit(page)["state"] == "live"
        assert json.loads(third.recv()) == {"waiting": 1}
        third.close()
        graph.until(lambda: visitors(url) == ("taken", 0), what="nobody who waits")
        assert pass_on(url) == (200, "The visit ends: no one waits.")
        graph.until(lambda: "has ended this visit" in visit(page)["sentence"], what="the sentence")
        graph.until(lambda: visitors(url) == ("free", 0), what="the free seat")
        assert pass_on(url) == (409, "No visitor's camera is in use.")
        line.close()


def visitors(url: str) -> tuple[str, int]:
    """What pages know of the seat: free or taken, and how many wait."""
    report = ask(url)[1]["graph"]
    return report["visitor"], report["visitors_waiting"]


def pass_on(url: str) -> tuple[int, str]:
    """As the operator's screen asks for it."""
    status, answer = ask(url, "api/visitor/pass", {})
    return status, answer["message"]


def test_a_visitor_who_refuses_reads_what_to_do_and_nothing_comes(graph: RosGraph, avatar: NodeProcess) -> None:
    with Chromium((800, 600), (*DEVICES, "--deny-permission-prompts")) as browser:
        page = opened(graph, browser, graph.page(avatar))
        agree(page)
        graph.until(lambda: "not allowed for this page" in visit(page)["sentence"], what="the sentence")
        assert visit(page)["state"] == "off"
        assert not graph.received[PICTURES]
        assert graph.level("browser_node") == 0


def test_nonsense_ends_the_visit_and_not_the_node(graph: RosGraph, avatar: NodeProcess) -> None:
    url = graph.page(avatar)
    with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
        connect(url, origin="http://elsewhere.example")
    rng = np.random.default_rng(1)
    for _ in range(3):
        line = graph.until(lambda: seated(url), what="the free seat")
        for _ in range(9):
            line.send_binary(HEAD.pack(1, PICTURE, 0, 0, 1.0) + rng.bytes(60))
        said = [line.recv() for _ in range(10)]  # nine acknowledgements and a ping
        line.send_binary(HEAD.pack(1, PICTURE, 0, 0, 1.0) + rng.bytes(60))
        while "sentence" not in str(said[-1]):
            said.append(line.recv())
        assert "cannot be used" in str(said[-1])
        line.close()
        graph.until(lambda: graph.value("browser_node", "state") == "active", what="the node")
    line = connect(url)
    with suppress(OSError):  # too large for the server, which may end the line at once
        line.send_binary(bytes(2**20))
    graph.until(lambda: graph.sentence("browser_node") != "", what="the node lives")
    line.close()


def test_a_page_whose_clock_is_off_is_told_and_stamped_right(graph: RosGraph, avatar: NodeProcess) -> None:
    url, picture = graph.page(avatar), jpeg(64, 48)
    line = graph.until(lambda: seated(url), what="the free seat")

    def now_ms() -> float:
        return graph.node.get_clock().now().nanoseconds / 1e6 + 5000.0

    line.send_binary(HEAD.pack(1, TIME, 0, REPLY.unpack(line.recv())[3], now_ms()))
    assert json.loads(line.recv()) == {"ahead_s": 5.0}
    sent_ns = graph.node.get_clock().now().nanoseconds
    line.send_binary(HEAD.pack(1, PICTURE, 0, 0, now_ms()) + picture)
    graph.until(lambda: graph.received[PICTURES], what="the picture")
    assert abs(from_stamp(graph.received[PICTURES][0].header.stamp) - sent_ns) < 200_000_000
    line.close()


def test_a_page_that_still_sends_hears_why_its_visit_ends() -> None:
    ours, pages = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    pages.sendall(bytes(50_000))  # has not been read
    ending = threading.Thread(target=dismiss, args=(ours, "The robot stops."))
    ending.start()
    assert pages.recv(1000)[4:] == b'{"sentence": "The robot stops."}'
    for _ in range(3):
        pages.sendall(bytes(50_000))
    pages.shutdown(socket.SHUT_WR)
    assert pages.recv(1000) == b""  # and no error
    ending.join()
    pages.close()


def test_a_clip_pauses_while_a_visitor_is_there(graph: RosGraph, tmp_path: Path) -> None:
    from reactdiff_ros.resources import demo_clip_path

    graph.listen(PICTURES)
    graph.start("clip_node", clip=str(demo_clip_path()))
    graph.until(lambda: len(graph.received[PICTURES]) > 5, 40.0, "the clip")
    graph.publish(VISITOR, Bool(data=True))
    graph.until(lambda: "pauses" in graph.sentence("clip_node"), what="the pause")
    graph.received[PICTURES].clear()
    graph.spin(0.5)
    assert not graph.received[PICTURES]
    graph.publish(VISITOR, Bool(data=False))
    graph.until(lambda: graph.received[PICTURES], what="the clip again")
