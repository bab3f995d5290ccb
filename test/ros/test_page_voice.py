"""What is chosen on the face's page goes out as messages; the robot's voice is played once it was asked for, and
`robot_speaking` follows.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import pytest
from ros_harness import NodeProcess, RosGraph, ask

from reactdiff_ros import msg
from reactdiff_ros.messages import fill_audio
from reactdiff_ros.types import Sound
from tools.chromium import Chromium, Page, find_chromium

pytestmark = pytest.mark.ros
RATE_HZ = 22050
VOICE, SPEAKING, CONTROL, GESTURE = "speech/audio", "robot_speaking", "listener/control", "listener/gesture"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RosGraph]:
    with RosGraph(tmp_path_factory.mktemp("page")) as graph:
        graph.listen(SPEAKING, CONTROL, GESTURE)
        graph.start("avatar_node", port=18785)
        graph.wait_active("avatar_node")
        graph.connect(VOICE)
        yield graph


@pytest.fixture
def graph(running: RosGraph) -> RosGraph:
    running.clear()
    return running


@pytest.fixture
def avatar(graph: RosGraph) -> NodeProcess:
    return graph.processes[0]


@pytest.fixture
def page(graph: RosGraph, avatar: NodeProcess) -> Iterator[Page]:
    if find_chromium() is None:
        pytest.skip("no Chromium is installed")
    with Chromium((800, 600), ("--autoplay-policy=user-gesture-required",)) as browser:
        page = browser.open(graph.page(avatar))
        page.until("window.reactdiff && reactdiff.connected()")
        page.until("!document.getElementById('voice-button').hidden", 20.0)  # the test may speak
        yield page
        assert page.errors == []


def test_a_style_and_a_gesture_of_the_page_are_published(graph: RosGraph, avatar: NodeProcess) -> None:
    url = graph.page(avatar)
    for topic, path in ((CONTROL, "style/warm"), (GESTURE, "gesture/nod")):
        graph.until(lambda name=topic: graph.node.count_publishers(f"/{name}") > 0, what="the publisher")
        graph.spin(0.5)
        assert ask(url, f"api/choose/{path}", {})[1]["done"]
        graph.until(lambda name=topic: graph.received[name], what=f"the message on {topic}")
    assert graph.received[CONTROL][0].style == "warm"
    gesture = graph.received[GESTURE][0]
    assert (gesture.name, gesture.strength) == ("nod", 1.0)


def say(graph: RosGraph, seconds: float) -> None:
    samples = (8000 * np.sin(np.arange(round(seconds * RATE_HZ)) / 20)).astype(np.int16)
    for start in range(0, len(samples), RATE_HZ // 10):
        piece = Sound(time.time_ns(), RATE_HZ, samples[start : start + RATE_HZ // 10, None])
        graph.publish(VOICE, fill_audio(msg.AudioChunk(), piece, "voice"))


def spoken(graph: RosGraph) -> list[bool]:
    return [bool(m.data) for m in graph.received[SPEAKING]]


@pytest.mark.browser
def test_a_page_plays_the_voice_and_says_that_the_robot_speaks(
    graph: RosGraph, avatar: NodeProcess, page: Page
) -> None:
    before = unheard(avatar)
    say(graph, 0.5)
    graph.until(lambda: unheard(avatar) == before + 1, what="that nobody hears it")
    assert spoken(graph) == []

    press(page)
    page.until("reactdiff.voice().state === 'running'")
    graph.until(lambda: _heard(graph, page), what="the sound in the page")
    graph.until(lambda: spoken(graph)[-1:] == [True], what="that the robot speaks")
    graph.until(lambda: spoken(graph)[-1:] == [False], what="the end of the speech")
    assert page.value("reactdiff.voice().played") >= 0.45
    assert page.value("document.getElementById('voice-button').title") == "Mute the robot"

    # A voice that stops takes back what the page has not played.
    played, start_ns = float(page.value("reactdiff.voice().played")), time.time_ns()
    silence = np.zeros((RATE_HZ // 2, 1), np.int16)
    for i in (*range(4), 2):  # 2 s, then silence from 1 s on
        piece = Sound(start_ns + i * 500_000_000, RATE_HZ, silence)
        graph.publish(VOICE, fill_audio(msg.AudioChunk(), piece, "page"))
    page.until(f"Math.abs(reactdiff.voice().played - {played} - 1.5) < 0.01", 10.0)
    graph.until(lambda: spoken(graph)[-1:] == [False], what="the end of the speech")

    press(page)
    page.until("!reactdiff.voice().on")
    graph.spin(0.5)  # what the page reports is on its way
    count = len(spoken(graph))
    say(graph, 0.5)
    graph.until(lambda: unheard(avatar) == before + 2, what="that nobody hears it again")
    assert True not in spoken(graph)[count:]


def unheard(avatar: NodeProcess) -> int:
    """How often the node has said that nobody hears the voice."""
    return avatar.log.count("press 'Hear the robot'")


def press(page: Page) -> None:
    """As a visitor does: browsers allow sound only then."""
    page.call("Runtime.evaluate", expression="document.getElementById('voice-button').click()", userGesture=True)


def _heard(graph: RosGraph, page: Page) -> bool:
    """Says something until the page, which has just been asked to play, gets it."""
    if page.value("reactdiff.voice().played") > 0:
        return True
    say(graph, 0.5)
    return False
