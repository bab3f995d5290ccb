"""The file of the faults' figures, and commands that need a checkout."""

from __future__ import annotations

from pathlib import Path

import pytest

from reactdiff_ros.cli.main import main
from reactdiff_ros.errors import MediaError
from tools.faults.catalogue import kept


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"faults": [{}], "hardware": {}}', '{"faults": 3, "hardware": {}}', "[" * 9999]
)
def test_other_files_are_one_sentence(tmp_path: Path, text: str):
    path = tmp_path / "faults.json"
    path.write_text(text)
    with pytest.raises(MediaError, match="no figures of faults"):
        kept(path)
    assert kept(tmp_path / "missing.json") == []


@pytest.mark.parametrize(
    "words",
    [("bench", "faults", "--list"), ("bench", "soak", "--judge"), ("dev", "demo", "render", "--output", "x.mp4")],
)
def test_without_a_checkout_the_command_says_where_to_run_it(words, tmp_path, capsys, monkeypatch):
    from reactdiff_ros import resources

    monkeypatch.setattr(resources, "__file__", str(tmp_path / "site-packages" / "reactdiff_ros" / "extras.py"))
    assert main(list(words)) == 3
    assert "run this command from a checkout of the repository" in capsys.readouterr().err
