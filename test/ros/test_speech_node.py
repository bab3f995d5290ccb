"""speech_node over DDS: a text is heard, reported, stopped and replaced; what comes of it is counted in stamps."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time

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
    idle = lambda: not running.received[STATE] or running.received[STATE][-1].phase == "idle"  # noqa: E731
    silent = lambda: not running.received[SPEAKING] or not running.received[SPEAKING][-1].data  # noqa: E731
    running.until(lambda: idle() and silent(), what="silence")
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
    assert (status, result.spoken_text, result.aborted, result.message) == (
        SUCCEEDED, "Hello there. This works!", False, "",
    )  # fmt: skip
    graph.until(lambda: graph.received[SPEAKING] and not graph.received[SPEAKING][-1].data, what="the end")
    chunks = heard(graph)
    assert chunks[0].stamp_ns - before_ns < 2 * NS  # 0.14 s on a machine with nothing else to do
    assert all(abs(b.stamp_ns - a.end_ns) < 50_000 for a, b in itertools.pairwise(chunks)), "no gap"
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
    third, fourth, fifth = graph.say(LONG), graph.say("Fourth."), graph.say("Fifth.")
    assert (fourth.result()[0], fourth.result()[1].spoken_text) == (ABORTED, "")
    assert third.result()[0] == fifth.result()[0] == SUCCEEDED
    assert fifth.words[0][1] > third.words[-1][1]
    assert graph.set_parameter("speech_node", "while_speaking", "replace").successful
    last = graph.say(LONG)
    graph.connect(EVENT)
    graph.until(lambda: last.words, what="a word")
    graph.publish(EVENT, msg.TurnEvent(kind="user_backchannel", confidence=1.0))
    graph.publish(EVENT, msg.TurnEvent(kind="barge_in", confidence=1.0))
    status, result = last.result()
    assert (status, result.message) == (ABORTED, "the person took the floor")


def test_a_goal_that_cannot_be_is_one_sentence(graph):
    for goal, sentence in (
        ({"text": ""}, "there is nothing to say"), ({"text": "<speak/>"}, "nothing to say"),
        ({"text": "a" * 100_000}, "100000 characters"), ({"text": "hi", "voice": "elvish-9"}, "no voice 'elvish-9'"),
        ({"text": "hi", "emotion": "bored"}, "'bored'"), ({"text": "hi", "intensity": float("nan")}, "intensity"),
    ):  # fmt: skip
        status, result = graph.say(**goal).result()
        assert status == ABORTED, goal
        assert sentence in result.message
        assert "\n" not in result.message
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


# The speech actions of other packages, built here as small interfaces of the same names

ACTIONS = {
    "tts_msgs/action/TTS": ("tts_engine/tts", ("string input", "string locale", "string voice", "---",
        "string error_msg", "string text", "---", "string word")),
    "communication_skills/action/Say": ("skill/say", ("string person_id", "string input", "---", "string error_msg",
        "---", "string progress")),
}  # fmt: skip
CMAKE = """cmake_minimum_required(VERSION 3.22)
project({package})
find_package(ament_cmake REQUIRED)
find_package(rosidl_default_generators REQUIRED)
find_package(action_msgs REQUIRED)
list(FILTER AMENT_EXTENSIONS_rosidl_generate_idl_interfaces EXCLUDE REGEX "_cpp:")
rosidl_generate_interfaces({package} action/{name}.action DEPENDENCIES action_msgs)
ament_package()
"""
PACKAGE = """<package format="3">
  <name>{package}</name><version>0.0.0</version><description>For a test</description>
  <maintainer email="test@example.com">test</maintainer><license>Apache-2.0</license>
  <buildtool_depend>ament_cmake</buildtool_depend><buildtool_depend>rosidl_default_generators</buildtool_depend>
  <depend>action_msgs</depend><member_of_group>rosidl_interface_packages</member_of_group>
  <export><build_type>ament_cmake</build_type></export>
</package>
"""
CLIENT = """
import json, sys
from importlib import import_module
import rclpy
from rclpy.action import ActionClient
package, _, name = sys.argv[1].split("/")
kind = getattr(import_module(package + ".action"), name)
rclpy.init()
node = rclpy.create_node("client")
client = ActionClient(node, kind, sys.argv[2])
assert client.wait_for_server(60.0)
def until(future):
    rclpy.spin_until_future_complete(node, future, timeout_sec=60.0)
    return future.result()
words, found = [], []
for text in ("Good morning, my friend.", ""):
    sent = client.send_goal_async(kind.Goal(input=text), feedback_callback=lambda m: words.append(str(m.feedback)))
    ended = until(until(sent).get_result_async())
    fields = ended.result.get_fields_and_field_types()
    found.append({"status": ended.status, **{field: getattr(ended.result, field) for field in fields}})
print(json.dumps({"words": words, "found": found}))
"""


def run(*command, **options):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=150, **options)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(ACTIONS))
def test_an_action_of_another_package_is_served_where_it_is_installed(kind, tmp_path, monkeypatch):
    package, _, name = kind.split("/")
    topic, definition = ACTIONS[kind]
    source, build, prefix = (tmp_path / folder for folder in ("source", "build", "install"))
    (source / "action").mkdir(parents=True)
    (source / "action" / f"{name}.action").write_text("\n".join(definition))
    (source / "CMakeLists.txt").write_text(CMAKE.format(package=package, name=name))
    (source / "package.xml").write_text(PACKAGE.format(package=package))
    python = [f"-D{key}={sys.executable}" for key in ("Python3_EXECUTABLE", "PYTHON_EXECUTABLE")]
    run("cmake", "-S", source, "-B", build, f"-DCMAKE_INSTALL_PREFIX={prefix}", "-DBUILD_TESTING=OFF", *python)
    run("cmake", "--build", build)
    run("cmake", "--install", build)
    modules = next(prefix.glob("**/site-packages"), None) or next(prefix.glob("**/dist-packages"))
    paths = {"AMENT_PREFIX_PATH": prefix, "LD_LIBRARY_PATH": prefix / "lib", "PYTHONPATH": modules}
    for variable, path in paths.items():
        monkeypatch.setenv(variable, f"{path}{os.pathsep}{os.environ.get(variable, '')}")
    with RosGraph(tmp_path) as graph:
        graph.start("speech_node", device="none", engine="espeak-ng")
        graph.wait_active("speech_node")
        answer = json.loads(run(sys.executable, "-c", CLIENT, kind, topic, env=graph.environment).splitlines()[-1])
    said, empty = answer["found"]
    assert (said["status"], said["error_msg"]) == (4, ""), "succeeded"
    assert said.get("text", "Good morning, my friend.") == "Good morning, my friend."
    assert len(answer["words"]) == 4
    assert empty["status"] == 6, "aborted"
    assert empty["error_msg"]
