"""What the tests of evaluation share: commands with their JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from reactdiff_ros.cli.main import main

Reactdiff = Callable[..., tuple[dict[str, Any], str]]


@pytest.fixture
def reactdiff(capfd: pytest.CaptureFixture[str]) -> Reactdiff:
    """`reactdiff("evaluate", ..., code=0)` -> the object that it prints ({} for none), and its errors."""

    def call(*words: object, code: int = 0) -> tuple[dict[str, Any], str]:
        capfd.readouterr()
        ended = main([str(word) for word in words])
        captured = capfd.readouterr()
        assert ended == code, captured.err
        return (json.loads(captured.out) if captured.out.startswith("{") else {}), captured.err

    return call
