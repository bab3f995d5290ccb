"""Ctrl-C of a command: one press is one signal, however many copies of it a launcher sends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from reactdiff_ros.cli import interrupts
from reactdiff_ros.cli.interrupts import AGAIN_S, Press
from reactdiff_ros.cli.listen import StopFlag

GAPS_S = (0.0, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1)


def test_a_copy_follows_within_a_second_and_a_press_comes_later() -> None:
    now_s = 100.0
    press = Press(lambda: now_s)
    assert not press.is_copy()
    for later_s in (0.02, 0.1, AGAIN_S - 0.01):
        now_s = 100.0 + later_s
        assert press.is_copy()
    now_s = 100.0 + AGAIN_S
    assert not press.is_copy()
    now_s += 0.1
    assert press.is_copy()


@pytest.fixture
def handlers() -> Callable[[], None]:
    before = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    return restore


def test_a_copy_does_not_end_what_follows_a_stop(handlers: Callable[[], None]) -> None:
    """As the video of a replay that was stopped."""
    try:
        stop = StopFlag()
        signal.raise_signal(signal.SIGINT)
        assert stop.set
        stop.set = False
        signal.raise_signal(signal.SIGINT)
        assert not stop.set
    finally:
        handlers()


def test_a_background_job_goes_on_ignoring_ctrl_c(handlers: Callable[[], None]) -> None:
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        interrupts.catch_interrupts()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        handlers()


@pytest.mark.parametrize(
    ("words", "ready"),
    [
        (["robot", "emulate", "ohbot", "--folder", "FOLDER"], "Ctrl-C ends"),
        (["robot", "preview", "ohbot", "--port", "18776"], "http://"),
    ],
    ids=lambda v: v[1] if isinstance(v, list) else "",
)
def test_the_copies_change_neither_the_end_nor_the_exit_code(words: list[str], ready: str, tmp_path: Path) -> None:
    ends = {}
    for gap_s in GAPS_S:
        given = [str(tmp_path) if word == "FOLDER" else word for word in words]
        log = tmp_path / "said"
        with log.open("wb") as said:
            process = subprocess.Popen(
                [sys.executable, "-u", "-m", "reactdiff_ros.cli.main", *given],
                stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        try:
            end_s = time.monotonic() + 60.0
            while ready not in log.read_text() and process.poll() is None and time.monotonic() < end_s:
                time.sleep(0.02)
            os.kill(process.pid, signal.SIGINT)
            time.sleep(gap_s)
            process.send_signal(signal.SIGINT)
            ends[gap_s] = process.wait(60.0)
        finally:
            process.kill()
        assert "Traceback" not in log.read_text()
    assert ends == dict.fromkeys(ends, 0)
