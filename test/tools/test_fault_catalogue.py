"""The file of the faults' figures, and commands that need a checkout."""

from __future__ import annotations

from pathlib import Path

import pytest

from reactdiff_ros import resources
from reactdiff_ros.cli.bench import bench
from reactdiff_ros.cli.docs import docs
from reactdiff_ros.cli.main import main
from reactdiff_ros.cli.simulate import demo
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


@pytest.mark.parametrize(("words", "group"), [(("bench",), bench), (("dev", "docs"), docs), (("dev", "demo"), demo)])
def test_without_a_checkout_its_commands_say_where_to_run_them(words, group, tmp_path, capsys, monkeypatch):
    assert {*group.checkout} <= {*group.commands}
    monkeypatch.setattr(resources, "__file__", str(tmp_path / "site-packages" / "reactdiff_ros" / "resources.py"))
    monkeypatch.setattr(group, "commands", {n: c for n, c in group.commands.items() if n not in group.checkout})
    for name in group.checkout:
        assert main([*words, name]) == 3
        assert "run this command from a checkout of the repository" in capsys.readouterr().err
