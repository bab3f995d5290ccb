"""A visitor's camera and microphone, the robot's voice and what is chosen on the page, through its server and DDS: in
headless Chromium, and from programs.
"""

from __future__ import annotations

import json
import os
import select
import socket
import ssl
import subprocess
import sys
import threading
import time
import wave
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import psutil
import pytest
import websocket
from faces_shown import show_on
from ros_harness import RosGraph, ask
from stage import in_browser
from std_msgs.msg import Bool
from visitor_lines import connect, jpeg, now_ms

from reactdiff_ros import msg
from reactdiff_ros.avatar.certificates import Certificates
from reactdiff_ros.capture.browser import HEAD, PICTURE, REPLY, TIME
from reactdiff_ros.capture.visits import dismiss
from reactdiff_ros.launching.live_graph import _TRUST, _URL, page_answers
from reactdiff_ros.messages import fill_audio, from_stamp
from reactdiff_ros.resources import demo_clip_path
from reactdiff_ros.types import Sound
from tools.chromium import Chromium
from tools.programs import with_us

pytestmark = pytest.mark.ros
PICTURES, SOUND, VISITOR = "camera/image_raw/compressed", "audio", "camera/visitor"
DEVICES = (
    "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
)  # fmt: skip


def beeps(path):
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
def url(graph):
    """The address of the page of two running nodes."""
    graph.listen(PICTURES, SOUND, VISITOR, "camera/camera_info")
    avatar = graph.start("avatar_node", port=18765)
    graph.start("browser_node")
    graph.wait_active("avatar_node", "browser_node")
    return graph.page(avatar)


def opened(graph, browser, url):
    """The page, once it offers the camera."""
    page = browser.open(url)
    graph.until(lambda: page.value("window.reactdiff && !document.getElementById('visitor').hidden"), 20.0, "the offer")
    return page


def agree(page):
    page.value("document.getElementById('visit-button').click()")
    page.value("document.getElementById('consent-yes').click()")


def seated(url, **options):
    """A visitor's connection that has the seat; None: the one before has not left it yet."""
    line = connect(url, **options)
    if json.loads(line.recv()) == {"seat": True}:
        return line
    return line.close()


def send(line, time_ms, content, number=0):
    line.send_binary(HEAD.pack(1, PICTURE, 0, number, time_ms) + content)


def agree_on_time(line, ahead_ms=0.0):
    """Answer the question for the time that comes first."""
    number = REPLY.unpack(line.recv())[3]
    line.send_binary(HEAD.pack(1, TIME, 0, number, now_ms() + ahead_ms))


def visitors(url):
    """What pages know of the seat: free or taken, and how many wait."""
    report = ask(url)[1]["graph"]
    return report.get("visitor"), report.get("visitors_waiting")


@in_browser
def test_a_visitor_is_seen_and_heard_pauses_and_leaves(graph, url, tmp_path):
    sound = f"--use-file-for-fake-audio-capture={beeps(tmp_path / 'beeps.wav')}"
    with Chromium((800, 600), (*DEVICES, sound)) as browser:
        page = opened(graph, browser, url)
        assert not graph.received[PICTURES], "nothing before the visitor agrees"
        agree(page)
        graph.until(lambda: len(graph.received[PICTURES]) >= 20, 30.0, "pictures")
        graph.until(lambda: len(graph.received[SOUND]) >= 150, 30.0, "sound")
        assert page.value("reactdiff.visitor().state") == "live"
        assert graph.received[VISITOR][-1].data
        graph.until(lambda: "640x480" in graph.sentence("browser_node"), what="the size")
        graph.until(lambda: visitors(url) == ("taken", 0), what="pages know that the seat is taken")

        pictures = graph.received[PICTURES]
        stamps = [from_stamp(m.header.stamp) for m in pictures]
        assert (np.diff(stamps) > 0).all()
        assert all(bytes(m.data[:2]) == b"\xff\xd8" for m in pictures)
        assert graph.received["camera/camera_info"][-1].width == 640
        chunks = graph.received[SOUND]
        begins = np.array([from_stamp(m.header.stamp) for m in chunks])
        ends = begins + [len(m.samples) * 10**9 // m.sample_rate for m in chunks]
        assert np.abs(begins[1:] - ends[:-1]).max() < 15_000_000, "without gaps"
        assert np.abs(np.concatenate([m.samples for m in chunks])).max() > 5000
        assert abs(begins[-1] - stamps[-1]) < 3 * 10**9, "one clock"

        other = browser.open(url + "operator")
        graph.until(lambda: not graph.received[VISITOR][-1].data, what="the pause of a page that is hidden")
        other.close()
        page.front()
        graph.until(lambda: graph.received[VISITOR][-1].data, what="the visit goes on")
        page.value("document.getElementById('visit-button').click()")
        graph.until(lambda: not graph.received[VISITOR][-1].data, what="the end of the visit")
        graph.until(lambda: visitors(url) == ("free", 0), what="the free seat")


CAPTURED = """
window.captured = [];
const video = document.getElementById("me").querySelector("video");
const note = (now, { captureTime }) => {
  captured.push(performance.timeOrigin + captureTime);
  video.requestVideoFrameCallback(note);
};
video.requestVideoFrameCallback(note);
"""


@in_browser
@pytest.mark.real_time  # next to other work, the page misses pictures and its clock
@pytest.mark.parametrize("way", ["track", "page"])
def test_pictures_carry_the_time_of_their_capture_with_and_without_the_cameras_track(graph, url, way):
    with Chromium((800, 600), DEVICES) as browser:
        page = opened(graph, browser, url)
        if way == "page":
            assert page.value("delete globalThis.MediaStreamTrackProcessor")
        assert page.value("'MediaStreamTrackProcessor' in globalThis") is (way == "track")
        agree(page)
        graph.until(lambda: len(graph.received[PICTURES]) >= 5, 30.0, "pictures")
        page.value(f"(() => {{{CAPTURED}}})()")
        graph.until(lambda: page.value("captured.length") >= 60, 30.0, "pictures of the page")  # after some reports

        def apart_ms():
            newest = graph.received[PICTURES][-30:-5]  # what came last, the page may not have noted yet
            stamps = np.array([from_stamp(m.header.stamp) for m in newest]) / 1e6
            return float(np.median(np.abs(stamps[:, None] - np.array(page.value("captured"))).min(axis=1)))

        # The clocks agree better with every report; a neighbouring picture is 33 to 50 ms away.
        graph.until(lambda: apart_ms() < 3.0, 60.0, "stamps of the pictures' capture")


def test_a_page_whose_clock_is_off_is_told_and_stamped_right(graph, url):
    line = seated(url)
    agree_on_time(line, ahead_ms=5000.0)
    assert json.loads(line.recv()) == {"ahead_s": 5.0}, "a page whose clock is off is told"
    sent_ns = graph.node.get_clock().now().nanoseconds
    send(line, now_ms() + 5000.0, jpeg(64, 48))
    graph.until(lambda: graph.received[PICTURES], what="the picture")
    assert abs(from_stamp(graph.received[PICTURES][0].header.stamp) - sent_ns) < 200_000_000, "and stamped right"
    line.close()


def test_one_is_seen_others_wait_and_the_operator_passes_the_seat_on(graph, url):
    def pass_on():
        status, answer = ask(url, "api/visitor/pass", {})
        return status, answer["message"]

    line = seated(url)
    second, rude = connect(url), connect(url)
    assert [json.loads(waits.recv()) for waits in (second, rude)] == [{"waiting": 1}, {"waiting": 2}]
    graph.until(lambda: visitors(url) == ("taken", 2), what="two who wait")
    send(rude, 1.0, b"")
    assert "did not wait" in json.loads(rude.recv())["sentence"]
    graph.until(lambda: visitors(url) == ("taken", 1), what="one who waits")

    assert pass_on() == (200, "The next visitor's turn begins.")
    said = line.recv()
    while "sentence" not in str(said):
        said = line.recv()
    assert json.loads(said)["sentence"] == "The operator has ended this visit."
    assert json.loads(second.recv()) == {"seat": True}
    graph.until(lambda: visitors(url) == ("taken", 0), what="nobody who waits")
    assert pass_on() == (200, "The visit ends: no one waits.")
    graph.until(lambda: visitors(url) == ("free", 0), what="the free seat")
    assert pass_on() == (409, "No visitor's camera is in use.")
    for other in (line, second, rude):
        other.close()


def test_nonsense_ends_the_visit_and_not_the_node(graph, url):
    with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
        connect(url, origin="http://elsewhere.example")
    rng = np.random.default_rng(1)
    for _ in range(3):
        line = graph.until(lambda: seated(url), what="the free seat")
        for _ in range(9):
            send(line, 1.0, rng.bytes(60))
        said = [line.recv() for _ in range(10)]  # nine acknowledgements and a ping
        send(line, 1.0, rng.bytes(60))
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


def test_a_page_that_still_sends_hears_why_its_visit_ends():
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


@pytest.mark.slow
@pytest.mark.parametrize(("width", "height", "noise"), [(4000, 4000, 0), (1920, 1920, 60), (640, 480, 200)])
def test_a_flood_that_reads_nothing_costs_bounded_memory_and_no_faces(graph, url, width, height, noise):
    """Other attacks are those of the tests of the page's server and of what comes from browsers."""
    faces = connect(url, "ws", timeout=30)
    show_on(graph, 2.0)

    def memory_mb():
        return {p.name: psutil.Process(p.process.pid).memory_info().rss / 1e6 for p in graph.processes}

    before = most = memory_mb()
    code = f"from visitor_lines import flood; flood({url!r}, 15.0, {width}, {height}, {noise})"
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    attack = subprocess.Popen(with_us([sys.executable, "-c", code]), env=os.environ | {"PYTHONPATH": path})
    began_s, shown = time.monotonic(), 0
    while attack.poll() is None:
        show_on(graph, 1.0)
        while select.select([faces.sock], [], [], 0)[0]:
            shown += isinstance(faces.recv(), bytes)
        most = {node: max(most[node], mb) for node, mb in memory_mb().items()}
    assert attack.returncode == 0
    assert shown / (time.monotonic() - began_s) > 45
    assert {node: mb for node, mb in most.items() if mb > before[node] + 60.0} == {}, "more than a few large messages"
    assert {graph.state(p.name) for p in graph.processes} == {"active"}
    faces.shutdown()
    line = graph.until(lambda: seated(url), what="the free seat")
    graph.clear(PICTURES)
    agree_on_time(line)
    picture = jpeg(64, 48)
    seen = lambda: send(line, now_ms(), picture) or len(graph.received[PICTURES]) > 2  # noqa: E731
    graph.until(seen, what="a visitor with good intentions is seen")
    line.shutdown()


def test_a_clip_pauses_while_a_visitor_is_there(graph):
    graph.listen(PICTURES)
    graph.start("clip_node", clip=str(demo_clip_path()))
    graph.until(lambda: len(graph.received[PICTURES]) > 5, 40.0, "the clip")
    graph.publish(VISITOR, Bool(data=True))
    graph.until(lambda: "pauses" in graph.sentence("clip_node"), what="the pause")
    graph.clear(PICTURES)
    graph.spin(0.5)
    assert not graph.received[PICTURES]
    graph.publish(VISITOR, Bool(data=False))
    graph.until(lambda: graph.received[PICTURES], what="the clip again")


def test_a_visitor_is_seen_through_an_encrypted_line(tmp_path):
    with RosGraph(tmp_path) as graph:
        graph.listen(PICTURES)
        avatar = graph.start("avatar_node", port=18765, https=True, state_dir=str(tmp_path / "https"))
        graph.start("browser_node")
        graph.wait_active("avatar_node", "browser_node")
        url = graph.until(lambda: next(iter(_URL.findall(avatar.log)), None), what="the page's address")
        assert url.startswith("https://127.0.0.1:")
        assert page_answers(url, 5.0)
        with pytest.raises(ssl.SSLCertVerificationError):
            connect(url)
        certificates = Certificates(tmp_path / "https")
        certificates.renew((), datetime.now(timezone.utc))
        assert certificates.fingerprint == _TRUST.findall(avatar.log)[0][1]
        authority = tmp_path / "authority.crt"
        authority.write_text(ssl.DER_cert_to_PEM_cert(certificates.authority))
        line = seated(url, sslopt={"ca_certs": str(authority)})
        agree_on_time(line)
        time_ms = now_ms()
        for number in range(5):
            send(line, time_ms + number, jpeg(64, 48), number)
        graph.until(lambda: len(graph.received[PICTURES]) >= 3, what="pictures")
        line.close()


# The robot's voice, and what is chosen on the page

RATE_HZ = 22050
VOICE, SPEAKING, CONTROL, GESTURE = "speech/audio", "robot_speaking", "listener/control", "listener/gesture"


@pytest.fixture
def avatar(graph):
    graph.listen(SPEAKING, CONTROL, GESTURE)
    avatar = graph.start("avatar_node", port=18785)
    graph.wait_active("avatar_node")
    return avatar


def test_a_style_and_a_gesture_of_the_page_are_published(graph, avatar):
    url = graph.page(avatar)
    for topic, path in ((CONTROL, "style/warm"), (GESTURE, "gesture/nod")):
        graph.until(lambda topic=topic: graph.node.count_publishers(f"/{topic}") > 0, what="the publisher")
        graph.spin(0.5)
        assert ask(url, f"api/choose/{path}", {})[1]["done"]
        graph.until(lambda topic=topic: graph.received[topic], what=f"the message on {topic}")
    assert graph.received[CONTROL][0].style == "warm"
    gesture = graph.received[GESTURE][0]
    assert (gesture.name, gesture.strength) == ("nod", 1.0)


def say(graph, start_ns, samples):
    piece = Sound(start_ns, RATE_HZ, samples[:, None].astype(np.int16))
    graph.publish(VOICE, fill_audio(msg.AudioChunk(), piece, "voice"))


def speak(graph):
    """Half a second, in pieces."""
    samples = 8000 * np.sin(np.arange(RATE_HZ // 2) / 20)
    for piece in np.array_split(samples, 5):
        say(graph, time.time_ns(), piece)


@in_browser
def test_a_page_plays_the_voice_and_says_that_the_robot_speaks(graph, avatar):
    def spoken():
        return [bool(m.data) for m in graph.received[SPEAKING]]

    def unheard(count):
        told = lambda: avatar.log.count("press 'Hear the robot'") == count  # noqa: E731
        graph.until(told, what=f"that nobody hears it is said {count} times")

    def press():
        """As a visitor does: browsers allow sound only then."""
        page.call("Runtime.evaluate", expression="document.getElementById('voice-button').click()", userGesture=True)

    graph.connect(VOICE)
    with Chromium((800, 600), ("--autoplay-policy=user-gesture-required",)) as browser:
        page = browser.open(graph.page(avatar))
        page.until("window.reactdiff && reactdiff.connected()")
        page.until("!document.getElementById('voice-button').hidden", 20.0)  # the test may speak
        speak(graph)
        unheard(1)
        assert spoken() == []

        press()
        page.until("reactdiff.voice().state === 'running'")
        # The page has just been asked to play: something is said until it gets it.
        graph.until(lambda: page.value("reactdiff.voice().played") > 0 or speak(graph), what="the sound in the page")
        graph.until(lambda: spoken()[-1:] == [True], what="that the robot speaks")
        graph.until(lambda: spoken()[-1:] == [False], what="the end of the speech")
        played = float(page.value("reactdiff.voice().played"))
        assert played >= 0.45
        assert page.value("document.getElementById('voice-button').title") == "Mute the robot"

        # A voice that stops takes back what the page has not played: 2 s, then silence from 1 s on.
        start_ns = time.time_ns()
        for half in (*range(4), 2):
            say(graph, start_ns + half * 500_000_000, np.zeros(RATE_HZ // 2))
        page.until(f"Math.abs(reactdiff.voice().played - {played} - 1.5) < 0.01", 10.0)
        graph.until(lambda: spoken()[-1:] == [False], what="the end of the speech")

        press()
        page.until("!reactdiff.voice().on")
        graph.spin(0.5)  # what the page reports is on its way
        count = len(spoken())
        speak(graph)
        unheard(2)
        assert True not in spoken()[count:]
        assert page.errors == []
