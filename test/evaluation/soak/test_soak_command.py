"""`reactdiff bench soak`: the short form, killed in the middle, goes on; then its page."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from reactdiff_ros.cli.main import main
from reactdiff_ros.evaluation.soak.journal import KILLED, read_journal

SOAK = (sys.executable, "-m", "reactdiff_ros.cli.main", "bench", "soak", "--short", "--part", "stream")


def test_a_run_that_is_killed_goes_on_and_makes_its_page(tmp_path: Path) -> None:
    command = [*SOAK, "--policy", "rules", "--folder", str(tmp_path), "--output", str(tmp_path / "docs" / "soak.json")]
    path = tmp_path / "stream.jsonl"
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
        end_s = time.monotonic() + 90.0
        while not (path.exists() and path.read_bytes().count(b"\n") >= 3):
            assert run.poll() is None
            assert time.monotonic() < end_s
            time.sleep(0.05)
        run.kill()
    (before,) = read_journal(path)
    assert before.ended == KILLED
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode in (0, 1), done.stderr[-2000:]
    figures = json.loads(done.stdout)
    one, two = figures["parts"]["stream"]["legs"]
    assert (one["seconds"], one["ended"], two["ended"]) == (pytest.approx(before.seconds), KILLED, "done")
    assert 30.0 <= figures["parts"]["stream"]["done_s"] < 36.0
    assert {row["name"]: row["holds"] for row in figures["bounds"]}["length, share of what was asked"] is True
    kept, page = tmp_path / "docs" / "soak.json", tmp_path / "docs" / "soak.md"
    assert json.loads(kept.read_text()) == figures
    assert main(["dev", "docs", "soak", str(kept), "--output", str(page)]) == 0
    assert " in 2 legs" in page.read_text()
    assert (page.parent / "images" / "soak_stream.png").stat().st_size > 10000


def test_a_clip_that_is_missing_is_one_sentence(tmp_path: Path) -> None:
    done = subprocess.run(
        [*SOAK, str(tmp_path / "none.mp4"), "--folder", str(tmp_path / "f")],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "there is no such media file" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "f").exists()


def test_a_folder_without_journals_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "soak.json"
    assert main(["bench", "soak", "--judge", "--folder", str(tmp_path / "none"), "--output", str(output)]) == 1
    assert "there is no journal of a long run" in capsys.readouterr().err
    assert not output.exists()
