"""Recordings of every kind through clip_node and perception_node: each plays, none ends a node."""

from __future__ import annotations

import numpy as np
import pytest
from ros_harness import RosGraph

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
    graph = RosGraph(tmp_path_factory.mktemp("clips"))
    graph.start("perception_node")
    graph.listen(PICTURE, FRAME, AUDIO)
    yield graph
    assert set(graph.close()) == {0}
    assert not [p.name for p in graph.processes if "Traceback" in p.log]


@pytest.fixture
def player(graph):
    """Plays a clip until the end of the test."""
    nodes = []
    yield lambda path: nodes.append(graph.start("clip_node", clip=path))
    assert [node.stop() for node in nodes] == [0] * len(nodes)


def seconds(stamp) -> float:
    return stamp.sec + stamp.nanosec / 1e9


@pytest.mark.parametrize("name", CLIPS)
def test_clip_plays_and_is_understood(graph, player, clips, name):
    rate, face, sound = CLIPS[name]
    graph.wait_active("perception_node")
    for messages in graph.received.values():
        messages.clear()
    began = graph.node.get_clock().now().nanoseconds / 1e9

    def shown() -> list[float]:
        """When; what is left of the clip before may still come in."""
        return [t for m in graph.received[PICTURE] if (t := seconds(m.header.stamp)) >= began]

    def frames() -> list:
        return [f for f in graph.received[FRAME] if seconds(f.picture_stamp) >= began]

    player(clips(name))
    graph.until(lambda: len(frames()) > 10 and len(shown()) > 10, 40.0, "frames")
    graph.until(lambda: shown()[-1] - shown()[0] > 2.0, 20.0, "two seconds of pictures")
    if face:
        graph.until(lambda: any(f.mesh_present for f in frames()), 20.0, "the face")
    steps = np.diff(shown())
    assert steps.min() > 0.0
    assert np.median(steps) > 0.85 / rate  # a busy machine may leave pictures out
    if face is not None:
        assert any(f.mesh_present for f in frames()) == face
    heard = any(seconds(m.header.stamp) >= began for m in graph.received[AUDIO])
    assert heard or not sound or name.startswith("pyfeat_face")
    assert all(np.isfinite(f.coefficients).all() for f in frames())


def test_node_that_was_deactivated_works_again(graph, player, clips):
    from lifecycle_msgs.msg import Transition

    def change(label):
        ids = {"activate": Transition.TRANSITION_ACTIVATE, "deactivate": Transition.TRANSITION_DEACTIVATE}
        change_state = "/perception_node/change_state"
        request = Transition(id=ids[label])
        return graph.call("lifecycle_msgs/ChangeState", change_state, transition=request).success

    player(clips("mimictalk_german_20s.mp4"))
    count = len(graph.received[FRAME])
    graph.until(lambda: len(graph.received[FRAME]) > count + 5, 40.0, "frames")
    assert change("deactivate")
    graph.spin(0.2)
    count = len(graph.received[FRAME])
    graph.spin(0.3)
    assert len(graph.received[FRAME]) == count
    assert change("activate")
    graph.until(lambda: any(f.face_present for f in graph.received[FRAME][count:]), 10.0, "the face again")
