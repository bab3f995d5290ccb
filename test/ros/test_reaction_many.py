"""reaction_node: what computes its model, and one node for several robots that come, go or send nonsense."""

from contextlib import suppress

import numpy as np
import pytest
from faces_shown import feed_until, somebody
from hypothesis import given
from hypothesis import strategies as st
from ros_harness import RosGraph

from reactdiff_ros import msg
from reactdiff_ros.errors import ConfigError
from reactdiff_ros.model.listener import ListenerConfig
from reactdiff_ros.nodes.reaction_node import MOST_LISTENERS, ModelBackend, parse_listeners

FRAME, REACTION, STATUS, CONTROL = "speaker/frame", "listener/reaction", "listener/status", "listener/control"
NODE = "reaction_node"
NAMES = st.from_regex(r"/?[A-Za-z_][A-Za-z0-9_]{0,8}(/[A-Za-z_][A-Za-z0-9_]{0,8})?", fullmatch=True)


@given(st.lists(NAMES, min_size=1, max_size=8, unique=True), st.integers(0, 2**31 - 1), st.text(max_size=40))
def test_any_namespaces_keep_their_order_and_have_seeds_and_any_other_text_is_refused(names, seed, text):
    members = parse_listeners(", ".join(names), seed)
    assert list(members) == names
    assert all(0 <= s < 2**31 for s in members.values())
    assert parse_listeners(",".join([*names[::-1], "zz"]), seed).items() >= members.items()
    with suppress(ConfigError):
        assert all(name.strip("/") for name in parse_listeners(text, 0) if name)


def test_names_have_the_seeds_that_are_given_and_others_each_their_own():
    assert parse_listeners("", 7) == parse_listeners(" , ", 7) == {"": 7}
    assert parse_listeners("robot1=5, /lab/robot2=7", 0) == {"robot1": 5, "/lab/robot2": 7}
    assert len({*parse_listeners("a b", 3).values(), parse_listeners("a", 4)["a"]}) == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [("a//b", "not a namespace"), ("a" * 71, "at most 70"), ("a=²", "seed"), (f"a={2**31}", "seed"),
     ("a b a=3", "twice"), (" ".join(f"r{i}" for i in range(MOST_LISTENERS + 1)), "more than")],
)  # fmt: skip
def test_what_is_wrong_is_named(text, said):
    with pytest.raises(ConfigError, match=said):
        parse_listeners(text, 0)


def test_under_simulated_time_the_cpu_computes_and_says_why():
    values, log = {"backend": "auto", "precision": "fp16", "listeners": ""}, []
    model = ModelBackend(values, ListenerConfig(), True, log.append)
    assert model.networks().backend == "onnxruntime-cpu"
    assert "a replay gives the same plans" in log[-1]
    model.close()


# One node for several robots


def plans_of(graph, name):
    return graph.received[f"{name}/{REACTION}"]


def wait_for_frames(graph, name, wanted=True):
    """Until the node subscribes to this robot's frames, or does so no more."""
    publisher = graph.publisher(f"{name}/{FRAME}")
    graph.until(lambda: (publisher.get_subscription_count() > 0) is wanted, what=f"frames of {name}: {wanted}")


def feed_plans(graph, count, *names):
    """25 frames a second of who speaks to each of these robots and smiles, until each has had so many more plans."""
    topics = tuple(f"{name}/{FRAME}" for name in names)
    before = {name: len(plans_of(graph, name)) for name in names}
    enough = lambda: all(len(plans_of(graph, n)) >= before[n] + count for n in names)  # noqa: E731
    feed_until(graph, enough, lambda now, _: somebody(now, smile=0.5, speaking=True), topics, what=f"plans of {names}")


@pytest.mark.ros
@pytest.mark.real_time
def test_each_robot_has_plans_seed_status_and_controls_of_its_own_while_others_come_and_go(tmp_path):
    with RosGraph(tmp_path) as graph:
        graph.start(NODE, listeners="'one=5, lab/two'", candidates=1, steps=2, seed=3)
        graph.listen(*(f"{name}/{topic}" for name in ("one", "lab/two", "three") for topic in (REACTION, STATUS)))
        become = lambda listeners: graph.set_parameter(NODE, "listeners", listeners)  # noqa: E731
        graph.wait_active(NODE)
        wait_for_frames(graph, "one")
        wait_for_frames(graph, "lab/two")
        feed_plans(graph, 9, "one", "lab/two")
        one, two = plans_of(graph, "one")[-1], plans_of(graph, "lab/two")[-1]
        assert one.seed == 5 != two.seed
        assert (one.policy, one.engaged) == (two.policy, two.engaged) == ("model", True)
        assert np.abs(np.subtract(one.coefficients, two.coefficients)).max() > 1e-3
        assert graph.settings(NODE, "lab/two")["seed"] == str(two.seed)
        assert graph.value(NODE, "quality").endswith(("of 3", "fixed", "of 1"))
        assert "missed_deadlines" in graph.settings(NODE, "lab/two")
        graph.until(lambda: int(graph.value(NODE, "plans")) > 15, 10.0, "their count")

        graph.connect(f"one/{CONTROL}")
        graph.publish(f"one/{CONTROL}", msg.ListenerControl(attitude=0.75))
        graph.until(lambda: graph.settings(NODE, "one")["attitude"] == "0.75", 10.0, "the control in force")
        assert graph.settings(NODE, "lab/two")["attitude"] != "0.75"

        assert become("one=5, three=8").successful
        wait_for_frames(graph, "three")
        wait_for_frames(graph, "lab/two", False)
        feed_plans(graph, 1, "one", "three")  # what was under way to the one that left has come
        left, steady = len(plans_of(graph, "lab/two")), len(plans_of(graph, "one"))
        graph.publish(f"lab/two/{FRAME}", somebody(graph.node.get_clock().now().nanoseconds, speaking=True))
        feed_plans(graph, 9, "one", "three")
        assert len(plans_of(graph, "lab/two")) == left, "it has left"
        assert {p.seed for p in plans_of(graph, "three")} == {8}
        starts = [p.header.stamp.sec + 1e-9 * p.header.stamp.nanosec for p in plans_of(graph, "one")[steady:]]
        assert max(np.diff(starts)) < 0.5, "the others are not touched"
        graph.until(lambda: graph.value(NODE, "listeners") == "2", 10.0, "two listeners in the diagnostics")

        answer = become("one, one")
        assert not answer.successful
        assert "is listed twice" in answer.reason
        feed_plans(graph, 1, "one")
        assert graph.change(NODE, "deactivate", "cleanup")
        assert become("three=8").successful
        assert graph.change(NODE, "configure", "activate")
        wait_for_frames(graph, "three")
        wait_for_frames(graph, "one", False)
        feed_plans(graph, 5, "three")
