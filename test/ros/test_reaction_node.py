"""One reaction_node for several robots: who joins, leaves or sends nonsense is the others' business in nothing."""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ros_harness import RosGraph

from reactdiff_ros.clock import NS
from reactdiff_ros.coefficients import SMILE
from reactdiff_ros.errors import ConfigError, WeightsError
from reactdiff_ros.launching.table import load_table
from reactdiff_ros.messages import fill_speaker
from reactdiff_ros.model.listener import ListenerConfig
from reactdiff_ros.nodes.base import interface, qos_profile
from reactdiff_ros.nodes.reaction_node import MOST_LISTENERS, ModelBackend, parse_listeners
from reactdiff_ros.types import SpeakerFrame, Voice

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
    with RosGraph(tmp_path_factory.mktemp("many")) as graph:
        graph.start(NODE, listeners="'one=5, lab/two'", candidates=1, steps=2, seed=3)
        robots = Robots(graph, "one", "lab/two", "three")
        graph.wait_active(NODE)
        robots.connect("one", "lab/two")
        yield robots


@pytest.mark.ros
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


@pytest.mark.ros
def test_controls_reach_one_of_them(robots):
    from reactdiff_ros import msg

    robots.publishers[f"one/{CONTROL}"].publish(msg.ListenerControl(attitude=0.75))

    def attitude(name: str) -> str:
        said = robots.heard[f"{name}/{STATUS}"][-1].settings
        return next(s for s in said if s.startswith("attitude="))

    robots.graph.until(lambda: attitude("one") == "attitude=0.75", 10.0, "the control in force")
    assert attitude("lab/two") != "attitude=0.75"


@pytest.mark.ros
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


@pytest.mark.ros
@pytest.mark.parametrize(
    ("text", "said"), [("one, one", "is listed twice"), ("1st", "no namespace"), ("one=x", "whole number")]
)
def test_a_wrong_list_is_refused_with_a_sentence_and_nothing_changes(robots, text, said):
    answer = robots.set(text)
    assert not answer.successful
    assert said in answer.reason
    robots.feed_plans(1, "one")


@pytest.mark.ros
def test_the_node_survives_a_new_start_of_its_lifecycle(robots):
    assert robots.graph.change(NODE, "deactivate", "cleanup")
    assert robots.set("three=8").successful
    assert robots.graph.change(NODE, "configure", "activate")
    robots.graph.wait_active(NODE)
    robots.connect("three")
    robots.connect("one", parse_listeners=False)
    robots.feed_plans(5, "three")
    assert all(p.header.stamp.sec * NS > 0 for p in robots.plans("three"))


@pytest.mark.ros
def test_a_machine_that_is_too_slow_for_what_is_asked_plans_worse_and_says_so(tmp_path):
    with RosGraph(tmp_path) as graph:
        graph.start(NODE, listeners="slow", candidates=16, steps=64)
        robots = Robots(graph, "slow")
        graph.wait_active(NODE)
        robots.connect("slow")
        worse = lambda: graph.value(NODE, "quality") not in ("", "1 of 9")  # noqa: E731
        robots.feed_until(worse, "slow", smile=0.5, what="a lower quality")
        assert graph.value(NODE, "quality").endswith("of 9")
        assert int(graph.value(NODE, "quality_steps")) * int(graph.value(NODE, "quality_candidates")) < 64 * 16
        assert int(graph.value(NODE, "missed_deadlines")) > 0
        settings = robots.heard[f"slow/{STATUS}"][-1].settings
        assert "candidates=16" not in settings
        robots.feed_plans(3, "slow", smile=0.5)


# The list of robots as a parameter, and what computes the model

NAMES = st.from_regex(r"/?[A-Za-z_][A-Za-z0-9_]{0,8}(/[A-Za-z_][A-Za-z0-9_]{0,8})?", fullmatch=True)


def test_names_and_seeds():
    assert parse_listeners("", 7) == parse_listeners(" , ", 7) == {"": 7}
    assert parse_listeners("robot1=5, /lab/robot2=7", 0) == {"robot1": 5, "/lab/robot2": 7}
    two = parse_listeners("a b", 3)
    assert two["a"] != two["b"]
    assert parse_listeners("b,a,c", 3).items() >= two.items()
    assert parse_listeners("a", 4)["a"] != two["a"]


@given(st.lists(NAMES, min_size=1, max_size=8, unique=True), st.integers(0, 2**31 - 1))
def test_any_namespaces_keep_their_order_and_have_seeds_of_31_bits(names, seed):
    members = parse_listeners(", ".join(names), seed)
    assert list(members) == names
    assert all(0 <= s < 2**31 for s in members.values())


@given(st.text(max_size=40))
def test_any_other_text_is_refused_in_our_own_words(text):
    with suppress(ConfigError):
        assert all(name.strip("/") for name in parse_listeners(text, 0) if name)


@pytest.mark.parametrize(
    ("text", "said"),
    [("1st", "no namespace"), ("a//b", "no namespace"), ("a" * 71, "at most 70"),
     ("a=-1", "seed"), ("a=²", "seed"), (f"a={2**31}", "seed"), ("a b a=3", "twice"),
     (" ".join(f"r{i}" for i in range(MOST_LISTENERS + 1)), "more than")],
)  # fmt: skip
def test_what_is_wrong_is_named(text, said):
    with pytest.raises(ConfigError, match=said):
        parse_listeners(text, 0)


@pytest.fixture
def log(monkeypatch) -> list[str]:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
    return []


def backend(log: list[str], wanted: str = "auto", *, simulated: bool = False, model_dir: str = "") -> ModelBackend:
    values = {"backend": wanted, "precision": "fp16", "listeners": ""}
    return ModelBackend(values, ListenerConfig(model_dir=model_dir), simulated, log.append)


def test_the_networks_are_opened_once_and_the_log_says_on_what(log) -> None:
    model = backend(log)
    assert model.state() == ""
    networks = model.networks()
    assert model.networks() is networks
    assert networks.backend == "onnxruntime-cpu"
    assert len(log) == 1
    assert log[0].startswith("the model runs on onnxruntime-cpu")
    assert model.state() in log[0]
    model.live()
    model.close()
    assert model.state() == ""


def test_why_the_cpu_computes_is_said(log, tmp_path) -> None:
    model = backend(log, simulated=True)
    model.networks()
    assert "a replay gives the same plans" in model.state()
    backend(log, "cuda").networks()
    assert any("backend cuda cannot be used, the model runs on the CPU" in line for line in log)
    model = backend(log, model_dir=str(tmp_path))
    with pytest.raises(WeightsError):  # the node falls back to the rules
        model.networks()
    assert model.state() == ""
