"""The robot's voice through a real page: it is played once it was asked for, and `robot_speaking` follows."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from ros_harness import NodeProcess, RosGraph

from reactdiff_ros import msg
from reactdiff_ros.messages import fill_audio
from reactdiff_ros.types import Sound
from tools.chromium import Chromium, Page, find_chromium

pytestmark = [
    pytest.mark.ros,
    pytest.mark.browser,
    pytest.mark.skipif(find_chromium() is None, reason="no Chromium is installed"),
]
RATE_HZ = 22050
VOICE, SPEAKING = "speech/audio", "robot_speaking"


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[RosGraph]:
    with RosGraph(tmp_path) as graph:
        yield graph


@pytest.fixture
def avatar(graph: RosGraph) -> NodeProcess:
    graph.listen(SPEAKING)
    avatar = graph.start("avatar_node", port=18785)
    graph.wait_active("avatar_node")
    return avatar


def say(graph: RosGraph, seconds: float) -> None:
    samples = (8000 * np.sin(np.arange(round(seconds * RATE_HZ)) / 20)).astype(np.int16)
    for start in range(0, len(samples), RATE_HZ // 10):
        piece = Sound(time.time_ns(), RATE_HZ, samples[start : start + RATE_HZ // 10, None])
        graph.publish(VOICE, fill_audio(msg.AudioChunk(), piece, "voice"))


def spoken(graph: RosGraph) -> list[bool]:
    return [bool(m.data) for m in graph.received[SPEAKING]]


def test_a_page_plays_the_voice_and_says_that_the_robot_speaks(graph: RosGraph, avatar: NodeProcess) -> None:
    url = graph.page(avatar)
    with Chromium((800, 600), ("--autoplay-policy=user-gesture-required",)) as browser:
        page = browser.open(url)
        page.until("window.reactdiff && reactdiff.connected()")
        assert page.value("document.getElementById('voice-button').hidden")  # nobody speaks here
        graph.connect(VOICE)
        page.until("!document.getElementById('voice-button').hidden", 20.0)
        say(graph, 0.5)
        graph.until(lambda: unheard(avatar) == 1, what="that nobody hears it")
        assert spoken(graph) == []

        press(page)
        page.until("reactdiff.voice().state === 'running'")
        graph.until(lambda: _heard(graph, page), what="the sound in the page")
        graph.until(lambda: spoken(graph)[-1:] == [True], what="that the robot speaks")
        graph.until(lambda: spoken(graph)[-1:] == [False], what="the end of the speech")
        assert page.value("reactdiff.voice().played") >= 0.45
        assert page.value("document.getElementById('voice-button').title") == "Mute the robot"

        press(page)
        page.until("!reactdiff.voice().on")
        graph.spin(0.5)  # what the page reports is on its way
        count = len(spoken(graph))
        say(graph, 0.5)
        graph.until(lambda: unheard(avatar) == 2, what="that nobody hears it again")
        assert True not in spoken(graph)[count:]
        assert page.errors == []


def test_a_voice_that_stops_takes_back_what_the_page_has_not_played(graph: RosGraph, avatar: NodeProcess) -> None:
    url = graph.page(avatar)
    with Chromium((800, 600), ("--autoplay-policy=user-gesture-required",)) as browser:
        page = browser.open(url)
        page.until("window.reactdiff && reactdiff.connected()")
        graph.connect(VOICE)
        page.until("!document.getElementById('voice-button').hidden", 20.0)
        press(page)
        page.until("reactdiff.voice().state === 'running'")
        graph.until(lambda: _heard(graph, page), what="the sound in the page")
        graph.until(lambda: spoken(graph)[-1:] == [False], what="the end of the speech")
        before, start_ns = float(page.value("reactdiff.voice().played")), time.time_ns()
        silence = np.zeros((RATE_HZ // 2, 1), np.int16)
        for i in (*range(8), 6):  # 4 s, then silence from 3 s on
            piece = Sound(start_ns + i * 500_000_000, RATE_HZ, silence)
            graph.publish(VOICE, fill_audio(msg.AudioChunk(), piece, "page"))
        page.until(f"Math.abs(reactdiff.voice().played - {before} - 3.5) < 0.01", 10.0)
        assert page.errors == []


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
