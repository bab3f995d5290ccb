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


def ran(output: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    domain, claim = free_domain()
    script = [sys.executable, str(ROOT / "scripts" / "make_picture.py"), "--output", str(output)]
    with claim:
        return subprocess.run(
            [*script, "--policy", "mime", "--domain", str(domain), *arguments],
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip


def made(output: Path, *arguments: str) -> cv2.typing.MatLike:
    told = ran(output, *arguments)
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


@pytest.mark.parametrize("kind", [(), ("--operator",)])
def test_a_clip_that_is_none_is_a_sentence(kind: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no clip")
    for name in ("gone.mp4", "text.mp4"):
        told = ran(tmp_path / "made" / "x.png", "--clip", str(tmp_path / name), *kind)
        assert told.returncode == 1
        (line,) = told.stderr.splitlines()
        assert line.startswith("error: ")
        assert f"{tmp_path}/{name}" in line
    assert not (tmp_path / "made").exists()


def test_what_does_not_come_is_waited_for_within_a_limit(tmp_path: Path) -> None:
    told = ran(tmp_path / "x.png", "--patience", "0")
    assert told.returncode == 1
    assert "error: the face's page did not come within 0 s" in told.stderr
    assert not (tmp_path / "x.png").exists()
