"""What is missing, goes and comes back: devices, clips, nodes. The face goes on; one sentence says what is wrong."""

import array
import shutil

import cv2
import numpy as np
import pytest
from reactdiff_ros.msg import AudioChunk, SpeakerFrame
from ros_harness import RosGraph
from sensor_msgs.msg import Image
from std_msgs.msg import Bool

from reactdiff_ros.messages import from_stamp
from reactdiff_ros.resources import resource_path

pytestmark = pytest.mark.ros

PICTURE, FRAME, EXPRESSION = "camera/image_raw/compressed", "speaker/frame", "listener/expression"


def film(path, seconds=1.0):
    """A silent film of 25 pictures a second, put in place in one move."""
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

    def __init__(self, graph, place, stamped=True):
        self._graph, self._place, self._count, self._stamped = graph, place, 0, stamped
        self.pixels, self.level = None, 1000
        graph.connect(f"{place}/camera/image_raw")
        graph.connect(f"{place}/audio")
        graph.node.create_timer(0.05, self.publish)

    def publish(self):
        """Every picture another one, and sound that is heard, unless the test wants others."""
        self._count += 1
        pixels = self.noise[self._count % 1000 :][: 64 * 48] if self.pixels is None else self.pixels
        picture = Image(encoding="mono8", width=64, height=48, step=64, data=array.array("B", pixels.tobytes()))
        chunk = AudioChunk(sample_rate=16000, channels=1, samples=array.array("h", [self.level, -self.level] * 400))
        chunk.header.stamp = self._graph.node.get_clock().now().to_msg()
        if self._stamped:
            picture.header.stamp = chunk.header.stamp
        self._graph.publish(f"{self._place}/camera/image_raw", picture)
        self._graph.publish(f"{self._place}/audio", chunk)


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    """Nodes whose troubles take seconds, each in a namespace of its own: the tests wait for all of them at once."""
    with RosGraph(tmp_path_factory.mktemp("together")) as graph:
        folder = graph.folder
        graph.listen(f"face/{EXPRESSION}", f"unstamped/{FRAME}")
        graph.listen(*(f"{place}/{PICTURE}" for place in ("film", "clip", "late")))
        graph.listen(*(f"{place}/listener/status" for place in ("film", "weights", "eyes", "ears")))
        nodes = (
            ("weights", "reaction_node", {"policy": "model", "model_dir": folder / "no_weights_here"}),
            ("face", "expression_node", {}),
            ("eyes", "perception_node", {"image_transport": "raw"}),
            ("ears", "perception_node", {"image_transport": "raw"}),
            ("unstamped", "perception_node", {"image_transport": "raw"}),
            ("film", "camera_node", {"device": film(folder / "camera.avi")}),
            ("late", "camera_node", {"device": folder / "late.avi"}),
            ("clip", "clip_node", {"clip": film(folder / "short.avi")}),
            ("once", "clip_node", {"clip": folder / "short.avi", "loop": False}),
            ("no_camera", "camera_node", {"device": "/dev/video_that_is_not_there"}),
            ("no_microphone", "microphone_node", {"device": "a microphone that nobody has"}),
            ("no_clip", "clip_node", {"clip": folder / "none.mp4"}),
        )
        for place, node, parameters in nodes:
            graph.start(node, "-r", f"__ns:=/{place}", **parameters)
        graph.wait_active(*(f"{place}/{node}" for place, node, _ in nodes), timeout_s=120.0)
        yield graph


def test_pictures_and_sound_that_tell_nothing_are_said(graph):
    def faults():
        """What is wrong with what the eyes see, and with what the ears hear."""
        eyes, ears = (graph.settings("perception_node", place) for place in ("eyes", "ears"))
        return eyes.get("picture_fault"), ears.get("sound_fault")

    eyes, ears = Feed(graph, "eyes"), Feed(graph, "ears")
    for seen, eyes.pixels, sight, heard, ears.level, hearing in (
        ("all the same", Feed.noise[: 64 * 48], "frozen", "digitally silent", 0, "silent"),
        ("one colour", np.zeros(64 * 48, np.uint8), "blank", "at full scale", 32767, "clipped"),
    ):
        words = {"eyes/perception_node": seen, "ears/perception_node": heard}
        graph.until(lambda words=words: all(w in graph.sentence(n) for n, w in words.items()), 40.0, words)
        assert {graph.level(node) for node in words} == {1}
        graph.until(lambda wanted=(sight, hearing): faults() == wanted, 5.0, "the faults")
        eyes.pixels, ears.level = None, 1000
        over = lambda words=words: not any(w in graph.sentence(n) for n, w in words.items())  # noqa: E731
        graph.until(over, 10.0, f"the end of {words}")
    graph.until(lambda: faults() == ("", ""), 5.0, "no fault")


def test_camera_driver_that_does_not_stamp_is_used_and_told(graph):
    node, frames = "unstamped/perception_node", graph.received[f"unstamped/{FRAME}"]
    Feed(graph, "unstamped", stamped=False)
    graph.until(lambda: len(frames) > 5, 40.0, "frames")
    assert all(f.picture_stamp.sec > 0 for f in frames)
    graph.until(lambda: "no stamps" in graph.sentence(node), 20.0, "the sentence")
    assert graph.level(node) == 1


def test_a_face_without_input_is_neutral_and_without_plans_says_whom_it_misses(graph):
    """Reaction_node may run on a machine that this one does not reach: nobody else would tell."""
    node, faces = "face/expression_node", graph.received[f"face/{EXPRESSION}"]
    graph.until(lambda: len(faces) > 100, 40.0, "two seconds of face")
    assert {f.mode for f in faces} == {"neutral"}
    assert all(f.picture_stamp.sec == 0 for f in faces)
    graph.connect(f"face/{FRAME}")

    def said():
        graph.publish(f"face/{FRAME}", SpeakerFrame())
        graph.spin(0.1)
        return "nothing comes on listener/reaction" in graph.sentence(node)

    graph.until(said, 40.0, "the sentence")
    assert graph.level(node) == 1
    graph.until(lambda: graph.level(node) == 0, 10.0, "nobody to plan for")


def test_missing_weights_are_said_rules_stand_in_and_the_model_takes_over(graph):
    node = "weights/reaction_node"
    policy = lambda: graph.settings("reaction_node", "weights").get("policy")  # noqa: E731
    graph.until(lambda: graph.level(node) == 2, 40.0, "the error")
    assert "rules" in graph.sentence(node)
    assert "no_weights_here" in graph.sentence(node)
    graph.until(lambda: policy() == "rules", 10.0, "the rules")
    shutil.copytree(resource_path("models/live"), graph.folder / "no_weights_here")
    graph.until(lambda: policy() == "model", 30.0, "the model")
    graph.until(lambda: graph.level(node) < 2, 10.0, "no error")


def test_films_begin_again_with_rising_stamps_or_end_and_a_clip_pauses_while_a_visitor_is_there(graph):
    for place in ("film", "clip"):
        pictures = graph.received[f"{place}/{PICTURE}"]
        graph.until(lambda pictures=pictures: len(pictures) > 60, 40.0, "more than two rounds of pictures")
        assert min(np.diff([from_stamp(m.header.stamp) for m in pictures])) > 0
    assert {status.last_error for status in graph.received["film/listener/status"]} == {""}
    graph.until(lambda: "has ended" in graph.sentence("once/clip_node"), 40.0, "the end")
    assert (graph.state("once/clip_node"), graph.level("once/clip_node")) == ("active", 1)

    def pauses():
        pictures.clear()
        graph.spin(0.5)
        return not pictures

    graph.connect("clip/camera/visitor")
    graph.publish("clip/camera/visitor", Bool(data=True))
    graph.until(pauses, what="the pause")
    graph.publish("clip/camera/visitor", Bool(data=False))
    graph.until(lambda: pictures, what="the clip again")


def test_what_is_missing_is_one_sentence_fails_no_transition_and_is_found_when_it_comes(graph):
    for node, words in (
        ("no_camera/camera_node", "video_that_is_not_there"), ("no_microphone/microphone_node", "microphone"),
        ("no_clip/clip_node", "no such media file"), ("late/camera_node", "late.avi"),
    ):  # fmt: skip
        graph.until(lambda node=node: graph.level(node) == 2, 40.0, f"the error of {node}")
        assert words in graph.sentence(node)
        assert "\n" not in graph.sentence(node)
    film(graph.folder / "late.avi", 2.0)
    graph.until(lambda: len(graph.received[f"late/{PICTURE}"]) > 5, 30.0, "pictures")
    graph.until(lambda: graph.level("late/camera_node") == 0, 10.0, "all well")


def test_sound_of_a_real_sound_system_arrives(tmp_path, microphone_without_hardware):
    with RosGraph(tmp_path) as graph:
        # The graph's own ROS domain stays: the microphone's environment is the whole one of this process.
        own = {name: value for name, value in graph.environment.items() if name.startswith("ROS_")}
        graph.environment = microphone_without_hardware.environment | own
        graph.start("microphone_node")
        graph.listen("audio")
        graph.until(lambda: len(graph.received["audio"]) > 20, 40.0, "sound")
        chunks = graph.received["audio"][-10:]
        assert len({c.sample_rate for c in chunks}) == 1
        ends = [from_stamp(c.header.stamp) for c in chunks]
        assert ends == sorted(ends)
