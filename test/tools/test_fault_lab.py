"""The cable between two machines, which a fault cuts and puts back."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from tools.faults.places import Network, NotHereError

NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
ECHO = """
import socket
one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
one.bind(("10.213.8.2", 5005))
print("ready", flush=True)
while True:
    one.sendto(*one.recvfrom(99))
"""


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
