"""One writer a port: missing, busy and forbidden ports are told in one sentence that helps."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from bus_fixtures import CLOCK, port

from reactdiff_ros.actuation.drivers.serial_port import QUEUE_S, DeviceLock, PortGoneError, SerialPort, explain
from reactdiff_ros.actuation.emulators.boards import MaestroBoard
from reactdiff_ros.actuation.emulators.rig import Wire
from reactdiff_ros.errors import DeviceError


def opened(folder: Path) -> SerialPort:
    return SerialPort(str(port(folder)), 115_200, CLOCK, lock_folder=folder)


@pytest.mark.parametrize(
    ("name", "words"), [("none", r"no such port .*none.*plugged in"), ("file", "cannot be opened")]
)
def test_what_is_no_serial_port(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "file").write_text("not a port")
    with pytest.raises(DeviceError, match=words):
        SerialPort(str(tmp_path / name), 9600, CLOCK, lock_folder=tmp_path)
    assert list(tmp_path.glob("LCK*")) == []
    assert (tmp_path / "file").read_text() == "not a port"


def test_a_port_has_one_writer_and_the_holder_is_named(tmp_path: Path) -> None:
    other, elsewhere = tmp_path / "another_name", tmp_path / "elsewhere"
    elsewhere.mkdir()
    other.symlink_to(port(tmp_path))
    with Wire(MaestroBoard(), port(tmp_path), CLOCK):
        first = opened(tmp_path)
        with pytest.raises(DeviceError, match=rf"in use .*process {os.getpid()} "):
            SerialPort(str(other), 9600, CLOCK, lock_folder=tmp_path)
        with pytest.raises(DeviceError, match="in use"):  # of a program that only locks the device
            SerialPort(str(port(tmp_path)), 9600, CLOCK, lock_folder=elsewhere)
        first.close()
        first.close()
        assert list(tmp_path.glob("LCK*")) == []
        opened(tmp_path).close()


def test_locks_of_other_processes(tmp_path: Path) -> None:
    """Of a living process without flock: respected; of a dead one, or nonsense: taken over."""
    device = tmp_path / "dev"
    file = tmp_path / f"LCK..{os.path.realpath(device).replace('/', '_')}"
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as living:
        file.write_text(f"{living.pid:>10}\nminicom root\n")
        with pytest.raises(DeviceError, match=f"process {living.pid} minicom root has it"):
            DeviceLock(str(device), tmp_path)
        living.stdin.close()
    for left in (f"{living.pid:>10}\n", "nonsense", "", "99999999999999999999"):
        file.write_text(left)
        lock = DeviceLock(str(device), tmp_path)
        assert file.read_text().split()[0] == str(os.getpid())
        lock.release()
        assert not file.exists()


def test_a_forbidden_port_names_the_group_and_a_lock_needs_its_folder(tmp_path: Path) -> None:
    (tmp_path / "tty").touch()
    sentence = str(explain(str(tmp_path / "tty"), PermissionError(errno.EACCES, "denied")))
    assert "usermod -aG " in sentence
    with pytest.raises(DeviceError, match="cannot be made"):
        DeviceLock("/dev/ttyX", tmp_path / "nowhere")


def test_a_port_counts_what_is_still_to_be_sent_and_a_pulled_cable_is_told_by_every_call(tmp_path: Path) -> None:
    wire = Wire(MaestroBoard(), port(tmp_path), CLOCK)
    wire.plug()
    now = [100.0]
    line = SerialPort(str(port(tmp_path)), 19_200, lambda: now[0], lock_folder=tmp_path)
    whole = line.room()
    assert whole == int(QUEUE_S * 19_200 / 10)
    line.writePort(b"v\n" * 10)
    assert line.room() == whole - 20
    now[0] += 0.005
    assert line.room() == pytest.approx(whole - 20 + 9.6, abs=1)
    line.close()
    line = opened(tmp_path)
    line.clearPort()
    wire.say(b"abc")
    assert line.read(3, 5.0) == b"abc"
    assert line.read(1, 0.01) == b""
    wire.pull()
    for call in (lambda: line.read(1, 1.0), lambda: line.writePort(b"x"), line.clearPort):
        with pytest.raises(PortGoneError):
            call()
    line.close()
