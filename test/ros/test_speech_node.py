"""speech_node over DDS: a text is heard, reported, stopped and replaced; what comes of it is counted in stamps."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest
from action_msgs.msg import GoalStatus
from rclpy.action import ActionClient
from ros_harness import RosGraph

from reactdiff_ros import action, msg
from reactdiff_ros.clock import NS
from reactdiff_ros.messages import fill_audio, from_stamp, mouth_value, sound_value
from reactdiff_ros.types import Sound

pytestmark = pytest.mark.ros
SOUND, STATE, SPEAKING, TIMING = "speech/audio", "speech/state", "robot_speaking", "speech/timing"
EVENT, MOUTH = "turn/event", "speech/mouth"
LONG = "This is a sentence that goes on for quite some time, and then for some time more, until it is over."


class Goal:
    """A goal that was sent, and what came of it."""

    def __init__(self, client: Client, goal: Any) -> None:
        self._graph, self.words = client.graph, list[tuple[str, int]]()
        sent = client.client.send_goal_async(goal, feedback_callback=self._on_word)
        self._graph.until(sent.done, what="the goal's acceptance")
        self.handle = sent.result()
        assert self.handle.accepted
        self._result = self.handle.get_result_async()

    def _on_word(self, message: Any) -> None:
        self.words.append((message.feedback.word, from_stamp(message.feedback.stamp)))

    def result(self) -> tuple[int, Any]:
        """(status, result)."""
        self._graph.until(self._result.done, what="the goal's result")
        return self._result.result().status, self._result.result().result


class Client:
    def __init__(self, graph: RosGraph) -> None:
        self.graph = graph
        self.client = ActionClient(graph.node, action.Say, "say")
        graph.until(self.client.server_is_ready, what="the action say")

    def say(self, text: str, **fields: Any) -> Goal:
        return Goal(self, action.Say.Goal(text=text, **fields))


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RosGraph]:
    with RosGraph(tmp_path_factory.mktemp("speech")) as graph:
        graph.listen(SOUND, STATE, SPEAKING, TIMING, MOUTH)
        graph.start("speech_node", device="none", engine="espeak-ng")
        graph.wait_active("speech_node")
        graph.until(lambda: graph.node.count_publishers(SOUND), what="the voice")
        yield graph


@pytest.fixture(scope="module")
def speaker(graph: RosGraph) -> Iterator[Client]:
    speaker = Client(graph)
    yield speaker
    speaker.client.destroy()


@pytest.fixture
def client(graph: RosGraph, speaker: Client) -> Client:
    """A listener that is silent, and of whose earlier words nothing comes any more."""
    idle = lambda: not graph.received[STATE] or graph.received[STATE][-1].phase == "idle"  # noqa: E731
    silent = lambda: not graph.received[SPEAKING] or not graph.received[SPEAKING][-1].data  # noqa: E731
    graph.until(lambda: idle() and silent(), what="silence")
    graph.spin(0.3)
    graph.clear()
    return speaker


def heard(graph: RosGraph) -> list[Sound]:
    """The chunks as they are heard: one with an earlier stamp replaces those before it."""
    chunks: list[Sound] = []
    for sound in map(sound_value, graph.received[SOUND]):
        while chunks and chunks[-1].stamp_ns >= sound.stamp_ns:
            chunks.pop()
        chunks.append(sound)
    return chunks


def silent_ns(graph: RosGraph) -> int:
    """When the last sample that is not zero is heard."""
    last = next(c for c in reversed(heard(graph)) if c.samples.any())
    return last.stamp_ns + (int(np.flatnonzero(last.samples)[-1]) + 1) * NS // last.rate_hz


def phases(graph: RosGraph) -> list[str]:
    found: list[str] = []
    for state in graph.received[STATE]:
        if found[-1:] != [state.phase]:
            found.append(state.phase)
    return found


def test_a_text_is_heard_and_reported_word_by_word(graph: RosGraph, client: Client) -> None:
    before_ns = time.time_ns()
    goal = client.say("Hello there. This works!", emotion="happy", intensity=1.5)
    status, result = goal.result()
    assert (status, result.spoken_text, result.aborted, result.message) == (
        GoalStatus.STATUS_SUCCEEDED, "Hello there. This works!", False, "",
    )  # fmt: skip
    graph.until(lambda: graph.received[SPEAKING] and not graph.received[SPEAKING][-1].data, what="the end")
    chunks = heard(graph)
    assert chunks[0].stamp_ns - before_ns < 2 * NS  # 0.14 s on a machine with nothing else to do
    assert all(abs(b.stamp_ns - a.end_ns) < 50_000 for a, b in itertools.pairwise(chunks))  # no gap
    assert {m.header.frame_id for m in graph.received[SOUND]} == {"page"}
    assert [word for word, _ in goal.words] == ["Hello", "there.", "This", "works!"]
    assert all(chunks[0].stamp_ns <= stamp < chunks[-1].end_ns for _, stamp in goal.words)
    timings = graph.received[TIMING]
    assert from_stamp(timings[0].header.stamp) == chunks[0].stamp_ns
    assert len({t.utterance for t in timings}) == 1
    mouths = [mouth_value(m) for m in graph.received[MOUTH]]
    assert [m.start_ns for m in mouths] == [from_stamp(t.header.stamp) for t in timings]
    assert all(m.coefficients.max() > 0.2 for m in mouths)
    assert phases(graph) == ["preparing", "speaking", "idle"]
    spoken = graph.received[STATE][-2]
    assert (spoken.emotion, spoken.intensity) == ("happy", 1.5)
    assert from_stamp(spoken.start) == chunks[0].stamp_ns
    assert [m.data for m in graph.received[SPEAKING]][:1] == [True]


def test_a_cancelled_text_is_silent_within_a_tenth_of_a_second(graph: RosGraph, client: Client) -> None:
    goal = client.say(LONG)
    graph.until(lambda: len(goal.words) > 2, what="words")
    asked_ns = time.time_ns()
    goal.handle.cancel_goal_async()
    status, result = goal.result()
    assert status == GoalStatus.STATUS_CANCELED
    assert result.aborted
    assert result.message == "it was cancelled"
    assert LONG.startswith(result.spoken_text)
    assert len(result.spoken_text) < len(LONG)
    stopping = next(from_stamp(s.header.stamp) for s in graph.received[STATE] if s.phase == "stopping")
    assert silent_ns(graph) - stopping <= 100_000_000
    assert silent_ns(graph) - asked_ns <= 1_000_000_000  # 0.08 s where the machine has nothing else to do
    graph.until(lambda: not graph.received[SPEAKING][-1].data, what="that it is silent")
    closing = mouth_value(graph.received[MOUTH][-1])
    assert closing.coefficients[-1].max() == closing.closure.max() == 0.0
    assert 0 <= closing.start_ns - stopping <= 100_000_000
    assert phases(graph) == ["preparing", "speaking", "stopping", "idle"]


@pytest.fixture
def queueing(graph: RosGraph) -> Iterator[Callable[[], None]]:
    """Lets the texts of this test wait for each other from a call on."""

    def set_to(what: str) -> None:
        assert graph.set_parameter("speech_node", "while_speaking", what).successful

    yield partial(set_to, "queue")
    set_to("replace")


def test_a_new_text_replaces_or_waits(graph: RosGraph, client: Client, queueing: Callable[[], None]) -> None:
    first = client.say(LONG)
    graph.until(lambda: first.words, what="a word")
    second = client.say("Second.")
    assert first.result()[1].message == "another text took its place"
    assert second.result()[0] == GoalStatus.STATUS_SUCCEEDED
    queueing()
    third, fourth, fifth = client.say(LONG), client.say("Fourth."), client.say("Fifth.")
    assert (fourth.result()[0], fourth.result()[1].spoken_text) == (GoalStatus.STATUS_ABORTED, "")
    assert third.result()[0] == fifth.result()[0] == GoalStatus.STATUS_SUCCEEDED
    assert fifth.words[0][1] > third.words[-1][1]


def test_the_person_takes_the_floor(graph: RosGraph, client: Client) -> None:
    goal = client.say(LONG)
    graph.connect(EVENT)
    graph.until(lambda: goal.words, what="a word")
    graph.publish(EVENT, msg.TurnEvent(kind="user_backchannel", confidence=1.0))
    graph.publish(EVENT, msg.TurnEvent(kind="barge_in", confidence=1.0))
    status, result = goal.result()
    assert (status, result.message) == (GoalStatus.STATUS_ABORTED, "the person took the floor")


NO_GOALS: list[tuple[dict[str, Any], str]] = [
    ({"text": ""}, "there is nothing to say"), ({"text": "\x1b[2J"}, ""), ({"text": "<speak/>"}, "nothing to say"),
    ({"text": "a" * 100_000}, "100000 characters"), ({"text": "hi", "voice": "elvish-9"}, "no voice 'elvish-9'"),
    ({"text": "hi", "emotion": "bored"}, "'bored'"), ({"text": "hi", "intensity": -1.0}, "intensity"),
    ({"text": "hi", "intensity": float("nan")}, "intensity"),
]  # fmt: skip


def test_a_goal_that_cannot_be_is_one_sentence(graph: RosGraph, client: Client) -> None:
    for goal, sentence in NO_GOALS:
        status, result = client.say(**goal).result()
        assert status == (GoalStatus.STATUS_ABORTED if sentence else GoalStatus.STATUS_SUCCEEDED), goal
        assert sentence in result.message
        assert "\n" not in result.message
    assert client.say("yes").result()[0] == GoalStatus.STATUS_SUCCEEDED
    assert graph.level("speech_node") == 0


def test_the_voice_of_another_program_is_followed(graph: RosGraph, client: Client) -> None:
    graph.connect(SOUND)
    samples = (8000 * np.sin(np.arange(32000) / 20)).astype(np.int16)
    start_ns = time.time_ns() + 100_000_000
    for i in range(50):
        piece = Sound(start_ns + i * NS // 25, 16000, samples[i * 640 : (i + 1) * 640, None])
        graph.publish(SOUND, fill_audio(msg.AudioChunk(), piece, "lab"))
    graph.until(lambda: [m.data for m in graph.received[SPEAKING]][-1:] == [False], what="the end")
    assert phases(graph)[-2:] == ["speaking", "idle"]
    graph.until(lambda: graph.received[MOUTH], what="its lips")
    assert max(m.level.max() for m in map(mouth_value, graph.received[MOUTH])) > 0.1
    last = next(s for s in reversed(graph.received[STATE]) if s.phase == "speaking")
    assert (from_stamp(last.start), from_stamp(last.end)) == (start_ns, start_ns + 2 * NS)
