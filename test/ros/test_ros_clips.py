"""Recordings of every kind through clip_node and perception_node: each plays, none ends a node."""

from __future__ import annotations

import numpy as np
import pytest
from ros_harness import RosGraph

from reactdiff_ros.clock import NS
from reactdiff_ros.messages import from_stamp

pytestmark = [pytest.mark.ros, pytest.mark.clips]

PICTURE, FRAME, AUDIO = "camera/image_raw/compressed", "speaker/frame", "audio"
# file: (pictures a second, a face is there, it has sound)
CLIPS = {
    "pyfeat_face_noface_6s.mov": (26.4, True, True),  # HEVC, uneven; the sound starts late
    "emoface_angry_actor_3s.mov": (60.0, True, True),  # 1080x1920, upright
    "pyfeat_no_face_4s.mp4": (23.7, False, True),
}


@pytest.fixture(scope="module")
def graph(tmp_path_factory, clips):
    clips("pyfeat_no_face_4s.mp4")
    with RosGraph(tmp_path_factory.mktemp("clips")) as graph:
        graph.start("perception_node")
        graph.listen(PICTURE, FRAME, AUDIO)
        yield graph


@pytest.fixture
def player(graph):
    """Plays a clip until the end of the test."""
    nodes = []
    yield lambda path: nodes.append(graph.start("clip_node", clip=path))
    assert [node.stop() for node in nodes] == [0] * len(nodes)


@pytest.mark.parametrize("name", CLIPS)
def test_clip_plays_and_is_understood(graph, player, clips, name):
    rate, face, sound = CLIPS[name]
    graph.wait_active("perception_node")
    graph.clear()
    began_ns = graph.node.get_clock().now().nanoseconds

    def shown_ns(topic: str = PICTURE) -> list[int]:
        """When; what is left of the clip before may still come in."""
        return [t for m in graph.received[topic] if (t := from_stamp(m.header.stamp)) >= began_ns]

    def frames() -> list:
        return [f for f in graph.received[FRAME] if from_stamp(f.picture_stamp) >= began_ns]

    player(clips(name))
    graph.until(lambda: len(frames()) > 10 and len(shown_ns()) > 10, 40.0, "frames")
    graph.until(lambda: shown_ns()[-1] - shown_ns()[0] > 2 * NS, 20.0, "two seconds of pictures")
    if face:
        graph.until(lambda: any(f.mesh_present for f in frames()), 20.0, "the face")
    steps = np.diff(shown_ns()) / NS
    assert steps.min() > 0.0
    assert np.median(steps) > 0.85 / rate  # a busy machine may leave pictures out
    assert any(f.mesh_present for f in frames()) == face
    assert shown_ns(AUDIO) or not sound or name.startswith("pyfeat_face")
    assert all(np.isfinite(f.coefficients).all() for f in frames())


def test_node_that_was_deactivated_works_again(graph, player, clips):
    player(clips("mimictalk_german_20s.mp4"))
    count = len(graph.received[FRAME])
    graph.until(lambda: len(graph.received[FRAME]) > count + 5, 40.0, "frames")
    assert graph.change("perception_node", "deactivate")
    graph.spin(0.2)
    count = len(graph.received[FRAME])
    graph.spin(0.3)
    assert len(graph.received[FRAME]) == count
    assert graph.change("perception_node", "activate")
    graph.until(lambda: any(f.face_present for f in graph.received[FRAME][count:]), 10.0, "the face again")
