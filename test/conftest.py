"""Fixtures that every test folder shares; nothing heavy is imported here."""

import gc
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from random_model import write_random_weights
from virtual_microphone import VirtualMicrophone, virtual_microphone, why_not

ROOT = Path(__file__).resolve().parents[1]
os.environ["REACTDIFF_CONFIG"] = "none"  # the settings of the person who runs them change no test
if "PYTEST_XDIST_WORKER" in os.environ and "ROS_DOMAIN_ID" in os.environ:  # nodes of two processes do not meet
    os.environ["ROS_DOMAIN_ID"] = str(int(os.environ["ROS_DOMAIN_ID"]) + int(os.environ["PYTEST_XDIST_WORKER"][2:]))
# Machines are shared: no test asserts milliseconds. `make test-long` tries four times as many examples.
hypothesis.settings.register_profile(
    "shared", deadline=None, max_examples=100 if "REACTDIFF_FUZZ" in os.environ else 25
)
hypothesis.settings.load_profile("shared")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of real processes in real time are tried twice: what else the machine does can stop one of them once."""
    for item in items:
        if any(item.get_closest_marker(name) for name in ("ros", "browser", "real_time")):
            item.add_marker(pytest.mark.flaky(reruns=1))


def pytest_collection_finish() -> None:
    """What was collected stays until the end: it is left out of garbage collections, which would go through all of it
    for a quarter of a second, and the servos that a test emulates in this process would not answer meanwhile.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def one_thread() -> None:
    """Small networks are faster on one thread, also on a busy machine, and the bits are the same everywhere."""
    import torch

    torch.set_num_threads(1)


Reactdiff = Callable[..., tuple[dict[str, Any], str]]


@pytest.fixture
def reactdiff(capfd: pytest.CaptureFixture[str]) -> Reactdiff:
    """`reactdiff("evaluate", ..., code=0)` -> the object that it prints ({} for none), and its errors."""
    from reactdiff_ros.cli.main import main

    def call(*words: object, code: int = 0) -> tuple[dict[str, Any], str]:
        capfd.readouterr()
        ended = main([str(word) for word in words])
        captured = capfd.readouterr()
        assert ended == code, captured.err
        return (json.loads(captured.out) if captured.out.startswith("{") else {}), captured.err

    return call


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


@pytest.fixture(scope="session")
def random_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of small networks with random weights, to be read only; skips where torch is not installed."""
    pytest.importorskip("torch", reason="torch is not installed (requirements/train.txt)")
    pytest.importorskip("onnx", reason="onnx is not installed (requirements/train.txt)")
    return write_random_weights(tmp_path_factory.mktemp("weights") / "random")


@pytest.fixture(scope="session")
def any_weights(request: pytest.FixtureRequest) -> Path:
    """Random weights, which are small; the shipped ones where torch is not installed."""
    if find_spec("torch") and find_spec("onnx"):
        return Path(request.getfixturevalue("random_weights"))
    return ROOT / "resource" / "models" / "live"


@pytest.fixture(scope="module")
def microphone_without_hardware() -> Iterator[VirtualMicrophone]:
    """A PulseAudio null sink as the default microphone of processes started with its `environment`; or a skip."""
    missing = why_not()
    if missing:
        pytest.skip(missing)
    with tempfile.TemporaryDirectory(prefix="mic") as folder, virtual_microphone(Path(folder)) as microphone:
        yield microphone
