"""Fixtures that every test folder shares; nothing heavy is imported here."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def clips() -> Callable[[str], Path]:
    """`clips("name.mp4")` -> its path; skips the test where the recordings (or this one) are not on this machine."""
    folder = Path(os.environ.get("REACTDIFF_CLIPS") or ROOT.parent / "shared" / "clips").resolve()

    def find(name: str) -> Path:
        if not folder.is_dir():
            pytest.skip(f"the folder of test recordings is not here ({folder}); set REACTDIFF_CLIPS")
        path = folder / name
        if not path.exists():
            pytest.skip(f"the test recording {name} is not in {folder}")
        return path

    return find
