"""One reaction_node for several robots: who joins, leaves or sends nonsense is the others' business in nothing."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ros_harness import RosGraph

from reactdiff_ros.clock import NS
from reactdiff_ros.coefficients import SMILE
from reactdiff_ros.launching.table import load_table
from reactdiff_ros.messages import fill_speaker
from reactdiff_ros.nodes.base import interface, qos_profile
from reactdiff_ros.types import SpeakerFrame, Voice

pytestmark = pytest.mark.ros

FRAME, REACTION, STATUS, CONTROL = "speaker/frame", "listener/reaction", "listener/status", "listener/control"
NODE = "reaction_node"


def frame(now_ns: int, smile: float = 0.0) -> Any:
    """A frame of somebody who speaks, as its message."""
    from reactdiff_ros import msg

    values = np.zeros(58, np.float32)
    values[list(SMILE)] = smile
    return fill_speaker(msg.SpeakerFrame(),
        SpeakerFrame(
            stamp_ns=now_ns, picture_stamp_ns=now_ns, sound_stamp_ns=now_ns, person_id=1, face_present=True,
            mesh_present=True, coefficients=values, confidence=np.full(58, 0.9, np.float32), neutral_confidence=1.0,
            gaze=None, position_m=np.array([0, 0, 1], np.float32), affect=None,
            voice=Voice(0.9, True, np.zeros(26, np.float32), 120.0, -30.0, 0.0, 1.0),
        )
    )  # fmt: skip


class Robots:
    """Robots with cameras of their own, as the reaction_node sees them: they send frames and hear plans."""

    def __init__(self, graph: RosGraph, *names: str) -> None:
        self.graph, self.names = graph, names
        self.heard: dict[str, list[Any]] = defaultdict(list)
        self.publishers: dict[str, Any] = {}
        for name in names:
            for topic in (REACTION, STATUS):
                self._listen(f"/{name}/{topic}", topic)
            for topic in (FRAME, CONTROL):
                kind, qos = _spec(topic, "subscribers")
                self.publishers[f"{name}/{topic}"] = graph.node.create_publisher(kind, f"/{name}/{topic}", qos)

    def _listen(self, full: str, topic: str) -> None:
        kind, qos = _spec(topic, "publishers")
        key = full.strip("/")
        self.graph.node.create_subscription(kind, full, lambda m: self.heard[key].append(m), qos)

    def plans(self, name: str) -> list[Any]:
        return self.heard[f"{name}/{REACTION}"]

    def connect(self, *names: str, parse_listeners: bool = True) -> None:
        for name in names:
            publisher = self.publishers[f"{name}/{FRAME}"]
            self.graph.until(
                lambda p=publisher: (p.get_subscription_count() > 0) is parse_listeners,
                20.0,
                f"{name} parse_listeners: {parse_listeners}",
            )

    def feed(self, seconds: float, *names: str, smile: float = 0.0) -> None:
        """25 frames a second of each of them."""
        end_s = time.monotonic() + seconds
        self.feed_until(lambda: time.monotonic() > end_s, *names, smile=smile)

    def feed_until(self, condition: Callable[[], Any], *names: str, smile: float = 0.0, what: str = "") -> None:
        """25 frames a second of each of them until the condition holds; fails after a minute."""
        give_up_s = time.monotonic() + 60.0
        while not condition():
            assert time.monotonic() < give_up_s, f"{what}: {self.graph.processes[0].log[-1500:]}"
            now = self.graph.node.get_clock().now().nanoseconds
            for name in names:
                self.publishers[f"{name}/{FRAME}"].publish(frame(now, smile))
            self.graph.spin(0.04)

    def feed_plans(self, count: int, *names: str, smile: float = 0.0) -> None:
        """Frames until each of them has heard so many more plans."""
        before = {name: len(self.plans(name)) for name in names}
        enough = lambda: all(len(self.plans(n)) >= before[n] + count for n in names)  # noqa: E731
        self.feed_until(enough, *names, smile=smile, what=f"{count} plans of {names}")

    def set(self, text: str) -> Any:
        from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue

        value = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=text)
        given = [Parameter(name="listeners", value=value)]
        answer = self.graph.call("rcl_interfaces/srv/SetParameters", f"/{NODE}/set_parameters", parameters=given)
        return answer.results[0]


def _spec(topic: str, direction: str) -> tuple[Any, Any]:
    table = load_table()
    spec = table.node(NODE).topic(topic, direction)  # type: ignore[arg-type]
    return interface(spec.type, "msg"), qos_profile(table.qos[spec.qos])


@pytest.fixture(scope="module")
def robots(tmp_path_factory):
    graph = RosGraph(tmp_path_factory.mktemp("many"))
    graph.start(NODE, listeners="'one=5, lab/two'", candidates=1, steps=2, seed=3)
    robots = Robots(graph, "one", "lab/two", "three")
    graph.wait_active(NODE)
    robots.connect("one", "lab/two")
    yield robots
    assert set(graph.close()) == {0}
    assert not [p.name for p in graph.processes if "Traceback" in p.log]


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
    from reactdiff_ros import msg

    robots.publishers[f"one/{CONTROL}"].publish(msg.ListenerControl(attitude=0.75))

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
    robots.connect("lab/two", parse_listeners=False)
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
    from lifecycle_msgs.msg import Transition

    def change(transition: int, state: str) -> None:
        answer = robots.graph.call(
            "lifecycle_msgs/srv/ChangeState", f"/{NODE}/change_state", transition=Transition(id=transition)
        )
        assert answer.success
        robots.graph.until(lambda: robots.graph.state(NODE) == state, 20.0, state)

    change(Transition.TRANSITION_DEACTIVATE, "inactive")
    change(Transition.TRANSITION_CLEANUP, "unconfigured")
    assert robots.set("three=8").successful
    change(Transition.TRANSITION_CONFIGURE, "inactive")
    change(Transition.TRANSITION_ACTIVATE, "active")
    robots.connect("three")
    robots.connect("one", parse_listeners=False)
    robots.feed_plans(5, "three")
    assert all(p.header.stamp.sec * NS > 0 for p in robots.plans("three"))


def test_a_machine_that_is_too_slow_for_what_is_asked_plans_worse_and_says_so(tmp_path):
    graph = RosGraph(tmp_path)
    try:
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
    finally:
        assert set(graph.close()) == {0}
