"""A visitor's camera, microphone and choices through server and DDS, in Chromium and from programs."""

import json
import select
import ssl
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from datetime import datetime, timezone
from multiprocessing import get_context

import cv2
import numpy as np
import psutil
import pytest
import websocket
from faces_shown import show_on
from ros_harness import RosGraph, ask
from scipy.io import wavfile
from stage import in_browser

from reactdiff_ros import msg
from reactdiff_ros.avatar.certificates import Certificates
from reactdiff_ros.capture.browser import HEAD, MESSAGE_BYTES, PICTURE, REPLY, TIME
from reactdiff_ros.launching.live_graph import _TRUST, _URL, page_answers
from reactdiff_ros.messages import fill_audio, from_stamp
from reactdiff_ros.types import Sound
from tools.chromium import Chromium

pytestmark = pytest.mark.ros
PICTURES, SOUND, VISITOR = "camera/image_raw/compressed", "audio", "camera/visitor"
VOICE, SPEAKING, CONTROL, GESTURE = "speech/audio", "robot_speaking", "listener/control", "listener/gesture"
RATE_HZ = 22050
DEVICES = (
    "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
)  # fmt: skip


def connect(url, path="capture", **options):
    """The line of a visitor ("capture") or of a page ("ws"), of which no message is read."""
    given = {"origin": url.rstrip("/"), "timeout": 10, **options}
    return websocket.create_connection(url.replace("http", "ws", 1) + path, **given)


def jpeg(width, height, noise=0):
    """A picture of at most 256 kB; `noise`: larger is larger."""
    small = np.random.default_rng(1).integers(0, noise + 1, (height // 8, width // 8, 3), np.uint8)
    written = cv2.imencode(".jpg", cv2.resize(small, (width, height)), [cv2.IMWRITE_JPEG_QUALITY, 60])[1]
    return bytes(written)[: MESSAGE_BYTES - HEAD.size]


def now_ms():
    """As a page whose clock agrees with ours."""
    return time.time() * 1e3


def flood(url, seconds, content):
    """This picture 60 times a second, whatever is answered: nothing that comes is read. For a process of its own."""
    picture, end_s = HEAD.pack(1, PICTURE, 0, 0, now_ms()) + content, time.monotonic() + seconds
    while time.monotonic() < end_s:
        with suppress(OSError, websocket.WebSocketException):
            line = connect(url)
            try:
                while time.monotonic() < end_s:
                    line.send_binary(picture)
                    time.sleep(1 / 60)
            finally:
                line.shutdown()
        time.sleep(0.05)


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    """Two running nodes, of which the first serves the page."""
    with RosGraph(tmp_path_factory.mktemp("visits")) as graph:
        graph.listen(PICTURES, SOUND, VISITOR, "camera/camera_info", SPEAKING, CONTROL, GESTURE)
        graph.url = graph.page(graph.start("avatar_node", port=18765))
        graph.start("browser_node")
        graph.wait_active("avatar_node", "browser_node")
        yield graph


@pytest.fixture
def url(graph):
    """The address of the page, which no visitor of another test is at."""
    graph.until(lambda: visitors(graph.url) == ("free", 0), what="the free seat")
    graph.clear()
    return graph.url


def seated(url, **options):
    """A visitor's connection that has the seat; None: the one before has not left it yet."""
    line = connect(url, **options)
    if json.loads(line.recv()) == {"seat": True}:
        return line
    return line.close()


def send(line, time_ms, content):
    line.send_binary(HEAD.pack(1, PICTURE, 0, 0, time_ms) + content)


def sentence(line):
    """Why the visit ends."""
    while "sentence" not in str(said := line.recv()):
        pass
    return json.loads(said)["sentence"]


def agree_on_time(line, ahead_ms=0.0):
    """Answer the question for the time that comes first."""
    line.send_binary(HEAD.pack(1, TIME, 0, REPLY.unpack(line.recv())[3], now_ms() + ahead_ms))


def visitors(url):
    """What pages know of the seat: free or taken, and how many wait."""
    report = ask(url)[1]["graph"]
    return report.get("visitor"), report.get("visitors_waiting")


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
def test_a_visitor_is_seen_at_the_time_of_capture_and_heard_pauses_and_leaves(graph, url, tmp_path, way):
    """With and without the camera's track."""
    click = 20000 * np.sin(np.arange(480) * 2 * np.pi * 1000 / 48000)
    wavfile.write(tmp_path / "clicks.wav", 48000, np.pad(click, (0, 47520)).astype(np.int16))
    sound = f"--use-file-for-fake-audio-capture={tmp_path / 'clicks.wav'}"
    pictures, chunks = graph.received[PICTURES], graph.received[SOUND]
    with Chromium((800, 600), (*DEVICES, sound)) as browser:
        page = browser.open(url)
        page.until("window.reactdiff && !document.getElementById('visitor').hidden", 20.0)
        if way == "page":
            assert page.value("delete globalThis.MediaStreamTrackProcessor")
        assert page.value("'MediaStreamTrackProcessor' in globalThis") is (way == "track")
        assert not pictures, "nothing before the visitor agrees"
        page.value("document.getElementById('visit-button').click()")
        page.value("document.getElementById('consent-yes').click()")
        graph.until(lambda: len(pictures) >= 20, 30.0, "pictures")
        graph.until(lambda: len(chunks) >= 150, 30.0, "sound")
        assert page.value("reactdiff.visitor().state") == "live"
        assert graph.received[VISITOR][-1].data
        graph.until(lambda: "640x480" in graph.sentence("browser_node"), what="the size")
        graph.until(lambda: visitors(url) == ("taken", 0), what="pages know that the seat is taken")

        stamps = [from_stamp(m.header.stamp) for m in pictures]
        assert (np.diff(stamps) > 0).all()
        assert all(bytes(m.data[:2]) == b"\xff\xd8" for m in pictures)
        assert graph.received["camera/camera_info"][-1].width == 640
        begins = np.array([from_stamp(m.header.stamp) for m in chunks])
        ends = begins + [len(m.samples) * 10**9 // m.sample_rate for m in chunks]
        assert np.abs(begins[1:] - ends[:-1]).max() < 15_000_000, "without gaps"
        assert np.abs(np.concatenate([m.samples for m in chunks])).max() > 5000
        assert abs(begins[-1] - stamps[-1]) < 3 * 10**9, "one clock"

        page.value(f"(() => {{{CAPTURED}}})()")
        graph.until(lambda: page.value("captured.length") >= 60, 30.0, "pictures of the page")  # after some reports

        def apart_ms():
            newest = pictures[-30:-5]  # what came last, the page may not have noted yet
            stamps = np.array([from_stamp(m.header.stamp) for m in newest]) / 1e6
            return float(np.median(np.abs(stamps[:, None] - np.array(page.value("captured"))).min(axis=1)))

        # The clocks agree better with every report; a neighbouring picture is 33 to 50 ms away.
        graph.until(lambda: apart_ms() < 3.0, 60.0, "stamps of the pictures' capture")

        other = browser.open(url + "operator")
        graph.until(lambda: not graph.received[VISITOR][-1].data, what="the pause of a page that is hidden")
        other.close()
        page.front()
        graph.until(lambda: graph.received[VISITOR][-1].data, what="the visit goes on")
        page.value("document.getElementById('visit-button').click()")
        graph.until(lambda: not graph.received[VISITOR][-1].data, what="the end of the visit")
        graph.until(lambda: visitors(url) == ("free", 0), what="the free seat")


def test_one_is_seen_and_stamped_right_others_wait_and_the_operator_passes_the_seat_on(graph, url):
    def pass_on():
        status, answer = ask(url, "api/visitor/pass", {})
        return status, answer["message"]

    line = seated(url)
    agree_on_time(line, ahead_ms=5000.0)
    assert json.loads(line.recv()) == {"ahead_s": 5.0}, "a page whose clock is off is told"
    sent_ns = graph.node.get_clock().now().nanoseconds
    send(line, now_ms() + 5000.0, jpeg(64, 48))
    graph.until(lambda: graph.received[PICTURES], what="the picture")
    assert abs(from_stamp(graph.received[PICTURES][0].header.stamp) - sent_ns) < 200_000_000
    second, rude = connect(url), connect(url)
    assert [json.loads(waits.recv()) for waits in (second, rude)] == [{"waiting": 1}, {"waiting": 2}]
    graph.until(lambda: visitors(url) == ("taken", 2), what="two who wait")
    send(rude, 1.0, b"")
    assert "did not wait" in sentence(rude)
    graph.until(lambda: visitors(url) == ("taken", 1), what="one who waits")

    assert pass_on() == (200, "The next visitor's turn begins.")
    assert sentence(line) == "The operator has ended this visit."
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
    for _ in range(2):
        line = graph.until(lambda: seated(url), what="the free seat")
        for _ in range(10):
            send(line, 1.0, rng.bytes(60))
        assert "cannot be used" in sentence(line)
        line.close()
    line = connect(url)
    with suppress(OSError):  # too large for the server, which may end the line at once
        line.send_binary(bytes(2**20))
    line.close()
    graph.until(lambda: seated(url), what="the free seat").close()
    assert graph.state("browser_node") == "active"


@pytest.mark.slow
@pytest.mark.parametrize(("width", "height", "noise"), [(4000, 4000, 0), (1920, 1920, 60), (640, 480, 200)])
def test_a_flood_that_reads_nothing_costs_bounded_memory_and_no_faces(graph, url, width, height, noise):
    """Other attacks are those of the tests of the page's server and of what comes from browsers."""
    faces = connect(url, "ws", timeout=30)
    show_on(graph, 2.0)

    def memory_mb():
        return {p.name: psutil.Process(p.process.pid).memory_info().rss / 1e6 for p in graph.processes}

    before = most = memory_mb()
    attacker = ProcessPoolExecutor(1, get_context("spawn"))
    attack = attacker.submit(flood, url, 15.0, jpeg(width, height, noise))
    began_s, shown = time.monotonic(), 0
    while not attack.done():
        show_on(graph, 1.0)
        while select.select([faces.sock], [], [], 0)[0]:
            shown += isinstance(faces.recv(), bytes)
        most = {node: max(most[node], mb) for node, mb in memory_mb().items()}
    attack.result()
    attacker.shutdown()
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


def test_a_visitor_has_the_seat_through_an_encrypted_line(tmp_path):
    with RosGraph(tmp_path) as graph:
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
        trusted = ssl.create_default_context(cadata=ssl.DER_cert_to_PEM_cert(certificates.authority))
        line = seated(url, sslopt={"context": trusted})
        agree_on_time(line)
        line.close()


# The robot's voice, and what is chosen on the page


def test_a_style_and_a_gesture_of_the_page_are_published(graph, url):
    for topic, path in ((CONTROL, "style/warm"), (GESTURE, "gesture/nod")):
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
def test_a_page_plays_the_voice_and_says_that_the_robot_speaks(graph, url):
    said = lambda: graph.processes[0].log.count("press 'Hear the robot'")  # noqa: E731
    before = said()

    def spoken():
        return [bool(m.data) for m in graph.received[SPEAKING]]

    def press():
        """As a visitor does: browsers allow sound only then."""
        page.call("Runtime.evaluate", expression="document.getElementById('voice-button').click()", userGesture=True)

    graph.connect(VOICE)
    with Chromium((800, 600), ("--autoplay-policy=user-gesture-required",)) as browser:
        page = browser.open(url)
        page.until("window.reactdiff && reactdiff.connected()")
        page.until("!document.getElementById('voice-button').hidden", 20.0)  # the test may speak
        speak(graph)
        graph.until(lambda: said() == before + 1, what="that nobody hears it is said")
        assert spoken() == []

        press()
        page.until("reactdiff.voice().state === 'running'")
        # The page has just been asked to play: something is said until it gets it.
        graph.until(lambda: page.value("reactdiff.voice().played") > 0 or speak(graph), what="the sound in the page")
        graph.until(lambda: spoken()[-1:] == [True], what="that the robot speaks")
        graph.until(lambda: spoken()[-1:] == [False], what="the end of the speech")
        played = float(page.value("reactdiff.voice().played"))
        assert played >= 0.45

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
        graph.until(lambda: said() == before + 2, what="that nobody hears it is said again")
        assert True not in spoken()[count:]
        assert page.errors == []
