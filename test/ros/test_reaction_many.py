"""reaction_node: what computes its model, and one node for several robots: who joins, leaves or sends nonsense is the
others' business in nothing.
"""

from __future__ import annotations

import sys
import time
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
    two = parse_listeners("a b", 3)
    assert len({*two.values(), parse_listeners("a", 4)["a"]}) == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [("1st", "not a namespace"), ("a//b", "not a namespace"), ("a" * 71, "at most 70"),
     ("a=-1", "seed"), ("a=x", "whole number"), ("a=²", "seed"), (f"a={2**31}", "seed"), ("a b a=3", "twice"),
     (" ".join(f"r{i}" for i in range(MOST_LISTENERS + 1)), "more than")],
)  # fmt: skip
def test_what_is_wrong_is_named(text, said):
    with pytest.raises(ConfigError, match=said):
        parse_listeners(text, 0)


def test_why_the_cpu_computes_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
    for wanted, simulated, words in (
        ("auto", True, "a replay gives the same plans"),
        ("cuda", False, "cannot be used"),
    ):
        log = []
        values = {"backend": wanted, "precision": "fp16", "listeners": ""}
        model = ModelBackend(values, ListenerConfig(), simulated, log.append)
        assert model.networks() is model.networks()
        assert model.networks().backend == "onnxruntime-cpu"
        assert any(words in line for line in log), log
        assert model.state() in log[-1]
        model.close()
        assert model.state() == ""


# One node for several robots


class Robots:
    """Robots with cameras of their own, as the reaction_node sees them: they send frames and hear plans."""

    def __init__(self, graph, *names):
        self.graph, self.heard = graph, graph.received
        graph.listen(*(f"{name}/{topic}" for name in names for topic in (REACTION, STATUS)))
        for name in names:
            graph.publisher(f"{name}/{FRAME}")

    def plans(self, name):
        return self.heard[f"{name}/{REACTION}"]

    def connect(self, *names, listens=True):
        for name in names:
            publisher = self.graph.publisher(f"{name}/{FRAME}")
            matched = lambda p=publisher: (p.get_subscription_count() > 0) is listens  # noqa: E731
            self.graph.until(matched, what=f"somebody listens to {name}: {listens}")

    def feed_until(self, condition, *names, smile=0.0, what=""):
        """25 frames a second of somebody who speaks to each of them, until the condition holds."""
        topics = tuple(f"{name}/{FRAME}" for name in names)
        feed_until(self.graph, condition, lambda now, _: somebody(now, smile=smile, speaking=True), topics, what=what)

    def feed(self, seconds, *names):
        end_s = time.monotonic() + seconds
        self.feed_until(lambda: time.monotonic() > end_s, *names)

    def feed_plans(self, count, *names, smile=0.0):
        """Frames until each of them has heard so many more plans."""
        before = {name: len(self.plans(name)) for name in names}
        enough = lambda: all(len(self.plans(n)) >= before[n] + count for n in names)  # noqa: E731
        self.feed_until(enough, *names, smile=smile, what=f"{count} plans of {names}")

    def set(self, text):
        return self.graph.set_parameter(NODE, "listeners", text)


@pytest.mark.ros
@pytest.mark.real_time
def test_each_robot_has_plans_seed_status_and_controls_of_its_own_while_others_come_and_go(tmp_path):
    with RosGraph(tmp_path) as graph:
        graph.start(NODE, listeners="'one=5, lab/two'", candidates=1, steps=2, seed=3)
        robots = Robots(graph, "one", "lab/two", "three")
        graph.wait_active(NODE)
        robots.connect("one", "lab/two")
        robots.feed_plans(9, "one", "lab/two", smile=0.5)
        one, two = robots.plans("one")[-1], robots.plans("lab/two")[-1]
        assert one.seed == 5 != two.seed
        assert one.policy == two.policy == "model"
        assert one.engaged
        assert two.engaged
        assert np.abs(np.subtract(one.coefficients, two.coefficients)).max() > 1e-3
        assert graph.settings(NODE, "lab/two")["seed"] == str(two.seed)
        assert "missed_deadlines" in graph.settings(NODE, "lab/two")
        assert graph.value(NODE, "quality").endswith(("of 3", "fixed", "of 1"))
        graph.until(lambda: int(graph.value(NODE, "plans")) > 15, 10.0, "their count")

        graph.connect(f"one/{CONTROL}")
        graph.publish(f"one/{CONTROL}", msg.ListenerControl(attitude=0.75))
        graph.until(lambda: graph.settings(NODE, "one")["attitude"] == "0.75", 10.0, "the control in force")
        assert graph.settings(NODE, "lab/two")["attitude"] != "0.75"

        assert robots.set("one=5, lab/two, three=8").successful
        robots.connect("three")
        robots.feed_plans(9, "one", "lab/two", "three", smile=0.4)
        assert {p.seed for p in robots.plans("three")} == {8}

        assert robots.set("one=5, three=8").successful
        robots.connect("lab/two", listens=False)
        robots.feed(0.5, "one", "three")
        left, steady = len(robots.plans("lab/two")), len(robots.plans("one"))
        robots.feed(2.0, "one", "lab/two", "three")
        assert len(robots.plans("lab/two")) == left, "it has left"
        assert len(robots.plans("one")) > steady + 8
        starts = [p.header.stamp.sec + 1e-9 * p.header.stamp.nanosec for p in robots.plans("one")[steady:]]
        assert max(np.diff(starts)) < 0.5, "the others are not touched"
        graph.until(lambda: graph.value(NODE, "listeners") == "2", 10.0, "two listeners in the diagnostics")
        assert robots.set("one=5, three=8, lab/two").successful
        robots.connect("lab/two")
        robots.feed_plans(1, "lab/two")

        answer = robots.set("one, one")
        assert not answer.successful
        assert "is listed twice" in answer.reason
        robots.feed_plans(1, "one")

        assert graph.change(NODE, "deactivate", "cleanup")
        graph.until(lambda: graph.state(NODE) == "unconfigured", what="its state")
        assert robots.set("three=8").successful
        assert graph.change(NODE, "configure", "activate")
        robots.connect("three")
        robots.connect("one", listens=False)
        robots.feed_plans(5, "three")


@pytest.mark.ros
def test_a_machine_that_is_too_slow_for_what_is_asked_plans_worse_and_says_so(tmp_path):
    with RosGraph(tmp_path) as graph:
        graph.start(NODE, listeners="slow", candidates=16, steps=64)
        robots = Robots(graph, "slow")
        graph.wait_active(NODE)
        robots.connect("slow")

        def worse():  # diagnostics and status say it at different times
            steps, candidates = graph.value(NODE, "quality_steps"), graph.value(NODE, "quality_candidates")
            lower = bool(steps and candidates) and int(steps) * int(candidates) < 64 * 16
            said = graph.settings(NODE, "slow")
            return lower and bool(said) and said.get("candidates") != "16"

        robots.feed_until(worse, "slow", smile=0.5, what="a lower quality")
        assert graph.value(NODE, "quality").endswith("of 9")
        assert int(graph.value(NODE, "missed_deadlines")) > 0
        robots.feed_plans(3, "slow", smile=0.5)
