"""The recorder in the graph: what it keeps, what it keeps only with consent, what people are told, a full disk."""

from __future__ import annotations

import json
import os
import signal

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
from reactdiff_ros.types import Sound

pytestmark = pytest.mark.ros

PICTURE, AUDIO, FRAME, MARKER = "camera/image_raw/compressed", "audio", "speaker/frame", "study/marker"


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    with RosGraph(tmp_path_factory.mktemp("record")) as graph:
        graph.listen("listener/status")
        graph.start("reaction_node", policy="mime", seed=11)
        graph.url = graph.page(graph.start("avatar_node", port=18974))
        yield graph


@pytest.fixture(scope="module")
def speak(graph):
    """Publishes pictures, chunks of sound and speaker frames, five each, and one mark."""

    def speaking(recorder, mark="trial 1"):
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

    return speaking


@pytest.fixture(autouse=True)
def listens(graph):
    graph.clear("listener/status")


def page_says(graph) -> str:
    return str(ask(graph.url)[1]["graph"].get("recording", ""))


@pytest.fixture
def record(graph):
    """Starts the recorder; after the test none runs."""
    started = []

    def begin(**parameters):
        graph.spin(0.2)  # the last words of the recorder before
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
    report = json.loads(out)
    assert report["bag"] == str(output)
    assert (report["session"], report["consent"], report["events"], report["dropped"]) == ("s 1", False, 1, 0)
    assert report["messages"]["/study/marker"] == 1
    assert "without pictures and sound" in err
    again = command(graph.environment, "bag", "record", "-o", str(output))
    assert again.wait(60) == 1
    assert "already" in again.communicate()[1]


def test_a_mark_that_nobody_records_is_said(graph):
    mark = command(graph.environment, "bag", "mark", "nobody hears")
    graph.until(lambda: mark.poll() is not None, 60.0, "its end")
    assert mark.returncode == 1
    assert "no recorder runs" in mark.communicate()[1]
