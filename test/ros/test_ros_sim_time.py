"""Time from /clock: stamps follow it, a clock that stands still or jumps back harms nothing."""

from __future__ import annotations

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from ros_harness import RosGraph

from reactdiff_ros import msg
from reactdiff_ros.messages import fill_speaker, fill_stamp

pytestmark = pytest.mark.ros

FRAME, REACTION, EXPRESSION = "speaker/frame", "listener/reaction", "listener/expression"
NS = 10**9


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    graph = RosGraph(tmp_path_factory.mktemp("sim"), use_sim_time=True)
    graph.start("expression_node")
    graph.start("reaction_node", policy="mime")
    graph.listen(REACTION, EXPRESSION)
    graph.until(lambda: "/clock" in graph.sentence("expression_node"), 40.0, "the sentence on the missing clock")
    yield graph
    assert set(graph.close()) == {0}
    assert not [p.name for p in graph.processes if "Traceback" in p.log]


@pytest.fixture(scope="module")
def bag(graph):
    """Plays a made-up recording from any time on: clock and speaker frames."""
    from rosgraph_msgs.msg import Clock

    from reactdiff_ros.types import SpeakerFrame

    clock = graph.node.create_publisher(Clock, "/clock", 10)
    graph.until(lambda: clock.get_subscription_count() >= 2, 40.0, "nodes that wait for the clock")
    graph.connect(FRAME)

    def play(start_ns: int, seconds: float, *, frames: bool = True) -> int:
        """25 frames a second, four times as fast as life; the time at the end."""
        now = start_ns
        for _ in range(round(seconds * 25)):
            clock.publish(Clock(clock=fill_stamp(Time(), now)))
            graph.spin(0.003)
            if frames:
                smile = np.zeros(58, np.float32)
                smile[43:45] = 0.5 + 0.5 * np.sin(now / NS)
                frame = SpeakerFrame(now, now, None, 1, True, True, smile, np.ones(58, np.float32), 1.0, *[None] * 4)
                graph.publish(FRAME, fill_speaker(msg.SpeakerFrame(), frame))
            graph.spin(0.007)
            now += NS // 25
        return now

    return play


def ns(stamp) -> int:
    return stamp.sec * NS + stamp.nanosec


def test_everything_is_stamped_by_the_simulated_clock(graph, bag):
    end = bag(1000 * NS, 6.0)
    assert graph.received[REACTION]
    faces = graph.received[EXPRESSION][-20:]
    assert all(1000 * NS <= ns(f.header.stamp) <= end for f in faces)
    assert any(1000 * NS <= ns(f.reaction_picture_stamp) <= end for f in faces)
    assert all(ns(f.reaction_picture_stamp) <= ns(f.header.stamp) for f in faces)


def test_no_face_is_made_twice_for_one_time(graph, bag):
    bag(1010 * NS, 1.0)
    graph.spin(0.5)  # the clock stands still
    stamps = [ns(f.header.stamp) for f in graph.received[EXPRESSION]]
    assert len(set(stamps)) == len(stamps)


def test_bag_that_starts_again_starts_the_listener_anew(graph, bag):
    bag(1020 * NS, 4.0)
    reactions, faces = len(graph.received[REACTION]), len(graph.received[EXPRESSION])
    end = bag(500 * NS, 6.0)
    again = graph.received[REACTION][reactions:]
    assert any(500 * NS <= ns(r.picture_stamp) <= end for r in again)
    newest = graph.received[EXPRESSION][-1]
    assert 500 * NS <= ns(newest.header.stamp) <= end
    assert 500 * NS <= ns(newest.reaction_picture_stamp) <= end
    values = np.stack([f.coefficients for f in graph.received[EXPRESSION][faces:]])
    assert np.isfinite(values).all()
    assert {graph.state(n) for n in ("reaction_node", "expression_node")} == {"active"}


def test_recording_without_its_clock_is_explained(graph, bag):
    bag(2000 * NS, 0.5, frames=False)
    from reactdiff_ros.types import SpeakerFrame

    zeros, ones = np.zeros(58, np.float32), np.ones(58, np.float32)
    old = SpeakerFrame(1990 * NS, 1990 * NS, None, 1, True, True, zeros, ones, 1.0, *[None] * 4)

    def told():
        graph.publish(FRAME, fill_speaker(msg.SpeakerFrame(), old))
        graph.spin(0.1)
        return "use_sim_time" in graph.sentence("reaction_node")

    graph.until(told, 10.0, "the sentence")
    assert graph.level("reaction_node") == 1
