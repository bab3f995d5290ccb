"""Calibrating emulated robots through the makers' libraries, with a scripted operator."""

from __future__ import annotations

import itertools
import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from calibration_operator import Hardware, Operator, hardware, joint, profile_of

from reactdiff_ros.actuation.calibration import Calibration, load_calibration
from reactdiff_ros.actuation.drivers.driver import Driver
from reactdiff_ros.actuation.hardware import make_drivers
from reactdiff_ros.cli.calibrate import StoppedError
from reactdiff_ros.errors import ReactdiffError

TERMINAL = pytest.mark.real_time  # on pseudo-terminals

WAYS = {
    "sts": [100, 480, -960, 480],
    "dynamixel": [100, 480, -960, 480],
    "scs": [3, 122, -244, 122],
}
OLD = '{"neck": {"id": 1, "drive_mode": 0, "homing_offset": 0, "range_min": 1, "range_max": 2}}'


@contextmanager
def operator(rig: Hardware, poses: dict[str, list[int]], *answers: Any) -> Iterator[Operator]:
    somebody = Operator(rig, poses, list(answers))
    try:
        yield somebody
    finally:
        somebody.close()


def driver_of(rig: Hardware, calibrations: dict[str, Calibration], folder: Path) -> Driver:
    made = make_drivers(rig.profile, calibrations, rig.time.now, lock_folder=folder, answer_s=0.15)
    made["bus"].open()
    return made["bus"]


@pytest.mark.parametrize(
    ("kind", "turned", "by"),
    [
        *itertools.product(("sts", "dynamixel", "scs"), (False, True), ("memory",)),
        *(pytest.param(kind, False, "terminal", marks=TERMINAL) for kind in ("sts", "dynamixel")),
    ],
)
def test_a_servo_on_a_bus_is_calibrated_and_can_be_armed(kind: str, turned: bool, by: str, tmp_path: Path) -> None:
    profile = profile_of(tmp_path, kind, neck=joint())
    sign = -1 if turned else 1
    first, *rest = WAYS[kind]
    path = tmp_path / "calibration.json"
    with (
        hardware(profile, tmp_path, by) as rig,
        operator(rig, {"neck": [first, *(sign * w for w in rest)]}) as somebody,
    ):
        result = somebody.calibrate(path)
        assert result["calibrated"] == ["neck"]
        assert result["missing"] == []
        servo = somebody.servo("neck")
        assert not servo.motor.torque
        assert len(servo.received) > 20
        found = load_calibration(path)
        calibration = found["neck"]
        assert calibration.drive_mode == int(turned)
        half = 511 if kind == "scs" else 2047
        assert calibration.homing_offset == {"sts": 100, "dynamixel": -100, "scs": 0}[kind]
        assert calibration.range_min < half < calibration.range_max
        assert abs(calibration.range_max - half - WAYS[kind][1]) < 20
        # What was sent stayed inside the profile's limits, and did not jump.
        per_degree = 1024 / 300 if kind == "scs" else 4096 / 360
        assert max(abs(raw - half) for raw in servo.received) <= 40 * per_degree + 4
        assert (
            max(abs(b - a) for a, b in zip(servo.received[3:], servo.received[4:], strict=False)) <= 40 * per_degree / 8
        )
        driver = driver_of(rig, found, tmp_path)
        assert driver.check() == {}
        assert driver.arm("neck", 0.0) is None
        driver.close()


@pytest.mark.parametrize("turned", [False, True])
def test_a_hobby_servo_is_calibrated_as_its_operator_says(turned: bool, tmp_path: Path) -> None:
    profile = profile_of(tmp_path, "maestro", neck=joint("us", 3))
    path = tmp_path / "calibration.json"
    answers = [("n: the other way", "n")] if turned else []
    answers += [("is this its neutral", "+30"), ("is this its neutral", "-10"), ("is this its neutral", "much")]
    with hardware(profile, tmp_path) as rig, operator(rig, {}, *answers) as somebody:
        somebody.calibrate(path)
        found = load_calibration(path)["neck"]
        assert found == Calibration(3, int(turned), 20, 1120, 1920)
        channel: Any = rig.buses["bus"].channels[3]  # type: ignore[attr-defined]
        assert channel.target == 0
        # In quarters of microseconds; after the first pulse it never jumped.
        pulses = [raw for raw in channel.received if raw]
        assert 4 * 1119 <= min(pulses) <= max(pulses) <= 4 * 1921
        assert max(abs(b - a) for a, b in itertools.pairwise(pulses)) <= 4 * 400 / 8
        assert any("not a whole number" in line for line in somebody.said)
        driver = driver_of(rig, {"neck": found}, tmp_path)
        driver.check()
        assert driver.arm("neck", 1500.0) is None
        driver.close()


def test_a_hobby_servo_is_stopped_before_it_touches_anything(tmp_path: Path) -> None:
    slow = joint("us", 0)
    slow["limits"] |= {"speed": 4000}
    profile = profile_of(tmp_path, "maestro", neck=slow)
    path = tmp_path / "calibration.json"
    with hardware(profile, tmp_path) as rig, operator(rig, {}) as somebody:
        somebody._answers = [("slowly to its upper limit", lambda: (somebody.say(""), somebody.say("")))]
        # Stopped at once: that is too little, and it is asked for again.
        somebody._answers += [("Enter: again", "s")]
        with pytest.raises(StoppedError, match="nothing was calibrated"):
            somebody.calibrate(path)
        assert any("stopped: " in line for line in somebody.said)
        assert any("too small" in line for line in somebody.said)
        assert not path.exists()


@pytest.mark.parametrize(
    ("poses", "words"),
    [
        ([0, 100, -200], "too small"),
        ([0, 1000, 900], "reversed"),
        ([0, 500, -3000], "wrapped"),
    ],
)
def test_ranges_that_cannot_be_are_refused_and_nothing_is_written(poses: list[int], words: str, tmp_path: Path) -> None:
    profile = profile_of(tmp_path, "sts", neck=joint())
    path = tmp_path / "calibration.json"
    path.write_text(OLD)
    with hardware(profile, tmp_path) as rig, operator(rig, {"neck": poses}) as somebody:
        with pytest.raises(StoppedError):
            somebody.calibrate(path)
        assert any(words in line for line in somebody.said)
        assert path.read_text() == OLD
        assert somebody.servo("neck").received == []


def test_ends_that_were_mixed_up_are_seen_when_it_moves_and_it_is_done_again(tmp_path: Path) -> None:
    profile = profile_of(tmp_path, "sts", neck=joint())
    path = tmp_path / "calibration.json"
    poses = [0, -480, 960, -480, 0, 480, -960, 480]
    with (
        hardware(profile, tmp_path) as rig,
        operator(rig, {"neck": poses}, ("did it move freely", "n"), ("Enter: again", "")) as somebody,
    ):
        somebody.calibrate(path)
        assert any("reversed" in line for line in somebody.said)
        assert load_calibration(path)["neck"].drive_mode == 0


def test_a_joint_that_is_blocked_stops(tmp_path: Path) -> None:
    profile = profile_of(tmp_path, "sts", neck=joint())
    path = tmp_path / "calibration.json"
    with (
        hardware(profile, tmp_path) as rig,
        operator(rig, {"neck": [0, 480, -960, 480]}) as somebody,
    ):
        somebody.servo("neck").motor.speed = 1.0
        with pytest.raises(StoppedError):
            somebody.calibrate(path)
        assert any("does not follow" in line for line in somebody.said)
        assert not somebody.servo("neck").motor.torque


@pytest.mark.parametrize(("on_fault", "torque"), [("release", False), ("hold", True)])
def test_a_joint_that_gets_hot_on_its_way_does_its_on_fault(on_fault: str, torque: bool, tmp_path: Path) -> None:
    profile = profile_of(tmp_path, "dynamixel", neck=joint(on_fault=on_fault))

    with hardware(profile, tmp_path) as rig, operator(rig, {"neck": [0, 480, -960, 480]}) as somebody:

        def heat() -> None:
            somebody.servo("neck").failing.hot = True

        somebody._answers = [("  to 40", heat)]
        with pytest.raises(StoppedError):
            somebody.calibrate(tmp_path / "calibration.json")
        assert any("too hot" in line for line in somebody.said)
        assert somebody.servo("neck").motor.torque == torque


@pytest.mark.parametrize("kind", ["sts", "dynamixel"])
def test_a_homing_offset_that_cannot_be_stored_is_refused_with_what_to_turn(kind: str, tmp_path: Path) -> None:
    profile = profile_of(tmp_path, kind, neck=joint())
    path = tmp_path / "calibration.json"
    with (
        hardware(profile, tmp_path) as rig,
        operator(rig, {"neck": [0, 480, -960, 480]}) as somebody,
    ):
        somebody.servo("neck").motor.position += 1200
        if kind == "sts":
            somebody.calibrate(path)
            assert load_calibration(path)["neck"].homing_offset == 1200
            return
        with pytest.raises(StoppedError):
            somebody.calibrate(path)
        assert any("turn its horn by about 105 degrees" in line for line in somebody.said)


def test_ids_that_answer_twice_are_refused(tmp_path: Path) -> None:
    profile = profile_of(tmp_path, "sts", neck=joint(), jaw=joint(number=2))
    with hardware(profile, tmp_path) as rig, operator(rig, {}) as somebody:
        somebody.servo("jaw").failing.twice = True
        with pytest.raises(ReactdiffError, match=r"more than one servo answers to id 2.*jaw, id 2 of bus.*its own id"):
            somebody.calibrate(tmp_path / "calibration.json")
        assert not any(servo.motor.torque for servo in rig.buses["bus"].servos.values())  # type: ignore[attr-defined]


def test_a_missing_id_is_named_with_those_that_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reactdiff_ros.cli.calibrate.ALL_IDS", range(11))
    profile = profile_of(tmp_path, "sts", neck=joint(), jaw=joint(number=2))
    with hardware(profile, tmp_path) as rig, operator(rig, {}) as somebody:
        bus: Any = rig.buses["bus"]
        bus.servos[9] = bus.servos.pop(2)
        bus.servos[9].id = 9
        bus.servos[9].table[5] = 9
        with pytest.raises(ReactdiffError, match=r"\(jaw, id 2 of bus\): the ids that answer are 1, 9"):
            somebody.calibrate(tmp_path / "calibration.json")


@TERMINAL
def test_a_port_of_another_name_is_found_and_one_that_was_named_is_taken(tmp_path: Path) -> None:
    profile = profile_of(tmp_path, "sts", neck=joint())
    path = tmp_path / "calibration.json"
    ways = [0, 480, -960, 480]
    with hardware(profile, tmp_path, "terminal") as rig:
        real = str(rig.wires["bus"].link)
        with operator(rig, {"neck": ways}) as somebody:
            somebody.calibrate(path, profile=profile, others=[str(tmp_path / "none"), real])
            assert any(f"found at {real}; write" in line for line in somebody.said)
        with operator(rig, {"neck": ways}) as somebody:
            somebody.calibrate(path, profile=profile, ports={"bus": real})
        other = tmp_path / "dev" / "other"
        other.symlink_to(os.readlink(real))
        with operator(rig, {"neck": ways}, ("several ports answer", "2")) as somebody:
            somebody.calibrate(path, profile=profile, others=[str(other), real])
            assert any(f"found at {real}" in line for line in somebody.said)


@TERMINAL
def test_what_is_wrong_with_each_port_is_told(tmp_path: Path) -> None:
    profile = profile_of(tmp_path, "sts", neck=joint())
    with hardware(profile, tmp_path, "terminal") as rig, operator(rig, {}) as somebody:
        somebody.servo("neck").failing.silent = True
        real = str(rig.wires["bus"].link)
        with pytest.raises(ReactdiffError, match=r"bus was not found.*no such port.*none of the ids 1 answers"):
            somebody.calibrate(tmp_path / "c.json", profile=profile, others=[real])
        busy = driver_of(rig, {}, tmp_path)
        with pytest.raises(ReactdiffError, match=r"the port is in use"):
            somebody.calibrate(tmp_path / "c.json")
        busy.close()
        for named, words in (({"nose": "x"}, "no driver nose"),):
            with pytest.raises(ReactdiffError, match=words):
                somebody.calibrate(tmp_path / "c.json", ports=named)


STOPS = [
    "its torque goes off",
    "its neutral pose (0 deg)",
    "its upper end, where the face looks down (40",
    "its lower end",
    "near its neutral",
    "fingers off",
    "  to 40",
    "  to -40",
    "did it move freely",
    "write ",
]


@pytest.mark.parametrize(
    ("kind", "at", "by"),
    [
        *(("sts", at, "memory") for at in STOPS),
        ("dynamixel", "near its neutral", "memory"),
        *(pytest.param(kind, "  to -40", "terminal", marks=TERMINAL) for kind in ("sts", "dynamixel")),
    ],
)
def test_ctrl_c_at_any_moment_lets_go_and_leaves_everything_as_it_was(
    kind: str, at: str, by: str, tmp_path: Path
) -> None:
    profile = profile_of(tmp_path, kind, neck=joint())
    path = tmp_path / "calibration.json"
    path.write_text(OLD)

    def stop() -> None:
        os.kill(os.getpid(), signal.SIGINT)

    with hardware(profile, tmp_path, by) as rig, operator(rig, {"neck": WAYS[kind]}, (at, stop)) as somebody:
        with pytest.raises(StoppedError):
            somebody.calibrate(path)
        assert any(at in line for line in somebody.said)
        servo = somebody.servo("neck")
        assert not servo.motor.torque
        assert path.read_text() == OLD
        offset = servo.get(31, 2) if kind == "sts" else servo.get(20, 4, signed=True)
        assert offset == 0
    assert [p.name for p in tmp_path.iterdir() if "calibration" in p.name] == ["calibration.json"]


@pytest.mark.parametrize(
    ("changes", "torque"), [({"on_fault": "hold"}, True), ({"on_fault": "lower_then_release", "lowered": -20.0}, False)]
)
def test_a_joint_that_is_stopped_does_its_on_fault(changes: dict[str, Any], torque: bool, tmp_path: Path) -> None:
    profile = profile_of(tmp_path, "sts", neck=joint(**changes))
    path = tmp_path / "calibration.json"
    ways = [100, 480, -960, 480]

    def stop() -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    with hardware(profile, tmp_path) as rig, operator(rig, {"neck": ways}, ("  to -40", stop)) as somebody:
        with pytest.raises(StoppedError):
            somebody.calibrate(path)
        servo = somebody.servo("neck")
        assert servo.motor.torque == torque
        if torque:
            assert any("it holds where it is" in line for line in somebody.said)
            assert any("calibrate it again" in line for line in somebody.said)
        else:
            assert abs(servo.received[-1] - (2047 - 20 * 4096 / 360)) <= 1
        assert not path.exists()


def test_a_second_ctrl_c_while_it_is_lowered_holds_it(tmp_path: Path) -> None:
    slow = joint(on_fault="lower_then_release", lowered=-38.0)
    slow["limits"] |= {"speed": 400}
    profile = profile_of(tmp_path, "sts", neck=slow)

    def stop() -> None:
        os.kill(os.getpid(), signal.SIGINT)

    with (
        hardware(profile, tmp_path) as rig,
        operator(rig, {"neck": [0, 480, -960, 480]}, ("  to -40", stop)) as somebody,
    ):
        forget, times = somebody.console.forget_stop, []

        def forget_and_stop_again() -> None:
            times.append(1)
            forget()
            stop()

        somebody.console.forget_stop = forget_and_stop_again  # type: ignore[method-assign]
        with pytest.raises(StoppedError):
            somebody.calibrate(tmp_path / "calibration.json")
        assert times
        assert somebody.servo("neck").motor.torque
        assert any("it holds where it is, if it can" in line for line in somebody.said)


def test_answers_that_end_are_a_stop(tmp_path: Path) -> None:
    profile = profile_of(tmp_path, "maestro", neck=joint("us"))
    with hardware(profile, tmp_path) as rig:
        somebody = Operator(rig, {}, [("it goes to its neutral", lambda: os.close(somebody._write))])
        with pytest.raises(StoppedError, match="no more answers"):
            somebody.calibrate(tmp_path / "calibration.json")
        os.close(somebody._read)
        assert all(c.target == 0 for c in rig.buses["bus"].channels)  # type: ignore[attr-defined]


def test_a_cable_that_is_pulled_is_told_and_the_joint_is_done_again(tmp_path: Path) -> None:
    profile = profile_of(tmp_path, "sts", neck=joint())
    path = tmp_path / "calibration.json"
    with hardware(profile, tmp_path) as rig:
        wire = rig.wires["bus"]
        answers = [("its upper end", wire.pull), ("Enter: again", lambda: (wire.plug(), somebody.say("")))]
        with operator(rig, {"neck": [0, 0, 480, -960, 480]}, *answers) as somebody:
            somebody.calibrate(path)
            assert any("port" in line for line in somebody.said)
            assert "neck" in load_calibration(path)


def test_one_joint_is_calibrated_and_the_others_keep_theirs(tmp_path: Path) -> None:
    profile = profile_of(tmp_path, "sts", neck=joint(), jaw=joint(number=2))
    path = tmp_path / "calibration.json"
    path.write_text(json.dumps({**json.loads(OLD), "gone": json.loads(OLD)["neck"]}))
    with hardware(profile, tmp_path) as rig, operator(rig, {"jaw": [0, 480, -960, 480]}) as somebody:
        result = somebody.calibrate(path, joints=("jaw",))
        assert result["calibrated"] == ["jaw"]
        assert result["backup"] == str(path.with_name("calibration.json.1.bak"))
        found = load_calibration(path)
        assert set(found) == {"neck", "jaw"}
        assert found["neck"].range_max == 2
        with pytest.raises(ReactdiffError, match="no such joint"):
            somebody.calibrate(path, joints=("nose",))


def test_a_full_disk_leaves_the_old_file_and_the_old_homing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    profile = profile_of(tmp_path, "sts", neck=joint())
    path = tmp_path / "calibration.json"
    path.write_text(OLD)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("reactdiff_ros.actuation.calibration.os.fsync", full)
    with hardware(profile, tmp_path) as rig, operator(rig, {"neck": [100, 480, -960, 480]}) as somebody:
        with pytest.raises(ReactdiffError, match="No space left"):
            somebody.calibrate(path)
        assert path.read_text() == OLD
        assert somebody.servo("neck").get(31, 2) == 0
