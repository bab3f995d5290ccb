"""The last commands of joints without feedback survive the computer, and damage to them starts no motion."""

from __future__ import annotations

from pathlib import Path

import pytest

from reactdiff_ros.actuation.kept_state import load_commands, save_commands
from reactdiff_ros.errors import ReactdiffError


def test_what_was_saved_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "commands.json"
    assert load_commands(path) == {}
    save_commands(path, {"eye": 1499.123456789, "lid": 1500})
    assert load_commands(path) == {"eye": 1499.123456789, "lid": 1500.0}
    assert [p.name for p in path.parent.iterdir()] == ["commands.json"]


@pytest.mark.parametrize("content", ["", "{", "[1]", "3", '{"eye": "x", "lid": true, "jaw": NaN}', "\x00"])
def test_damaged_files_are_no_commands(tmp_path: Path, content: str) -> None:
    path = tmp_path / "commands.json"
    path.write_text(content)
    assert load_commands(path) == {}


def test_what_cannot_be_saved_leaves_the_old(tmp_path: Path) -> None:
    path = tmp_path / "commands.json"
    save_commands(path, {"eye": 1.0})
    with pytest.raises(ReactdiffError, match="cannot be saved"):
        save_commands(path, {"eye": float("nan")})
    assert load_commands(path) == {"eye": 1.0}
    assert [p.name for p in tmp_path.iterdir()] == ["commands.json"]
    with pytest.raises(ReactdiffError):
        save_commands(path / "below", {"eye": 1.0})
