"""What is missing, goes and comes back: devices, clips, nodes. The face goes on; one sentence says what is wrong."""

from __future__ import annotations

import array
import shutil
import socket

import numpy as np
import pytest
from ros_harness import RosGraph

from reactdiff_ros.clock import NS
from reactdiff_ros.messages import from_stamp
from reactdiff_ros.resources import resource_path

pytestmark = pytest.mark.ros

PICTURE, FRAME, EXPRESSION = "camera/image_raw/compressed", "speaker/frame", "listener/expression"


def film(path, seconds=1.0):
    """A silent film of 25 pictures a second, put in place in one move."""
    import cv2

    new = path.with_name(f"new_{path.name}")
    writer = cv2.VideoWriter(str(new), cv2.VideoWriter.fourcc(*"MJPG"), 25.0, (64, 48))
    for i in range(round(25 * seconds)):
        writer.write(np.full((48, 64, 3), 4 * i, np.uint8))
    writer.release()
    new.rename(path)
    return path


class Feed:
    """Pictures and sound for a perception_node, 20 times a second while the test waits for anything."""

    noise = np.random.default_rng(0).integers(0, 255, 64 * 48 + 1000, dtype=np.uint8)

    def __init__(self, graph, place):
        from sensor_msgs.msg import Image

        self._graph, self._place, self._count = graph, place, 0
        self._picture = Image(encoding="mono8", width=64, height=48, step=64)
        self.all_well()
        graph.connect(f"{place}/camera/image_raw")
        graph.connect(f"{place}/audio")
        graph.node.create_timer(0.05, self.publish)

    def all_well(self):
        """Every picture another one, and sound that is heard."""
        self.pixels, self.level = None, 1000

    def publish(self):
        from reactdiff_ros.msg import AudioChunk

        self._count += 1
        pixels = self.noise[self._count % 1000 :][: 64 * 48] if self.pixels is None else self.pixels
        self._picture.data = array.array("B", pixels.tobytes())
        chunk = AudioChunk(sample_rate=16000, channels=1, samples=array.array("h", [self.level, -self.level] * 400))
        self._picture.header.stamp = chunk.header.stamp = self._graph.node.get_clock().now().to_msg()
        self._graph.publish(f"{self._place}/camera/image_raw", self._picture)
        self._graph.publish(f"{self._place}/audio", chunk)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("together")


@pytest.fixture(scope="module")
def together(folder):
    """Nodes whose troubles take seconds, each in a namespace of its own: the tests wait for all of them at once."""
    with RosGraph(folder) as graph:
        graph.listen(f"film/{PICTURE}", f"clip/{PICTURE}")
        graph.listen(*(f"{place}/listener/status" for place in ("film", "weights", "eyes", "ears")))
        graph.listen(f"face/{EXPRESSION}")
        for place, node, parameters in (
            ("weights", "reaction_node", {"policy": "model", "model_dir": folder / "no_weights_here"}),
            ("face", "expression_node", {}),
            ("eyes", "perception_node", {"image_transport": "raw"}),
            ("ears", "perception_node", {"image_transport": "raw"}),
            ("film", "camera_node", {"device": film(folder / "camera.avi", 1.0)}),
            ("clip", "clip_node", {"clip": film(folder / "short.avi")}),
        ):
            graph.start(node, "-r", f"__ns:=/{place}", **parameters)
        yield graph


def faults_of(graph):
    """What is wrong with what the eyes see, and with what the ears hear."""
    eyes, ears = (graph.settings("perception_node", place) for place in ("eyes", "ears"))
    return eyes.get("picture_fault"), ears.get("sound_fault")


def test_pictures_and_sound_that_tell_nothing_are_said(together):
    eyes, ears = Feed(together, "eyes"), Feed(together, "ears")
    frozen, black = Feed.noise[: 64 * 48], np.zeros(64 * 48, np.uint8)
    for (seen, pixels, sight), (heard, level, hearing) in (
        (("all the same", frozen, "frozen"), ("digitally silent", 0, "silent")),
        (("one colour", black, "blank"), ("at full scale", 32767, "clipped")),
    ):
        eyes.pixels, ears.level = pixels, level
        words = {"eyes/perception_node": seen, "ears/perception_node": heard}
        together.until(lambda words=words: all(w in together.sentence(n) for n, w in words.items()), 40.0, words)
        assert {together.level(node) for node in words} == {1}
        together.until(lambda faults=(sight, hearing): faults_of(together) == faults, 5.0, "the faults")
        eyes.all_well()
        ears.all_well()
        over = lambda words=words: not any(w in together.sentence(n) for n, w in words.items())  # noqa: E731
        together.until(over, 10.0, f"the end of {words}")
    together.until(lambda: faults_of(together) == ("", ""), 5.0, "no fault")


def test_a_face_without_plans_says_whom_it_misses(together):
    """Reaction_node may run on a machine that this one does not reach: nobody else would tell."""
    from reactdiff_ros.msg import SpeakerFrame

    node = "face/expression_node"
    together.connect(f"face/{FRAME}")

    def said():
        together.publish(f"face/{FRAME}", SpeakerFrame())
        together.spin(0.1)
        return "nothing comes on listener/reaction" in together.sentence(node)

    together.until(said, 40.0, "the sentence")
    assert together.level(node) == 1
    assert together.received[f"face/{EXPRESSION}"], "the face goes on"
    together.until(lambda: together.level(node) == 0, 10.0, "nobody to plan for")


def test_missing_weights_are_said_rules_stand_in_and_the_model_takes_over(together, folder):
    node = "weights/reaction_node"

    def policy():
        return together.settings("reaction_node", "weights").get("policy")

    together.until(lambda: together.level(node) == 2, 40.0, "the error")
    together.wait_active(node)
    assert "rules" in together.sentence(node)
    assert "no_weights_here" in together.sentence(node)
    together.until(lambda: policy() == "rules", 10.0, "the rules")
    shutil.copytree(resource_path("models/live"), folder / "no_weights_here")
    together.until(lambda: policy() == "model", 30.0, "the model")
    together.until(lambda: together.level(node) < 2, 10.0, "no error")


def test_film_as_camera_begins_again_without_an_error(together):
    together.until(lambda: len(together.received[f"film/{PICTURE}"]) > 60, 40.0, "more than two rounds of pictures")
    assert {status.last_error for status in together.received["film/listener/status"]} == {""}


def test_clip_loops_with_rising_stamps_or_ends(together, folder):
    together.until(lambda: len(together.received[f"clip/{PICTURE}"]) > 60, 40.0, "more than two rounds of pictures")
    stamps = [from_stamp(m.header.stamp) for m in together.received[f"clip/{PICTURE}"]]
    assert min(np.diff(stamps)) > 0
    together.start("clip_node", "-r", "__ns:=/once", clip=folder / "short.avi", loop=False)
    together.until(lambda: "has ended" in together.sentence("once/clip_node"), 40.0, "the end")
    assert together.state("once/clip_node") == "active"
    assert together.level("once/clip_node") == 1


@pytest.fixture(scope="module")
def missing(tmp_path_factory):
    """Nodes that lack what they need, all in one graph; what each of them says, and a port that is taken."""
    folder = tmp_path_factory.mktemp("missing")
    with RosGraph(folder) as graph, socket.socket() as taken:
        graph.listen(f"alone/{EXPRESSION}")
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        graph.port = taken.getsockname()[1]
        for place, node, parameters in (
            ("no_camera", "camera_node", {"device": "/dev/video_that_is_not_there"}),
            ("no_microphone", "microphone_node", {"device": "a microphone that nobody has"}),
            ("no_clip", "clip_node", {"clip": folder / "none.mp4"}),
            ("page", "avatar_node", {"port": graph.port}),
            ("alone", "expression_node", {}),
        ):
            graph.start(node, "-r", f"__ns:=/{place}", **parameters)
        yield graph


@pytest.mark.parametrize(
    ("node", "sentence"),
    [
        ("no_camera/camera_node", "video_that_is_not_there"),
        ("no_microphone/microphone_node", "microphone"),
        ("no_clip/clip_node", "no such media file"),
    ],
)
def test_what_is_missing_is_said_in_one_sentence_and_fails_no_transition(missing, node, sentence):
    missing.wait_active(node)
    missing.until(lambda: missing.level(node) == 2, 40.0, "the error")
    assert sentence in missing.sentence(node)
    assert "\n" not in missing.sentence(node)


def test_page_of_a_taken_port_is_served_on_the_next(missing):
    page = next(p for p in missing.processes if p.name == "avatar_node")
    assert f":{missing.port}/" not in missing.page(page)


def test_face_without_any_input_is_calm_and_neutral(missing):
    faces = missing.received[f"alone/{EXPRESSION}"]
    missing.until(lambda: len(faces) > 100, 40.0, "two seconds of face")
    assert {f.mode for f in faces} == {"neutral"}
    assert all(f.picture_stamp.sec == 0 for f in faces)


def test_camera_that_is_plugged_in_later_is_found(graph, tmp_path):
    path = tmp_path / "camera.avi"
    graph.start("camera_node", device=path)
    graph.listen(PICTURE)
    graph.until(lambda: graph.level("camera_node") == 2, 40.0, "the error")
    film(path, 2.0)
    graph.until(lambda: len(graph.received[PICTURE]) > 5, 30.0, "pictures")
    graph.until(lambda: graph.level("camera_node") == 0, 10.0, "all well")


def test_sound_of_a_real_sound_system_arrives(graph, microphone_without_hardware):
    # The graph's own ROS domain stays: the microphone's environment is the whole one of this process.
    graph.environment = microphone_without_hardware.environment | {
        name: value for name, value in graph.environment.items() if name.startswith("ROS_")
    }
    graph.start("microphone_node")
    graph.listen("audio")
    graph.until(lambda: len(graph.received["audio"]) > 20, 40.0, "sound")
    chunks = graph.received["audio"][-10:]
    assert {c.sample_rate for c in chunks} == {chunks[0].sample_rate}
    ends = [from_stamp(c.header.stamp) for c in chunks]
    assert ends == sorted(ends)


@pytest.mark.clips
def test_face_lives_on_when_the_clip_dies_and_comes_back(graph, clips, tmp_path):
    path = tmp_path / "late.mp4"
    graph.listen(EXPRESSION, FRAME, PICTURE)
    graph.start("expression_node")
    graph.start("reaction_node", policy="rules")
    graph.start("perception_node")
    clip = graph.start("clip_node", clip=path)
    graph.until(lambda: graph.level("clip_node") == 2, 40.0, "the missing clip")
    shutil.copy(clips("mimictalk_german_20s.mp4"), path)
    mode = lambda: graph.received[EXPRESSION][-1].mode if graph.received[EXPRESSION] else ""  # noqa: E731
    graph.until(lambda: graph.received[FRAME] and graph.received[FRAME][-1].face_present, 40.0, "the face")
    graph.until(lambda: mode() == "listening", 10.0, "listening")

    clip.process.kill()
    clip.process.wait()
    count, pictures = len(graph.received[EXPRESSION]), len(graph.received[PICTURE])
    graph.until(lambda: mode() in ("idle", "neutral"), 15.0, "idle or neutral")
    graph.until(lambda: "no pictures" in graph.sentence("perception_node"), 10.0, "the sentence")
    after = graph.received[EXPRESSION][count:]
    stamps = [from_stamp(f.header.stamp) for f in after]
    assert np.median(np.diff(stamps)) / NS == pytest.approx(0.02, abs=0.005)
    assert all(np.isfinite(f.coefficients).all() for f in after)

    graph.start("clip_node", clip=path)
    graph.until(lambda: len(graph.received[PICTURE]) > pictures + 5, 40.0, "pictures again")
    graph.until(lambda: mode() == "listening", 10.0, "listening again")
    graph.until(lambda: graph.level("perception_node") == 0, 10.0, "all well")


def test_camera_driver_that_does_not_stamp_is_used_and_told(graph):
    from sensor_msgs.msg import Image

    graph.listen(FRAME)
    graph.start("perception_node", image_transport="raw")
    graph.connect("camera/image_raw")
    picture = Image(encoding="mono8", width=64, height=48, step=64, data=array.array("B", bytes(64 * 48)))

    def seen():
        graph.publish("camera/image_raw", picture)
        graph.spin(0.05)
        return len(graph.received[FRAME]) > 5

    graph.until(seen, 40.0, "frames")
    assert all(f.picture_stamp.sec > 0 for f in graph.received[FRAME])
    graph.until(lambda: "no stamps" in graph.sentence("perception_node"), 20.0, "the sentence")
    assert graph.level("perception_node") == 1
