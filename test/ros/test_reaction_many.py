"""One reaction_node for several robots: who joins, leaves or sends nonsense is the others' business in nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from faces_shown import feed_until, somebody
from ros_harness import RosGraph

from reactdiff_ros import msg

pytestmark = pytest.mark.ros

FRAME, REACTION, STATUS, CONTROL = "speaker/frame", "listener/reaction", "listener/status", "listener/control"
NODE = "reaction_node"


class Robots:
    """Robots with cameras of their own, as the reaction_node sees them: they send frames and hear plans."""

    def __init__(self, graph: RosGraph, *names: str) -> None:
        self.graph, self.heard = graph, graph.received
        graph.listen(*(f"{name}/{topic}" for name in names for topic in (REACTION, STATUS)))
        for name in names:
            graph.publisher(f"{name}/{FRAME}")

    def plans(self, name: str) -> list[Any]:
        return self.heard[f"{name}/{REACTION}"]

    def connect(self, *names: str, listens: bool = True) -> None:
        for name in names:
            publisher = self.graph.publisher(f"{name}/{FRAME}")
            matched = lambda p=publisher: (p.get_subscription_count() > 0) is listens  # noqa: E731
            self.graph.until(matched, what=f"somebody listens to {name}: {listens}")

    def feed(self, seconds: float, *names: str) -> None:
        """25 frames a second of somebody who speaks to each of them."""
        end_s = time.monotonic() + seconds
        self.feed_until(lambda: time.monotonic() > end_s, *names)

    def feed_until(self, condition: Callable[[], Any], *names: str, smile: float = 0.0, what: str = "") -> None:
        """The same until the condition holds; fails after a minute."""
        topics = tuple(f"{name}/{FRAME}" for name in names)
        feed_until(self.graph, condition, lambda now, _: somebody(now, smile=smile, speaking=True), topics, what=what)

    def feed_plans(self, count: int, *names: str, smile: float = 0.0) -> None:
        """Frames until each of them has heard so many more plans."""
        before = {name: len(self.plans(name)) for name in names}
        enough = lambda: all(len(self.plans(n)) >= before[n] + count for n in names)  # noqa: E731
        self.feed_until(enough, *names, smile=smile, what=f"{count} plans of {names}")

    def set(self, text: str) -> Any:
        return self.graph.set_parameter(NODE, "listeners", text)


@pytest.fixture(scope="module")
def robots(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Robots]:
    with RosGraph(tmp_path_factory.mktemp("many")) as graph:
        graph.start(NODE, listeners="'one=5, lab/two'", candidates=1, steps=2, seed=3)
        robots = Robots(graph, "one", "lab/two", "three")
        graph.wait_active(NODE)
        robots.connect("one", "lab/two")
        yield robots


def test_each_has_its_own_plans_seed_and_status(robots):
    robots.feed_plans(9, "one", "lab/two", smile=0.5)
    one, two = robots.plans("one")[-1], robots.plans("lab/two")[-1]
    assert one.seed == 5 != two.seed
    assert one.policy == two.policy == "model"
    assert one.engaged
    assert two.engaged
    assert np.abs(np.subtract(one.coefficients, two.coefficients)).max() > 1e-3
    status = robots.heard[f"lab/two/{STATUS}"][-1]
    assert status.stage == NODE
    assert f"seed={two.seed}" in status.settings
    assert any(s.startswith("missed_deadlines=") for s in status.settings)
    assert robots.graph.value(NODE, "listeners") == "2"
    assert robots.graph.value(NODE, "quality").endswith(("of 3", "fixed", "of 1"))
    robots.graph.until(lambda: int(robots.graph.value(NODE, "plans")) > 15, 10.0, "their count")


def test_controls_reach_one_of_them(robots):
    robots.graph.connect(f"one/{CONTROL}")
    robots.graph.publish(f"one/{CONTROL}", msg.ListenerControl(attitude=0.75))

    def attitude(name: str) -> str:
        said = robots.heard[f"{name}/{STATUS}"][-1].settings
        return next(s for s in said if s.startswith("attitude="))

    robots.graph.until(lambda: attitude("one") == "attitude=0.75", 10.0, "the control in force")
    assert attitude("lab/two") != "attitude=0.75"


@pytest.mark.real_time
def test_one_joins_late_and_one_leaves_while_the_third_is_not_touched(robots):
    robots.feed(1.0, "one", "lab/two")
    assert robots.set("one=5, lab/two, three=8").successful
    robots.connect("three")
    robots.feed_plans(9, "one", "lab/two", "three", smile=0.4)
    assert {p.seed for p in robots.plans("three")} == {8}

    assert robots.set("one=5, three=8").successful
    robots.connect("lab/two", listens=False)
    robots.feed(0.5, "one", "three")
    left, steady = len(robots.plans("lab/two")), len(robots.plans("one"))
    robots.feed(2.0, "one", "lab/two", "three")
    assert len(robots.plans("lab/two")) == left
    assert len(robots.plans("one")) > steady + 8
    starts = [p.header.stamp.sec + 1e-9 * p.header.stamp.nanosec for p in robots.plans("one")[steady:]]
    assert max(np.diff(starts)) < 0.5
    robots.graph.until(lambda: robots.graph.value(NODE, "listeners") == "2", 10.0, "two listeners in the diagnostics")

    assert robots.set("one=5, three=8, lab/two").successful  # and comes back
    robots.connect("lab/two")
    robots.feed_plans(1, "lab/two")


@pytest.mark.parametrize(
    ("text", "said"), [("one, one", "is listed twice"), ("1st", "not a namespace"), ("one=x", "whole number")]
)
def test_a_wrong_list_is_refused_with_a_sentence_and_nothing_changes(robots, text, said):
    answer = robots.set(text)
    assert not answer.successful
    assert said in answer.reason
    robots.feed_plans(1, "one")


def test_the_node_survives_a_new_start_of_its_lifecycle(robots):
    assert robots.graph.change(NODE, "deactivate", "cleanup")
    robots.graph.until(lambda: robots.graph.state(NODE) == "unconfigured", what="its state")
    assert robots.set("three=8").successful
    assert robots.graph.change(NODE, "configure", "activate")
    robots.connect("three")
    robots.connect("one", listens=False)
    robots.feed_plans(5, "three")
    assert all(p.header.stamp.sec > 0 for p in robots.plans("three"))


def test_a_machine_that_is_too_slow_for_what_is_asked_plans_worse_and_says_so(tmp_path):
    with RosGraph(tmp_path) as graph:
        graph.start(NODE, listeners="slow", candidates=16, steps=64)
        robots = Robots(graph, "slow")
        graph.wait_active(NODE)
        robots.connect("slow")

        def worse() -> bool:  # diagnostics and status say it at different times
            said = robots.heard[f"slow/{STATUS}"][-1:]
            steps, candidates = graph.value(NODE, "quality_steps"), graph.value(NODE, "quality_candidates")
            lower = bool(steps and candidates) and int(steps) * int(candidates) < 64 * 16
            return lower and bool(said) and "candidates=16" not in said[0].settings

        robots.feed_until(worse, "slow", smile=0.5, what="a lower quality")
        assert graph.value(NODE, "quality").endswith("of 9")
        assert int(graph.value(NODE, "missed_deadlines")) > 0
        robots.feed_plans(3, "slow", smile=0.5)
