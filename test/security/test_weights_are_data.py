"""Weights are data that holds no code and nothing kept elsewhere; engines, which are code, are kept private."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import numpy as np
import pytest

from reactdiff_ros.model.backends.tensorrt_backend import EngineCache
from reactdiff_ros.model.backends.weights import CARD, NODS, sha256

LIVE = Path(__file__).resolve().parents[2] / "resource" / "models" / "live"
DATA = {".onnx", ".safetensors", ".json", ".md", ".npz"}


def test_every_shipped_file_is_data_and_in_the_manifest() -> None:
    files = {path.name: path.suffix for path in LIVE.iterdir()}
    assert set(files.values()) <= DATA
    named = json.loads((LIVE / "manifest.json").read_text())["files"]
    assert {name for name, suffix in files.items() if suffix in (".onnx", ".safetensors")} <= set(named)
    assert all(sha256(LIVE / name) == wanted for name, wanted in named.items())
    assert [name for name, suffix in files.items() if suffix == ".npz"] == [NODS]
    assert json.loads((LIVE / CARD).read_text())["sha256"] == sha256(LIVE / NODS)
    with np.load(LIVE / NODS, allow_pickle=False) as arrays:  # refuses what would run code
        assert all(arrays[name].dtype == np.float16 for name in arrays.files)


def test_networks_keep_no_tensors_in_files_of_others() -> None:
    """ONNX may name files beside it that hold its tensors; a network of ours is whole."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed (requirements/train.txt)")
    for path in LIVE.glob("*.onnx"):
        graph = onnx.load(str(path), load_external_data=False).graph
        assert all(tensor.data_location != onnx.TensorProto.EXTERNAL for tensor in graph.initializer)
        assert {node.domain for node in graph.node} <= {"", "ai.onnx"}, "an operator of somebody's own library"


@pytest.mark.parametrize("mode", [None, 0o777, 0o770, 0o722, 0o702])
def test_engines_are_kept_where_nobody_else_can_write(tmp_path: Path, mode: int | None) -> None:
    """They are code for a GPU: their folder is made for the user alone, and one of others is not used."""
    folder = tmp_path / "cache" / "engines"
    if mode is not None:
        folder.mkdir(parents=True)
        folder.chmod(mode)
    cache = EngineCache(folder)
    assert (cache.folder == folder) is (cache.problem == "") is (mode is None)
    assert stat.S_IMODE(cache.folder.stat().st_mode) == 0o700
