"""`reactdiff doctor` on machines that are not this one: every check finds what is wrong, and never raises or hangs."""

import json
import re
import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from reactdiff_ros.actuation.robot.calibration import Calibration, calibrated_joints, calibration_path, save_calibration
from reactdiff_ros.actuation.robot.profile import load_profile
from reactdiff_ros.cli.main import main
from reactdiff_ros.launching import doctor, ntp
from reactdiff_ros.launching.doctor import ERROR, NOTE, OK, Finding, findings
from reactdiff_ros.resources import share_path


def test_one_line_for_each_finding_and_one_object(capfd):
    code = main(["doctor", "--json"])
    out, err = capfd.readouterr()
    answer = json.loads(out)
    assert answer["ok"] == (code == 0)
    assert {finding["check"] for finding in answer["findings"]} >= {
        "python", "packages", "ros", "dds", "multicast", "memory", "clock", "settings", "groups", "camera",
        "microphone", "weights", "gpu", "backend", "port", "disk",
    }  # fmt: skip
    assert len(err.splitlines()) == len(answer["findings"])


def test_a_check_that_trips_or_hangs_is_a_finding(monkeypatch, capfd):
    end = threading.Event()

    def check_moon() -> Iterator[Finding]:
        yield Finding("moon", OK, "is there")
        raise OSError("too far")

    monkeypatch.setattr(doctor, "CHECKS", (check_moon,))
    assert main(["doctor"]) == 1
    assert "ERROR moon        OSError: too far" in capfd.readouterr().out
    (finding,) = findings(lambda: iter([end.wait(60)]), limit_s=0.05)  # type: ignore[list-item]
    end.set()
    assert (finding.level, finding.sentence) == (ERROR, "no answer within 0.05 s")


def test_serial_ports_their_names_holders_and_what_slows_them(tmp_path):
    dev, proc, sys, locks = (tmp_path / name for name in ("dev", "proc", "sys", "lock"))
    for folder in (dev / "serial/by-id", proc / "12", proc / "77", sys / "bus/usb-serial/devices/ttyUSB0", locks):
        folder.mkdir(parents=True)
    (dev / "ttyUSB0").touch(0o660)
    (dev / "serial/by-id/usb-FTDI_A1").symlink_to(dev / "ttyUSB0")
    (proc / "12" / "comm").write_text("ModemManager\n")
    (proc / "77" / "comm").write_text("actuator_node\n")
    (sys / "bus/usb-serial/devices/ttyUSB0/latency_timer").write_text("16\n")
    (locks / "LCK..ttyUSB0").write_text("        77 actuator_node anna\n")
    port, slow, meddler = doctor.check_serial(dev, proc, sys, locks)
    assert {port.level, slow.level, meddler.level} == {NOTE}
    assert "usb-FTDI_A1" in port.sentence
    assert "process 77 (actuator_node)" in port.sentence
    assert "latency_timer" in slow.todo
    assert "ModemManager" in meddler.todo


def test_a_robot_needs_its_ports_and_its_calibration(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    port, path = tmp_path / "ttyUSB7", tmp_path / "mine.yaml"
    text = share_path("config/robots/generic_12servo.yaml").read_text()
    path.write_text(re.sub(r"port: [^,}\s]+", f"port: {port}", text))
    profile = load_profile(path)
    no_port, uncalibrated = doctor.robot_findings("mine", profile, "")
    assert (no_port.level, uncalibrated.level) == (ERROR, ERROR)
    assert str(port) in no_port.sentence
    assert uncalibrated.todo == "reactdiff robot calibrate mine"
    port.touch()
    first, *others = calibrated_joints(profile)
    other, found = tmp_path / "other robot.json", Calibration(1, 0, 0, 1000, 2000)
    save_calibration(calibration_path(profile.name), dict.fromkeys((first, *others), found))
    save_calibration(other, dict.fromkeys(others, found))
    assert [f.level for f in doctor.robot_findings("mine", profile, "")] == [OK]
    (lacking,) = doctor.robot_findings("mine", profile, str(other))
    assert lacking.todo == f"reactdiff robot calibrate mine --output '{other}'"  # where the actuator looks for it


@pytest.mark.parametrize(("ahead_s", "level"), [(0.0, OK), (-0.5, ERROR)])
def test_the_clock_of_another_machine_is_compared_over_ntp(ahead_s, level):
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))

    def serve() -> None:
        for _ in range(ntp.TRIES):
            query, sender = server.recvfrom(512)
            (asked,) = struct.unpack_from("!Q", query, 40)
            stamp = struct.pack("!Q", asked + round(ahead_s * 2**32))
            server.sendto(struct.pack("!BB30x", 0x24, 2) + stamp + stamp, sender)

    threading.Thread(target=serve, daemon=True).start()
    offset_s, took_s = ntp.clock_offset("127.0.0.1", int(server.getsockname()[1]))
    assert abs(offset_s - ahead_s) <= took_s + 1e-6
    (finding,) = doctor.check_peer("robot1", lambda host: (offset_s, min(took_s, 0.03)))
    assert finding.level == level
