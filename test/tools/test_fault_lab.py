"""What the fault harness does: bad input, failing servos, open pages, places, and a robot that is enabled again."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import cv2
import numpy as np
import pytest

from reactdiff_ros.actuation.emulators.rig import Rig
from reactdiff_ros.actuation.profile import load_profile
from reactdiff_ros.capture.compressed import decode_compressed
from reactdiff_ros.clock import NS
from reactdiff_ros.errors import MessageError
from tools.faults import inputs, lab
from tools.faults.catalogue import BUS_HEAD, robot_profile
from tools.faults.places import Network, NotHereError

PICTURE = np.full((48, 64, 3), 120, np.uint8)
JPEG = cv2.imencode(".jpg", PICTURE)[1].tobytes()
OTHER = cv2.imencode(".jpg", PICTURE // 2)[1].tobytes()
NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
ECHO = """
import socket
one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
one.bind(("10.213.8.2", 5005))
print("ready", flush=True)
while True:
    one.sendto(*one.recvfrom(99))
"""


def now() -> float:
    return 5.0


def test_pictures_and_stamps():
    assert inputs.nothing(1, JPEG) is None
    frozen = inputs.frozen()
    assert frozen(1, JPEG) == (1, JPEG)
    assert frozen(2, OTHER) == (2, JPEG)
    assert decode_compressed("jpeg", inputs.black(3, JPEG)[1]).max() < 3
    assert decode_compressed("jpeg", inputs.smaller(3, JPEG)[1]).shape == (29, 26, 3)
    assert len(inputs.grey(3, JPEG)[1]) < len(JPEG)
    for broken in (inputs.cut, inputs.giant):
        with pytest.raises(MessageError):
            decode_compressed("jpeg", broken(3, JPEG)[1])
    assert len(inputs.giant(3, JPEG)[1]) > 8_000_000
    assert inputs.shifted(-60.0)(100 * NS, JPEG) == (40 * NS, JPEG)
    jumping = inputs.jumping(10.0)
    assert [jumping(k, JPEG)[0] for k in range(4)] == [10 * NS, 1, 10 * NS + 2, 3]


@pytest.mark.parametrize("failure", ["mute", "bad_checksum", "overload", "hot"])
def test_one_servo_fails_and_works_again(tmp_path, failure):
    rig = Rig(robot_profile(BUS_HEAD), tmp_path, now)
    servos = list(rig.buses["bus"].servos.values())  # type: ignore[attr-defined]
    for wrong in (True, False):
        lab.fail(rig, failure, wrong)
        assert [getattr(servo.failing, failure) for servo in servos] == [wrong] + [False] * 5


def test_boards_and_buses_go_silent_and_cables_are_pulled(tmp_path):
    heads = [Rig(profile, tmp_path, now) for profile in (load_profile("generic_12servo"), robot_profile(BUS_HEAD))]
    with heads[1] as bus_head:
        (wire,) = bus_head.wires.values()
        for wrong in (True, False):
            for rig in heads:
                lab.hush(rig, wrong)
            lab.cable(bus_head, wrong)
            servos = bus_head.buses["bus"].servos.values()  # type: ignore[attr-defined]
            assert heads[0].buses["maestro"].silent is wrong  # type: ignore[attr-defined]
            assert {servo.failing.silent for servo in servos} == {wrong}
            assert wire.plugged is not wrong


@NEEDS_ROOT
def test_the_cable_between_two_machines_is_cut_and_put_back():
    before = os.readlink("/proc/thread-self/ns/net")
    try:
        machines = Network().__enter__()
    except NotHereError as error:
        pytest.skip(str(error))
    with machines.stack:
        assert os.readlink("/proc/thread-self/ns/net") != before
        command = [*machines.far, sys.executable, "-c", ECHO]
        with (
            subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as far,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as near,
        ):
            assert far.stdout is not None
            assert far.stdout.readline() == "ready\n"

            def answered(tries: int) -> bool:
                near.settimeout(0.2)
                for _ in range(tries):
                    try:
                        near.sendto(b"hello", ("10.213.8.2", 5005))
                        return near.recv(99) == b"hello"
                    except OSError:
                        continue
                return False

            assert answered(50)
            machines.cut()
            assert not answered(5)
            machines.heal()
            assert answered(50)
            far.kill()
    assert os.readlink("/proc/thread-self/ns/net") == before
