"""Tests of training need torch (requirements/train.txt); without it they are not collected."""

from importlib.util import find_spec

import pytest

collect_ignore_glob = [] if all(map(find_spec, ("torch", "accelerate", "onnx"))) else ["test_*.py"]


@pytest.fixture(autouse=True, scope="session")
def on_one_thread(one_thread: None) -> None:
    """All of them."""
