"""Where faults are injected: two machines whose cable is cut, a small disk, simulated time; or why they are not."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from reactdiff_ros.evaluation.faults import setting
from reactdiff_ros.evaluation.faults.catalogue import catalogue
from reactdiff_ros.evaluation.faults.network import TwoMachines
from reactdiff_ros.evaluation.faults.setting import DISK_MB, SETTINGS, NotHereError, SimulatedTime, SmallDisk
from reactdiff_ros.launching.live_graph import LiveOptions
from reactdiff_ros.launching.supervisor import NodeCommand

NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
ECHO = """
import socket
one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
one.bind(("10.213.8.2", 5005))
print("ready", flush=True)
while True:
    one.sendto(*one.recvfrom(99))
"""


def test_every_fault_has_a_setting():
    assert {fault.setting for fault in catalogue()} == set(SETTINGS)


@pytest.mark.parametrize("name", ["network", "disk"])
def test_without_root_a_setting_is_left_out_with_its_reason(monkeypatch, name):
    monkeypatch.setattr(setting.os, "geteuid", lambda: 1000)
    with pytest.raises(NotHereError, match="need"), SETTINGS[name]():
        pass


def test_in_simulated_time_all_follow_the_clock_but_who_plays():
    with SimulatedTime() as where:
        assert where.options(LiveOptions()).arguments["use_sim_time"] == "true"
        words = ("clip_node", "--ros-args", "-p", "use_sim_time:=true", "--params-file", "x")
        assert where.command(NodeCommand("reaction_node", words)).command == words
        assert where.command(NodeCommand("clip_node", words)).command == (
            "clip_node", "--ros-args", "--params-file", "x",
        )  # fmt: skip


@NEEDS_ROOT
def test_a_small_disk_is_small_and_gone_at_the_end():
    try:
        with SmallDisk() as where:
            folder = where.folder
            assert folder is not None
            assert shutil.disk_usage(folder).total == DISK_MB << 20
            assert Path(where.options(LiveOptions()).arguments["record_to"]).parent == folder
    except NotHereError as error:
        pytest.skip(str(error))
    assert not folder.exists()


@NEEDS_ROOT
def test_the_cable_between_two_machines_is_cut_and_put_back():
    try:
        SETTINGS["network"]().__enter__().__exit__()
    except NotHereError as error:
        pytest.skip(str(error))
    before = os.readlink("/proc/thread-self/ns/net")
    with TwoMachines() as machines:
        assert os.readlink("/proc/thread-self/ns/net") != before
        command = [*machines.far, sys.executable, "-c", ECHO]
        with (
            subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as far,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as here,
        ):
            assert far.stdout is not None
            assert far.stdout.readline() == "ready\n"

            def answered(tries: int) -> bool:
                here.settimeout(0.2)
                for _ in range(tries):
                    try:
                        here.sendto(b"hello", ("10.213.8.2", 5005))
                        return here.recv(99) == b"hello"
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
