"""Parts of actuator_node that need no ROS: who publishes, what is kept, controllers as drivers."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest

from reactdiff_ros.drivers.axes import Axis
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.nodes.actuator_saved import Kept, state_folder
from reactdiff_ros.nodes.actuator_trajectory import SILENT_S, TrajectoryDriver
from reactdiff_ros.nodes.actuator_writers import NAMED_S, UNKNOWN, Writers
from reactdiff_ros.robots.drivers import JointTrajectoryDriver
from reactdiff_ros.robots.profile import load_profile


def ends(*names):
    return [SimpleNamespace(node_name=n.rpartition("/")[2], node_namespace=n.rpartition("/")[0] or "/") for n in names]


def test_one_publisher_or_none_is_well():
    writers = Writers("t")
    assert writers.look(ends(), 0.0).sentence == ""
    assert writers.look(ends("/expression_node"), 0.0).sentence == ""


def test_two_publishers_are_named_and_stop_at_once():
    found = Writers("t").look(ends("/b", "/robot/a"), 5.0)
    assert found.sentence.startswith("/b and /robot/a publish t: stop all but one")
    assert found.now
    assert "/a, /b and /c" in Writers("t").look(ends("/a", "/c", "/b", "/c"), 5.0).sentence


def test_a_node_that_was_started_again_is_tolerated_while_it_moves():
    writers = Writers("t")
    twins = ends("/expression_node", "/expression_node")
    for now_s in (0.0, 10.0, 29.0):
        found = writers.look(twins, now_s)
        assert "/expression_node and another /expression_node" in found.sentence
        assert not found.now
    assert writers.look(twins, 31.0).now
    assert not writers.look(ends("/expression_node"), 32.0).sentence
    assert not writers.look(twins, 33.0).now


def test_a_node_that_was_started_again_twice_has_its_time_again():
    writers = Writers("t")
    two, three = (ends(*["/expression_node"] * n) for n in (2, 3))
    assert not writers.look(two, 0.0).now
    assert not writers.look(three, 15.0).now
    assert not writers.look(two, 21.0).now
    assert not writers.look(two, 40.0).now
    assert writers.look(two, 46.0).now


def test_a_publisher_without_a_name_gets_the_time_that_dds_may_take():
    writers = Writers("t")
    both = ends("/expression_node", f"/{UNKNOWN}")
    for now_s in (0.0, 0.2, 3.0, NAMED_S):
        found = writers.look(both, now_s)
        assert "an unknown node" in found.sentence  # it cannot be enabled meanwhile
        assert not found.now
    assert writers.look(both, NAMED_S + 0.2).now


def test_the_time_for_a_name_begins_with_the_publisher_that_has_none():
    writers = Writers("t")
    old = ["/expression_node", "/expression_node"]
    assert not writers.look(ends(*old), 0.0).now
    assert not writers.look(ends(*old, f"/{UNKNOWN}"), 15.0).now
    assert not writers.look(ends(*old, f"/{UNKNOWN}"), 15.0 + NAMED_S).now
    assert writers.look(ends(*old, f"/{UNKNOWN}"), 15.2 + NAMED_S).now
    assert not writers.look(ends(*old, "/expression_node"), 15.4 + NAMED_S).now


def test_strangers_stop_at_once_whoever_has_no_name_yet():
    assert Writers("t").look(ends("/a", "/b", f"/{UNKNOWN}"), 0.0).now
    writers = Writers("t")
    assert writers.look(ends(f"/{UNKNOWN}"), 0.0).sentence == ""
    assert "2 unknown nodes publish t" in writers.look(ends(f"/{UNKNOWN}", f"/{UNKNOWN}"), 1.0).sentence
    assert writers.look(ends(f"/{UNKNOWN}", f"/{UNKNOWN}"), NAMED_S + 0.2).now


def test_commands_and_a_stop_are_kept(tmp_path):
    kept = Kept(tmp_path / "new", "head")
    assert (kept.commands(), kept.stopped) == ({}, False)
    kept.keep({}, False)
    assert not (tmp_path / "new").exists()
    kept.keep({"eye": 1500.0}, True)
    again = Kept(tmp_path / "new", "head")
    assert (again.commands(), again.stopped) == ({"eye": 1500.0}, True)
    again.keep({"eye": 1500.0}, False)
    assert not Kept(tmp_path / "new", "head").stopped


def test_a_folder_that_cannot_be_written_to_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ReactdiffError, match="cannot be saved"):
        Kept(tmp_path / "file", "head").keep({"eye": 1.0}, False)
    with pytest.raises(ReactdiffError, match="a software stop cannot be kept"):
        Kept(tmp_path / "file", "head").keep({}, True)


def test_the_folder_is_that_of_the_users_state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert state_folder("") == tmp_path / "reactdiff_ros" / "robots"
    assert state_folder("/x") == state_folder("/x/")


class Controlled:
    def __init__(self):
        self.now_s, self.sent = 10.0, []
        axes = {n: Axis(n, i, "rad", -1.0, 1.0) for i, n in enumerate(("pan", "tilt"))}
        self.driver = TrajectoryDriver(
            JointTrajectoryDriver(type="joint_trajectory"),
            axes,
            {"pan": "neck_pan", "tilt": "neck_tilt"},
            lambda: self.now_s,
            lambda names, positions: self.sent.append(dict(zip(names, positions, strict=True))),
        )


def test_a_controller_is_armed_when_it_listens_and_tells():
    robot = Controlled()
    driver = robot.driver
    assert "nobody listens to head_controller/joint_trajectory" in driver.arm("pan", 0.0).text
    driver.listeners = 1
    assert "does not tell where it is" in driver.arm("pan", 0.0).text
    driver.heard(["neck_pan", "wheel", "neck_tilt"], [0.25, 7.0, math.nan], robot.now_s)
    assert driver.arm("pan", 0.0) is None
    assert driver.arm("tilt", 0.0) is not None
    assert driver.reading("pan").position == 0.25
    driver.command({"pan": 9.0, "tilt": 0.5})
    driver.command({"pan": math.nan})
    assert robot.sent == [{"neck_pan": 1.0}]
    robot.now_s += SILENT_S + 0.1
    driver.poll(0.01)
    assert driver.armed == frozenset()
    assert driver.reading("pan") is None
    driver.command({"pan": 0.0})
    assert len(robot.sent) == 1


def test_a_command_names_all_joints_for_a_controller_refuses_a_part():
    """allow_partial_joints_goal of JointTrajectoryController is false by default."""
    robot = Controlled()
    driver = robot.driver
    driver.listeners = 1
    names = ["neck_pan", "neck_tilt"]
    driver.heard(names, [0.25, 0.5], robot.now_s)
    assert driver.arm("pan", 0.25) is None  # the other one has a fault
    driver.command({"pan": 0.3})
    driver.heard(names, [0.3, 0.45], robot.now_s)  # it sags a little: that does not become its command
    driver.command({"pan": 0.35})
    assert robot.sent == [{"neck_pan": 0.3, "neck_tilt": 0.5}, {"neck_pan": 0.35, "neck_tilt": 0.5}]
    assert driver.arm("tilt", 0.45) is None
    driver.command({"pan": 0.4, "tilt": 0.4})
    driver.release("pan")
    driver.command({"pan": 0.9, "tilt": 0.3})
    assert robot.sent[-1] == {"neck_pan": 0.4, "neck_tilt": 0.3}  # let go, it stays at its last command
    driver.release("tilt")
    driver.command({"pan": 0.0, "tilt": 0.0})
    assert len(robot.sent) == 4
    driver.heard(names, [-0.5, -0.5], robot.now_s)  # moved by somebody else meanwhile
    assert driver.arm("tilt", -0.5) is None
    driver.command({"tilt": -0.4})
    assert robot.sent[-1] == {"neck_pan": -0.5, "neck_tilt": -0.4}
    driver.stop()
    driver.heard(names, [1.5, -0.5], robot.now_s)
    assert driver.arm("tilt", -0.5) is None
    driver.command({"tilt": -0.4})
    assert robot.sent[-1] == {"neck_tilt": -0.4}  # outside its limits it gets no command


def test_topics_of_a_controller_are_in_the_namespace():
    """Two robots with this profile would else share a controller."""
    config = load_profile("ros2_control").drivers["controller"]
    driver = TrajectoryDriver(config, {}, {}, float, print, lambda name: f"/robot1/{name}")
    assert driver.topic == "/robot1/head_controller/joint_trajectory"
    assert driver.states_topic == "/robot1/joint_states"


def test_names_without_positions_are_no_measurement():
    robot = Controlled()
    robot.driver.heard(["neck_pan", "neck_tilt"], [], robot.now_s)
    assert robot.driver.reading("pan") is None
