"""`make picture`: the real graph and its page are photographed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import pytest
from ros_harness import free_domain

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.ros, pytest.mark.browser, pytest.mark.real_time]


def made(output: Path, *arguments: str) -> cv2.typing.MatLike:
    domain, claim = free_domain()
    script = [sys.executable, str(ROOT / "scripts" / "make_picture.py"), "--output", str(output)]
    with claim:
        told = subprocess.run(
            [*script, "--policy", "mime", "--domain", str(domain), *arguments],
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
    assert told.returncode == 0, told.stderr
    return cv2.imread(str(output))


def test_the_speaker_stands_above_the_face(tmp_path: Path) -> None:
    picture = made(tmp_path / "listening.png", "--at", "0.5", "1.5")
    assert picture.shape == (2 * 360 + 6, 2 * 480 + 6, 3)
    assert (picture[:, 480:486] == 255).all(), "what lies between"
    for part in (picture[:360, :480], picture[:360, 486:], picture[366:, :480], picture[366:, 486:]):
        assert part.std() > 15, "nothing is to be seen"


def test_the_operators_screen(tmp_path: Path) -> None:
    picture = made(tmp_path / "operator.png", "--operator", "--at", "0.2")
    assert picture.shape == (800, 1280, 3)
    assert picture.std() > 15
