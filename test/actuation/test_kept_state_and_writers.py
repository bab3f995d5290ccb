"""What the actuator keeps between runs, who publishes a topic, and controllers of ros2_control as drivers."""

from __future__ import annotations

import errno
import math
import os
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from reactdiff_ros.actuation import kept_state as actuator_saved
from reactdiff_ros.actuation.drivers.driver import Axis
from reactdiff_ros.actuation.drivers.joint_trajectory import SILENT_S, TrajectoryDriver
from reactdiff_ros.actuation.kept_state import Kept, load_commands
from reactdiff_ros.actuation.robot.profile import Joint, JointTrajectoryDriver
from reactdiff_ros.actuation.writers import NAMED_S, UNKNOWN, Writers
from reactdiff_ros.errors import ReactdiffError


def joint(unit: str, low: float, high: float) -> Joint:
    limits = {"position": [low, high], "speed": 100.0, "acceleration": 1000.0, "jerk": 1e5}
    output = {"driver": "board", "id": 0}
    return Joint.model_validate(
        {"unit": unit, "neutral": low, "limits": limits, "output": output, "group": "lids", "on_fault": "hold"}
    )


JOINTS = {"eye": joint("us", 1100.0, 1900.0), "lid": joint("deg", 0.0, 40.0)}


@pytest.mark.parametrize("content", ["", "{", "[1]", "3", '{"eye": "x", "lid": true, "jaw": NaN}', "\x00"])
def test_damaged_files_are_no_commands(tmp_path: Path, content: str) -> None:
    path = tmp_path / "commands.json"
    path.write_text(content)
    assert load_commands(path) == {}


def end(name, number):
    """The endpoint of a publisher of that node; each has a number of its own."""
    namespace, _, node_name = name.rpartition("/")
    gid = [*number.to_bytes(2, "big"), *bytes(14)]
    return SimpleNamespace(node_name=node_name, node_namespace=namespace or "/", endpoint_gid=gid)


def ends(*names):
    return [end(name, number) for number, name in enumerate(names)]


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


FACE = "/expression_node"


def sends(writers, *turns):
    """Publishers send in turns, each as many messages as it has sent already and one more."""
    for first, count in turns:
        for number in range(first, first + count):
            writers.heard(number)


def test_two_of_one_name_that_both_send_are_found_at_the_next_look():
    writers = Writers("t")
    writers.look(ends(FACE), 0.0)
    sends(writers, (1, 1000))
    assert not writers.look(ends(FACE, FACE), 20.0).now
    sends(writers, (1001, 1), (1, 1), (1002, 1), (2, 1), (1003, 1), (3, 1))
    found = writers.look(ends(FACE, FACE), 20.2)
    assert found.sentence == f"{FACE} and another {FACE} publish t: stop one of them"
    assert found.now


def test_a_publisher_that_has_no_name_yet_but_sends_in_turns_with_another_is_certain():
    writers = Writers("t")
    both = ends(FACE, f"/{UNKNOWN}")
    assert not writers.look(both, 0.0).now
    sends(writers, (900, 1), (1, 1), (901, 1), (2, 1))
    assert writers.look(both, 0.2).now


def test_one_that_was_killed_is_silent_beside_the_one_that_took_its_place():
    writers = Writers("t")
    writers.look(ends(FACE), 0.0)
    sends(writers, (1, 1000))
    sends(writers, (1, 3))  # before the new endpoint is listed
    for tick in range(100):
        assert not writers.look(ends(FACE, FACE), 10.0 + 0.2 * tick).now
        sends(writers, (4 + 10 * tick, 10))
    assert not writers.look(ends(FACE), 31.0).sentence


def test_without_numbers_as_in_older_ros_a_second_one_is_found_when_the_first_cannot_linger():
    writers = Writers("t")
    twins = ends(FACE, FACE)
    for tick in range(150):
        assert not writers.look(twins, 0.2 * tick).now
        writers.heard(None)
    assert writers.look(twins, 30.2).now


def rates(writers, listed, hz, seconds, begin_s=0.0, number=0):
    """What is found at each look while a publisher sends, of which every hundredth message is taken."""
    found = []
    for tick in range(round(5 * seconds)):
        sends(writers, *((n, 1) for n in range(number, number + hz // 5, max(hz // 500, 1))))
        number += hz // 5
        writers.look(listed, begin_s + 0.2 * tick)
        found.append(writers.rate_hz)
    return found


@pytest.mark.parametrize("hz", [50, 4000])
def test_the_rate_is_what_is_sent_not_what_is_taken(hz):
    assert rates(Writers("t"), ends(FACE), hz, 4.0)[-1] == pytest.approx(hz, rel=0.05)


def test_a_publisher_without_a_name_gets_the_time_that_dds_may_take():
    writers = Writers("t")
    both = ends("/expression_node", f"/{UNKNOWN}")
    for now_s in (0.0, 0.2, 3.0, NAMED_S):
        found = writers.look(both, now_s)
        assert "an unknown node" in found.sentence  # it cannot be enabled meanwhile
        assert not found.now
    assert writers.look(both, NAMED_S + 0.2).now


def test_strangers_stop_at_once_whoever_has_no_name_yet():
    assert Writers("t").look(ends("/a", "/b", f"/{UNKNOWN}"), 0.0).now
    writers = Writers("t")
    assert writers.look(ends(f"/{UNKNOWN}"), 0.0).sentence == ""
    assert "2 unknown nodes publish t" in writers.look(ends(f"/{UNKNOWN}", f"/{UNKNOWN}"), 1.0).sentence
    assert writers.look(ends(f"/{UNKNOWN}", f"/{UNKNOWN}"), NAMED_S + 0.2).now


@pytest.mark.parametrize(
    ("content", "known"),
    [
        ('{"eye": [1600.0, "us"], "lid": [20, "deg"]}', {"eye": 1600.0, "lid": 20.0}),
        ('{"eye": 1600.0, "lid": 1500.0}', {"eye": 1600.0}),  # of an earlier version
        ('{"eye": [20.0, "deg"], "lid": [20.0, "rad"]}', {}),
        ('{"eye": [950.0, "us"], "lid": [40.1, "deg"]}', {}),
        ('{"nose": [1.0, "deg"], "eye": [1600.0], "lid": [[], "deg"]}', {}),
    ],
)
def test_a_command_in_another_unit_or_outside_the_limits_is_not_used(tmp_path, content, known):
    (tmp_path / "head.json").write_text(content)
    assert Kept(tmp_path, "head", JOINTS).commands() == known


def test_a_calibrated_joint_has_no_last_command(tmp_path):
    kept = Kept(tmp_path, "head", JOINTS)
    kept.forget_commands(["eye"])
    assert not kept.path.exists()
    kept.keep_commands({"eye": 1600.0, "lid": 20.0})
    Kept(tmp_path, "head", JOINTS).forget_commands(["eye", "jaw"])
    assert Kept(tmp_path, "head", JOINTS).commands() == {"lid": 20.0}


def test_commands_and_a_stop_are_kept(tmp_path):
    kept = Kept(tmp_path / "new", "head", JOINTS)
    assert (kept.commands(), kept.stopped) == ({}, False)
    kept.keep_commands({})
    kept.keep_stop(lambda: False)
    assert not (tmp_path / "new").exists()
    kept.keep_commands({"eye": 1500.0})
    kept.keep_stop(lambda: True)
    again = Kept(tmp_path / "new", "head", JOINTS)
    assert (again.commands(), again.stopped) == ({"eye": 1500.0}, True)
    again.keep_stop(lambda: False)
    assert not Kept(tmp_path / "new", "head", JOINTS).stopped


def test_a_stop_and_its_end_are_on_the_disk_with_the_names_of_their_folders(tmp_path, monkeypatch):
    synced, fsync = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda number: synced.append(os.fstat(number).st_ino) or fsync(number))
    folder = tmp_path / "a" / "b"
    kept = Kept(folder, "head", JOINTS)
    kept.keep_stop(lambda: True)
    (mark,) = folder.iterdir()
    assert {p.stat().st_ino for p in (mark, folder, folder.parent, tmp_path)} <= set(synced)
    synced.clear()
    kept.keep_stop(lambda: False)
    assert list(folder.iterdir()) == []
    assert synced == [folder.stat().st_ino]


def test_a_stop_that_comes_while_an_older_one_is_removed_is_kept(tmp_path, monkeypatch):
    kept = Kept(tmp_path, "head", JOINTS)
    kept.keep_stop(lambda: True)
    stopped, unlink, other = [], Path.unlink, []

    def slow(path, **options):
        stopped.append(True)
        other.append(threading.Thread(target=kept.keep_stop, args=(lambda: True,)))
        other[0].start()
        unlink(path, **options)

    monkeypatch.setattr(Path, "unlink", slow)
    kept.keep_stop(lambda: bool(stopped))
    monkeypatch.undo()
    other[0].join(10.0)
    assert Kept(tmp_path, "head", JOINTS).stopped


def test_a_folder_that_cannot_be_written_to_is_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(ReactdiffError, match="cannot be saved"):
        Kept(tmp_path / "file", "head", JOINTS).keep_commands({"eye": 1.0})
    with pytest.raises(ReactdiffError, match="a software stop cannot be kept"):
        Kept(tmp_path / "file", "head", JOINTS).keep_stop(lambda: True)
    full = Kept(tmp_path / "full", "head", JOINTS)
    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left on device")))
        with pytest.raises(ReactdiffError, match=r"a software stop cannot be kept .*No space left on device"):
            full.keep_stop(lambda: True)
    full.keep_stop(lambda: True)  # the next try
    assert full.stopped


def test_auto_enable_acts_once_after_a_start_of_the_computer(tmp_path, monkeypatch):
    boot = tmp_path / "boot_id"
    monkeypatch.setattr(actuator_saved, "BOOT_ID", boot)
    boot.write_text("one\n")
    assert [Kept(tmp_path, "head", JOINTS).first_since_boot() for _ in range(3)] == [True, False, False]
    assert Kept(tmp_path, "other", JOINTS).first_since_boot()
    boot.write_text("two\n")
    assert [Kept(tmp_path, "head", JOINTS).first_since_boot() for _ in range(2)] == [True, False]
    boot.unlink()
    with pytest.raises(ReactdiffError, match=r"auto_enable has not acted.* No such file"):
        Kept(tmp_path, "head", JOINTS).first_since_boot()
    boot.write_text("three")
    (tmp_path / "file").write_text("")
    with pytest.raises(ReactdiffError, match="auto_enable has not acted"):
        Kept(tmp_path / "file", "head", JOINTS).first_since_boot()


class Controlled:
    def __init__(self):
        self.now_s, self.sent = 10.0, []
        axes = {n: Axis(n, i, "rad", -1.0, 1.0, name=f"neck_{n}") for i, n in enumerate(("pan", "tilt"))}
        self.driver = TrajectoryDriver(
            JointTrajectoryDriver(type="joint_trajectory"),
            axes,
            lambda: self.now_s,
            send=lambda names, positions: self.sent.append(dict(zip(names, positions, strict=True))),
        )


def test_a_controller_is_armed_when_it_listens_and_tells():
    robot = Controlled()
    driver = robot.driver
    assert "head_controller/joint_trajectory has no subscriber" in driver.arm("pan", 0.0).text
    driver.listeners = 1
    assert "does not report its position" in driver.arm("pan", 0.0).text
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


def test_a_joint_of_a_controller_that_stands_a_little_outside_makes_no_step_and_comes_in():
    robot = Controlled()
    driver = robot.driver
    driver.listeners = 1
    driver.heard(["neck_pan"], [1.08], robot.now_s)
    assert driver.arm("pan", math.nan) is None
    for position in (1.2, 1.06, 0.9, 1.06):
        driver.command({"pan": position})
    assert [sent["neck_pan"] for sent in robot.sent] == [1.08, 1.06, 0.9, 1.0]
    driver.release("pan")
    driver.heard(["neck_pan"], [1.2], robot.now_s)
    assert "bring it inside by hand" in driver.arm("pan", math.nan).text
    assert driver.armed == frozenset()


def test_the_torque_of_a_controller_is_never_known():
    robot = Controlled()
    robot.driver.listeners = 1
    robot.driver.heard(["neck_pan"], [0.25], robot.now_s)
    assert robot.driver.holding("pan") is None
    assert robot.driver.arm("pan", 0.0) is None
    robot.driver.release("pan")
    assert robot.driver.holding("pan") is None
