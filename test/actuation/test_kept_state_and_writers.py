"""What the actuator keeps between runs, who publishes a topic, and controllers of ros2_control as drivers."""

import errno
import math
import os
import threading
from itertools import chain
from pathlib import Path
from types import SimpleNamespace

import pytest

from reactdiff_ros.actuation import kept_state
from reactdiff_ros.actuation.drivers.driver import Axis
from reactdiff_ros.actuation.drivers.joint_trajectory import SILENT_S, TrajectoryDriver
from reactdiff_ros.actuation.kept_state import Kept
from reactdiff_ros.actuation.robot.profile import JointTrajectoryDriver
from reactdiff_ros.actuation.writers import NAMED_S, UNKNOWN, Writers
from reactdiff_ros.errors import ReactdiffError

JOINTS = {
    "eye": SimpleNamespace(unit="us", lower=1100.0, upper=1900.0),
    "lid": SimpleNamespace(unit="deg", lower=0.0, upper=40.0),
}
FACE, NAMELESS = "/expression_node", f"/{UNKNOWN}"
TWINS, ONE_HAS_NO_NAME = [FACE, FACE], [FACE, NAMELESS]
TWO_OF_ONE_NAME = f"{FACE} and another {FACE} publish t"
STOPS = f"now: {TWO_OF_ONE_NAME}: stop one of them"

# When, who is listed, the sentence ("now: ": it stops a robot that moves), and the numbers that came before.
WRITERS = {
    "strangers": [(5.0, ["/a", "/c", "/robot/b", "/c"], "now: /a, /c and /robot/b publish t: stop all but one")],
    "one that was started again is tolerated while the one before may be listed": [
        *((now_s, TWINS, TWO_OF_ONE_NAME, [None]) for now_s in (0.0, 10.0, 29.0)),
        *((31.0, TWINS, STOPS), (32.0, [FACE], ""), (33.0, TWINS, TWO_OF_ONE_NAME)),
        *((50.0, [FACE] * 3, TWO_OF_ONE_NAME), (79.0, TWINS, TWO_OF_ONE_NAME), (81.0, TWINS, STOPS)),
    ],
    "two that both send": [
        *((0.0, [FACE], ""), (20.0, TWINS, TWO_OF_ONE_NAME, range(1, 1001))),
        (20.2, TWINS, STOPS, [1001, 1, 1002, 2, 1003, 3]),
    ],
    "one that was killed is silent": [
        *((0.0, [FACE], ""), (10.0, TWINS, TWO_OF_ONE_NAME, [*range(1, 1001), 1, 2, 3])),
        *((10.0 + 0.2 * k, TWINS, TWO_OF_ONE_NAME, range(10 * k - 6, 10 * k + 4)) for k in range(1, 100)),
    ],
    "one without a name has the time that DDS may take": [
        *((now_s, ONE_HAS_NO_NAME, f"{FACE} and an unknown node") for now_s in (0.0, 3.0, NAMED_S)),
        (NAMED_S + 0.2, ONE_HAS_NO_NAME, "now: "),
    ],
}


def endpoints(names):
    """Of publishers of these nodes; each has a number of its own."""
    parts = [name.rpartition("/") for name in names]
    return [
        SimpleNamespace(node_name=node, node_namespace=space or "/", endpoint_gid=[number, *bytes(15)])
        for number, (space, _, node) in enumerate(parts)
    ]


@pytest.mark.parametrize("steps", WRITERS.values(), ids=WRITERS)
def test_more_than_one_publisher_of_a_topic_is_found(steps):
    writers = Writers("t")
    for now_s, names, sentence, *numbers in steps:
        for number in chain(*numbers):
            writers.heard(number)
        found = writers.look(endpoints(names), now_s)
        said = f"{'now: ' if found.now else ''}{found.sentence}"
        assert said.startswith(sentence) if sentence else not said, now_s


SAVED = {
    '{"eye": [1600.0, "us"], "lid": [20, "deg"]}': {"eye": 1600.0, "lid": 20.0},
    '{"eye": 1600.0, "lid": 1500.0}': {"eye": 1600.0},  # of an earlier version
    '{"eye": [20.0, "deg"], "lid": [40.1, "deg"]}': {},
    '{"nose": [1.0, "deg"], "eye": [1600.0], "lid": true, "jaw": NaN}': {},
    "": {},
}


@pytest.mark.parametrize(("content", "known"), SAVED.items())
def test_a_damaged_command_and_one_in_another_unit_or_outside_the_limits_is_not_used(tmp_path, content, known):
    (tmp_path / "head.json").write_text(content)
    assert Kept(tmp_path, "head", JOINTS).commands() == known


def test_commands_and_a_stop_are_kept_on_the_disk_and_a_calibrated_joint_has_no_last_command(tmp_path, monkeypatch):
    synced, fsync = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda number: synced.append(os.fstat(number).st_ino) or fsync(number))
    folder = tmp_path / "a" / "b"
    kept = Kept(folder, "head", JOINTS)
    kept.keep_commands({})
    kept.keep_stop(lambda: False)
    kept.forget_commands(["eye"])
    assert (kept.commands(), kept.stopped, folder.exists()) == ({}, False, False)
    kept.keep_stop(lambda: True)
    (mark,) = folder.iterdir()
    assert {p.stat().st_ino for p in (mark, folder, folder.parent, tmp_path)} <= set(synced)
    kept.keep_commands({"eye": 1500.0, "lid": 20.0})
    again = Kept(folder, "head", JOINTS)
    assert (again.commands(), again.stopped) == ({"eye": 1500.0, "lid": 20.0}, True)
    again.forget_commands(["eye", "jaw"])
    synced.clear()
    again.keep_stop(lambda: False)
    assert synced == [folder.stat().st_ino]
    again = Kept(folder, "head", JOINTS)
    assert (again.commands(), again.stopped) == ({"lid": 20.0}, False)


def test_a_stop_that_comes_while_an_older_one_is_removed_is_kept(tmp_path, monkeypatch):
    kept = Kept(tmp_path, "head", JOINTS)
    kept.keep_stop(lambda: True)
    unlink, other = Path.unlink, threading.Thread(target=kept.keep_stop, args=(lambda: True,))
    monkeypatch.setattr(Path, "unlink", lambda path, **options: (other.ident or other.start(), unlink(path, **options)))
    kept.keep_stop(lambda: other.ident is not None)
    other.join(10.0)
    assert Kept(tmp_path, "head", JOINTS).stopped


def test_a_folder_that_cannot_be_written_to_is_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    kept = Kept(tmp_path / "file", "head", JOINTS)
    with pytest.raises(ReactdiffError, match="cannot be saved"):
        kept.keep_commands({"eye": 1.0})
    with pytest.raises(ReactdiffError, match="auto_enable has not acted"):
        kept.first_since_boot()
    full = Kept(tmp_path / "full", "head", JOINTS)
    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left on device")))
        with pytest.raises(ReactdiffError, match=r"a software stop cannot be kept .*No space left on device"):
            full.keep_stop(lambda: True)
    full.keep_stop(lambda: True)  # the next try
    assert full.stopped


def test_auto_enable_acts_once_after_a_start_of_the_computer(tmp_path, monkeypatch):
    boot = tmp_path / "boot_id"
    monkeypatch.setattr(kept_state, "BOOT_ID", boot)
    for started in ("one\n", "two\n"):
        boot.write_text(started)
        assert [Kept(tmp_path, "head", JOINTS).first_since_boot() for _ in range(3)] == [True, False, False]
    assert Kept(tmp_path, "other", JOINTS).first_since_boot()


class Controlled:
    """The driver of a controller that listens, and what it was sent."""

    def __init__(self):
        self.now_s, self.sent = 10.0, []
        axes = {n: Axis(n, i, "rad", -1.0, 1.0, name=f"neck_{n}") for i, n in enumerate(("pan", "tilt"))}
        config = JointTrajectoryDriver(type="joint_trajectory")
        self.driver = TrajectoryDriver(config, axes, lambda: self.now_s, send=self.send)
        self.driver.listeners = 1

    def send(self, names, positions):
        self.sent.append(dict(zip(names, positions, strict=True)))

    def stands(self, pan, tilt):
        self.driver.heard(["neck_pan", "wheel", "neck_tilt"], [pan, 7.0, tilt], self.now_s)


def test_a_controller_is_armed_when_it_listens_and_tells():
    robot = Controlled()
    driver = robot.driver
    driver.listeners = 0
    assert "head_controller/joint_trajectory has no subscriber" in driver.arm("pan", 0.0).text
    driver.listeners = 1
    assert "does not report its position" in driver.arm("pan", 0.0).text
    robot.stands(0.25, math.nan)
    assert driver.arm("pan", 0.0) is None
    assert driver.holding("pan") is None  # its torque is never known
    assert driver.arm("tilt", 0.0) is not None
    assert driver.reading("pan").position == 0.25
    driver.command({"pan": 9.0, "tilt": 0.5})
    driver.command({"pan": math.nan})
    assert robot.sent == [{"neck_pan": 1.0}]
    robot.now_s += SILENT_S + 0.1
    driver.poll(0.01)
    assert (driver.armed, driver.reading("pan")) == (frozenset(), None)
    driver.command({"pan": 0.0})
    assert len(robot.sent) == 1


def test_a_command_names_all_joints_for_a_controller_refuses_a_part():
    """allow_partial_joints_goal of JointTrajectoryController is false by default."""
    robot = Controlled()
    driver = robot.driver
    robot.stands(0.25, 0.5)
    assert driver.arm("pan", 0.25) is None  # the other one has a fault
    driver.command({"pan": 0.3})
    robot.stands(0.3, 0.45)  # it sags a little: that does not become its command
    driver.command({"pan": 0.35})
    assert robot.sent == [{"neck_pan": 0.3, "neck_tilt": 0.5}, {"neck_pan": 0.35, "neck_tilt": 0.5}]
    assert driver.arm("tilt", 0.45) is None
    driver.release("pan")
    driver.command({"pan": 0.9, "tilt": 0.3})
    assert robot.sent[2:] == [{"neck_pan": 0.35, "neck_tilt": 0.3}]  # let go, it stays at its last command
    driver.release("tilt")
    driver.command({"pan": 0.0, "tilt": 0.0})
    assert len(robot.sent) == 3


BESIDE = [(-0.5, {"neck_pan": -0.5, "neck_tilt": -0.4}), (1.5, {"neck_tilt": -0.4}),
          (1.08, {"neck_pan": 1.08, "neck_tilt": -0.4})]  # fmt: skip


@pytest.mark.parametrize(("pan", "sent"), BESIDE, ids=["moved", "far outside", "a little outside"])
def test_a_joint_stays_where_it_stands_until_it_is_armed_and_comes_in_from_a_little_outside(pan, sent):
    robot = Controlled()
    driver = robot.driver
    robot.stands(pan, -0.5)
    assert driver.arm("tilt", -0.5) is None
    driver.command({"tilt": -0.4})
    assert robot.sent == [sent]
    fault = driver.arm("pan", math.nan)
    assert (fault is not None and "bring it inside by hand" in fault.text) is (pan == 1.5)
    if pan == 1.08:
        for position in (1.2, 1.06, 0.9, 1.06):
            driver.command({"pan": position})
        assert [sent["neck_pan"] for sent in robot.sent] == [1.08, 1.08, 1.06, 0.9, 1.0]
