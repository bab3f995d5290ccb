"""The code of docs/bring_your_own_listener.md runs as the page says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from generated_sets import FACEVERSE_ORDER, react
from run_tools import lab

from reactdiff_ros.cli.main import main

PAGE = Path(__file__).resolve().parents[3] / "docs" / "bring_your_own_listener.md"


@pytest.fixture
def listener(tmp_path: Path) -> str:
    found = re.search(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None
    assert sum(bool(line.strip()) for line in found[1].partition("class ")[2].splitlines()) <= 32
    path = tmp_path / "my_listener.py"
    path.write_text(found[1])
    return f"{path}:SmileBack"


def test_it_is_strictly_online(listener: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "online", "--listener", listener, "--cuts", "8", "--seconds", "1.4", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["holds"] is True
    assert told["acted"] > 0.8


def test_it_stands_in_a_table(listener: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("numba")
    data = react(tmp_path / "react", frames=101, sound=False, splits=("val",))
    lab(tmp_path / "lab", data, FACEVERSE_ORDER, chosen=(0, 2))
    arguments = ["evaluate", "recordings", str(tmp_path / "lab"), "--listener", listener, "--streams", "1"]
    assert main([*arguments, "--cuts", "2", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["subject"] == "SmileBack"
    assert told["systems"]["SmileBack"]["causal"] is True
    assert told["systems"]["SmileBack"]["role"] == "listener"
    assert told["systems"]["shuffled"]["role"] == "control"
    assert told["systems"]["SmileBack"]["smile_coupling"] is not None
    assert told["systems"]["SmileBack"]["frame_ms"] > 0
