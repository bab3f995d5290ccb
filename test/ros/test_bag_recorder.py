"""The recorder in the graph: what it keeps, what it keeps only with consent, what people are told, a full disk."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import urllib.request
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
from bag_of_clip import command
from ros_harness import RosGraph
from std_msgs.msg import Header

from reactdiff_ros import msg
from reactdiff_ros.clock import NS
from reactdiff_ros.messages import fill_audio, fill_header, fill_speaker
from reactdiff_ros.recordings.bags.storage import BagFiles
from reactdiff_ros.recordings.graph.recorder_node import Recording
from reactdiff_ros.recordings.studies.study import study_of
from reactdiff_ros.types import Sound, SpeakerFrame

PICTURE, AUDIO, FRAME, MARKER = "camera/image_raw/compressed", "audio", "speaker/frame", "study/marker"


# The queue and thread behind it


Usage = namedtuple("Usage", "total used free")


class Sink:
    """Keeps what it is given; waits or fails where a test says so."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, int, bytes]] = []
        self.closed = 0
        self.fails_at: int | None = None
        self.begun, self.free = threading.Event(), threading.Event()
        self.free.set()

    def write(self, topic: str, stamp_ns: int, data: bytes) -> None:
        self.begun.set()
        assert self.free.wait(60.0)
        if len(self.kept) == self.fails_at:
            raise OSError(28, "No space left on device")
        self.kept.append((topic, stamp_ns, data))

    def close(self) -> None:
        self.closed += 1


def recording(sink: Sink, folder: Path, *, queue_bytes: int = 1000, keep_free: int = 0) -> tuple[Recording, list[str]]:
    said: list[str] = []
    return Recording(sink, folder, queue_bytes, keep_free, said.append), said


def test_all_that_was_put_is_written_in_order_and_the_bag_is_completed(tmp_path):
    sink = Sink()
    record, said = recording(sink, tmp_path)
    for i in range(50):
        record.put("a" if i % 2 else "b", i, bytes([i]))
    assert record.close(10.0)
    assert [stamp for _, stamp, _ in sink.kept] == list(range(50))
    assert record.written == {"a": 25, "b": 25}
    assert (sink.closed, said, record.going_on) == (1, [], False)


def test_a_slow_disk_costs_messages_that_are_counted_and_never_the_caller(tmp_path):
    sink = Sink()
    sink.free.clear()
    record, _ = recording(sink, tmp_path, queue_bytes=100)
    record.put("a", 0, b"x")
    assert sink.begun.wait(60.0)  # that one is with the disk; what follows waits
    for i in range(1, 11):
        record.put("a", i, bytes(30))
    assert record.dropped == {"a": 7}
    sink.free.set()
    assert record.close(10.0)
    assert [stamp for _, stamp, _ in sink.kept] == [0, 1, 2, 3]


def test_a_disk_that_fails_ends_the_recording_with_one_sentence(tmp_path):
    sink = Sink()
    sink.fails_at = 3
    record, said = recording(sink, tmp_path)
    for i in range(10):
        record.put("a", i, b"x")
    assert record.close(10.0)
    assert len(said) == 1
    assert said[0] == record.ended
    assert "No space left on device" in said[0]
    assert str(tmp_path) in said[0]
    assert (len(sink.kept), sink.closed) == (3, 1)
    record.put("a", 11, b"x")  # harmless
    assert not record.going_on


def test_recording_ends_before_the_disk_is_full(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1000, 999, 50_000_000))
    sink = Sink()
    record, said = recording(sink, tmp_path, keep_free=200_000_000)
    record.put("a", 1, b"x")
    assert record.close(10.0)
    assert sink.kept == []
    assert sink.closed == 1
    assert "nearly full (50 MB" in said[0]


# In the graph


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    with RosGraph(tmp_path_factory.mktemp("record")) as graph:
        graph.start("reaction_node", policy="mime", seed=11)
        graph.listen("listener/status")
        graph.url = graph.page(graph.start("avatar_node", port=18974))
        yield graph


@pytest.fixture(scope="module")
def speak(graph):
    """Publishes one picture, one chunk of sound, one speaker frame and one mark, a few times."""
    from sensor_msgs.msg import CompressedImage
    from std_msgs.msg import String

    def speaking(recorder, mark="trial 1"):
        graph.connect(FRAME)
        graph.connect(MARKER)
        graph.until(lambda: "bag=" in settings(graph), 20.0, "the recorder's status")
        for i in range(5):
            now = graph.node.get_clock().now().nanoseconds
            zeros, ones = np.zeros(58, np.float32), np.ones(58, np.float32)
            frame = SpeakerFrame(now, now, None, 1, True, True, zeros, ones, 1.0, *[None] * 4)
            graph.publish(PICTURE, CompressedImage(header=fill_header(Header(), now), format="jpeg", data=b"picture"))
            sound = Sound(now, 16000, np.full((320, 1), i, np.int16))
            graph.publish(AUDIO, fill_audio(msg.AudioChunk(), sound, "microphone"))
            graph.publish(FRAME, fill_speaker(msg.SpeakerFrame(), frame))
            graph.spin(0.1)
        graph.publish(MARKER, String(data=mark))
        graph.until(lambda: f"marked: {mark}" in recorder.log, 10.0, "the mark")
        graph.spin(1.5)  # the nodes' parameters are asked for at their next status

    return speaking


def settings(graph) -> str:
    found = [m for m in graph.received["listener/status"] if m.stage == "recorder_node"]
    return " ".join(found[-1].settings) if found else ""


def page_says(graph) -> str:
    with urllib.request.urlopen(f"{graph.url}api/status", timeout=5) as answer:
        return str(json.load(answer)["graph"].get("recording", ""))


@pytest.fixture
def record(graph):
    """Starts the recorder; after the test none runs."""
    started = []

    def begin(**parameters):
        graph.spin(0.2)  # the last words of the recorder before
        graph.received["listener/status"].clear()
        graph.diagnostics.pop("recorder_node", None)
        started.append(graph.start("recorder_node", **parameters))
        return started[-1]

    yield begin
    for recorder in started:
        stop(graph, recorder)


def stop(graph, recorder) -> None:
    if recorder in graph.processes:
        graph.processes.remove(recorder)
        assert recorder.stop(timeout_s=20.0) == 0


@pytest.mark.ros
def test_without_consent_neither_pictures_nor_sound_are_kept(graph, speak, record, tmp_path):
    recorder = record(output=tmp_path / "one", session="p07-B")
    speak(recorder, mark="condition B begins")
    assert "no consent" in graph.sentence("recorder_node")
    graph.until(lambda: page_says(graph) == "recording, without pictures and sound", 20.0, "the page's sign")
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
    graph.until(lambda: page_says(graph) == "", 20.0, "the end of the page's sign")


@pytest.mark.ros
def test_with_consent_all_is_kept_and_nothing_is_overwritten(graph, speak, record, tmp_path):
    (tmp_path / "two").mkdir()
    recorder = record(output=tmp_path / "two", consent="form 12")
    speak(recorder)
    graph.until(lambda: page_says(graph) == "recording, with pictures and sound", 20.0, "the page's sign")
    stop(graph, recorder)
    bag = BagFiles(tmp_path / "two-2")
    assert bag.topics["/camera/image_raw/compressed"].count > 0
    assert bag.topics["/audio"].count == 5
    study = study_of(bag.custom_data)
    assert study.consent is True
    assert study.parameters["recorder_node.consent"] == "form 12"
    assert not list((tmp_path / "two").iterdir())


@pytest.mark.ros
def test_a_disk_that_is_nearly_full_ends_the_recording_alone(graph, record, tmp_path):
    record(output=tmp_path / "three", keep_free_mb=1_000_000)
    graph.until(lambda: "nearly full" in graph.sentence("recorder_node"), 40.0, "the sentence")
    assert graph.level("recorder_node") == 2
    assert graph.state("recorder_node") == "active"
    graph.until(lambda: graph.state("reaction_node") == "active" and graph.level("reaction_node") < 2, 20.0)
    graph.until(lambda: page_says(graph) == "", 20.0, "no sign on the page")


@pytest.fixture
def by_command():
    """A command that is ended with the test."""
    started = []
    yield lambda *arguments: started.append(command(*arguments)) or started[-1]
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.ros
def test_command_records_and_marks(graph, by_command, tmp_path):
    output = tmp_path / "by_command"
    recorder = by_command(graph.environment, "bag", "record", "-o", str(output), "--session", "s 1", "--json")
    graph.connect(MARKER)
    mark = command(graph.environment, "bag", "mark", "a look away")
    graph.until(lambda: mark.poll() is not None, 60.0, "the mark")
    assert mark.returncode == 0, mark.communicate()
    graph.spin(1.0)
    os.kill(recorder.pid, signal.SIGINT)
    graph.until(lambda: recorder.poll() is not None, 30.0, "the recorder's end")
    out, err = recorder.communicate()
    assert recorder.returncode == 0, err
    told = json.loads(out)
    assert told["bag"] == str(output)
    assert (told["session"], told["consent"], told["events"], told["dropped"]) == ("s 1", False, 1, 0)
    assert told["messages"]["/study/marker"] == 1
    assert "without pictures and sound" in err
    again = command(graph.environment, "bag", "record", "-o", str(output))
    assert again.wait(60) == 1
    assert "already" in again.communicate()[1]


@pytest.mark.ros
def test_a_mark_that_nobody_records_is_said(graph):
    mark = command(graph.environment, "bag", "mark", "nobody hears")
    graph.until(lambda: mark.poll() is not None, 60.0, "its end")
    assert mark.returncode == 1
    assert "no recorder runs" in mark.communicate()[1]
