"""`reactdiff evaluate arrays` and `reactdiff bench metrics`."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from reactdiff_ros.cli.main import main
from reactdiff_ros.evaluation.bench.metrics import example_set

ROOT = Path(__file__).resolve().parents[2]
"""Of each ratio that must hold: a busy machine slows both sides, but not always alike."""


def written(path: Path, **change: object) -> Path:
    made, real, heard = example_set(3, 2, 3, 2, 70)
    data = {
        "prediction": made, "listener": real.reshape(4, 70, 25), "speaker": heard,
        "neighbour": np.array([[1, 1, 0, 0], [0, 0, 1, 1]]), **change,
    }  # fmt: skip
    np.savez(path, **{name: values for name, values in data.items() if values is not None})
    return path


def test_it_prints_one_object(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("numba")
    path = written(tmp_path / "a.npz")
    before = path.read_bytes()
    assert main(["evaluate", "arrays", str(path), "--compat", "react2024", "--json", "--workers", "2"]) == 0
    found = json.loads(capfd.readouterr().out)
    names = ("FRC", "FRD", "FRDiv", "FRDvs", "FRVar", "FRSyn", "FRSyn_first")
    assert all(isinstance(found[name], float) for name in names)
    assert set(found["seconds"]) == set(names) - {"FRSyn_first"}
    assert found["compat"] == "react2024"
    assert path.read_bytes() == before


def test_mars_takes_padded_clips(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("numba")
    made = example_set(3, 2, 3, 2, 70)[0]
    made[1, :, 60:] = np.nan
    speaker = example_set(3, 2, 3, 2, 70)[2]
    speaker[1, 60:] = np.nan
    path = written(tmp_path / "a.npz", prediction=made, speaker=speaker, frames=np.array([70, 60]))
    assert main(["evaluate", "arrays", str(path), "--compat", "mars", "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert (found["rate_hz"], found["seed"], found["FRDvs"]) == (30.0, 1234, None)
    bad = written(tmp_path / "b.npz", frames=np.array([70, 71]))
    assert main(["evaluate", "arrays", str(bad), "--compat", "mars"]) == 1
    assert "whole numbers from 1 to 70" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"neighbour": None}, "no array named neighbour"),
        ({"prediction": np.zeros((2, 3, 70, 24))}, "is not (speakers, predictions, frames, 25)"),
        ({"speaker": np.full((2, 70, 25), np.nan)}, "not numbers"),
        ({"listener": np.array([{"a": 1}], dtype=object)}, "Python objects"),
    ],
)
def test_bad_arrays_are_one_sentence(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], change: dict[str, object], sentence: str
) -> None:
    path = written(tmp_path / "a.npz", **change)
    assert main(["evaluate", "arrays", str(path)]) == 1
    told = [line for line in capfd.readouterr().err.splitlines() if line.startswith("reactdiff:")]
    assert len(told) == 1
    assert sentence in told[0]
    assert "a.npz" in told[0]


def test_bad_files_are_one_sentence(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    good = written(tmp_path / "good.npz").read_bytes()
    one = io.BytesIO()
    np.save(one, np.zeros(3))
    broken = {
        "half.npz": good[: len(good) // 2], "empty.npz": b"", "text.npz": b"hello", "one.npy": one.getvalue(),
        "flipped.npz": good[:3000] + bytes(b ^ 255 for b in good[3000:3400]) + good[3400:],
    }  # fmt: skip
    for name, content in broken.items():
        (tmp_path / name).write_bytes(content)
        assert main(["evaluate", "arrays", str(tmp_path / name)]) == 1, name
        told = [line for line in capfd.readouterr().err.splitlines() if line.strip()]
        assert len(told) == 1, (name, told)
        assert name in told[0]
        assert ("it is one array" in told[0]) == (name == "one.npy")
    assert main(["evaluate", "arrays", str(tmp_path / "none.npz")]) == 1
    assert "no such file" in capfd.readouterr().err


def test_the_one_call_interface_needs_no_ros() -> None:
    """In a process that knows the package and numpy's folder only, rclpy hidden."""
    code = (
        "import sys; sys.modules['rclpy'] = None; sys.modules['onnxruntime'] = None; sys.modules['torch'] = None\n"
        "import reactdiff_ros.evaluation as e\n"
        "assert 'numba' not in sys.modules and 'evaluate_reactions' in dir(e)\n"
        "assert all(callable(getattr(e, n)) for n in e._HOMES)\n"
        "import numpy as np\n"
        "print(e.robot_metrics(np.zeros((100, 58)), np.arange(100) / 25).seconds)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "4.0\n"), done.stderr
