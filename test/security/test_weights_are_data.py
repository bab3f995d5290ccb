"""Weights are data: formats that hold no code, hashes checked before anything is read, nothing kept elsewhere."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from reactdiff_ros.errors import WeightsError
from reactdiff_ros.model.backends.weights import CARD, NODS, find_weights, sha256

LIVE = Path(__file__).resolve().parents[2] / "resource" / "models" / "live"
DATA = {".onnx", ".safetensors", ".json", ".md", ".npz"}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    folder = tmp_path / "live"
    shutil.copytree(LIVE, folder)
    return folder


def test_every_shipped_file_is_data_and_in_the_manifest() -> None:
    files = {path.name for path in LIVE.iterdir()}
    assert {Path(name).suffix for name in files} <= DATA
    named = json.loads((LIVE / "manifest.json").read_text())["files"]
    assert {name for name in files if Path(name).suffix in (".onnx", ".safetensors")} <= set(named)
    assert all(sha256(LIVE / name) == wanted for name, wanted in named.items())
    assert {name for name in files if Path(name).suffix == ".npz"} == {NODS}
    assert json.loads((LIVE / CARD).read_text())["sha256"] == sha256(LIVE / NODS)
    with np.load(LIVE / NODS, allow_pickle=False) as arrays:  # refuses what would run code
        assert all(arrays[name].dtype == np.float16 for name in arrays.files)


@pytest.mark.parametrize("name", sorted(path.name for path in LIVE.glob("*.onnx")))
def test_one_changed_bit_is_refused(copy: Path, name: str) -> None:
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(WeightsError, match="not the one in its manifest"):
        find_weights(copy)


def test_networks_keep_no_tensors_in_files_of_others() -> None:
    """ONNX may name files beside it that hold its tensors; a network of ours is whole."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed (requirements/train.txt)")
    for path in LIVE.glob("*.onnx"):
        graph = onnx.load(str(path), load_external_data=False).graph
        assert all(tensor.data_location != onnx.TensorProto.EXTERNAL for tensor in graph.initializer)
        assert {node.domain for node in graph.node} <= {"", "ai.onnx"}, "an operator of somebody's own library"
