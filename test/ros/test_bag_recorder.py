"""The recorder: what it keeps, what it keeps only with consent, what people are told, a slow or full disk."""

from __future__ import annotations

import json
import os
import signal
import threading

import numpy as np
import pytest
from faces_shown import somebody
from ros_harness import RosGraph, ask, command
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Header, String

from reactdiff_ros import msg
from reactdiff_ros.clock import NS
from reactdiff_ros.messages import fill_audio, fill_header
from reactdiff_ros.recordings.bags.storage import BagFiles, study_of
from reactdiff_ros.recordings.graph.recorder_node import Recording
from reactdiff_ros.types import Sound

PICTURE, AUDIO, FRAME, MARKER = "camera/image_raw/compressed", "audio", "speaker/frame", "study/marker"


class Disk:
    """Keeps what it is given; waits or fails where a test says so."""

    def __init__(self, folder, *, queue_bytes=1000, fails_at=None):
        self.kept, self.said, self.closed, self.fails_at = [], [], 0, fails_at
        self.begun, self.free = threading.Event(), threading.Event()
        self.free.set()
        self.record = Recording(self.write, self.close, folder, queue_bytes, 0, self.said.append)

    def write(self, topic, stamp_ns, data):
        self.begun.set()
        assert self.free.wait(60.0)
        if len(self.kept) == self.fails_at:
            raise OSError(28, "No space left on device")
        self.kept.append(stamp_ns)

    def close(self):
        self.closed += 1


def test_all_is_written_in_order_and_a_slow_disk_costs_messages_that_are_counted_and_never_the_caller(tmp_path):
    disk = Disk(tmp_path)
    for i in range(50):
        disk.record.put("a" if i % 2 else "b", i, bytes([i]))
    assert disk.record.close(10.0)
    assert disk.kept == list(range(50))
    assert disk.record.written == {"a": 25, "b": 25}
    assert (disk.closed, disk.said, disk.record.going_on) == (1, [], False)

    slow = Disk(tmp_path, queue_bytes=100)
    slow.free.clear()
    slow.record.put("a", 0, b"x")
    assert slow.begun.wait(60.0)  # that one is with the disk; what follows waits
    for i in range(1, 11):
        slow.record.put("a", i, bytes(30))
    assert slow.record.dropped == {"a": 7}
    slow.free.set()
    assert slow.record.close(10.0)
    assert slow.kept == [0, 1, 2, 3]


def test_a_disk_that_fails_ends_the_recording_with_one_sentence(tmp_path):
    disk = Disk(tmp_path, fails_at=3)
    for i in range(10):
        disk.record.put("a", i, b"x")
    assert disk.record.close(10.0)
    assert disk.said == [disk.record.ended]
    assert "No space left on device" in disk.said[0]
    assert str(tmp_path) in disk.said[0]
    assert (len(disk.kept), disk.closed) == (3, 1)
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
    """Publishes pictures, chunks of sound and speaker frames, five each, and one mark."""
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
    graph.publish(MARKER, String(data=mark))
    graph.until(lambda: f"marked: {mark}" in recorder.log, 10.0, "the mark")
    graph.spin(1.5)  # the nodes' parameters are asked for at their next status


def page_says(graph, words):
    shown = lambda: str(ask(graph.url)[1]["graph"].get("recording", "")) == words  # noqa: E731
    graph.until(shown, 20.0, f"the page says {words!r}")


@pytest.fixture
def record(graph):
    """Starts the recorder; after the test none runs."""
    started = []

    def begin(**parameters):
        graph.spin(0.2)  # the last words of the recorder before
        graph.clear("listener/status")
        graph.diagnostics.pop("recorder_node", None)
        started.append(graph.start("recorder_node", **parameters))
        return started[-1]

    yield begin
    for recorder in started:
        stop(graph, recorder)


def stop(graph, recorder):
    if recorder in graph.processes:
        graph.processes.remove(recorder)
        assert recorder.stop(timeout_s=20.0) == 0


@pytest.mark.ros
def test_without_consent_neither_pictures_nor_sound_are_kept(graph, record, tmp_path):
    recorder = record(output=tmp_path / "one", session="p07-B")
    speak(graph, recorder, "condition B begins")
    assert "no consent" in graph.sentence("recorder_node")
    page_says(graph, "recording, without pictures and sound")
    stop(graph, recorder)
    bag = BagFiles(tmp_path / "one")
    kept = {t.name: t.count for t in bag.topics.values() if t.count}
    assert kept["/speaker/frame"] == 5
    assert kept["/study/marker"] == 1
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


@pytest.mark.ros
def test_with_consent_all_is_kept_and_nothing_is_overwritten(graph, record, tmp_path):
    (tmp_path / "two").mkdir()
    recorder = record(output=tmp_path / "two", consent="form 12")
    speak(graph, recorder, "trial 1")
    page_says(graph, "recording, with pictures and sound")
    stop(graph, recorder)
    assert not list((tmp_path / "two").iterdir())
    bag = BagFiles(tmp_path / "two-2")
    assert bag.topics["/camera/image_raw/compressed"].count > 0
    assert bag.topics["/audio"].count == 5
    study = study_of(bag.custom_data)
    assert (study.consent, study.parameters["recorder_node.consent"]) == (True, "form 12")


@pytest.mark.ros
def test_a_disk_that_is_nearly_full_ends_the_recording_alone(graph, record, tmp_path):
    record(output=tmp_path / "three", keep_free_mb=1_000_000)
    graph.until(lambda: "nearly full" in graph.sentence("recorder_node"), 40.0, "the sentence")
    assert graph.level("recorder_node") == 2
    assert graph.state("recorder_node") == "active"
    graph.until(lambda: graph.state("reaction_node") == "active" and graph.level("reaction_node") < 2, 20.0)
    page_says(graph, "")


@pytest.mark.ros
def test_commands_record_and_mark_and_say_where_they_cannot(graph, tmp_path):
    def ended(*arguments):
        process = command(graph.environment, "bag", *arguments)
        graph.until(lambda: process.poll() is not None, 60.0, "its end")
        return process.returncode, process.communicate()[1]

    code, said = ended("mark", "nobody hears")
    assert (code, "no recorder runs" in said) == (1, True)
    output = str(tmp_path / "by_command")
    recorder = command(graph.environment, "bag", "record", "-o", output, "--session", "s 1", "--json")
    try:
        graph.connect(MARKER)
        code, said = ended("mark", "a look away")
        assert code == 0, said
        graph.spin(1.0)
        os.kill(recorder.pid, signal.SIGINT)
        graph.until(lambda: recorder.poll() is not None, 30.0, "the recorder's end")
    finally:
        recorder.kill()
    out, err = recorder.communicate()
    assert recorder.returncode == 0, err
    report = json.loads(out)
    assert report["bag"] == output
    assert (report["session"], report["consent"], report["events"], report["dropped"]) == ("s 1", False, 1, 0)
    assert report["messages"]["/study/marker"] == 1
    assert "without pictures and sound" in err
    code, said = ended("record", "-o", output)
    assert (code, "already" in said) == (1, True)
