"""--voices of the commands: a bank that is not there is made, by espeak-ng, without torch."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from reactdiff_ros.cli.main import main
from reactdiff_ros.cli.voices import voice_bank
from reactdiff_ros.errors import ReactdiffError
from reactdiff_ros.simulator import voices
from reactdiff_ros.simulator.voices import COLUMNS, FORMAT

SIMULATE = ["dev", "simulate", "--dyads", "2", "--seconds", "4", "--json"]


def silent(path: Path, *, progress: Callable[[int, int], None]) -> int:
    """As `make_bank`, of two voices that say nothing."""
    table = np.zeros((2, 1, 2, 2, 2), np.int64)
    table[..., 1] = 4
    np.savez_compressed(
        path, format=FORMAT, frames=np.ones((200, COLUMNS), np.float32), phrases=table, bursts=table[:, :, 0, 0],
        rooms=table[0, :, 0, 0], noises=table[0, :, 0, 0],
    )  # fmt: skip
    progress(1, 1)
    return 1


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Files that were asked of `make_bank`, which is replaced; espeak-ng seems to be installed."""
    asked: list[Path] = []

    def make_bank(path: Path, *, progress: Callable[[int, int], None]) -> int:
        asked.append(path)
        return silent(path, progress=progress)

    monkeypatch.setattr(voices, "make_bank", make_bank)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    return asked


def test_simulate_makes_a_bank_once_and_tells_it(
    tmp_path: Path, made: list[Path], capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "new" / "voices"  # without the ending that numpy would add
    assert main([*SIMULATE, "--voices", str(path)]) == 0
    out, err = capfd.readouterr()
    told = json.loads(out)["voices"]
    assert (told["kind"], told["voices"]) == ("synthesised", 2)
    assert f"making the voice bank {path}" in err
    assert list(path.parent.iterdir()) == [path]
    assert main([*SIMULATE, "--voices", str(path)]) == 0
    out, err = capfd.readouterr()
    assert json.loads(out)["voices"] == told
    assert "making" not in err
    assert len(made) == 1


def test_without_espeak_one_sentence_says_what_where_and_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    path = tmp_path / "voices.npz"
    for command in (SIMULATE, ["evaluate", "streams"], ["bench", "response", "--listener", "rules"]):
        assert main([*command, "--voices", str(path)]) == 3
        told = [line for line in capfd.readouterr().err.splitlines() if line.startswith("reactdiff:")]
        assert len(told) == 1
        assert str(path) in told[0]
        assert "apt install espeak-ng" in told[0]
    assert not path.exists()


def test_a_place_that_cannot_be_written_is_told_before_the_work(tmp_path: Path, made: list[Path]) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ReactdiffError, match="voice bank cannot be written"):
        voice_bank(tmp_path / "file" / "voices.npz")
    assert not made
