"""speech_node over DDS: a text is heard, reported, stopped and replaced; what comes of it is counted in stamps."""

import itertools
import time
from types import SimpleNamespace

import numpy as np
import pytest
from action_msgs.msg import GoalStatus
from rclpy.action import ActionClient
from ros_harness import RosGraph

from reactdiff_ros import action, msg
from reactdiff_ros.clock import NS
from reactdiff_ros.messages import fill_audio, from_stamp, mouth_value, sound_value
from reactdiff_ros.nodes.speech_node import Goals
from reactdiff_ros.speech.utterance import Heard
from reactdiff_ros.speech.voice import Result
from reactdiff_ros.types import Sound

pytestmark = pytest.mark.ros
SOUND, STATE, SPEAKING, TIMING = "speech/audio", "speech/state", "robot_speaking", "speech/timing"
EVENT, MOUTH = "turn/event", "speech/mouth"
LONG = "This is a sentence that goes on for quite some time, and then for some time more, until it is over."
SUCCEEDED, CANCELED, ABORTED = GoalStatus.STATUS_SUCCEEDED, GoalStatus.STATUS_CANCELED, GoalStatus.STATUS_ABORTED


class Goal:
    """A goal that was sent, and what came of it."""

    def __init__(self, graph, client, goal):
        self._graph, self.words = graph, []
        sent = client.send_goal_async(goal, feedback_callback=self._on_word)
        graph.until(sent.done, what="the goal's acceptance")
        self.handle = sent.result()
        assert self.handle.accepted
        self._result = self.handle.get_result_async()

    def _on_word(self, message):
        self.words.append((message.feedback.word, from_stamp(message.feedback.stamp)))

    def result(self):
        """(status, result)."""
        self._graph.until(self._result.done, what="the goal's result")
        return self._result.result().status, self._result.result().result


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with RosGraph(tmp_path_factory.mktemp("speech")) as graph:
        graph.listen(SOUND, STATE, SPEAKING, TIMING, MOUTH)
        graph.start("speech_node", device="none", engine="espeak-ng")
        graph.wait_active("speech_node")
        graph.until(lambda: graph.node.count_publishers(SOUND), what="the voice")
        client = ActionClient(graph.node, action.Say, "say")
        graph.until(client.server_is_ready, what="the action say")
        graph.say = lambda text, **fields: Goal(graph, client, action.Say.Goal(text=text, **fields))
        yield graph
        client.destroy()


@pytest.fixture
def graph(running):
    """A listener that is silent, and of whose earlier words nothing comes any more."""
    silent = lambda: not running.received[SPEAKING] or not running.received[SPEAKING][-1].data  # noqa: E731
    running.until(lambda: phases(running)[-1:] in ([], ["idle"]) and silent(), what="silence")
    running.spin(0.3)
    running.clear()
    return running


def heard(graph):
    """The chunks as they are heard: one with an earlier stamp replaces those before it."""
    chunks = []
    for sound in map(sound_value, graph.received[SOUND]):
        while chunks and chunks[-1].stamp_ns >= sound.stamp_ns:
            chunks.pop()
        chunks.append(sound)
    return chunks


def phases(graph):
    return [phase for phase, _ in itertools.groupby(state.phase for state in graph.received[STATE])]


def test_a_text_is_heard_and_reported_word_by_word(graph):
    before_ns = time.time_ns()
    goal = graph.say("Hello there. This works!", emotion="happy", intensity=1.5)
    status, result = goal.result()
    assert (status, result.aborted, result.message) == (SUCCEEDED, False, "")
    assert result.spoken_text == "Hello there. This works!"
    graph.until(lambda: graph.received[SPEAKING] and not graph.received[SPEAKING][-1].data, what="the end")
    chunks = heard(graph)
    assert chunks[0].stamp_ns - before_ns < 2 * NS  # 0.14 s on a machine with nothing else to do
    assert all(abs(b.stamp_ns - a.end_ns) < 50_000 for a, b in itertools.pairwise(chunks)), "no gap"
    assert {m.header.frame_id for m in graph.received[SOUND]} == {"page"}
    assert [word for word, _ in goal.words] == ["Hello", "there.", "This", "works!"]
    assert all(chunks[0].stamp_ns <= stamp < chunks[-1].end_ns for _, stamp in goal.words)
    timings, mouths = graph.received[TIMING], [mouth_value(m) for m in graph.received[MOUTH]]
    assert from_stamp(timings[0].header.stamp) == chunks[0].stamp_ns
    assert len({t.utterance for t in timings}) == 1
    assert [m.start_ns for m in mouths] == [from_stamp(t.header.stamp) for t in timings]
    assert all(m.coefficients.max() > 0.2 for m in mouths)
    assert phases(graph) == ["preparing", "speaking", "idle"]
    spoken = graph.received[STATE][-2]
    assert (spoken.emotion, spoken.intensity) == ("happy", 1.5)
    assert from_stamp(spoken.start) == chunks[0].stamp_ns
    assert graph.received[SPEAKING][0].data


def test_a_cancelled_text_is_silent_within_a_tenth_of_a_second(graph):
    goal = graph.say(LONG)
    graph.until(lambda: len(goal.words) > 2, what="words")
    asked_ns = time.time_ns()
    goal.handle.cancel_goal_async()
    status, result = goal.result()
    assert (status, result.aborted, result.message) == (CANCELED, True, "it was cancelled")
    assert LONG.startswith(result.spoken_text)
    assert len(result.spoken_text) < len(LONG)
    stopping = next(from_stamp(s.header.stamp) for s in graph.received[STATE] if s.phase == "stopping")
    last = next(c for c in reversed(heard(graph)) if c.samples.any())
    silent_ns = last.stamp_ns + (int(np.flatnonzero(last.samples)[-1]) + 1) * NS // last.rate_hz
    assert silent_ns - stopping <= 100_000_000
    assert silent_ns - asked_ns <= 1_000_000_000  # 0.08 s where the machine has nothing else to do
    graph.until(lambda: not graph.received[SPEAKING][-1].data, what="that it is silent")
    closing = mouth_value(graph.received[MOUTH][-1])
    assert closing.coefficients[-1].max() == closing.closure.max() == 0.0
    assert 0 <= closing.start_ns - stopping <= 100_000_000
    assert phases(graph) == ["preparing", "speaking", "stopping", "idle"]


def test_a_new_text_replaces_or_waits_and_the_person_takes_the_floor(graph):
    first = graph.say(LONG)
    graph.until(lambda: first.words, what="a word")
    second = graph.say("Second.")
    assert first.result()[1].message == "another text took its place"
    assert second.result()[0] == SUCCEEDED
    assert graph.set_parameter("speech_node", "while_speaking", "queue").successful
    third, fourth, fifth = graph.say("Third."), graph.say("Fourth."), graph.say(LONG)
    assert (fourth.result()[0], fourth.result()[1].spoken_text) == (ABORTED, "")
    assert third.result()[0] == SUCCEEDED
    graph.connect(EVENT)
    graph.until(lambda: fifth.words, what="a word")
    assert fifth.words[0][1] > third.words[-1][1]
    graph.publish(EVENT, msg.TurnEvent(kind="user_backchannel", confidence=1.0))
    graph.publish(EVENT, msg.TurnEvent(kind="barge_in", confidence=1.0))
    status, result = fifth.result()
    assert (status, result.message) == (ABORTED, "the person took the floor")
    assert graph.set_parameter("speech_node", "while_speaking", "replace").successful


def test_a_goal_that_cannot_be_is_one_sentence(graph):
    for goal, sentence in (
        ({"text": "<speak/>"}, "nothing to say"), ({"text": "a" * 100_000}, "100000 characters"),
        ({"text": "hi", "voice": "elvish-9"}, "no voice 'elvish-9'"), ({"text": "hi", "emotion": "bored"}, "'bored'"),
        ({"text": "hi", "intensity": float("nan")}, "intensity"),
    ):  # fmt: skip
        status, result = graph.say(**goal).result()
        assert (status, sentence in result.message, "\n" in result.message) == (ABORTED, True, False), result.message
    assert graph.say("\x1b[2Jyes").result()[0] == SUCCEEDED
    assert graph.level("speech_node") == 0


def test_the_voice_of_another_program_is_followed(graph):
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


TTS = {"goal": {"locale": "de", "voice": ""}, "feedback": {"word": ""}, "result": {"error_msg": "", "text": ""}}
SAY = {"goal": {"person_id": ""}, "feedback": {"progress": ""}, "result": {"error_msg": ""}}


@pytest.mark.parametrize(("fields", "voice"), [(TTS, "de"), (SAY, "")], ids=["tts_msgs", "communication_skills"])
def test_a_goal_of_another_packages_action_is_asked_and_answered_in_its_fields(fields, voice):
    kind = SimpleNamespace(
        Feedback=lambda: SimpleNamespace(**fields["feedback"]), Result=lambda: SimpleNamespace(**fields["result"])
    )  # fmt: skip
    asked, words, ends = [], [], []
    handle = SimpleNamespace(
        goal_id=SimpleNamespace(uuid=bytes(16)), is_cancel_requested=False,
        request=SimpleNamespace(input="Good morning.", **fields["goal"]), publish_feedback=words.append,
        succeed=lambda: ends.append("succeeded"), abort=lambda: ends.append("aborted"),
        execute=lambda end: ends.append(vars(end(handle))),
    )  # fmt: skip
    goals = Goals(asked.append, None, lambda: "u1")
    goals.accepted(handle, kind)
    (request,) = asked
    assert (request.texts, request.manner.voice) == (["Good morning."], voice)
    request.word(Heard("Good", 5))
    assert vars(words[0]) == fields["feedback"] | ({"word": "Good"} if "word" in fields["feedback"] else {})
    request.done(Result("Good morning.", False, ""))
    assert ends == ["succeeded", fields["result"] | ({"text": "Good morning."} if "text" in fields["result"] else {})]
    handle.request.input = ""
    goals.accepted(handle, kind)
    assert ends[2] == "aborted"
    assert "nothing to say" in ends[3]["error_msg"]
