"""Engines are code for a GPU: they are kept where nobody else can write, and a folder of others is not used."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from reactdiff_ros.model.backends.tensorrt_backend import EngineCache


def test_the_folder_is_made_for_the_user_alone(tmp_path: Path) -> None:
    cache = EngineCache(tmp_path / "cache" / "engines")
    assert cache.problem == ""
    assert stat.S_IMODE(cache.folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o722, 0o702])
def test_a_folder_that_others_can_write_to_is_not_used(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "engines"
    folder.mkdir()
    folder.chmod(mode)
    cache = EngineCache(folder)
    assert cache.problem
    assert cache.folder != folder
    assert stat.S_IMODE(cache.folder.stat().st_mode) == 0o700
