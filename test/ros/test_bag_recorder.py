"""The recorder: what it keeps, what it keeps only with consent, what people are told, a slow or full disk."""

import json
import signal
import threading
from contextlib import contextmanager

import numpy as np
import pytest
from deadline import until
from faces_shown import somebody
from rclpy.serialization import deserialize_message
from ros_harness import RosGraph, ask, command
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Header, String

from reactdiff_ros import msg
from reactdiff_ros.clock import NS
from reactdiff_ros.messages import fill_audio, fill_header
from reactdiff_ros.recordings.bags.storage import BagFiles, study_of
from reactdiff_ros.recordings.graph.recorder_node import Recording
from reactdiff_ros.types import Sound

pytestmark = pytest.mark.ros
PICTURE, AUDIO, FRAME, MARKER = "camera/image_raw/compressed", "audio", "speaker/frame", "study/marker"
CONTROL, CONTROLS = "listener/control", ("/listener/control", "/listener/control/latest")


class Disk:
    """Keeps what it is given; waits or fails where a test says so."""

    def __init__(self, folder, fails_at=None):
        self.kept, self.said, self.closed, self.fails_at = [], [], [], fails_at
        self.begun, self.free = threading.Event(), threading.Event()
        self.record = Recording(self.write, lambda: self.closed.append(True), folder, 100, 0, self.said.append)

    def write(self, topic, stamp_ns, data):
        self.begun.set()
        assert self.free.wait(60.0)
        if len(self.kept) == self.fails_at:
            raise OSError(28, "No space left on device")
        self.kept.append(stamp_ns)


def test_a_slow_disk_costs_messages_that_are_counted_and_never_the_caller_and_all_others_are_kept_in_order(tmp_path):
    disk = Disk(tmp_path)
    disk.record.put("a", 0, b"x")
    assert disk.begun.wait(60.0)  # that one is with the disk; what follows waits
    for i in range(1, 11):
        disk.record.put("a", i, bytes(30))
    assert disk.record.dropped == {"a": 7}
    disk.free.set()
    until(lambda: len(disk.kept) == 4)
    for i in range(4, 50):
        disk.record.put("b", i, b"x")
    assert disk.record.close(10.0)
    assert disk.kept == list(range(50))
    assert disk.record.written == {"a": 4, "b": 46}
    assert (disk.closed, disk.said, disk.record.going_on) == ([True], [], False)


def test_a_disk_that_fails_ends_the_recording_with_one_sentence(tmp_path):
    disk = Disk(tmp_path, fails_at=3)
    disk.free.set()
    for i in range(10):
        disk.record.put("a", i, b"x")
    assert disk.record.close(10.0)
    assert disk.said == [disk.record.ended]
    assert all(words in disk.said[0] for words in ("No space left on device", str(tmp_path)))
    assert (len(disk.kept), disk.closed) == (3, [True])
    disk.record.put("a", 11, b"x")  # harmless
    assert not disk.record.going_on


# In the graph


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    with RosGraph(tmp_path_factory.mktemp("record")) as graph:
        graph.listen("listener/status")
        graph.start("reaction_node", policy="mime", seed=11)
        graph.url = graph.page(graph.start("avatar_node", port=18974))
        yield graph


def speak(graph, recorder, mark):
    """Publishes pictures, chunks of sound and speaker frames, five each, a style, and one mark."""
    graph.connect(FRAME)
    graph.connect(MARKER)
    graph.until(lambda: "bag" in graph.settings("recorder_node"), 20.0, "the recorder's status")
    for i in range(5):
        now = graph.node.get_clock().now().nanoseconds
        graph.publish(PICTURE, CompressedImage(header=fill_header(Header(), now), format="jpeg", data=b"picture"))
        sound = Sound(now, 16000, np.full((320, 1), i, np.int16))
        graph.publish(AUDIO, fill_audio(msg.AudioChunk(), sound, "microphone"))
        graph.publish(FRAME, somebody(now))
        graph.spin(0.1)
    graph.publish(CONTROL, msg.ListenerControl(style="warm"))
    graph.publish(MARKER, String(data=mark))
    graph.until(lambda: f"marked: {mark}" in recorder.log, 10.0, "the mark")
    graph.spin(1.5)  # the nodes' parameters are asked for at their next status


def page_says(graph, words):
    shown = lambda: str(ask(graph.url)[1]["graph"].get("recording", "")) == words  # noqa: E731
    graph.until(shown, 20.0, f"the page says {words!r}")


@contextmanager
def recording(graph, **parameters):
    """A recorder, whose bag is complete afterwards."""
    graph.spin(0.2)  # the last words of the one before
    graph.clear("listener/status")
    graph.diagnostics.pop("recorder_node", None)
    recorder = graph.start("recorder_node", **parameters)
    try:
        yield recorder
    finally:
        graph.processes.remove(recorder)
        assert recorder.stop(timeout_s=20.0) == 0


def test_without_consent_neither_pictures_nor_sound_are_kept(graph, tmp_path):
    with recording(graph, output=tmp_path / "one", session="p07-B") as recorder:
        speak(graph, recorder, "condition B begins")
        assert "no consent" in graph.sentence("recorder_node")
        page_says(graph, "recording, without pictures and sound")
    bag = BagFiles(tmp_path / "one")
    kept = {t.name: t.count for t in bag.topics.values() if t.count}
    assert (kept["/speaker/frame"], kept["/study/marker"]) == (5, 1)
    assert "/listener/status" in kept
    assert not {"/camera/image_raw/compressed", "/camera/image_raw", "/camera/camera_info", "/audio"} & set(kept)
    study = study_of(bag.custom_data)
    assert (study.session_id, study.consent, study.seed) == ("p07-B", None, 11)
    assert [e.name for e in study.events] == ["condition B begins"]
    now = graph.node.get_clock().now().nanoseconds
    assert now - 60 * NS < study.events[0].stamp_ns < now
    assert study.parameters["reaction_node.policy"] == "mime"
    assert study.parameters["recorder_node.session"] == "p07-B"
    page_says(graph, "")


def test_with_consent_all_is_kept_also_what_was_set_before_and_nothing_is_overwritten(graph, tmp_path):
    (tmp_path / "two").mkdir()
    graph.connect(CONTROL)
    graph.publish(CONTROL, msg.ListenerControl(style="calm"))
    graph.until(lambda: graph.settings("reaction_node").get("style") == "calm", what="the style")
    with recording(graph, output=tmp_path / "two", consent="form 12") as recorder:
        graph.until(lambda: CONTROLS[1] in graph.settings("recorder_node").get("messages", ""), what="the style kept")
        speak(graph, recorder, "trial 1")
        page_says(graph, "recording, with pictures and sound")
    assert not list((tmp_path / "two").iterdir())
    bag = BagFiles(tmp_path / "two-2")
    assert bag.topics["/camera/image_raw/compressed"].count > 0
    assert bag.topics["/audio"].count == 5
    study = study_of(bag.custom_data)
    assert (study.consent, study.parameters["recorder_node.consent"]) == (True, "form 12")
    styles = {t: [deserialize_message(r.raw, msg.ListenerControl).style for r in bag.records({t})] for t in CONTROLS}
    assert styles["/listener/control"] == ["warm"]
    assert styles["/listener/control/latest"][-2:] == ["calm", "warm"]


def test_a_disk_that_is_nearly_full_ends_the_recording_alone(graph, tmp_path):
    with recording(graph, output=tmp_path / "three", keep_free_mb=1_000_000):
        graph.until(lambda: "nearly full" in graph.sentence("recorder_node"), 40.0, "the sentence")
        assert (graph.level("recorder_node"), graph.state("recorder_node")) == (2, "active")
        graph.until(lambda: graph.state("reaction_node") == "active" and graph.level("reaction_node") < 2, 20.0)
        page_says(graph, "")


def test_commands_record_and_mark_and_say_where_they_cannot(graph, tmp_path):
    output = str(tmp_path / "by_command")

    def ended(process):
        graph.until(lambda: process.poll() is not None, 60.0, "its end")
        return process.returncode, *process.communicate()

    def run(*arguments):
        return command(graph.environment, "bag", *arguments)

    code, _, said = ended(run("mark", "nobody hears"))
    assert (code, "no recorder runs" in said) == (1, True)
    recorder = run("record", "-o", output, "--session", "s 1", "--json")
    try:
        graph.connect(MARKER)
        code, _, said = ended(run("mark", "a look away"))
        assert code == 0, said
        graph.spin(1.0)
        recorder.send_signal(signal.SIGINT)
        code, out, said = ended(recorder)
    finally:
        recorder.kill()
    assert (code, "without pictures and sound" in said) == (0, True), said
    report = json.loads(out)
    assert report.pop("messages")["/study/marker"] == 1
    assert report == {"bag": output, "session": "s 1", "consent": False, "dropped": 0, "events": 1}
    code, _, said = ended(run("record", "-o", output))
    assert (code, "already" in said) == (1, True)
